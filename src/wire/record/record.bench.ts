/** How fast records are written and read. `node src/wire/record/record.bench.ts [rounds]`; medians, one core. */
import { wordsOf } from "../../base/mod.ts";
import type { PublishedBytes } from "./write.ts";
import { encodePublisher, recordBytes, writeRecord } from "./write.ts";
import { readRecord, recordTopic } from "./read.ts";

const ROUNDS = Number(process.argv[2] ?? 5);
const ROUND_MS = 500;
const RECORDS = 1000;

const encoder = new TextEncoder();
const topic = encoder.encode("\0\x18telemetry/pump-17/system");
const publisher = encodePublisher({ clientId: "pump-17", thing: "pump-17" });
const stamp = encoder.encode("\x26\0\x09tw-outbox\0\x08f3a1c9d2\x26\0\x06tw-seq\0\x06123456");

function view(properties: Uint8Array, payloadBytes: number): PublishedBytes {
  const buffer = new Uint8Array(topic.length + properties.length + payloadBytes).fill(0x61);
  buffer.set(topic);
  buffer.set(properties, topic.length);
  const propertiesEnd = topic.length + properties.length;
  return {
    buffer,
    words: wordsOf(buffer),
    qos: 1,
    retain: false,
    packetId: 1,
    topicStart: 2,
    topicEnd: topic.length,
    propertiesStart: topic.length,
    propertiesEnd,
    payloadStart: propertiesEnd,
    payloadEnd: buffer.length,
  };
}

function rate(turn: () => number): number {
  const start = performance.now();
  let done = 0;
  let spent: number;
  do {
    done += turn();
    spent = performance.now() - start;
  } while (spent < ROUND_MS);
  return done / spent / 1000;
}

function report(title: string, turn: () => number): void {
  const rates = Array.from({ length: ROUNDS + 1 }, () => rate(turn)).slice(1);
  const median = rates.toSorted((a, b) => a - b)[Math.floor(rates.length / 2)]!;
  process.stdout.write(`${title.padEnd(44)} ${median.toFixed(2).padStart(6)}\n`);
}

process.stdout.write("100-byte payloads; million records a second\n");
for (const [name, properties] of [
  ["", new Uint8Array(0)],
  [", stamped", stamp],
] as const) {
  const published = view(properties, 100);
  const length = recordBytes(published, publisher, false);
  const batch = new Uint8Array(RECORDS * length);
  const words = wordsOf(batch);
  report(`write${name}`, () => {
    let at = 0;
    for (let i = 0; i < RECORDS; i++) {
      if (at + recordBytes(published, publisher, false) > batch.length) throw new Error("the batch is full");
      at = writeRecord(batch, words, at, published, publisher, 1_767_225_600_000 + i, false);
    }
    return RECORDS;
  });
  const records = Array.from({ length: RECORDS }, (_, i) => batch.subarray(i * length, (i + 1) * length));
  let bytes = 0;
  report(`read${name}`, () => {
    for (const record of records) bytes += readRecord(record).payload.length;
    return RECORDS;
  });
  report(`read the topic${name}`, () => {
    for (const record of records) bytes += recordTopic(record).length;
    return RECORDS;
  });
}
