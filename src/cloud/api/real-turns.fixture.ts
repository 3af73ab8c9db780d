import { systemScheduler } from "../../adapters/system.ts";
import type { Scheduler } from "../../base/mod.ts";

/** Simulated time with real turns of the event loop: nobody moves time on while a request is answered. */
export function realTurns(clock: Scheduler): Scheduler {
  return {
    after: (delay, task) => clock.after(delay, task),
    every: (period, task) => clock.every(period, task),
    defer: (task) => systemScheduler.defer(task),
  };
}
