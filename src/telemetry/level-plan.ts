/** From which levels a range of windows is answered. */
import { days } from "../base/mod.ts";
import type { EpochMs } from "../base/mod.ts";
import { isMultiple } from "./grid.ts";
import type { Grid } from "./grid.ts";
import { LEVELS, ROLLUPS, ROLLUP_WIDTH } from "./levels.ts";
import type { Level } from "./levels.ts";

/** What is to be read from where; parts do not overlap. */
export interface LevelPart {
  readonly level: Level;
  readonly from: EpochMs;
  readonly to: EpochMs;
}

/**
 * The coarsest levels that answer windows of [from, to) exactly: whole buckets that lie in one window, and finer ones at
 * the edges. `knownFrom`: what lies before may have been removed from a level. For times of which only coarser levels are
 * left, those: their outermost buckets may reach beyond the range, and where windows are narrower a bucket counts for the
 * window in which it starts. `using`: levels that may stand for finer ones that are there.
 */
export function planLevels(
  from: EpochMs,
  to: EpochMs,
  grid: Grid,
  knownFrom: (level: Level) => EpochMs,
  using: readonly Level[] = ROLLUPS,
): readonly LevelPart[] {
  // Whole days, so that what is left of one level borders on whole buckets of the next.
  const since = new Map(LEVELS.map((level) => [level, Math.ceil(knownFrom(level) / days(1)) * days(1)]));
  const fitting = ROLLUPS.filter((level) => isMultiple(grid, ROLLUP_WIDTH[level]) && using.includes(level));
  const cuts = [...since.values()].filter((at) => at > from && at < to).sort((a, b) => a - b);
  const borders = [from, ...new Set(cuts), to];
  const parts: LevelPart[] = [];
  for (let i = 0; i + 1 < borders.length; i++) {
    const [low, high] = [borders[i]!, borders[i + 1]!];
    const complete = LEVELS.filter((level) => since.get(level)! <= low);
    const there = complete.length > 0 ? complete : [longestKept(since)];
    const finest = there[0]!;
    const coarser = fitting.filter((level) => there.includes(level) && level !== finest);
    const size = sizeOf(finest);
    cover(low - (low % size), Math.ceil(high / size) * size, [finest, ...coarser], parts);
  }
  return parts;
}

/** The same range up to whole buckets, as far as that adds no point: then coarse levels answer up to its ends, too. */
export function widened(
  from: EpochMs,
  to: EpochMs,
  grid: Grid,
  isEmpty: (from: EpochMs, to: EpochMs) => boolean,
): { readonly from: EpochMs; readonly to: EpochMs } {
  if (grid.kind !== "whole" && grid.kind !== "fixed") return { from, to };
  const widths = ROLLUPS.toReversed().map((level) => ROLLUP_WIDTH[level]);
  const low = widths.map((width) => from - (from % width)).find((start) => start === from || isEmpty(start, from));
  const high = widths.map((width) => Math.ceil(to / width) * width).find((end) => end === to || isEmpty(to, end));
  return { from: low ?? from, to: high ?? to };
}

/** A part is a statement of its own to plan: as much work as aggregating so many rows. */
const PART_ROWS = 200_000;
const CHOICES: readonly (readonly Level[])[] = [[], ["1d"], ["1h"], ["1m"], ["1h", "1d"], ROLLUPS];

/** The same answers from the levels that are read soonest. `rowsRead`: what a part costs. */
export function cheapestPlan(
  from: EpochMs,
  to: EpochMs,
  grid: Grid,
  knownFrom: (level: Level) => EpochMs,
  rowsRead: (part: LevelPart) => number,
): readonly LevelPart[] {
  let best: readonly LevelPart[] = [];
  let least = Infinity;
  for (const using of CHOICES) {
    const parts = planLevels(from, to, grid, knownFrom, using);
    const cost = parts.reduce((sum, part) => sum + PART_ROWS + rowsRead(part), 0);
    if (cost >= least) continue;
    best = parts;
    least = cost;
  }
  return best;
}

/** What has the most of a time of which no level has all. */
function longestKept(since: ReadonlyMap<Level, EpochMs>): Level {
  return LEVELS.reduce((best, level) => (since.get(level)! <= since.get(best)! ? level : best));
}

/** The coarsest level of a plan. */
export function coarsestOf(parts: readonly LevelPart[]): Level {
  return LEVELS[Math.max(0, ...parts.map(({ level }) => LEVELS.indexOf(level)))]!;
}

/** `levels`: finest first; the first one takes what is left at the edges. */
function cover(from: EpochMs, to: EpochMs, levels: readonly Level[], parts: LevelPart[]): void {
  if (from >= to) return;
  const level = levels.at(-1)!;
  const finer = levels.slice(0, -1);
  if (finer.length === 0) {
    parts.push({ level, from, to });
    return;
  }
  const size = sizeOf(level);
  const [low, high] = [Math.ceil(from / size) * size, to - (to % size)];
  if (low >= high) {
    cover(from, to, finer, parts);
    return;
  }
  cover(from, low, finer, parts);
  parts.push({ level, from: low, to: high });
  cover(high, to, finer, parts);
}

function sizeOf(level: Level): number {
  return level === "raw" ? 1 : ROLLUP_WIDTH[level];
}
