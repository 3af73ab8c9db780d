/** Logs for tests: on a simulated disk without faults, or in a real folder. */
import { LIMITS } from "../base/mod.ts";
import type { Clock, Limits, Scheduler } from "../base/mod.ts";
import { fileCrc32 } from "../adapters/files/mod.ts";
import { SimDisk } from "../../sim/disk.ts";
import { SimClock, SimLogger, SimMetrics, SimRandom } from "../../sim/world.ts";
import { Log } from "./log.ts";
import type { LogBatch } from "./batch.ts";
import type { LogDirectory } from "./ports.ts";
import { LogReader } from "./reader.ts";
import { verify } from "./verify.ts";
import type { Finding } from "./verify.ts";

export type LogLimits = { readonly [K in keyof Limits["log"]]: number };

/** Two records of ten bytes fill a batch, four batches a segment, unless told otherwise. */
export const SMALL: LogLimits = {
  ...LIMITS.log,
  batchBytesMax: 84,
  groupBytesMax: 200,
  recordBytesMax: 120,
  segmentBytesMax: 520,
  pendingBytesMax: 2_000,
  recentBytesMax: 300,
  diskFreeBytesMin: 3_000,
};

export const realClock: Clock & Scheduler = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (delay, task) => stopper(setTimeout(task, delay)),
  every: (period, task) => stopper(setInterval(task, period).unref()),
  defer: (task) => void setImmediate(task),
};

function stopper(timer: NodeJS.Timeout): () => void {
  return () => clearTimeout(timer);
}

export class Scene {
  readonly logger = new SimLogger();
  readonly metrics = new SimMetrics();
  readonly clock = new SimClock();
  readonly random = new SimRandom(7);
  readonly disk: SimDisk;
  readonly limits: LogLimits;
  freeBytes = 2 ** 40;

  constructor(limits: Partial<LogLimits> = {}, fault?: ConstructorParameters<typeof SimDisk>[0]["fault"]) {
    this.limits = { ...SMALL, ...limits };
    const freeBytes = (): number => this.freeBytes;
    this.disk = new SimDisk({ random: new SimRandom(1), freeBytes, ...(fault === undefined ? {} : { fault }) });
  }

  open(more: { readonly nextAtLeast?: number } = {}): Promise<Log> {
    const { clock, random, logger, metrics, limits } = this;
    const directory = this.disk.folder();
    const ports = { directory, crc32: fileCrc32, clock, scheduler: clock, random, logger, metrics };
    return Log.open({ ...ports, limits, ...more });
  }

  reader(): Promise<LogReader> {
    const { logger, metrics } = this;
    return LogReader.open({ directory: this.disk.folder(), crc32: fileCrc32, logger, metrics });
  }

  /** Lets time pass until all that was appended is durable. */
  async settle(log: Log): Promise<void> {
    const flushed = log.flush();
    await this.drive(flushed);
  }

  /** Lets time pass until `promise` settles. */
  async drive<T>(promise: Promise<T>): Promise<T> {
    const settled: true[] = [];
    promise.finally(() => settled.push(true)).catch(() => {}); // the caller gets the rejection
    while (settled.length === 0) {
      await this.clock.run(1);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return promise;
  }

  /** Opens, appends the records one group at a time, closes: what lies on the disk afterwards is always the same. */
  async write(records: readonly string[]): Promise<void> {
    const log = await this.open();
    for (const record of records) {
      log.append(bytesOf(record));
      await this.settle(log);
    }
    await this.drive(log.close());
  }

  /** The messages of what was logged as worth knowing, with the fields that a test names. */
  told(level: "warn" | "error"): readonly string[] {
    return this.logger.lines.filter((line) => line.level === level).map((line) => line.message);
  }
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** Record texts by offset. */
export async function readAll(batches: AsyncIterable<LogBatch>): Promise<readonly (readonly [number, string])[]> {
  const seen: (readonly [number, string])[] = [];
  for await (const batch of batches) batch.forEach((offset, bytes) => seen.push([offset, textOf(bytes)]));
  return seen;
}

export async function findings(directory: LogDirectory): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  for await (const finding of verify({ directory, crc32: fileCrc32 })) found.push(finding);
  return found;
}

/** `0 … count-1` with a record each. */
export function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `record-${String(i).padStart(3, "0")}`);
}
