/** The machine's clock, timers and randomness behind the ports of `base/ports.ts`. */
import { randomBytes } from "node:crypto";
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
