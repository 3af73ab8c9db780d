/** Which rows go into which file: by day, month or year of their own time, and never into too many files. Pure. */
import { days } from "../../base/mod.ts";
import type { EpochMs } from "../../base/mod.ts";
import type { Retention } from "../../telemetry/mod.ts";
import { levelOf } from "./cold-files.ts";
import type { PointFile, PointKind } from "./cold-files.ts";

/** Rows of one day (days since 1970). */
export interface DayRows {
  readonly day: number;
  readonly rows: number;
}

/** Rows with from <= time < to, less those of `except`. */
export interface Part {
  readonly period: string;
  readonly from: EpochMs;
  readonly to: EpochMs;
  readonly except: readonly Part[];
}

export const DAY = days(1);

/** Days or months of one generation that get files of their own; what lies elsewhere shares one per year. */
const OWN_FILES_MAX = 16;

/** Files of about the same size that are merged into one; in a period that is over, already two are. */
const MERGE_FILES = 8;
/** A merge takes no more rows than that: points are sorted on disk if need be, rollups are added up in memory. */
const MERGE_ROWS_MAX: Readonly<Record<PointKind, number>> = {
  numbers: 32_000_000,
  texts: 8_000_000,
  "1m": 4_000_000,
  "1h": 4_000_000,
  "1d": 4_000_000,
};
/** Sizes whose quotient is below this are about the same. */
const TIER = 4;
const TIER_ROWS_MIN = 10_000;
/** Devices that were briefly offline deliver so much later. */
const LATENESS = days(1) / 12;

export function partsOf(kind: PointKind, rows: readonly DayRows[]): readonly Part[] {
  const nameOf = (day: number): string => new Date(day * DAY).toISOString();
  if (kind === "1d") return grouped(rows, (day) => yearOf(nameOf(day))).map(({ part }) => part);
  const length = kind === "1h" ? "month" : "day";
  const all = grouped(rows, (day) => (length === "month" ? monthOf(nameOf(day)) : dayOf(nameOf(day))));
  const own = all.toSorted((a, b) => b.rows - a.rows).slice(0, OWN_FILES_MAX);
  const pooled = new Set(all.map(({ part }) => part.period));
  for (const { part } of own) pooled.delete(part.period);
  const others = all.filter(({ part }) => pooled.has(part.period));
  const years = new Map(others.map(({ part }) => [part.period.slice(0, -(length === "month" ? 3 : 6)), part]));
  const pools = [...years.keys()].map((year): Part => {
    const [from, to] = boundsOf(year);
    return {
      period: year,
      from,
      to,
      except: own.map(({ part }) => part).filter((part) => part.from >= from && part.to <= to),
    };
  });
  return [...own.map(({ part }) => part).toSorted((a, b) => a.from - b.from), ...pools];
}

/** As a condition on `column`. */
export function within(column: string, { from, to, except }: Part): string {
  const others = except.map((part) => ` AND NOT (${column} >= ${part.from} AND ${column} < ${part.to})`);
  return `${column} >= ${from} AND ${column} < ${to}${others.join("")}`;
}

/** [from, to) of `2026-01-31`, `2026-01` or `2026`. */
export function boundsOf(period: string): readonly [from: EpochMs, to: EpochMs] {
  const [year = 0, month, day] = period.split("-").map(Number);
  if (month === undefined) return [Date.UTC(year, 0, 1), Date.UTC(year + 1, 0, 1)];
  if (day === undefined) return [Date.UTC(year, month - 1, 1), Date.UTC(year, month, 1)];
  return [Date.UTC(year, month - 1, day), Date.UTC(year, month - 1, day + 1)];
}

/** Neighbouring days and months that are over become months and years up to this: as much as a question may read in vain. */
const GATHER_ROWS_MAX = 4_000_000;
/** A file goes when all of it is old enough: so much longer than it should its oldest rows may stay. */
const OUTLIVING_MAX = 1 / 8;

/** Files of one kind that are worth making one of. */
export interface Merge {
  readonly period: string;
  readonly files: readonly PointFile[];
}

export function mergeable(files: readonly PointFile[], retention: Retention, now: EpochMs): Merge | null {
  return samePeriod(files, now) ?? neighbours(files, retention, now);
}

/** Small files of days or months whose year, or else month, is over. What comes late makes a file of its day again. */
function neighbours(files: readonly PointFile[], retention: Retention, now: EpochMs): Merge | null {
  for (const length of [4, 7]) {
    const groups = new Map<string, PointFile[]>();
    for (const file of files) {
      if (file.period.length <= length) continue;
      const key = `${file.kind} ${file.period.slice(0, length)} ${file.inMinutes}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [file]);
      else group.push(file);
    }
    for (const group of groups.values()) {
      const period = group[0]!.period.slice(0, length);
      const [from, to] = boundsOf(period);
      const keep = retention[levelOf(group[0]!.kind)] ?? Infinity;
      const rows = group.reduce((sum, file) => sum + file.rows, 0);
      const outlives = (to - from) / keep > OUTLIVING_MAX;
      if (group.length < 2 || to + LATENESS >= now || outlives || rows > GATHER_ROWS_MAX) continue;
      return { period, files: group };
    }
  }
  return null;
}

function samePeriod(files: readonly PointFile[], now: EpochMs): Merge | null {
  const groups = new Map<string, PointFile[]>();
  for (const file of files) {
    const key = `${file.kind} ${file.period} ${file.inMinutes}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [file]);
    else group.push(file);
  }
  for (const group of groups.values()) {
    if (group.length < 2) continue;
    const least = boundsOf(group[0]!.period)[1] + LATENESS < now ? 2 : MERGE_FILES;
    const found = alike(group, least);
    if (found !== null) return { period: found[0]!.period, files: found };
  }
  return null;
}

function alike(group: readonly PointFile[], least: number): readonly PointFile[] | null {
  const tiers = new Map<number, PointFile[]>();
  for (const file of group) {
    const tier = Math.floor(Math.log(Math.max(file.rows / TIER_ROWS_MIN, 1)) / Math.log(TIER));
    tiers.set(tier, [...(tiers.get(tier) ?? []), file]);
  }
  for (const [, files] of [...tiers].toSorted(([a], [b]) => a - b)) {
    const taken: PointFile[] = [];
    let rows = 0;
    for (const file of files.toSorted((a, b) => a.rows - b.rows)) {
      if (rows + file.rows > MERGE_ROWS_MAX[file.kind]) break;
      taken.push(file);
      rows += file.rows;
    }
    if (taken.length >= least) return taken;
  }
  return null;
}

function grouped(rows: readonly DayRows[], periodOf: (day: number) => string): { part: Part; rows: number }[] {
  const counts = new Map<string, number>();
  for (const { day, rows: count } of rows) counts.set(periodOf(day), (counts.get(periodOf(day)) ?? 0) + count);
  return [...counts].map(([period, count]) => {
    const [from, to] = boundsOf(period);
    return { part: { period, from, to, except: [] }, rows: count };
  });
}

/** `2026-01-31T…`; the store's times lie between 2000 and 9999. */
function dayOf(iso: string): string {
  return iso.slice(0, 10);
}

function monthOf(iso: string): string {
  return iso.slice(0, 7);
}

function yearOf(iso: string): string {
  return iso.slice(0, 4);
}
