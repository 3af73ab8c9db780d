/** What a query's answer must be, worked out the long way from readings in the order of their arrival. */
import { LIMITS } from "../../base/mod.ts";
import { gridOf, nextStart, startOf, startsIn, typeOf } from "../../telemetry/mod.ts";
import type { Aggregate, FieldType, FieldValue, Grid, SeriesOfResult, SeriesQuery } from "../../telemetry/mod.ts";
import type { Reading } from "./store.scenario.ts";

interface Group {
  readonly thing: string | null;
  readonly measurement: string;
  readonly field: string;
  readonly stored: FieldType;
  /** All of its points, ascending, equal times in the order of arrival. */
  readonly points: readonly Reading[];
}

export function modelAnswer(readings: readonly Reading[], query: SeriesQuery): SeriesOfResult[] {
  let groups = groupsOf(readings, query);
  if (query.top !== undefined) groups = topOf(groups, query);
  const answer: SeriesOfResult[] = [];
  for (const group of groups) {
    const label = {
      ...(query.things === undefined || group.thing === null ? {} : { thing: group.thing }),
      measurement: group.measurement,
      field: group.field,
    };
    if (query.window === null) {
      const points = inRange(group, query);
      if (points.length === 0) continue;
      const [times, values] = [points.map(({ time }) => time), points.map(({ value }) => value)];
      answer.push({ ...label, type: group.stored, times, values });
      continue;
    }
    for (const aggregate of query.aggregates ?? [query.aggregate!]) {
      const type = typeFor(group.stored, aggregate);
      if (type === null) continue;
      const found = filled(group, query, aggregate, type);
      if (![...found.values()].some((value) => value !== null)) continue;
      const times = [...found.keys()].sort((a, b) => a - b);
      const values = times.map((time) => {
        const value = found.get(time)!;
        return value !== null && type === "boolean" ? Boolean(value) : value;
      });
      answer.push({ ...label, type, ...(query.aggregates === undefined ? {} : { aggregate }), times, values });
    }
  }
  return answer;
}

function groupsOf(readings: readonly Reading[], query: SeriesQuery): Group[] {
  const wanted = (query.things ?? [query.thing]).map(
    (name) => new RegExp(`^${name.replaceAll("*", ".*").replaceAll("?", ".")}$`),
  );
  const groups = new Map<string, Group & { points: Reading[] }>();
  for (const reading of readings) {
    const { thing, measurement, field, value } = reading;
    if (!wanted.some((name) => name.test(thing))) continue;
    if (query.measurement !== null && measurement !== query.measurement) continue;
    if (query.fields !== null && !query.fields.includes(field)) continue;
    const owner = query.together === true ? null : thing;
    const key = [owner ?? "", measurement, field, typeOf(value)].join("\n");
    const group = groups.get(key) ?? { thing: owner, measurement, field, stored: typeOf(value), points: [] };
    groups.set(key, group);
    group.points.push(reading);
  }
  for (const { points } of groups.values()) points.sort((a, b) => a.time - b.time); // stable
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group);
}

function topOf(groups: readonly Group[], query: SeriesQuery): Group[] {
  const { count, by, lowest } = query.top!;
  const whole: SeriesQuery = { ...query, window: query.to - query.from, calendar: { zone: "UTC", unit: "range" } };
  const ranked = groups.flatMap((group) => {
    if (group.stored === "string") return [];
    const value = [...windowsOf(group, whole, by, gridFor(whole)).values()][0];
    return value === undefined ? [] : [{ group, value: Number(value) * (lowest ? 1 : -1) }];
  });
  ranked.sort((a, b) => a.value - b.value);
  const kept = new Map<string, number>();
  const chosen = new Set<Group>();
  for (const { group } of ranked) {
    const key = `${group.measurement}\n${group.field}\n${group.stored}`;
    const rank = kept.get(key) ?? 0;
    kept.set(key, rank + 1);
    if (rank < count) chosen.add(group);
  }
  return groups.filter((group) => chosen.has(group));
}

function gridFor(query: SeriesQuery): Grid {
  const { window, from, to } = query;
  return gridOf({ window: window!, from, to, ...(query.calendar === undefined ? {} : { calendar: query.calendar }) });
}

function inRange({ points }: Group, { from, to }: SeriesQuery): readonly Reading[] {
  return points.filter(({ time }) => time >= from && time < to);
}

function typeFor(stored: FieldType, aggregate: Aggregate): FieldType | null {
  if (aggregate === "count") return "number";
  if (stored === "string") return ["first", "last"].includes(aggregate) ? "string" : null;
  return stored === "boolean" && ["first", "last", "min", "max"].includes(aggregate) ? "boolean" : "number";
}

