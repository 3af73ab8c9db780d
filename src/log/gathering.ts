/**
 * When the next group is written. Each sync is followed by a write to every publisher in it, and publishers that wait for theirs
 * send the next messages a moment after one another: who writes at once has small groups, and much of both.
 */
import type { Clock, Limits, Scheduler } from "../base/mod.ts";

export interface GatheringOptions {
  readonly clock: Clock;
  readonly scheduler: Pick<Scheduler, "defer">;
  readonly limits: Pick<Limits["log"], "gatherBytesMax" | "gatherTimeMax">;
}

/**
 * Calls `write` once: as soon as a turn has brought nothing more, or enough has come, or it has taken long enough.
 * `gathered`: bytes that wait to be written; 0 where nothing does.
 */
export function whenGathered(options: GatheringOptions, gathered: () => number, write: () => void): void {
  const { clock, scheduler, limits } = options;
  const latest = clock.monotonic() + limits.gatherTimeMax;
  const look = (before: number): void => {
    const bytes = gathered();
    if (bytes === before || bytes >= limits.gatherBytesMax || clock.monotonic() >= latest) write();
    else scheduler.defer(() => look(bytes));
  };
  look(0);
}
