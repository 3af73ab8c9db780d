/** The machine's clock, timers and randomness behind the ports of `base/ports.ts`. */
import { randomBytes } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Cancel, Clock, Random, Scheduler } from "../base/mod.ts";

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};

export const systemRandom: Random = {
  next: () => Math.random(),
  bytes: (length) => new Uint8Array(randomBytes(length)),
};

/** Longest delay of one Node timer; a longer one fires at once, so it is cut and set again. */
const TIMER_MAX = 2 ** 31 - 1;

export const systemScheduler: Scheduler = {
  after(delay, task): Cancel {
    let timer: NodeJS.Timeout;
    const wait = (left: number): void => {
      timer = left > TIMER_MAX ? setTimeout(() => wait(left - TIMER_MAX), TIMER_MAX) : setTimeout(task, left);
    };
    wait(delay);
    return () => clearTimeout(timer);
  },
  every(period, task): Cancel {
    const timer = setInterval(task, period);
    return () => clearInterval(timer);
  },
  defer(task): void {
    setImmediate(task);
  },
};

/**
 * Gives back what the start needed and nothing needs any more, once: V8 would keep it until the heap has doubled, which
 * an idle process never sees (measured on the platform: 20 MiB). Stops the process for some 40 ms.
 */
export function releaseStartMemory(): void {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  setFlagsFromString("--no-expose-gc");
  collect();
}