function filled(
  group: Group,
  query: SeriesQuery,
  aggregate: Aggregate,
  type: FieldType,
): Map<number, FieldValue | null> {
  const { fill, from, to, now = Infinity } = query;
  const grid = gridFor(query);
  const found: Map<number, FieldValue | null> = windowsOf(group, query, aggregate, grid);
  if (fill === undefined || fill === "none" || (typeof fill === "number" && type !== "number")) return found;
  const valueLike = ["avg", "min", "max", "first", "last", "twa"].includes(aggregate) || aggregate.startsWith("p");
  const carried = valueLike && query.together !== true ? neighbour(group, from, -1) : undefined;
  const known = new Map(found);
  const starts = [...known.keys()].sort((a, b) => a - b);
  for (const start of startsIn(grid, from, to, 1e6)!) {
    if (known.has(start)) continue;
    const before = starts.findLast((one) => one < start);
    const after = starts.find((one) => one > start);
    let value: FieldValue | null = null;
    if (typeof fill === "number") value = fill;
    else if (fill === "previous" || (fill === "linear" && type !== "number")) {
      if (start <= now)
        value = before === undefined ? (fill === "previous" ? (carried?.value ?? null) : null) : known.get(before)!;
    } else if (fill === "linear" && before !== undefined && after !== undefined) {
      const [a, b] = [Number(known.get(before)), Number(known.get(after))];
      value = a + ((b - a) * (start - before)) / (after - before);
    }
    if (value !== null || fill === "null")
      found.set(start, typeof value === "boolean" && type === "number" ? Number(value) : value);
  }
  return found;
}

/** The nearest point outside the range that is still looked at. */
function neighbour({ points }: Group, at: number, direction: 1 | -1): Reading | undefined {
  const reach = LIMITS.telemetry.neighbourReach;
  if (direction === 1) return points.find(({ time }) => time >= at && time < at + reach);
  return points.findLast(({ time }) => time < at && time >= at - reach);
}

function windowsOf(group: Group, query: SeriesQuery, aggregate: Aggregate, grid: Grid): Map<number, FieldValue> {
  if (aggregate === "integral" || aggregate === "twa") return areasOf(group, query, aggregate, grid);
  const windows = new Map<number, Reading[]>();
  for (const point of inRange(group, query)) {
    const start = startOf(grid, point.time);
    windows.set(start, [...(windows.get(start) ?? []), point]);
  }
  const found = new Map<number, FieldValue>();
  let previous = neighbour(group, query.from, -1);
  for (const [start, points] of windows) {
    const value = ["rate", "delta", "change"].includes(aggregate)
      ? grown(previous === undefined ? points : [previous, ...points], aggregate)
      : aggregated(
          points.map((point) => point.value),
          aggregate,
        );
    if (value !== null) found.set(start, value);
    previous = points.at(-1);
  }
  return found;
}

function grown(points: readonly Reading[], aggregate: Aggregate): number | null {
  const values = points.map(({ value }) => Number(value));
  const elapsed = (points.at(-1)!.time - points[0]!.time) / 1000;
  if (points.length === 1 || (elapsed === 0 && aggregate === "rate")) return null;
  if (aggregate === "change") return values.at(-1)! - values[0]!;
  let sum = 0;
  for (let i = 1; i < values.length; i++)
    sum += values[i]! >= values[i - 1]! ? values[i]! - values[i - 1]! : values[i]!;
  return aggregate === "delta" ? sum : sum / elapsed;
}

function areasOf(group: Group, query: SeriesQuery, aggregate: "integral" | "twa", grid: Grid): Map<number, FieldValue> {
  const { from, to, now = Infinity, interpolation = "linear" } = query;
  const held = group.stored === "boolean" || interpolation === "previous";
  const inside = inRange(group, query);
  const line = [neighbour(group, from, -1), ...inside, neighbour(group, to, 1)].filter((point) => point !== undefined);
  const last = line.at(-1);
  if (held && last !== undefined && last.time < Math.min(to, now)) line.push({ ...last, time: Math.min(to, now) });
  const found = new Map<number, FieldValue>();
  for (const start of startsIn(grid, from, to, 1e6)!) {
    const [low, high] = [Math.max(start, from), Math.min(nextStart(grid, start), to)];
    let area = 0;
    let covered = 0;
    for (let i = 1; i < line.length; i++) {
      const [a, b] = [line[i - 1]!, line[i]!];
      const [t0, t1] = [Math.max(a.time, low), Math.min(b.time, high)];
      if (t0 >= t1) continue;
      const at = (t: number): number =>
        held
          ? Number(a.value)
          : Number(a.value) + ((Number(b.value) - Number(a.value)) * (t - a.time)) / (b.time - a.time);
      area += (((at(t0) + at(t1)) / 2) * (t1 - t0)) / 1000;
      covered += (t1 - t0) / 1000;
    }
    const own = inside.findLast(({ time }) => time >= low && time < high);
    if (covered > 0) found.set(start, aggregate === "twa" ? area / covered : area);
    else if (aggregate === "twa" && own !== undefined) found.set(start, Number(own.value));
  }
  return found;
}

function aggregated(values: readonly FieldValue[], aggregate: Aggregate): FieldValue | null {
  if (aggregate === "count") return values.length;
  if (aggregate === "first") return values[0]!;
  if (aggregate === "last") return values.at(-1)!;
  const numbers = values.map(Number);
  const sum = numbers.reduce((total, value) => total + value, 0);
  if (aggregate === "sum") return sum;
  if (aggregate === "avg") return sum / numbers.length;
  if (aggregate === "min") return Math.min(...numbers);
  if (aggregate === "max") return Math.max(...numbers);
  if (aggregate === "stddev") {
    if (numbers.length === 1) return null;
    const mean = sum / numbers.length;
    return Math.sqrt(numbers.reduce((total, value) => total + (value - mean) ** 2, 0) / (numbers.length - 1));
  }
  const sorted = numbers.sort((a, b) => a - b);
  const at = (Number(aggregate.slice(1)) / 100) * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)]!, sorted[Math.ceil(at)]!];
  return low + (high - low) * (at - Math.floor(at));
}
