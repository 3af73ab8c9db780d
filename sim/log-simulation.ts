/** One life story of a log on a simulated disk: crashes, faults, retention, readers. `log.test.ts` plays many. */
import assert from "node:assert/strict";
import { isMainThread, workerData } from "node:worker_threads";
import { LIMITS, isTidewireError, reasonOf } from "../src/base/mod.ts";
import type { Limits } from "../src/base/mod.ts";
import { fileCrc32 } from "../src/adapters/files/mod.ts";
import { Log, LogReader } from "../src/log/mod.ts";
import type { LogBatch } from "../src/log/mod.ts";
import { SimDisk } from "./disk.ts";
import type { DiskFault, DiskOperation } from "./disk.ts";
import { SimClock, SimLogger, SimMetrics, SimRandom } from "./world.ts";

const LIVES = 5;

const CHANGES: ReadonlySet<DiskOperation> = new Set([
  "create",
  "remove",
  "rename",
  "sync-folder",
  "write",
  "sync",
  "truncate",
]);

/** What must be true, as the outside saw it happen. */
class Witness {
  /** Every record ever appended, by the offset that it was given. */
  readonly appended = new Map<number, string>();
  /** Offsets that were reported durable. */
  readonly durable = new Set<number>();
  /** Those of this life begin here: what an earlier one did not get to report may be lost. */
  lifeFrom = 0;
  /** Offsets that a consumer was given: they must never change or vanish either. */
  readonly served = new Set<number>();
  /** Retention may have removed what lies below, but nothing else. */
  mayRemoveBelow = 0;
  /** Bits have flipped: records may be lost, but never be wrong, and no offset may come again. */
  rotten = false;
  /** A listener was told something else than `durable`. */
  toldWrong = 0;

  append(offset: number, record: Uint8Array): void {
    const known = this.durable.has(offset) || this.served.has(offset);
    assert.ok(!known, `offset ${offset} was given out again, though someone may know it`);
    this.appended.set(offset, hex(record));
  }

  reported(durable: number): void {
    for (const offset of this.appended.keys())
      if (offset >= this.lifeFrom && offset < durable) this.durable.add(offset);
  }

  /** What must be served now. */
  get known(): readonly number[] {
    return [...this.durable, ...this.served];
  }

  /** `seen`: all that the log served from `first` on, in the order in which it did; `known`: when that began. */
  check(seen: readonly (readonly [offset: number, record: string])[], first: number, known: readonly number[]): void {
    assert.equal(this.toldWrong, 0);
    let last = -1;
    const offsets = new Set<number>();
    for (const [offset, record] of seen) {
      assert.ok(offset > last, `offset ${offset} was served after ${last}`);
      assert.equal(record, this.appended.get(offset), `offset ${offset} is not what was appended`);
      offsets.add(offset);
      last = offset;
    }
    const kept = Math.min(first, this.mayRemoveBelow);
    for (const offset of known) {
      if (offset >= kept && !this.rotten) assert.ok(offsets.has(offset), `offset ${offset} was durable and is lost`);
    }
    for (const offset of offsets) this.served.add(offset);
  }
}

class Run {
  readonly random: SimRandom;
  readonly disk: SimDisk;
  readonly witness = new Witness();
  readonly limits: Limits["log"];
  readonly logger = new SimLogger();
  clock = new SimClock();
  /** The operation that fails in this life, and how. */
  #faultAt = Infinity;
  #fault: DiskFault = "EIO";
  /** Strikes where it hurts: not at a read. */
  #atChange = false;
  #struck = false;
  readonly #rots: boolean;

