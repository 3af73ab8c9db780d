import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SimQueueStore } from "../../sim/queue-store.ts";
import { SimClock, SimLogger, SimMetrics, SimRandom, mortalScheduler } from "../../sim/world.ts";
import { LIMITS, isTidewireError } from "../base/mod.ts";
import type { OutboxLimits } from "./outbox.ts";
import { Outbox } from "./outbox.ts";
import { QueueStoreError, sizeOf } from "./store.ts";

const PAYLOAD = new TextEncoder().encode("0123456789");
const SIZE = sizeOf({ topic: "t", payload: PAYLOAD });

interface World {
  readonly clock: SimClock;
  readonly store: SimQueueStore;
  readonly logger: SimLogger;
  readonly metrics: SimMetrics;
  readonly limits: OutboxLimits;
  /** A new process on the same disk. */
  readonly start: () => Outbox;
}

function world(limits: Partial<OutboxLimits> = {}): World {
  const clock = new SimClock();
  const store = new SimQueueStore();
  const logger = new SimLogger();
  const metrics = new SimMetrics();
  const random = new SimRandom(1);
  const bounds = { messages: 1000, bytes: 1_000_000, ...limits };
  let process = 0;
  const start = (): Outbox => {
    // A crash ends a process with its timers; the one before must not write on.
    const own = ++process;
    const scheduler = mortalScheduler(clock, () => own === process);
    return new Outbox({ store, clock, scheduler, random, logger, metrics, limits: bounds });
  };
  return { clock, store, logger, metrics, limits: bounds, start };
}

const numbers = (readings: readonly { readonly sequence: number }[]): number[] => readings.map((r) => r.sequence);

test("readings are numbered 1, 2, 3 … and come out in that order once they are on disk", () => {
  const { clock, start, store } = world();
  const outbox = start();
  assert.deepEqual([outbox.put("t", PAYLOAD), outbox.put("t", PAYLOAD), outbox.put("t", PAYLOAD)], [1, 2, 3]);
  assert.equal(outbox.durable, 0);
  assert.deepEqual(outbox.take(10), [], "what is not on disk is not handed out");
  const before = store.commits;
  clock.advance(0);
  assert.equal(store.commits, before + 1, "one transaction for all of a turn");
  assert.equal(outbox.durable, 3);
  assert.deepEqual(numbers(outbox.take(2)), [1, 2]);
  assert.deepEqual(numbers(outbox.take(10)), [3]);
  assert.deepEqual(outbox.take(10), [], "nothing is handed out twice");
});

test("what was put and not saved is gone after a crash, and its number belongs to the next one", () => {
  const { clock, start } = world();
  const first = start();
  first.put("t", PAYLOAD);
  clock.advance(0);
  first.put("t", PAYLOAD);
  const second = start();
  assert.equal(second.put("other", PAYLOAD), 2);
  second.flush();
  assert.deepEqual(
    second.take(10).map(({ sequence, topic }) => ({ sequence, topic })),
    [
      { sequence: 1, topic: "t" },
      { sequence: 2, topic: "other" },
    ],
  );
});

test("numbers are never used again, also when the outbox is empty after a restart; its id stays", () => {
  const { start } = world();
  const first = start();
  first.put("t", PAYLOAD);
  first.put("t", PAYLOAD);
  first.flush();
  for (const { sequence } of first.take(10)) first.acknowledge(sequence);
  first.close();
  const second = start();
  assert.equal(second.id, first.id);
  assert.match(second.id, /^[0-9a-f]{24}$/);
  assert.equal(second.statistics().waiting, 0);
  assert.equal(second.put("t", PAYLOAD), 3);
  assert.notEqual(world().start().id, undefined);
});

