import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { AskerEvents } from "./child.ts";
import type { FromAsker, RunOrder, ToAsker } from "./protocol.ts";
import { Worker } from "./worker.ts";
import type { AnswerDone } from "./worker.ts";

const RUN: RunOrder = {
  type: "run",
  folder: "/nowhere",
  views: [],
  parameters: [],
  format: "csv",
  explain: false,
  rowsMax: 1,
  incomplete: false,
};
const DONE: FromAsker = { type: "done", bytes: 4, rows: 1, truncated: false };

/** A process that is played: it says what the test says, in the order in which the test says it. */
class Played {
  readonly orders: ToAsker[] = [];
  readonly ends: (AnswerDone | null)[] = [];
  killed = false;
  paused = false;
  events!: AskerEvents;

  async worker(): Promise<Worker> {
    const worker = Worker.start((events) => {
      this.events = events;
      return {
        send: (order) => void this.orders.push(order),
        resume: () => void (this.paused = false),
        kill: () => void (this.killed = true),
      };
    });
    this.events.news({ type: "ready" });
    return worker;
  }

  bytes(text: string): void {
    this.paused = !this.events.bytes(Buffer.from(text));
  }

  readonly onEnd = (done: AnswerDone | null): void => void this.ends.push(done);
}

async function textOf(stream: AsyncIterable<unknown>): Promise<string> {
  let text = "";
  for await (const part of stream) text += String(part);
  return text;
}

describe("an answer is whole in whatever order its news and its bytes come", () => {
  const orders: readonly (readonly string[])[] = [
    ["answering", "bytes", "done"],
    ["bytes", "answering", "done"],
    ["answering", "done", "bytes"], // all news in one turn, before anybody who awaits the first one runs
  ];
  for (const order of orders) {
    test(order.join(", "), async () => {
      const played = new Played();
      const worker = await played.worker();
      const asked = worker.run(RUN, played.onEnd);
      for (const step of order) {
        if (step === "bytes") played.bytes("a\r\n1");
        else played.events.news(step === "done" ? DONE : { type: "answering" });
      }
      assert.equal(await textOf(await asked), "a\r\n1");
      assert.deepEqual(played.ends, [DONE]);
      assert.ok(worker.alive && !played.killed);
    });
  }

  test("nothing but the end: an answer without rows", async () => {
    const played = new Played();
    const worker = await played.worker();
    const asked = worker.run(RUN, played.onEnd);
    played.events.news({ type: "done", bytes: 0, rows: 0, truncated: false });
    assert.equal(await textOf(await asked), "");
    assert.equal(played.ends.length, 1);
  });

  test("the next answer is not touched by whoever lets go of the last one late", async () => {
    const played = new Played();
    const worker = await played.worker();
    const first = worker.run(RUN, played.onEnd);
    played.events.news({ type: "answering" });
    played.bytes("1234");
    played.events.news(DONE);
    const second = worker.run(RUN, played.onEnd);
    played.events.news({ type: "answering" });
    (await first).destroy();
    played.bytes("abcd");
    played.events.news(DONE);
    assert.equal(await textOf(await second), "abcd");
    assert.ok(!played.killed);
  });
});

describe("what ends a worker ends its query, once", () => {
  test("a refusal before the first byte leaves it alive; one after it does not", async () => {
    const played = new Played();
    const worker = await played.worker();
    const refused = worker.check("SELECT", []);
    played.events.news({ type: "refused", code: "QUERY_SQL_INVALID", details: {} });
    await assert.rejects(refused, { code: "QUERY_SQL_INVALID" });
    assert.ok(worker.alive);
    const asked = worker.run(RUN, played.onEnd);
    played.events.news({ type: "answering" });
    played.events.news({ type: "refused", code: "QUERY_ANSWER_TOO_LARGE", details: {} });
    await assert.rejects(textOf(await asked), { code: "QUERY_ANSWER_TOO_LARGE" });
    assert.deepEqual([played.ends, played.killed, worker.alive], [[null], true, false]);
  });

  test("its process' end at every moment", async () => {
    for (const moment of ["checking", "asked", "answering"]) {
      const played = new Played();
      const worker = await played.worker();
      const asked = moment === "checking" ? worker.check("SELECT 1", []) : worker.run(RUN, played.onEnd);
      if (moment === "answering") played.events.news({ type: "answering" });
      played.events.exit("it ended with SIGSEGV");
      const whole = moment === "answering" ? textOf((await asked) as AsyncIterable<unknown>) : asked;
      await assert.rejects(whole, { code: "STORE_UNAVAILABLE" }, moment);
      await assert.rejects(worker.run(RUN, played.onEnd), { code: "STORE_UNAVAILABLE" });
      assert.deepEqual(played.ends, moment === "answering" ? [null] : []);
    }
  });

  test("a reader that goes away kills the process; one that stops reading only pauses the pipe", async () => {
    const played = new Played();
    const worker = await played.worker();
    const asked = worker.run(RUN, played.onEnd);
    played.events.news({ type: "answering" });
    const stream = await asked;
    played.bytes("x".repeat(1_000_000));
    assert.ok(played.paused);
    stream.read();
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(!played.paused);
    stream.destroy();
    assert.deepEqual([played.killed, played.ends], [true, [null]]);
  });
});
