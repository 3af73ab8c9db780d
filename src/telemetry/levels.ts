/** How finely points are kept: as they came, and as rollups of one minute, hour and day. */
import { days, gib, hours, mib, minutes } from "../base/mod.ts";
import type { Millis } from "../base/mod.ts";

export const ROLLUPS = ["1m", "1h", "1d"] as const;
export type Rollup = (typeof ROLLUPS)[number];

export const LEVELS = ["raw", ...ROLLUPS] as const;
export type Level = (typeof LEVELS)[number];

/** Buckets start at multiples of this since 1970. */
export const ROLLUP_WIDTH: Readonly<Record<Rollup, Millis>> = { "1m": minutes(1), "1h": hours(1), "1d": days(1) };

/** How long points of a level are kept, by their own time; null: for ever. */
export type Retention = Readonly<Record<Level, Millis | null>>;

/** How much a store's files may take. */
export type DiskRoom = { readonly bytes: number } | { readonly diskShare: number };

/** Points for the charts of a month, hours for comparing this year with the last. */
export const DEFAULT_RETENTION: Retention = {
  raw: days(30),
  "1m": days(90),
  "1h": days(2 * 365),
  "1d": days(10 * 365),
};

const SPAN_UNITS: Readonly<Record<string, Millis>> = { h: hours(1), d: days(1), w: days(7), y: days(365) };

/** `raw 30d, 1m 90d, 1h 2y, 1d forever`; what is not named keeps its default. Throws with a reason. */
export function parseRetention(text: string): Retention {
  const kept: Record<Level, Millis | null> = { ...DEFAULT_RETENTION };
  const named = new Set<Level>();
  for (const part of text.split(",").map((one) => one.trim())) {
    const [, name = "", amount = "", unit = ""] = /^(\w+) +(?:(\d{1,6})([hdwy])|forever)$/.exec(part) ?? [];
    const level = LEVELS.find((known) => known === name);
    if (level === undefined) throw new Error(`'${part}' must be like 'raw 30d'; levels are ${LEVELS.join(", ")}`);
    if (named.has(level)) throw new Error(`'${level}' is named twice`);
    named.add(level);
    kept[level] = amount === "" ? null : Number(amount) * SPAN_UNITS[unit]!;
    if (kept[level] === 0) throw new Error(`'${part}' keeps nothing`);
  }
  for (const [index, coarse] of ROLLUPS.entries()) {
    const fine = LEVELS[index]!;
    if ((kept[coarse] ?? Infinity) < (kept[fine] ?? Infinity)) {
      if (named.has(coarse)) throw new Error(`'${coarse}' must be kept at least as long as '${fine}'`);
      kept[coarse] = kept[fine];
    }
  }
  return kept;
}

const BYTE_UNITS: Readonly<Record<string, number>> = { MiB: mib(1), GiB: gib(1), TiB: gib(1024) };

/** `20GiB` or `50%`. Throws with a reason. */
export function parseDiskRoom(text: string): DiskRoom {
  const share = /^(\d{1,2})%$/.exec(text)?.[1];
  if (share !== undefined && Number(share) > 0) return { diskShare: Number(share) / 100 };
  const [, amount = "", unit = ""] = /^(\d{1,6})(MiB|GiB|TiB)$/.exec(text) ?? [];
  if (Number(amount) > 0) return { bytes: Number(amount) * BYTE_UNITS[unit]! };
  throw new Error(`'${text}' must be like 20GiB or 50%`);
}
