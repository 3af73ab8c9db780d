import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { encodeUtf8, wordsOf } from "../../base/mod.ts";
import { RecordError } from "./fault.ts";
import { recordFilter } from "./filter.ts";
import { TOPIC_AT } from "./layout.ts";
import { LOGGED_CASES } from "./note.cases.ts";
import { noteBytes, readLogged, writeNote } from "./note.ts";
import type { Logged, SessionNote } from "./note.ts";
import { readRecord, recordHead, recordTime, recordTopic } from "./read.ts";
import { RECORD_CASES, recordListing } from "./record.cases.ts";
import { encodePublisher, recordBytes, writeRecord } from "./write.ts";

function isRecordError(kind: RecordError["kind"]): (error: unknown) => boolean {
  return (error) => error instanceof RecordError && error.kind === kind;
}

function noteRecord(note: SessionNote, writtenAt: number): Uint8Array {
  const bytes = new Uint8Array(noteBytes(note));
  assert.equal(writeNote(bytes, 0, note, writtenAt), bytes.length);
  return bytes;
}

/** As the broker writes what it receives: properties and payload lie in the packet. */
function written({ message, packetId }: Extract<Logged, { kind: "message" }>, golden: Uint8Array): Uint8Array {
  const { propertiesStart, propertiesEnd, payloadStart } = recordHead(golden);
  const { qos, retain, clientId, thing, receivedAt, topic } = message;
  const payloadEnd = golden.length;
  const topicStart = TOPIC_AT + 2;
  const topicEnd = topicStart + encodeUtf8(topic).length;
  const lies = { topicStart, topicEnd, propertiesStart, propertiesEnd, payloadStart, payloadEnd };
  const view = { buffer: golden, words: wordsOf(golden), qos, retain, packetId, ...lies };
  const publisher = encodePublisher({ clientId, thing });
  const bytes = new Uint8Array(recordBytes(view, publisher, true));
  assert.equal(writeRecord(bytes, wordsOf(bytes), 0, view, publisher, receivedAt, true), bytes.length);
  return bytes;
}

for (const { title, hex, logged, earlier = false, wholeAt } of LOGGED_CASES) {
  suite(`golden bytes: ${title}`, () => {
    const bytes = recordListing(hex);

    test("are read", () => {
      assert.deepEqual(readLogged(bytes), logged);
      if (logged.kind === "note") assert.throws(() => readRecord(bytes), isRecordError("note"));
      else assert.deepEqual([readRecord(bytes), recordTopic(bytes)], [logged.message, logged.message.topic]);
    });

    test("are written, but for those of an earlier Tidewire, whose note comes back as it was", () => {
      if (earlier && logged.kind === "note") {
        assert.deepEqual(readLogged(noteRecord(logged.note, recordTime(bytes))), logged);
        return;
      }
      const again = logged.kind === "note" ? noteRecord(logged.note, recordTime(bytes)) : written(logged, bytes);
      assert.deepEqual(again, bytes);
    });

    test("cut off anywhere, are refused, but where the log alone knows their end", () => {
      for (let cut = 0; cut < bytes.length; cut++) {
        const short = bytes.slice(0, cut);
        if (wholeAt.includes(cut)) assert.equal(readLogged(short).kind, logged.kind, `after ${cut} bytes`);
        else assert.throws(() => readLogged(short), isRecordError("malformed"), `after ${cut} bytes`);
      }
    });

    test("with one bit changed, are read or refused, nothing else", () => {
      for (let bit = 0; bit < 8 * bytes.length; bit++) {
        const changed = bytes.slice();
        changed[bit >> 3]! ^= 1 << (bit & 7);
        try {
          readLogged(changed);
        } catch (error) {
          assert.ok(error instanceof RecordError, String(error));
        }
      }
    });
  });
}

test("records of the first kind are messages without an identifier", () => {
  for (const { hex, message } of RECORD_CASES) {
    assert.deepEqual(readLogged(recordListing(hex)), { kind: "message", message, packetId: 0 });
  }
});

test("any note comes back as it was, from its exact number of bytes", () => {
  const identifiers = fc.array(fc.integer({ min: 1, max: 65_535 }), { maxLength: 20 });
  const origin = fc.integer({ min: -1, max: 0x7fff_ffff });
  const sent = fc.array(fc.tuple(fc.integer({ min: 1, max: 65_535 }), fc.maxSafeNat(), origin), { maxLength: 20 });
  const note = fc
    .record({
      clientId: fc.string({ unit: "binary", maxLength: 40 }),
      released: identifiers,
      received: identifiers,
      sent,
    })
    .map(({ clientId, released, received, sent: pairs }) => ({ clientId, released, received, sent: pairs.flat() }))
    .filter(({ released, received, sent: pairs }) => released.length + received.length + pairs.length > 0);
  fc.assert(
    fc.property(note, fc.nat(), (made, at) => {
      const bytes = noteRecord(made, at);
      assert.deepEqual(readLogged(bytes), { kind: "note", note: made });
      assert.equal(recordTime(bytes), at);
    }),
    { seed: 1 },
  );
});

const head = "30 00 00 00 00 00 00 00 01 63"; // a note of "c"

test("what is no note is refused: nothing said, empty parts, parts out of order or twice, identifier 0, offsets beyond 2^53", () => {
  for (const hex of [
    "",
    "01 00 00",
    "02 00 01 00 07 01 00 01 00 07",
    "01 00 01 00 07 01 00 01 00 08",
    "01 00 01 00 00",
    "03 00 01 00 07 00 20 00 00 00 00 00 00",
    "03 00 01 00 00 00 00 00 00 00 00 00 01",
    "04 00 01 00 07 00 20 00 00 00 00 00 00 00 00 00 00",
    "04 00 01 00 00 00 00 00 00 00 00 00 01 00 00 00 00",
  ]) {
    assert.throws(() => readLogged(recordListing(`${head} ${hex}`)), isRecordError("malformed"), hex);
  }
  const noIdentifier = recordListing("22 00 00 00 00 00 00 00 01 61 00 00 00 00 00");
  assert.throws(() => readLogged(noIdentifier), isRecordError("malformed"));
});

test("what a newer Tidewire adds is told apart: flags of a note, further parts, further kinds of records", () => {
  for (const hex of [`31${head.slice(2)} 01 00 01 00 07`, `${head} 05 00 01 00 07`, `40${head.slice(2)}`]) {
    assert.throws(() => readLogged(recordListing(hex)), isRecordError("newer"), hex);
  }
});

test("more entries than there are identifiers fit no note", () => {
  const released = Array.from({ length: 65_536 }, () => 1);
  assert.throws(() => noteBytes({ clientId: "c", released, received: [], sent: [] }), isRecordError("unfit"));
});

test("a filter never wants a note, and knows the topic of a message with its identifier", () => {
  const asked: string[] = [];
  const filter = recordFilter((topic) => {
    asked.push(topic);
    return true;
  });
  for (const { hex, logged } of LOGGED_CASES) {
    const bytes = recordListing(hex);
    assert.equal(filter(bytes, 0, bytes.length), logged.kind === "message");
  }
  assert.deepEqual(asked, ["t/p"]);
});