test("acknowledgements come in any order; an unknown or repeated one is told apart", () => {
  const { clock, start, store } = world();
  const outbox = start();
  for (let i = 0; i < 4; i++) outbox.put("t", PAYLOAD);
  outbox.flush();
  outbox.take(4);
  assert.equal(outbox.acknowledge(3), true);
  assert.equal(outbox.acknowledge(1), true);
  assert.equal(outbox.acknowledge(3), false);
  assert.equal(outbox.acknowledge(99), false);
  assert.equal(outbox.statistics().waiting, 2);
  clock.advance(LIMITS.edge.outboxRemovalDelay);
  assert.deepEqual(numbers(store.contents()), [2, 4], "deleted from the disk soon after");
});

test("a crash before the deletion sends again, never skips", () => {
  const { start } = world();
  const first = start();
  first.put("t", PAYLOAD);
  first.put("t", PAYLOAD);
  first.flush();
  first.take(2);
  first.acknowledge(1);
  assert.deepEqual(numbers(start().take(10)), [1, 2]);
});

test("after a reconnect everything unacknowledged is unsent again, in order", () => {
  const { start } = world();
  const outbox = start();
  for (let i = 0; i < 5; i++) outbox.put("t", PAYLOAD);
  outbox.flush();
  outbox.take(4);
  outbox.acknowledge(2);
  outbox.release();
  assert.deepEqual(numbers(outbox.take(10)), [1, 3, 4, 5]);
});

test("a late acknowledgement after a release still counts", () => {
  const { start } = world();
  const outbox = start();
  outbox.put("t", PAYLOAD);
  outbox.flush();
  outbox.take(1);
  outbox.release();
  assert.equal(outbox.acknowledge(1), true);
  assert.deepEqual(outbox.take(1), []);
});

test("a reading that is given back is next in line", () => {
  const { start } = world();
  const outbox = start();
  for (let i = 0; i < 5; i++) outbox.put("t", PAYLOAD);
  outbox.flush();
  outbox.take(3);
  outbox.giveBack(3);
  outbox.giveBack(1);
  outbox.giveBack(5);
  assert.deepEqual(numbers(outbox.take(10)), [1, 3, 4, 5]);
});

test("full by count: the oldest of the lowest priority goes, is counted and told", () => {
  const { start, logger, metrics } = world({ messages: 3 });
  const outbox = start();
  outbox.put("t", PAYLOAD, { priority: 9 });
  outbox.put("t", PAYLOAD, { priority: 1 });
  outbox.put("t", PAYLOAD, { priority: 1 });
  outbox.flush();
  outbox.put("t", PAYLOAD);
  outbox.flush();
  assert.deepEqual(numbers(outbox.take(10)), [1, 3, 4]);
  assert.equal(outbox.statistics().dropped, 1);
  assert.equal(metrics.value("tidewire_outbox_dropped_total", { reason: "full" }), 1);
  assert.equal(logger.lines.filter((line) => line.level === "warn").length, 1);
});

test("full by bytes: as many go as are needed, and the newest itself if it matters least", () => {
  const { start } = world({ bytes: 3 * SIZE });
  const outbox = start();
  for (let i = 0; i < 3; i++) outbox.put("t", PAYLOAD, { priority: 7 });
  outbox.flush();
  outbox.put("t", PAYLOAD, { priority: 2 });
  outbox.flush();
  assert.deepEqual(numbers(outbox.take(10)), [1, 2, 3]);
  outbox.release();
  outbox.put("t", new Uint8Array(PAYLOAD.length + SIZE), { priority: 7 });
  outbox.flush();
  assert.deepEqual(numbers(outbox.take(10)), [3, 5]);
  assert.equal(outbox.statistics().dropped, 3);
});

test("what is on the way is not dropped", () => {
  const { start } = world({ messages: 2 });
  const outbox = start();
  outbox.put("t", PAYLOAD);
  outbox.put("t", PAYLOAD);
  outbox.flush();
  outbox.take(1);
  outbox.put("t", PAYLOAD);
  outbox.flush();
  assert.equal(outbox.acknowledge(1), true);
  assert.deepEqual(numbers(outbox.take(10)), [3]);
});

