import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { SimRandom } from "../../../sim/world.ts";
import { wordsOf } from "../../base/mod.ts";
import type { Message, QoS } from "../../base/mod.ts";
import { RecordError } from "./fault.ts";
import { readRecord, recordHead, recordTopic } from "./read.ts";
import { RECORD_CASES, recordListing } from "./record.cases.ts";
import { encodePublisher, messageRecordBytes, recordBytes, writeMessageRecord, writeRecord } from "./write.ts";
import type { PublishedBytes } from "./write.ts";

const encoder = new TextEncoder();

/** Written between other bytes, which must stay as they are. */
function written(length: number, write: (target: Uint8Array, at: number) => number): Uint8Array {
  const target = new Uint8Array(length + 7).fill(0xaa);
  assert.equal(write(target, 3), 3 + length, "as long as was said before");
  assert.deepEqual([...target.subarray(0, 3), ...target.subarray(3 + length)], Array(7).fill(0xaa));
  return target.slice(3, 3 + length);
}

function messageRecord(message: Message): Uint8Array {
  return written(messageRecordBytes(message), (target, at) => writeMessageRecord(target, at, message));
}

function malformed(error: unknown): boolean {
  return error instanceof RecordError && error.kind === "malformed";
}

function unfit(error: unknown): boolean {
  return error instanceof RecordError && error.kind === "unfit";
}

const PLAIN: Message = {
  topic: "a/b",
  payload: encoder.encode("{}"),
  qos: 1,
  retain: false,
  clientId: "c",
  thing: "t",
  receivedAt: 1_767_225_600_000,
  properties: null,
};

for (const { title, hex, message } of RECORD_CASES) {
  suite(`golden bytes: ${title}`, () => {
    const bytes = recordListing(hex);

    test("are read", () => {
      assert.deepEqual(readRecord(bytes), message);
      assert.equal(recordTopic(bytes), message.topic);
    });

    test("are written", () => {
      assert.deepEqual(messageRecord(message), bytes);
    });

    test("cut off anywhere before the payload, are refused", () => {
      const { payloadStart } = recordHead(bytes);
      for (let cut = 0; cut < payloadStart; cut++) {
        assert.throws(() => readRecord(bytes.slice(0, cut)), malformed, `after ${cut} bytes`);
      }
      // Where the payload ends is the log's to know; its batches have lengths and checksums.
      assert.equal(readRecord(bytes.slice(0, payloadStart)).payload.length, 0);
    });

    test("with one bit changed, are read or refused, nothing else", () => {
      for (let bit = 0; bit < 8 * bytes.length; bit++) {
        const changed = bytes.slice();
        changed[bit >> 3]! ^= 1 << (bit & 7);
        try {
          readRecord(changed);
        } catch (error) {
          assert.ok(error instanceof RecordError, String(error));
        }
      }
    });
  });
}

const text = (maxLength: number): fc.Arbitrary<string> => fc.string({ unit: "binary", maxLength });

const message: fc.Arbitrary<Message> = fc
  .record({
    topic: fc.string({ unit: "binary", minLength: 1, maxLength: 80 }),
    payload: fc.uint8Array({ maxLength: 500 }),
    qos: fc.constantFrom<QoS>(0, 1, 2),
    retain: fc.boolean(),
    clientId: text(40),
    thing: fc.option(text(40)),
    receivedAt: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
    properties: fc.option(
      fc.record(
        {
          payloadFormat: fc.constantFrom<0 | 1>(0, 1),
          messageExpirySeconds: fc.integer({ min: 0, max: 0xffff_ffff }),
          contentType: text(20),
          responseTopic: text(40),
          correlationData: fc.uint8Array({ maxLength: 40 }),
          userProperties: fc.array(fc.tuple(text(100), text(100)), { minLength: 1, maxLength: 5 }),
        },
        { requiredKeys: [] },
      ),
    ),
  })
  .map((made) => {
    const none = made.properties === null || Object.keys(made.properties).length === 0;
    return structuredClone(none ? Object.assign(made, { properties: null }) : made);
  });

test("any message comes back as it was, from its exact number of bytes", () => {
  fc.assert(
    fc.property(message, (made) => {
      const bytes = messageRecord(made);
      assert.deepEqual(readRecord(bytes), made);
      assert.equal(recordTopic(bytes), made.topic);
    }),
    { numRuns: 1000, seed: 1 },
  );
});