  constructor(seed: number) {
    this.random = new SimRandom(seed);
    this.#rots = this.random.chance(0.2);
    const groupBytesMax = 600 + this.random.below(1_500);
    this.limits = {
      ...LIMITS.log,
      batchBytesMax: 200 + this.random.below(400),
      groupBytesMax,
      recordBytesMax: 400,
      segmentBytesMax: groupBytesMax + this.random.below(3_000),
      pendingBytesMax: 6_000,
      recentBytesMax: this.random.below(2_000),
      retentionBytes: 3_000,
      diskFreeBytesMin: 0,
    };
    this.disk = new SimDisk({
      random: this.random,
      pads: this.random.chance(0.5),
      fault: (operation, _name, count) => {
        if (this.#struck || count < this.#faultAt || operation === "close") return null;
        if (this.#atChange && !CHANGES.has(operation)) return null;
        this.#struck = true;
        return this.#fault;
      },
    });
  }

  async play(): Promise<void> {
    for (let life = 0; life < LIVES; life++) {
      this.disk.restart();
      this.clock = new SimClock(this.clock.now() + 1_000);
      this.#planFault(life === LIVES - 1);
      const log = await this.#open();
      if (log !== null) {
        this.witness.lifeFrom = log.next;
        await this.#live(log);
      }
      await this.#end(log);
    }
    this.#faultAt = Infinity;
    this.disk.restart();
    const log = await this.#open();
    assert.ok(log !== null, "without faults the log opens");
    await this.#look(log);
  }

  #planFault(last: boolean): void {
    const { random } = this;
    this.#faultAt = last ? Infinity : this.disk.count + random.below(random.chance(0.3) ? 25 : 250);
    this.#struck = false;
    this.#atChange = random.chance(0.7);
    this.#fault = random.pick(["power-cut", "power-cut", "power-cut", "kill", "EIO", "torn", "ENOSPC"] as const);
  }

  async #open(): Promise<Log | null> {
    const options = {
      directory: this.disk.folder(),
      crc32: fileCrc32,
      clock: this.clock,
      scheduler: this.clock,
      random: this.random,
      logger: this.logger,
      metrics: new SimMetrics(),
      limits: this.limits,
    };
    return this.#until(Log.open(options));
  }