test("an expired reading is not sent, is counted, and makes room before anything else does", () => {
  const { clock, start, metrics } = world({ messages: 3 });
  const outbox = start();
  outbox.put("t", PAYLOAD, { expiresAt: clock.now() + 1000, priority: 9 });
  outbox.put("t", PAYLOAD);
  outbox.put("t", PAYLOAD);
  outbox.flush();
  clock.advance(1000);
  outbox.put("t", PAYLOAD);
  outbox.flush();
  assert.deepEqual(numbers(outbox.take(10)), [2, 3, 4]);
  assert.equal(metrics.value("tidewire_outbox_expired_total"), 1);
  assert.equal(outbox.statistics().dropped, 0);
  const next = start();
  next.put("t", PAYLOAD, { expiresAt: clock.now() });
  assert.equal(next.take(10).length, 3);
});

test("a reading that can never be sent is refused at once, with the reason", () => {
  const outbox = world().start();
  for (const [topic, payload, priority, reason] of [
    ["a/#", PAYLOAD, 5, /wildcard/],
    ["", PAYLOAD, 5, /empty/],
    ["t", new Uint8Array(LIMITS.mqtt.packetBytesMax), 5, /MQTT packet/],
    ["t", new Uint8Array(600_000), 5, /half the outbox/],
    ["t", PAYLOAD, 10, /priority/],
  ] as const) {
    assert.throws(
      () => outbox.put(topic, payload, { priority }),
      (error) => isTidewireError(error) && error.code === "READING_REFUSED" && reason.test(error.message),
    );
  }
  assert.equal(outbox.statistics().lastSequence, 0, "it gets no number");
});

test("a disk that refuses: readings wait in memory, unsent, and are saved when it recovers", () => {
  const { clock, start, store, logger } = world();
  const outbox = start();
  store.fault = () => "failed";
  outbox.put("t", PAYLOAD);
  clock.advance(0);
  outbox.put("t", PAYLOAD);
  clock.advance(0);
  assert.deepEqual(outbox.take(10), []);
  assert.match(outbox.statistics().failure ?? "", /simulated/);
  store.fault = () => null;
  clock.advance(LIMITS.edge.outboxCommitRetry);
  assert.deepEqual(numbers(outbox.take(10)), [1, 2]);
  assert.equal(outbox.statistics().failure, null);
  assert.deepEqual(
    logger.lines.map((line) => line.level),
    ["error", "info"],
    "one line when it fails, one when it recovers",
  );
});

test("memory is bounded while the disk refuses, and what goes is counted", () => {
  const { clock, start, store, metrics } = world({ messages: 1_000_000, bytes: 100_000_000 });
  const outbox = start();
  store.fault = () => "failed";
  const extra = 5;
  for (let i = 0; i < LIMITS.edge.outboxUnsavedMessagesMax + extra; i++) {
    outbox.put("t", PAYLOAD);
    if (i === 0) clock.advance(0);
  }
  assert.equal(outbox.statistics().dropped, extra);
  assert.equal(metrics.value("tidewire_outbox_dropped_total", { reason: "unsaved" }), extra);
  store.fault = () => null;
  outbox.flush();
  assert.equal(outbox.take(1)[0]?.sequence, 1 + extra, "the oldest went");
});

test("a disk that recovers is noticed also where nothing was left to be saved: recording goes on", () => {
  const { clock, start, store } = world({ messages: 1 });
  const outbox = start();
  outbox.put("t", PAYLOAD, { priority: 9 });
  clock.advance(0);
  assert.equal(outbox.take(1).length, 1);
  store.fault = () => "failed";
  outbox.put("t", PAYLOAD, { priority: 0 });
  clock.advance(0);
  assert.equal(outbox.statistics().dropped, 1, "there is room for one, and that one is on the way");
  store.fault = () => null;
  clock.advance(LIMITS.edge.outboxCommitRetry);
  assert.equal(outbox.statistics().failure, null);
  outbox.acknowledge(1);
  clock.advance(LIMITS.edge.outboxRemovalDelay);
  outbox.put("t", PAYLOAD);
  clock.advance(0);
  assert.deepEqual(numbers(outbox.take(10)), [3]);
  assert.equal(start().statistics().dropped, 1, "the drop is counted on disk");
});