suite("a received PUBLISH", () => {
  const publisher = encodePublisher({ clientId: "c", thing: "t" });

  function view(properties: readonly number[], payload: string): PublishedBytes {
    const topic = [0, 3, ...encoder.encode("a/b")];
    const buffer = Uint8Array.from([9, ...topic, ...properties, ...encoder.encode(payload), 9]);
    const topicEnd = 1 + topic.length;
    const payloadStart = topicEnd + properties.length;
    return {
      buffer,
      words: wordsOf(buffer),
      qos: 1,
      retain: false,
      packetId: 0x1234,
      topicStart: 3,
      topicEnd,
      propertiesStart: topicEnd,
      propertiesEnd: payloadStart,
      payloadStart,
      payloadEnd: buffer.length - 1,
    };
  }

  function record(published: PublishedBytes, by = publisher, identified = false): Uint8Array {
    return written(recordBytes(published, by, identified), (target, at) =>
      writeRecord(target, wordsOf(target), at, published, by, PLAIN.receivedAt, identified),
    );
  }

  test("gives the same bytes as the message that it is", () => {
    assert.deepEqual(record(view([], "{}")), messageRecord(PLAIN));
    const anonymous = encodePublisher({ clientId: "c", thing: null });
    assert.deepEqual(record(view([], "{}"), anonymous), messageRecord({ ...PLAIN, thing: null }));
  });

  test("keeps its properties, and drops topic alias and subscription identifiers", () => {
    const expiry = [0x02, 0, 0, 0, 60];
    const user = [0x26, 0, 1, 0x6b, 0, 200, ...Array<number>(200).fill(0x76)];
    const alias = [0x23, 0, 7];
    const identifiers = [0x0b, 1, 0x0b, 0xff, 0xff, 0xff, 0x7f];
    const kept = { messageExpirySeconds: 60, userProperties: [["k", "v".repeat(200)] as const] };
    for (const properties of [
      [...expiry, ...user],
      [...alias, ...expiry, ...identifiers, ...user],
      [...expiry, ...user, ...alias],
    ]) {
      assert.deepEqual(readRecord(record(view(properties, "{}"))), { ...PLAIN, properties: kept });
    }
    assert.deepEqual(readRecord(record(view(alias, "{}"))), PLAIN);
  });
});

suite("what no record can hold is refused before a byte is written", () => {
  const long = "x".repeat(65_536);
  const rows: readonly (readonly [title: string, message: Message])[] = [
    ["an empty topic", { ...PLAIN, topic: "" }],
    ["a topic above 65535 bytes", { ...PLAIN, topic: long }],
    ["a client identifier above 65535 bytes", { ...PLAIN, clientId: long }],
    ["a thing name above 65535 bytes", { ...PLAIN, thing: long }],
    ["a content type above 65535 bytes", { ...PLAIN, properties: { contentType: long } }],
    ["correlation data above 65535 bytes", { ...PLAIN, properties: { correlationData: new Uint8Array(65_536) } }],
    ["a user property above 65535 bytes", { ...PLAIN, properties: { userProperties: [["k", long]] } }],
    ["a negative message expiry", { ...PLAIN, properties: { messageExpirySeconds: -1 } }],
    ["an endless message expiry", { ...PLAIN, properties: { messageExpirySeconds: Number.NaN } }],
  ];
  for (const [title, made] of rows) test(title, () => assert.throws(() => messageRecordBytes(made), unfit));

  test("a time before 1970, or none", () => {
    const target = new Uint8Array(100);
    for (const receivedAt of [-1, Number.NaN, 2 ** 48]) {
      assert.throws(() => writeMessageRecord(target, 0, { ...PLAIN, receivedAt }), unfit);
    }
    assert.deepEqual(target, new Uint8Array(100));
  });

  test("a publisher whose name is above 65535 bytes", () => {
    assert.throws(() => encodePublisher({ clientId: long, thing: null }), unfit);
  });
});

suite("what is no record", () => {
  test("is refused: zeros, nothing, QoS 3, an empty topic, text that is not UTF-8", () => {
    for (const hex of [
      "",
      "00 00 00 00 00 00 00 00 00 00 00 00",
      "13 00 00 00 00 00 00 00 01 61 00 00 00",
      "10 00 00 00 00 00 00 00 00 00 00 00 00",
      "10 00 00 00 00 00 00 00 01 ff 00 00 00",
    ]) {
      assert.throws(() => readRecord(recordListing(hex)), malformed, hex);
    }
  });

  test("is refused: properties that no message has, or that are cut off, odd or too long", () => {
    for (const hex of [
      "03 23 00 01",
      "02 01 02",
      "02 01",
      "03 02 00 00",
      "04 03 00 02 61",
      "05 26 00 01 6b 00",
      "80 00",
      "ff ff ff ff 01",
    ]) {
      assert.throws(() => readRecord(recordListing(`10 00 00 00 00 00 00 00 01 61 00 00 ${hex}`)), malformed, hex);
    }
  });

  test("is told apart from what a newer Tidewire wrote", () => {
    const newer = recordListing("40 00 00 00 00 00 00 00 01 61 00 00 00");
    for (const read of [readRecord, recordTopic, recordHead]) {
      assert.throws(
        () => read(newer),
        (error) => error instanceof RecordError && error.kind === "newer" && /kind 4/.test(error.message),
      );
    }
  });

  test("random and randomly changed bytes are read or refused, nothing else", () => {
    const random = new SimRandom(1);
    let read = 0;
    for (let round = 0; round < 20_000; round++) {
      const golden = recordListing(random.pick(RECORD_CASES).hex);
      const bytes = random.chance(0.2) ? random.bytes(random.below(60)) : golden;
      for (let changes = random.below(4); changes > 0 && bytes.length > 0; changes--) {
        bytes[random.below(bytes.length)] = random.below(256);
      }
      try {
        readRecord(bytes);
        read++;
      } catch (error) {
        assert.ok(error instanceof RecordError, String(error));
      }
    }
    assert.ok(read > 1000 && read < 19_000, `${read} read`);
  });
});

test("the payload is a view into the record's bytes: nothing is copied", () => {
  const bytes = messageRecord(PLAIN);
  assert.equal(readRecord(bytes).payload.buffer, bytes.buffer);
});
