/** What lies between the log and the hot rules, over a real log on a simulated disk. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { ForgottenThings, encodeUtf8, seconds } from "../base/mod.ts";
import type { Message } from "../base/mod.ts";
import { SMALL, Scene } from "../log/log.fixture.ts";
import type { Log, LogConsumer } from "../log/mod.ts";
import { Receiver, World, messageOf } from "../rules/rules.fixture.ts";
import { messageRecordBytes, noteBytes, skipForgotten, writeMessageRecord, writeNote } from "../wire/record/mod.ts";
import { readingAgain, rulesConsumer } from "./rules-consumer.ts";

/** Four records or so make a batch. */
const LIMITS = { ...SMALL, batchBytesMax: 260, groupBytesMax: 2_000, pendingBytesMax: 20_000 };
const ascending = (a: number, b: number): number => a - b;
const UNREADABLE = Uint8Array.of(0xff, 1, 2, 3);

function recordOf(topic: string, payload: unknown, more: Partial<Message> = {}): Uint8Array {
  const message = messageOf(topic, encodeUtf8(JSON.stringify(payload)), { receivedAt: 1_700_000_000_000, ...more });
  const bytes = new Uint8Array(messageRecordBytes(message));
  writeMessageRecord(bytes, 0, message);
  return bytes;
}

function noteOf(clientId: string): Uint8Array {
  const note = { clientId, released: [1], received: [], sent: [], finished: null };
  const bytes = new Uint8Array(noteBytes(note));
  writeNote(bytes, 0, note, 1_700_000_000_000);
  return bytes;
}

