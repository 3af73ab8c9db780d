import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SimClock, SimLogger, settle } from "../../../sim/world.ts";
import { ForgottenThings, LIMITS } from "../../base/mod.ts";
import type { Message } from "../../base/mod.ts";
import { withDoubles } from "../../sql/mod.ts";
import { NO_EXTENT, LatestBook, SequenceBook, SeriesBook } from "../../telemetry/mod.ts";
import type { Commit, PointBatch, TelemetryStore } from "../../telemetry/mod.ts";
import { CommitFailed, Ingest } from "./ingest.ts";
import { MessageSink } from "./message-sink.ts";
import type { RecordBatch, RecordSource, TelemetryRules } from "./ports.ts";
import { message } from "./store.scenario.ts";

/** A log in memory whose disk can be told to misbehave. */
class MemoryLog implements RecordSource {
  readonly messages: Message[] = [];
  /** Offsets that cannot be read. */
  readonly damaged = new Set<number>();
  /** Offsets that were never used: a crash came before they were durable. */
  readonly unused = new Set<number>();
  kept = 0;
  identityNow = "first";
  failures = 0;
  reads = 0;

  async first(): Promise<number> {
    return this.kept;
  }

  async identity(): Promise<string> {
    return this.identityNow;
  }

  async *readBatches(from: number, below: number): AsyncGenerator<RecordBatch> {
    this.reads++;
    if (this.failures > 0) {
      this.failures--;
      throw new Error("EIO: i/o error, read");
    }
    for (let offset = Math.max(from, this.kept); offset < below; offset++) {
      if (this.damaged.has(offset) || this.unused.has(offset)) continue;
      yield { baseOffset: offset, count: 1, locate: (take) => take(offset, new Uint8Array([offset]), 0, 1) };
    }
  }

  leftOut(from: number, below: number): number {
    return [...this.unused].filter((offset) => offset >= from && offset < below).length;
  }
}

/** What was committed, in memory. */
class MemoryStore implements TelemetryStore {
  readonly series = new SeriesBook(LIMITS.telemetry);
  readonly #latest = new LatestBook(this.series);
  offset: number | null = null;
  log: string | null = null;
  rows = 0;
  commits: { readonly offset: number; readonly values: readonly number[] }[] = [];
  broken = false;

  async loadSequences(): Promise<[]> {
    return [];
  }
  get forgettable(): number {
    return this.offset ?? 0;
  }
  async follow(log: string, offset: number): Promise<void> {
    this.log = log;
    if (this.offset !== null) this.offset = offset;
  }
  extent(): typeof NO_EXTENT {
    return NO_EXTENT;
  }
  async commit({ points, offset }: Commit): Promise<void> {
    if (this.broken) throw new Error("IO Error: No space left on device");
    this.offset = offset;
    this.rows += points.rows;
    this.commits.push({ offset, values: [...points.values.subarray(0, points.count)] });
    this.#latest.apply(points);
  }
  retired: (readonly [thing: string, offset: number | null])[] = [];
  async retire(thing: string): Promise<{ series: number; points: number }> {
    this.retired.push([thing, this.offset]);
    return { series: this.series.retire(thing).length, points: 0 };
  }
  async erased(): Promise<void> {}
  async query(): Promise<never> {
    throw new Error("not asked here");
  }
  latest(thing: string): ReturnType<TelemetryStore["latest"]> {
    return { thing, values: this.#latest.of(thing) };
  }
  headline(): Map<string, never[]> {
    return new Map();
  }
  async close(): Promise<void> {}
}

const ALL: TelemetryRules = {
  route: (topic) =>
    topic.startsWith("telemetry/")
      ? [
          {
            ruleName: "all",
            fromOffset: 0,
            takesAll: true,
            evaluate: (input) => ({ matched: true, value: withDoubles(input.json()) ?? null }),
          },
        ]
      : [],
};

class World {
  readonly clock = new SimClock();
  readonly logger = new SimLogger();
  readonly log = new MemoryLog();
  readonly store = new MemoryStore();
  readonly sink: MessageSink;
  readonly ingest: Ingest;
  readonly running: Promise<unknown>;
  readonly forgotten = new ForgottenThings();

  constructor(offset: number | null = null, onCommit: (offset: number, points: PointBatch) => void = () => {}) {
    this.store.offset = offset;
    const { clock, logger, store } = this;
    const sequences = new SequenceBook(LIMITS.telemetry);
    const decode = (bytes: Uint8Array): Message => {
      const found = this.log.messages[bytes[0]!]!;
      if (found.topic === "") throw new Error("a record of a later version");
      return found;
    };
    this.sink = new MessageSink({
      records: {
        topics:
          (make, { unreadable }) =>
          (bytes) => {
            const { topic } = this.log.messages[bytes[0]!]!;
            return topic === "" ? unreadable : make(topic);
          },
        decode,
        senderOf: () => new Uint8Array(0),
        propertiesAt: () => -1,
        writtenAt: () => 0,
      },
      series: store.series,
      sequences,
      forgotten: this.forgotten,
      limits: LIMITS,
      clock,
      logger,
    });
    this.ingest = new Ingest({
      source: this.log,
      store,
      sink: this.sink,
      sequences,
      limits: LIMITS.telemetry,
      clock,
      scheduler: clock,
      logger,
      onCommit,
    });
    this.running = this.ingest.run().catch((error: unknown) => error);
  }

