import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock } from "../../sim/world.ts";
import { messageRecordBytes, writeMessageRecord } from "../wire/record/mod.ts";
import { logLag } from "./lag.ts";

test("behind the log: as many messages, as old as the oldest of them; nothing at its end; no age where that is removed", async () => {
  const clock = new SimClock();
  const receivedAt = clock.now();
  const message = {
    topic: "a",
    payload: new Uint8Array(0),
    qos: 0,
    retain: false,
    clientId: "c",
    thing: null,
  } as const;
  const record = new Uint8Array(messageRecordBytes({ ...message, receivedAt, properties: null }));
  writeMessageRecord(record, 0, { ...message, receivedAt, properties: null });
  const log = { durable: 10, read: async (offset: number) => (offset === 7 ? record : null) };
  const lag = logLag({ log, store: { status: () => ({ lag: 4 }) }, clock });
  clock.advance(30_000);
  assert.deepEqual(await lag.at(7), { messages: 3, age: 30_000 });
  assert.deepEqual(await lag.at(10), { messages: 0, age: 0 });
  assert.deepEqual(await lag.at(2), { messages: 8, age: null });
  assert.equal(lag.stored(), 6);
});
