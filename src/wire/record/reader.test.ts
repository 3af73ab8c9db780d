import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Message } from "../../base/mod.ts";
import { RecordError } from "./fault.ts";
import { noteBytes, writeNote } from "./note.ts";
import { readRecord } from "./read.ts";
import { LOGGED_CASES } from "./note.cases.ts";
import { RECORD_CASES } from "./record.cases.ts";
import { recordReader } from "./reader.ts";
import { messageRecordBytes, writeMessageRecord } from "./write.ts";

/** In the middle of other bytes, as it lies in a batch. */
function placed(record: Uint8Array): readonly [Uint8Array, number, number] {
  const bytes = new Uint8Array(record.length + 10).fill(0xff);
  bytes.set(record, 5);
  return [bytes, 5, 5 + record.length];
}

function recordOf(message: Message): Uint8Array {
  const record = new Uint8Array(messageRecordBytes(message));
  writeMessageRecord(record, 0, message);
  return record;
}

const binary = (hex: string): Uint8Array =>
  Uint8Array.from(Buffer.from(hex.replace(/\/\/.*$/gm, "").replace(/\s+/g, ""), "hex"));

test("messages of few senders on few topics are read as each by itself", () => {
  const name = fc.constantFrom("a", "bc", "ü", "pump-7");
  const message = fc.record({
    topic: fc.constantFrom("t/1", "t/2", "t/ü", "u"),
    payload: fc.uint8Array({ maxLength: 20 }),
    qos: fc.constantFrom(0, 1, 2),
    retain: fc.boolean(),
    clientId: name,
    thing: fc.option(name),
    receivedAt: fc.nat(),
    properties: fc.constantFrom(
      null,
      { messageExpirySeconds: 60 },
      { userProperties: [["hops", "1"]], contentType: "x".repeat(200) },
    ),
  }) as fc.Arbitrary<Message>;
  fc.assert(
    fc.property(fc.array(message, { maxLength: 30 }), (messages) => {
      const read = recordReader((topic) => topic.startsWith("t/"));
      for (const each of messages) {
        const record = recordOf(each);
        const expected = each.topic === "u" ? null : readRecord(record);
        assert.deepEqual(read(...placed(record)), expected);
      }
    }),
  );
});

test("records of every kind are read as each by itself, twice; notes are nobody's", () => {
  const read = recordReader(() => true);
  for (const record of [...RECORD_CASES, ...LOGGED_CASES].map(({ hex }) => binary(hex))) {
    const expected = record[0]! >> 4 === 3 ? null : readRecord(record);
    for (const _ of [1, 2]) assert.deepEqual(read(...placed(record)), expected);
  }
  const note = { clientId: "c", released: [1], received: [], sent: [], finished: null };
  const bytes = new Uint8Array(noteBytes(note));
  writeNote(bytes, 0, note, 1);
  assert.equal(read(...placed(bytes)), null);
});

test("what is cut off is an error, or the shorter message that it is, also behind one of the same sender", () => {
  const record = recordOf({
    topic: "a/b",
    payload: Uint8Array.of(1, 2, 3),
    qos: 1,
    retain: false,
    clientId: "client",
    thing: "thing",
    receivedAt: 1,
    properties: { messageExpirySeconds: 9 },
  });
  const read = recordReader(() => true);
  assert.equal(read(...placed(record))?.clientId, "client");
  for (let length = 0; length < record.length; length++) {
    const [bytes, from] = placed(record);
    if (length < record.length - 3) assert.throws(() => read(bytes, from, from + length), RecordError, String(length));
    else assert.equal(read(bytes, from, from + length)?.payload.length, length - record.length + 3);
  }
});