  append(...messages: readonly Message[]): void {
    this.log.messages.push(...messages);
    this.ingest.durable(this.log.messages.length);
  }

  values(): number[] {
    return this.store.commits.flatMap(({ values }) => values);
  }

  async close(): Promise<unknown> {
    this.ingest.close();
    return this.running;
  }
}

describe("the loop from log to store", () => {
  test("nothing is read before the rules are known", async () => {
    const world = new World();
    world.append(message({ n: 1 }));
    await world.clock.run(10_000);
    assert.deepEqual([world.log.reads, world.store.commits.length], [0, 0]);
    world.ingest.setRules(ALL);
    await world.clock.run(0);
    assert.deepEqual(world.values(), [1]);
    await world.close();
  });

  test("a first reading is committed at once, those that follow within 200 ms together", async () => {
    const world = new World();
    world.ingest.setRules(ALL);
    await world.clock.run(0);
    for (let n = 0; n < 40; n++) {
      world.append(message({ n }));
      await world.clock.run(10);
    }
    await world.clock.run(200);
    assert.deepEqual(
      world.values(),
      Array.from({ length: 40 }, (_, n) => n),
    );
    assert.deepEqual(world.store.commits[0]?.values, [0]);
    assert.ok(world.store.commits.length <= 4, `${world.store.commits.length} commits in 600 ms`);
    await world.close();
  });

  test("messages that no rule wants move the offset, but not at once", async () => {
    const world = new World();
    world.ingest.setRules(ALL);
    world.append(message(1, { topic: "$aws/things/a/shadow/update" }));
    await world.clock.run(1_000);
    assert.equal(world.store.offset, null);
    await world.clock.run(5_000);
    assert.equal(world.store.offset, 1);
    await world.close();
  });

  test("a thing is forgotten behind what was read before, and ahead of all that comes after", async () => {
    const world = new World();
    world.ingest.setRules(ALL);
    world.append(message({ n: 1 }, { topic: "telemetry/a/m" }));
    await world.clock.run(1);
    world.append(message({ n: 2 }, { topic: "telemetry/a/m" }), message({ n: 3 }, { topic: "telemetry/b/m" }));
    world.forgotten.set([{ thing: "a", below: 4 }]);
    let retired: unknown;
    world.ingest.forget("a", 4, (told) => (retired = told));
    world.append(message({ n: 4 }, { topic: "telemetry/a/m" }), message({ n: 5 }, { topic: "telemetry/a/m" }));
    await world.clock.run(1_000);
    assert.deepEqual(world.store.retired, [["a", 1]]);
    assert.deepEqual(retired, { series: 1, points: 0 });
    assert.deepEqual(world.values(), [1, 3, 5], "2 and 4 were in the log, and below the offset");
    world.ingest.forget("a", 4, (told) => (retired = told));
    await world.clock.run(1_000);
    assert.equal(retired, null, "what was committed above the offset is not forgotten with it");
    assert.equal(world.store.retired.length, 1);
    await world.close();
  });

  test("closing commits what was read", async () => {
    const world = new World();
    world.ingest.setRules(ALL);
    world.append(message({ n: 1 }));
    await world.clock.run(1);
    world.append(message({ n: 2 }));
    await world.clock.run(1);
    assert.deepEqual(world.values(), [1]);
    world.ingest.close();
    assert.equal(await world.running, undefined);
    assert.deepEqual(world.values(), [1, 2]);
  });

  test("it goes on at the store's offset; an empty store begins where the log does", async () => {
    for (const [offset, expected] of [
      [2, [2, 3]],
      [null, [1, 2, 3]],
    ] as const) {
      const world = new World(offset);
      world.log.kept = 1;
      world.ingest.setRules(ALL);
      world.append(...[0, 1, 2, 3].map((n) => message({ n })));
      await world.clock.run(1_000);
      assert.deepEqual(world.values(), expected);
      assert.equal(world.ingest.gapRecords, 0);
      await world.close();
    }
  });
});

describe("a log with troubles", () => {
  test("a failed read is tried again, and nothing is lost", async () => {
    const world = new World();
    world.ingest.setRules(ALL);
    world.log.failures = 3;
    world.append(message({ n: 1 }));
    await world.clock.run(2_500);
    assert.deepEqual(world.values(), []);
    await world.clock.run(1_000);
    assert.deepEqual(world.values(), [1]);
    assert.equal(world.logger.lines.filter(({ level }) => level === "error").length, 3);
    await world.close();
  });

  test("damaged records are skipped, counted and told, in the middle and at the end", async () => {
    const world = new World();
    world.ingest.setRules(ALL);
    for (const offset of [1, 2, 5]) world.log.damaged.add(offset);
    world.append(...[0, 1, 2, 3, 4, 5].map((n) => message({ n })));
    await world.clock.run(2_000);
    assert.deepEqual(world.values(), [0, 3, 4]);
    assert.equal(world.ingest.gapRecords, 3);
    assert.equal(world.ingest.committed, 6);
    const told = world.logger.lines.filter((line) => line.message.includes("missing")).map(({ fields }) => fields);
    assert.deepEqual(told, [
      { from: 1, below: 3 },
      { from: 5, below: 6 },
    ]);
    await world.close();
  });

  test("offsets that the log left out on purpose are no loss, in the middle and at the end", async () => {
    const world = new World();
    world.ingest.setRules(ALL);
    for (const offset of [1, 2, 5]) world.log.unused.add(offset);
    world.log.damaged.add(3);
    world.append(...[0, 1, 2, 3, 4, 5].map((n) => message({ n })));
    await world.clock.run(2_000);
    assert.deepEqual(world.values(), [0, 4]);
    assert.deepEqual([world.ingest.committed, world.ingest.gapRecords], [6, 1]);
    await world.close();
  });

  test("an end that is readable a moment later is not given up", async () => {
    const world = new World();
    world.ingest.setRules(ALL);
    world.log.damaged.add(1);
    world.append(message({ n: 0 }), message({ n: 1 }));
    await world.clock.run(100);
    world.log.damaged.clear();
    await world.clock.run(1_000);
    assert.deepEqual(world.values(), [0, 1]);
    assert.equal(world.ingest.gapRecords, 0);
    await world.close();
  });

  test("records that retention removed before they were read are counted", async () => {
    const world = new World(0);
    world.ingest.setRules(ALL);
    world.log.kept = 2;
    world.append(...[0, 1, 2].map((n) => message({ n })));
    await world.clock.run(1_000);
    assert.deepEqual([world.values(), world.ingest.gapRecords], [[2], 2]);
    await world.close();
  });

  test("a record of a later version is skipped and counted", async () => {
    const world = new World();
    world.ingest.setRules(ALL);
    world.append(message(1, { topic: "" }), message({ n: 2 }));
    await world.clock.run(1_000);
    assert.deepEqual([world.values(), world.sink.counters.unreadable], [[2], 1]);
    await world.close();
  });

  test("a log that has lost its end: the store goes on where it ends, and says so", async () => {
    const world = new World(10);
    world.store.log = "first";
    world.ingest.setRules(ALL);
    world.append(...[0, 1, 2].map((n) => message({ n })));
    await world.clock.run(1_000);
    assert.deepEqual([world.values(), world.store.offset], [[], 3]);
    world.append(message({ n: 3 }));
    await world.clock.run(1_000);
    assert.deepEqual(world.values(), [3]);
    assert.match(world.ingest.realigned ?? "", /up to 10, and the log ends at 3/);
    await world.close();
  });

  test("another log is read from its start, whatever the offset in the one before", async () => {
    const world = new World(2);
    world.store.log = "first";
    world.log.identityNow = "second";
    assert.equal(world.ingest.forgettable, 0);
    world.ingest.setRules(ALL);
    world.append(...[0, 1, 2].map((n) => message({ n })));
    await world.clock.run(1_000);
    assert.deepEqual([world.values(), world.store.log], [[0, 1, 2], "second"]);
    assert.match(world.ingest.realigned ?? "", /another log \(second\)/);
    await world.close();
  });

  test("the log's name is learned where it was not known, and nothing is set anew", async () => {
    const world = new World(2);
    world.ingest.setRules(ALL);
    world.append(...[0, 1, 2].map((n) => message({ n })));
    await world.clock.run(1_000);
    assert.deepEqual([world.values(), world.store.log, world.ingest.realigned], [[2], "first", null]);
    await world.close();
  });
});

describe("troubles of the store", () => {
  test("a commit that fails ends the loop: only a new start knows what is on disk", async () => {
    const world = new World();
    world.ingest.setRules(ALL);
    world.store.broken = true;
    world.append(message({ n: 1 }));
    await world.clock.run(1);
    await settle();
    assert.ok((await world.running) instanceof CommitFailed);
  });
});

describe("what devices send", () => {
  test("fields and series beyond the limits are left out and counted; the thing is told of once a minute", async () => {
    const world = new World();
    world.ingest.setRules(ALL);
    const wide = Object.fromEntries(Array.from({ length: 260 }, (_, i) => [`f${i}`, i]));
    for (let i = 0; i < 3; i++) world.append(message(wide));
    await world.clock.run(1_000);
    assert.equal(world.sink.counters.fieldsDropped, 12);
    const told = (): number => world.logger.lines.filter((line) => line.message.includes("more, deeper")).length;
    assert.equal(told(), 1);
    await world.clock.run(60_000);
    world.append(message(wide));
    await world.clock.run(1_000);
    assert.equal(told(), 2);
    for (let i = 0; i < 50; i++) {
      const fields = Object.fromEntries(Array.from({ length: 250 }, (_, f) => [`g${i}.${f}`, 1]));
      world.append(message(fields));
      await world.clock.run(200);
    }
    assert.equal(world.store.series.size, LIMITS.telemetry.seriesPerThingMax);
    assert.equal(world.sink.counters.seriesRefused, 50 * 250 - (10_000 - 256));
    await world.close();
  });
});
