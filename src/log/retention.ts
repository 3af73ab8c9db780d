/** Which segments may go, and their removal. */
import { reasonOf } from "../base/mod.ts";
import type { Clock, Limits, Logger } from "../base/mod.ts";
import { QUARANTINE, isMissing } from "./ports.ts";
import type { LogDirectory } from "./ports.ts";
import type { Segment, SegmentTable } from "./segments.ts";

export interface RetentionOptions {
  readonly directory: LogDirectory;
  readonly clock: Pick<Clock, "now">;
  readonly logger: Logger;
  readonly limits: Limits["log"];
  readonly table: SegmentTable;
}

/**
 * Returns how many segments were removed. Offsets of `keepFrom` and above stay, whatever their age and size. A failure
 * is logged and left to the next call: too much is kept, nothing is lost.
 */
export async function applyRetention(options: RetentionOptions, keepFrom: number): Promise<number> {
  const { directory, logger, table } = options;
  let removed = 0;
  try {
    for (let oldest = removable(options, keepFrom); oldest !== null; oldest = removable(options, keepFrom)) {
      const below = table.upper(oldest);
      await removeFile(directory, oldest.name);
      table.drop(oldest);
      await directory.sync(); // each before the next, or a power cut could bring back an older one and leave a hole
      logger.info("a log segment was removed by retention", { segment: oldest.name, belowOffset: below });
      removed++;
    }
    await removeAgedQuarantine(options);
  } catch (error) {
    logger.warn("what the log no longer needs cannot be removed now", { reason: reasonOf(error) });
  }
  return removed;
}

function removable(options: RetentionOptions, keepFrom: number): Segment | null {
  const { clock, limits, table } = options;
  const [oldest, ...later] = table.all;
  if (oldest === undefined || later.length === 0 || table.upper(oldest) > keepFrom) return null;
  if (table.bytes > limits.retentionBytes) return oldest;
  // Its newest record is as old as the next segment, or older: the clock may have been wrong when that was begun, and been
  // set back since. A segment whose header is damaged does not say (0).
  const endedAt = Math.min(...later.map(({ createdAt }) => createdAt || Infinity), clock.now());
  return clock.now() - endedAt > limits.retentionAge ? oldest : null;
}

/** What recovery put aside is kept as long as the log keeps records; its name ends with when that was. */
async function removeAgedQuarantine(options: RetentionOptions): Promise<void> {
  const { directory, clock, logger, limits } = options;
  for (const name of await directory.list()) {
    const putAsideAt = /^quarantine\/\d{20}-\d+-(\d+)(?:-\d+)?\.(?:cut|seg)$/.exec(name)?.[1];
    if (!name.startsWith(QUARANTINE) || putAsideAt === undefined) continue;
    if (clock.now() - Number(putAsideAt) <= limits.retentionAge) continue;
    await removeFile(directory, name);
    logger.info("a file in the log's quarantine was removed by retention", { file: name });
  }
}

async function removeFile(directory: LogDirectory, name: string): Promise<void> {
  try {
    await directory.remove(name);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}