test("a full disk gives up a little of much, and nothing where that does not help", () => {
  const { start, store } = world({ messages: 10_000, bytes: 10_000_000 });
  const outbox = start();
  const payload = new Uint8Array(1000);
  for (let i = 0; i < 200; i++) outbox.put("t", payload);
  outbox.flush();
  store.fault = () => "full";
  outbox.put("t", payload);
  assert.equal(outbox.flush(), false);
  assert.equal(outbox.statistics().dropped, 0, "giving up readings did not help, so none went");
  let asked = 0;
  store.fault = () => (asked++ === 0 ? "full" : null);
  assert.equal(outbox.flush(), true);
  const { dropped, durable } = outbox.statistics();
  assert.equal(durable, 201);
  assert.ok(dropped > 0 && dropped < 50, `${dropped} dropped`);
  assert.equal(outbox.take(1)[0]?.sequence, dropped + 1);
});

test("a refused reading is kept as a dead letter and can be sent again under its number", () => {
  const { start } = world();
  const outbox = start();
  for (let i = 0; i < 3; i++) outbox.put("t", PAYLOAD);
  outbox.flush();
  outbox.take(3);
  outbox.bury(2, 0x87);
  outbox.acknowledge(1);
  outbox.flush();
  assert.deepEqual(numbers(outbox.deadLetters(10)), [2]);
  assert.equal(outbox.statistics().refused, 1);
  assert.equal(outbox.statistics().waiting, 1);
  const next = start();
  assert.equal(next.exhume([0x90]), 0);
  assert.equal(next.exhume([0x87]), 1);
  assert.deepEqual(numbers(next.take(10)), [2, 3]);
  assert.equal(next.statistics().waiting, 2);
});

test("a disk that refuses at start does not keep dead letters from being kept, nor the agent from starting", () => {
  const { start, store, logger } = world();
  const outbox = start();
  outbox.put("t", PAYLOAD);
  outbox.flush();
  outbox.take(1);
  outbox.bury(1, 0x87);
  outbox.close();
  const exhume = store.exhume.bind(store);
  store.exhume = () => {
    throw new QueueStoreError("full", "simulated: full");
  };
  assert.equal(start().exhume([0x87]), 0);
  assert.ok(logger.lines.some((line) => line.message.includes("cannot be tried again")));
  store.exhume = exhume;
  assert.equal(start().exhume([0x87]), 1);
});

