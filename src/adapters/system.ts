/** The machine's clock, timers and randomness behind the ports of `base/ports.ts`. */
import { randomBytes, randomFillSync } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { setPriority } from "node:os";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Cancel, Clock, Millis, Random, Scheduler } from "../base/mod.ts";

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};

/** Drawn at once: a call for each identifier costs more than the identifier. Bytes are given out once, and wiped here. */
const POOL_BYTES = 4096;
const pool = Buffer.alloc(POOL_BYTES);
let poolUsed = POOL_BYTES;

function pooledBytes(length: number): Uint8Array {
  if (length > POOL_BYTES / 8) return new Uint8Array(randomBytes(length));
  if (poolUsed + length > POOL_BYTES) {
    randomFillSync(pool);
    poolUsed = 0;
  }
  const bytes = Uint8Array.prototype.slice.call(pool, poolUsed, poolUsed + length);
  pool.fill(0, poolUsed, (poolUsed += length));
  return bytes;
}

export const systemRandom: Random = { next: () => Math.random(), bytes: pooledBytes };

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

/** Share of its time that a process has something to do, and is still called idle. */
const IDLE_SHARE = 0.1;

/**
 * Gives back what the start needed and nothing needs any more, once: V8 would keep it until the heap has doubled, which
 * an idle process never sees (measured on the platform: 20 MiB). That stops the process for some 40 ms, and for several times as long where
 * others have the processor; so it is done after the first `period` in which there was little to do, and a busy process lets V8 choose.
 */
export function releaseStartMemory(
  scheduler: Scheduler,
  period: Millis,
  { busyShare, release }: { readonly busyShare: () => number; readonly release: () => void } = ofThisProcess(),
): Cancel {
  const cancel = scheduler.every(period, () => {
    if (busyShare() >= IDLE_SHARE) return;
    cancel();
    release();
  });
  return cancel;
}

/** `busyShare`: since it was asked last. */
function ofThisProcess(): { readonly busyShare: () => number; readonly release: () => void } {
  let before = performance.eventLoopUtilization();
  const busyShare = (): number => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    return utilization;
  };
  return { busyShare, release: collectGarbage };
}

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  setFlagsFromString("--no-expose-gc");
  collect();
}

const THREADS = "/proc/self/task";

/** What V8 calls the threads that compile and collect garbage beside the first. */
export const ENGINE_THREADS = /^V8Worker/;

/**
 * Lets this process's threads whose names match step back to that nice value (up to 19: what nobody else wants), and those
 * that they start later with them. On Linux the system's call is for one thread, so all that run already are gone through;
 * elsewhere it is for the process, and where only some threads are meant, nothing happens. Throws the system's error.
 */
export function stepBack(nice: number, threads?: RegExp): void {
  if (process.platform !== "linux") {
    if (threads === undefined) setPriority(nice);
    return;
  }
  for (const thread of readdirSync(THREADS)) {
    try {
      if (threads?.test(readFileSync(`${THREADS}/${thread}/comm`, "utf8")) ?? true) setPriority(Number(thread), nice);
    } catch (error) {
      if (existsSync(`${THREADS}/${thread}`)) throw error; // else it has ended meanwhile
    }
  }
}
