/** Which files may go: by age, level by level, and where the folder is too large, the oldest. Pure. */
import type { EpochMs } from "../../base/mod.ts";
import { ROLLUP_WIDTH } from "../../telemetry/mod.ts";
import type { Level, Retention } from "../../telemetry/mod.ts";
import { levelOf } from "./cold-files.ts";
import type { ColdContent, PointFile } from "./cold-files.ts";

export interface RetentionPlan {
  /** Older than their level is kept. */
  readonly expired: readonly PointFile[];
  /** Younger, but there is no room for them. */
  readonly overflowing: readonly PointFile[];
}

/** Raw points first, then minutes, then hours; a year of days is smaller than a day of points. */
const OVERFLOW_ORDER: readonly Level[] = ["raw", "1m", "1h"];

export function retentionPlan(
  content: ColdContent,
  retention: Retention,
  bytesMax: number,
  now: EpochMs,
): RetentionPlan {
  const expired = content.points.filter((file) => {
    const keep = retention[levelOf(file.kind)];
    return keep !== null && endOf(file) <= now - keep;
  });
  const gone = new Set(expired);
  const left = content.points.filter((file) => !gone.has(file));
  let bytes = left.reduce((sum, file) => sum + file.bytes, 0);
  const overflowing: PointFile[] = [];
  for (const level of OVERFLOW_ORDER) {
    const files = left.filter(({ kind }) => levelOf(kind) === level).toSorted((a, b) => endOf(a) - endOf(b));
    for (const file of files) {
      if (bytes <= bytesMax) break;
      overflowing.push(file);
      bytes -= file.bytes;
    }
  }
  return { expired, overflowing };
}

/** The content without these files; it says what is no longer known. `rolledUp`: their minutes are. */
export function without(content: ColdContent, files: readonly PointFile[], rolledUp = false): ColdContent {
  if (files.length === 0) return content;
  const gone = new Set(files.map(({ name }) => name));
  const knownFrom = { ...content.knownFrom };
  for (const file of files) {
    const level = levelOf(file.kind);
    knownFrom[level] = Math.max(knownFrom[level], endOf(file));
    if (!file.inMinutes && !rolledUp) knownFrom["1m"] = Math.max(knownFrom["1m"], endOf(file));
  }
  return { ...content, knownFrom, points: content.points.filter(({ name }) => !gone.has(name)) };
}

/** What was quarantined is forgotten with its time. */
export function withoutOldDamage(content: ColdContent, retention: Retention, now: EpochMs): ColdContent {
  const quarantined = content.quarantined.filter(({ file }) => {
    const keep = retention[levelOf(file.kind)];
    return keep === null || endOf(file) > now - keep;
  });
  return quarantined.length === content.quarantined.length ? content : { ...content, quarantined };
}

/** Those whose minutes are to be kept for longer, and are in no file yet. */
export function worthRollingUp(
  expired: readonly PointFile[],
  retention: Retention,
  now: EpochMs,
): readonly PointFile[] {
  const keep = retention["1m"];
  return expired.filter((file) => !file.inMinutes && (keep === null || endOf(file) > now - keep));
}

function endOf({ kind, timeMax }: PointFile): EpochMs {
  return timeMax + (kind === "numbers" || kind === "texts" ? 1 : ROLLUP_WIDTH[kind]);
}