type Step =
  | { readonly do: "put"; readonly priority: number; readonly bytes: number; readonly ttl: number | null }
  | { readonly do: "take"; readonly count: number }
  | { readonly do: "acknowledge" | "give-back" | "bury"; readonly which: number }
  | { readonly do: "release" | "flush" | "turn" | "crash" | "restart" }
  | { readonly do: "wait"; readonly span: number }
  | { readonly do: "disk"; readonly fault: "full" | "failed" | null };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("put" as const),
      priority: fc.integer({ min: 0, max: 3 }),
      bytes: fc.integer({ min: 0, max: 300 }),
      ttl: fc.option(fc.integer({ min: 0, max: 5000 }), { freq: 4 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("take" as const), count: fc.integer({ min: 1, max: 5 }) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom("acknowledge" as const, "acknowledge" as const, "give-back" as const, "bury" as const),
      which: fc.nat(1000),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom("release" as const, "flush" as const, "turn" as const, "crash" as const, "restart" as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("wait" as const), span: fc.integer({ min: 1, max: 3000 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("disk" as const),
      fault: fc.constantFrom("full" as const, "failed" as const, null, null),
    }),
  },
);

test("under crashes and failing disks an accepted reading leaves only acknowledged, expired, refused or dropped and counted", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const { clock, store, start } = world({ messages: 12, bytes: 3000 });
      let outbox = start();
      const accepted = new Map<number, number>(); // on disk → payload length
      const acknowledged = new Set<number>();
      let unsaved = new Map<number, number>();
      let taken = new Set<number>();
      let lastTaken = 0;
      const harvest = (): void => {
        for (const [sequence, bytes] of unsaved) {
          if (sequence > outbox.durable) continue;
          assert.ok(!accepted.has(sequence), "a number that was on disk is never used again");
          accepted.set(sequence, bytes);
          unsaved.delete(sequence);
        }
      };
      const run = (step: Step): void => {
        switch (step.do) {
          case "put": {
            const expires = step.ttl === null ? {} : { expiresAt: clock.now() + step.ttl };
            const sequence = outbox.put("t", new Uint8Array(step.bytes), { priority: step.priority, ...expires });
            assert.ok(!accepted.has(sequence));
            unsaved.set(sequence, step.bytes);
            break;
          }
          case "take": {
            const readings = outbox.take(step.count);
            assert.ok(readings.length <= step.count);
            const fresh = numbers(readings).filter((n) => n > lastTaken);
            assert.deepEqual(
              fresh,
              fresh.toSorted((a, b) => a - b),
              "in order",
            );
            for (const reading of readings) {
              assert.ok(accepted.has(reading.sequence), "only what is on disk");
              assert.ok(!taken.has(reading.sequence), "not twice without release");
              assert.ok(!acknowledged.has(reading.sequence) || store.find(reading.sequence) !== null);
              assert.equal(reading.payload.length, accepted.get(reading.sequence), "the very reading");
              assert.ok(reading.expiresAt === null || reading.expiresAt > clock.now());
              taken.add(reading.sequence);
            }
            lastTaken = Math.max(lastTaken, ...fresh, 0);
            break;
          }
          case "acknowledge":
          case "give-back":
          case "bury": {
            const sequence = [...taken][step.which % Math.max(1, taken.size)];
            if (sequence === undefined) break;
            taken.delete(sequence);
            if (step.do === "give-back") outbox.giveBack(sequence);
            else if (step.do === "bury") outbox.bury(sequence, 0x87);
            else {
              assert.equal(outbox.acknowledge(sequence), true, "what is on the way is still there");
              acknowledged.add(sequence);
            }
            break;
          }
          case "release":
            outbox.release();
            taken = new Set();
            lastTaken = 0;
            break;
          case "flush":
            outbox.flush();
            break;
          case "turn":
            clock.advance(0);
            break;
          case "wait":
            clock.advance(step.span);
            break;
          case "disk":
            store.fault = () => step.fault;
            break;
          case "crash":
          case "restart":
            if (step.do === "restart") outbox.close();
            harvest();
            outbox = start();
            unsaved = new Map();
            taken = new Set();
            lastTaken = 0;
            break;
        }
        harvest();
      };
      for (const one of steps) run(one);
      // At the end, with a good disk: every accepted reading is still there or accounted for.
      store.fault = () => null;
      outbox.flush();
      harvest();
      const statistics = outbox.statistics();
      const contents = store.contents();
      assert.equal(statistics.waiting, contents.length);
      assert.equal(
        statistics.waitingBytes,
        contents.reduce((sum, reading) => sum + sizeOf(reading), 0),
      );
      const here = new Set(numbers(contents));
      const missing = [...accepted.keys()].filter((n) => !here.has(n) && !acknowledged.has(n)).length;
      const { dropped, expired, refused } = statistics;
      assert.ok(missing <= dropped + expired + refused, `${missing} missing, ${dropped}+${expired}+${refused} counted`);
      assert.ok(statistics.waiting <= 12 + statistics.inflight && statistics.waitingBytes <= 3000 + 364 * 60);
    }),
    { numRuns: 1000, seed: 42 },
  );
});