  /** Moves time on until `promise` settles or the process is dead. `null`: dead, or it rejected with a fault. */
  async #until<T>(promise: Promise<T>): Promise<T | null> {
    const settled: { value: T | null }[] = [];
    promise.then(
      (value) => settled.push({ value }),
      (error: unknown) => {
        if (!isTidewireError(error) && !(error instanceof Error && "code" in error)) throw error;
        settled.push({ value: null });
      },
    );
    for (let turn = 0; settled.length === 0 && !this.disk.dead; turn++) {
      assert.ok(turn < 5_000, "it hangs");
      await this.#pass(turn < 50 ? 1 : 200);
    }
    return settled[0]?.value ?? null;
  }

  /** Time goes on, and what waits for the disk gets a little further. */
  async #pass(span: number): Promise<void> {
    this.clock.advance(span);
    for (let i = 0; i < 12; i++) await Promise.resolve();
  }

  /** Checks what the last life left, then appends, consumes and retains until the fault strikes or enough is done. */
  async #live(log: Log): Promise<void> {
    if (!(await this.#look(log))) return;
    const { random, witness } = this;
    log.onDurable((durable) => {
      witness.reported(durable);
      if (durable !== log.durable) witness.toldWrong++;
    });
    for (let turn = random.below(60); turn >= 0 && !this.disk.dead; turn--) {
      this.#append(log, random.below(12));
      await this.#pass(random.below(3));
      if (random.chance(0.05)) await this.#retain(log);
      if (random.chance(0.05)) await this.#readOne(log);
      if (random.chance(0.03)) await this.#look(log);
    }
  }

  #append(log: Log, count: number): void {
    for (let i = 0; i < count; i++) {
      const record = this.random.bytes(this.random.chance(0.05) ? this.random.below(400) : this.random.below(60));
      try {
        const at = log.reserve(record.length);
        log.buffer.set(record, at);
        // Nobody waits for some of them: told by the length, so that seeds of before tell the same story.
        this.witness.append(record.length % 5 === 3 ? log.commitPatiently() : log.commit(), record);
      } catch (error) {
        assert.ok(isTidewireError(error), String(error));
        assert.ok(error.code === "LOG_FAILED" || error.code === "LOG_FULL", error.message);
      }
    }
  }

  async #retain(log: Log): Promise<void> {
    const keepFrom = this.random.below(log.durable + 1);
    this.witness.mayRemoveBelow = Math.max(this.witness.mayRemoveBelow, keepFrom);
    await this.#until(log.retain(keepFrom));
  }

  async #readOne(log: Log): Promise<void> {
    const offset = this.random.below(log.next + 2);
    const record = await this.#until(log.read(offset));
    if (record !== null) assert.equal(hex(record), this.witness.appended.get(offset));
    else if (!this.disk.dead && !this.#struck && offset >= log.first) {
      assert.ok(
        !this.witness.durable.has(offset) || this.witness.rotten,
        `offset ${offset} is durable and cannot be read`,
      );
    }
  }

  /** Reads everything, by one of the two ways, and compares. False where a fault struck meanwhile. */
  async #look(log: Log): Promise<boolean> {
    const seen: (readonly [number, string])[] = [];
    const note = (batch: LogBatch): void => batch.forEach((offset, bytes) => seen.push([offset, hex(bytes)]));
    const { durable: below, first } = log;
    const { known } = this.witness;
    const struckBefore = this.#struck;
    if (this.random.chance(0.5)) await this.#consume(log, below, note);
    else await this.#until(this.#readAll(below, note));
    if (this.disk.dead) return false;
    if (!struckBefore && this.#struck) return true; // a read failed: this look is void
    this.witness.check(
      seen.filter(([offset]) => offset < below),
      first,
      known,
    );
    return true;
  }

  async #consume(log: Log, below: number, note: (batch: LogBatch) => void): Promise<void> {
    const consumer = log.consume(log.first, note);
    for (let turn = 0; consumer.position < below && !this.disk.dead; turn++) {
      assert.ok(turn < 5_000, "the consumer hangs");
      await this.#pass(turn < 50 ? 1 : 200);
    }
    await this.#until(consumer.close());
  }

  async #readAll(below: number, note: (batch: LogBatch) => void): Promise<void> {
    const reader = await LogReader.open({
      directory: this.disk.folder(),
      crc32: fileCrc32,
      logger: this.logger,
      metrics: new SimMetrics(),
    });
    for await (const batch of reader.readBatches(reader.first, below)) note(batch);
  }

  async #end(log: Log | null): Promise<void> {
    if (!this.disk.dead && log !== null && this.random.chance(0.5)) await this.#until(log.close());
    if (log !== null) this.witness.reported(log.durable);
    if (this.disk.dead) return;
    if (this.random.chance(0.6)) this.disk.powerCut();
    else this.disk.kill();
    if (this.#rots && this.random.chance(0.3)) this.#rot();
  }

  /** A bit flips near the end of the newest segment with records. */
  #rot(): void {
    const names = this.disk.names.filter((name) => name.endsWith(".seg") && this.disk.bytesOf(name).length > 64);
    const name = names.at(-1);
    if (name === undefined) return;
    const bytes = this.disk.bytesOf(name);
    const at = Math.max(0, bytes.length - 1 - this.random.below(600));
    bytes[at]! ^= 1 << this.random.below(8);
    this.witness.rotten = true;
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** Rejects where an invariant does not hold; the same seed always tells the same story. Returns the power cuts in it. */
export async function playLogSeed(seed: number): Promise<number> {
  try {
    const run = new Run(seed);
    await run.play();
    return run.disk.powerCuts;
  } catch (error) {
    const replay = `SEED=${seed} node --test sim/log.test.ts`;
    throw new Error(`seed ${seed} fails (${reasonOf(error)}); replay it with: ${replay}`, { cause: error });
  }
}

// As a worker it plays a range of seeds: the test runner's promise hooks would make it four times as slow.
if (!isMainThread && isRange(workerData)) {
  for (let seed = workerData.logSeedFrom; seed < workerData.below; seed++) await playLogSeed(seed);
}

function isRange(data: unknown): data is { readonly logSeedFrom: number; readonly below: number } {
  return typeof data === "object" && data !== null && "logSeedFrom" in data && "below" in data;
}