describe("the rules' consumer", () => {
  let receiver: Receiver;
  let world: World;
  let scene: Scene;
  let log: Log;
  /** What the rules were handed: offset and payload, as it was then. */
  let handed: [offset: number, payload: string][];

  beforeEach(async () => {
    receiver = await Receiver.start();
    world = await World.start();
    world.rules.put("a", { sql: "SELECT * FROM 'a/#'", actions: [{ webhook: { url: receiver.url } }] });
    handed = [];
    scene = new Scene(LIMITS);
    log = await scene.drive(scene.open());
    watch();
  });
  afterEach(async () => {
    await scene.drive(log.close());
    await world.close();
    await Receiver.downAll();
  });

  /** `instead`: of what the rules do with it. */
  function watch(instead?: (offset: number, take: () => Promise<void> | null) => Promise<void> | null): void {
    const take = world.rules.take.bind(world.rules);
    world.rules.take = (offset, message) => {
      handed.push([offset, new TextDecoder().decode(message.payload)]);
      return instead === undefined ? take(offset, message) : instead(offset, () => take(offset, message));
    };
  }

  function follow(from = 0, skips?: Parameters<typeof rulesConsumer>[2]): LogConsumer {
    const hot = rulesConsumer(world.rules, world.logger, skips);
    return log.consume(from, (batch) => hot.take(batch) ?? undefined, "rules");
  }

  /** Until what was appended is durable, and was handed over as far as it can be. */
  async function handOver(): Promise<void> {
    await scene.settle(log);
    for (let turn = 0; turn < 20; turn++) {
      await scene.clock.run(1);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** And was delivered, as far as it can be. */
  async function settle(): Promise<void> {
    await handOver();
    await world.pass(seconds(5), seconds(1));
  }

  const offsets = (): number[] => handed.map(([offset]) => offset);
  const told = (): unknown[] =>
    world.logger.lines
      .filter(({ level }) => level === "error")
      .map(({ message, fields }) => [message, fields["offset"]]);

  test("in the order of the log, only what a rule wants; and all below is done with", async () => {
    for (let n = 0; n < 20; n++) log.append(recordOf(n % 3 === 0 ? "a/x" : "b", n));
    follow();
    await settle();
    assert.deepEqual(
      handed,
      [0, 3, 6, 9, 12, 15, 18].map((n) => [n, String(n)]),
    );
    assert.equal(world.rules.checkpoint(), 20, "also what nobody wanted");
  });

  test("a rule that comes later sees what comes after it", async () => {
    follow();
    log.append(recordOf("b", 0));
    await settle();
    world.rules.put("b", { sql: "SELECT * FROM 'b'", actions: [{ webhook: { url: receiver.url } }] });
    log.append(recordOf("b", 1));
    await settle();
    world.rules.delete("b");
    log.append(recordOf("b", 2));
    await settle();
    assert.deepEqual(handed, [[1, "1"]]);
  });

  test("passed over: notes of sessions, what a forgotten thing said, and what cannot be read, which is told", async () => {
    const records = [
      noteOf("c"),
      recordOf("a/x", 1, { thing: "gone" }),
      UNREADABLE,
      recordOf("a/x", 3, { thing: "here" }),
      recordOf("a/x", 4, { thing: "gone" }),
    ];
    for (const record of records) log.append(record);
    follow(0, skipForgotten(new ForgottenThings([{ thing: "gone", below: 4 }])));
    await settle();
    assert.deepEqual(handed, [
      [3, "3"],
      [4, "4"],
    ]);
    assert.deepEqual(told(), [["A record of the log cannot be read and is skipped by the rules.", 2]]);
    assert.equal(world.rules.checkpoint(), 5);
  });

  test("where the rules fail at a message, it is told, and all that come after it are handed over once", async () => {
    watch((offset, take) => {
      if (offset === 2) throw new Error("a mistake");
      return take();
    });
    for (let n = 0; n < 12; n++) log.append(recordOf("a/x", n));
    follow();
    await settle();
    assert.deepEqual([...new Set(offsets())], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    assert.deepEqual(told(), [["The rules failed at a message; they go on with the next one.", 2]]);
    assert.equal(world.rules.checkpoint(), 12);
  });

  test("where the rules have to finish something first, everything behind waits, and the bytes stay as they are", async () => {
    const finished = Promise.withResolvers<void>();
    let isFinished = false;
    const taken: number[] = [];
    world.rules.take = (offset, message) => {
      if (offset === 2 && !isFinished) return finished.promise;
      taken.push(Number(new TextDecoder().decode(message.payload)));
      return null;
    };
    follow();
    for (let n = 0; n < 3; n++) log.append(recordOf("a/x", n));
    await settle();
    for (let n = 3; n < 40; n++) log.append(recordOf("a/x", n));
    await settle();
    assert.deepEqual(taken, [0, 1]);
    assert.equal(world.rules.checkpoint(), 0, "its batch is not done with");
    isFinished = true;
    finished.resolve();
    await settle();
    assert.deepEqual(
      taken,
      Array.from({ length: 40 }, (_, n) => n),
    );
    assert.equal(world.rules.checkpoint(), 40);
  });

  test("where that fails, the batch comes again, and what was handled of it is not handled twice", async () => {
    let failures = 0;
    watch((offset, take) => {
      if (offset !== 2 || failures > 0) return take();
      failures++;
      return Promise.reject(new Error("a mistake"));
    });
    for (let n = 0; n < 4; n++) log.append(recordOf("a/x", { n }));
    follow();
    await handOver();
    await scene.clock.run(seconds(60));
    await settle();
    assert.equal(failures, 1);
    assert.deepEqual(
      receiver.bodies.map((body) => (JSON.parse(body) as { n: number }).n).sort(ascending),
      [0, 1, 2, 3],
    );
    assert.equal(world.rules.checkpoint(), 4);
  });

  test("after a crash it goes on where the rules say, below which nothing is needed", async () => {
    const consumer = follow();
    for (let n = 0; n < 5; n++) log.append(recordOf("a/x", { n }));
    await settle();
    for (let n = 5; n < 9; n++) log.append(recordOf("a/x", { n }));
    await handOver();
    await scene.drive(consumer.close());
    await world.crash();
    const from = world.resumeFrom;
    assert.equal(from, 5, "what was saved");
    handed = [];
    watch();
    follow(from);
    await settle();
    assert.deepEqual(offsets(), [5, 6, 7, 8]);
    const numbers = receiver.bodies.map((body) => (JSON.parse(body) as { n: number }).n);
    assert.deepEqual([...new Set(numbers)].sort(ascending), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test("a rule that is behind reads the log again: what it wants, in order, no faster than it takes; until it has enough", async () => {
    const taken: number[] = [];
    const passed: number[] = [];
    const gate = Promise.withResolvers<void>();
    for (let n = 0; n < 12; n++) log.append(n === 5 ? UNREADABLE : recordOf(n % 2 === 0 ? "b" : "c", n));
    await settle();
    const end = readingAgain(
      log,
      world.logger,
      skipForgotten(new ForgottenThings([])),
    )({
      from: 3,
      wants: (topic) => topic === "c",
      take: (offset) => {
        taken.push(offset);
        return offset === 7 ? gate.promise : null;
      },
      passed: (next) => {
        passed.push(next);
        return null;
      },
    });
    await settle();
    assert.deepEqual(taken, [3, 7]);
    assert.deepEqual(told(), [["A record of the log cannot be read and is skipped by the rules.", 5]]);
    gate.resolve();
    await settle();
    assert.deepEqual(taken, [3, 7, 9, 11]);
    assert.equal(passed.at(-1), 12);
    end();
    log.append(recordOf("c", 13));
    await settle();
    assert.deepEqual(taken, [3, 7, 9, 11]);
  });
});
