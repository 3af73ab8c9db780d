/** What a damaged byte, or a missing end, costs: exactly the batch that it is in, and never in silence. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BATCH_HEADER_BYTES, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES } from "./format.ts";
import { Scene, bytesOf, findings, numbered, readAll } from "./log.fixture.ts";

const RECORDS = numbered(4);
const BATCH_BYTES = BATCH_HEADER_BYTES + RECORD_HEADER_BYTES + RECORDS[0]!.length;
const SIZE = SEGMENT_HEADER_BYTES + RECORDS.length * BATCH_BYTES;
const FIRST = "00000000000000000000.seg";

/** One segment with a batch per record. */
async function written(): Promise<Scene> {
  const scene = new Scene({ segmentBytesMax: 10_000 });
  await scene.write(RECORDS);
  assert.deepEqual(scene.disk.names, [FIRST]);
  assert.equal(scene.disk.bytesOf(FIRST).length, SIZE);
  return scene;
}

const pairs = (offsets: readonly number[]): readonly (readonly [number, string])[] =>
  offsets.map((offset) => [offset, RECORDS[offset]!]);

test("a bit flipped at any byte costs the batch that it is in, and nothing else", async () => {
  for (let at = 0; at < SIZE; at++) {
    const scene = await written();
    scene.disk.bytesOf(FIRST)[at]! ^= 1 << (at % 8);
    const hit = at < SEGMENT_HEADER_BYTES ? -1 : Math.floor((at - SEGMENT_HEADER_BYTES) / BATCH_BYTES);
    const kept = pairs([0, 1, 2, 3].filter((offset) => offset !== hit));

    const log = await scene.drive(scene.open());
    assert.deepEqual(await readAll(log.readBatches(0)), kept, `byte ${at}`);
    const consumed: number[] = [];
    const consumer = log.consume(0, (batch) => batch.forEach((offset) => consumed.push(offset)));
    while (consumer.position < log.durable) await scene.clock.run(1);
    assert.deepEqual(
      consumed,
      kept.map(([offset]) => offset),
    );
    for (const offset of [0, 1, 2, 3]) assert.equal((await log.read(offset)) === null, offset === hit, `byte ${at}`);
    assert.ok(scene.told("error").length + scene.told("warn").length > 0, `byte ${at}: it is told`);
    assert.ok(log.next >= RECORDS.length, "no offset comes again");
    assert.equal(log.next === RECORDS.length, hit !== 3 || at >= SEGMENT_HEADER_BYTES + 3 * BATCH_BYTES + 56);

    // The log goes on, and the next start finds the same and what came after.
    const more = log.append(bytesOf("more"));
    await scene.settle(log);
    await scene.drive(log.close());
    const again = await scene.drive(scene.open());
    assert.deepEqual(await readAll(again.readBatches(0)), [...kept, [more, "more"]], `byte ${at}, second start`);
  }
});

test("damage in the middle is a gap that reader, metric and verify tell", async () => {
  const scene = await written();
  const position = SEGMENT_HEADER_BYTES + BATCH_BYTES;
  scene.disk.bytesOf(FIRST)[position + BATCH_HEADER_BYTES + 6]! ^= 0x10;
  const reader = await scene.reader();
  assert.deepEqual(await readAll(reader.readBatches(0, 4)), pairs([0, 2, 3]));
  const gap = scene.logger.lines.find((line) => line.message === "a part of the log cannot be read and was skipped");
  assert.deepEqual(gap?.fields, {
    segment: FIRST,
    reason: "records damaged",
    position,
    bytes: BATCH_BYTES,
    fromOffset: 1,
    belowOffset: 2,
  });
  assert.equal(scene.metrics.value("tidewire_log_gaps_total"), 1);
  assert.equal(scene.metrics.value("tidewire_log_gap_offsets_total"), 1);
  const [damage, segment] = await findings(scene.disk.folder());
  assert.deepEqual(damage, {
    kind: "damage",
    segment: FIRST,
    reason: "records damaged",
    position,
    bytes: BATCH_BYTES,
    from: 1,
    below: 2,
  });
  assert.equal(segment?.kind === "segment" && segment.records, 3);
  assert.deepEqual(await readAll(reader.readBatches(2, 4)), pairs([2, 3]), "who begins behind it is told nothing");
  assert.equal(scene.metrics.value("tidewire_log_gaps_total"), 1);
});

test("a file cut short at any length keeps its whole batches; the rest is put aside before it is cut off", async () => {
  for (let length = 0; length < SIZE; length++) {
    const scene = await written();
    const bytes = scene.disk.bytesOf(FIRST).slice(0, length);
    scene.disk.put(FIRST, bytes);
    const whole = Math.max(0, Math.floor((length - SEGMENT_HEADER_BYTES) / BATCH_BYTES));
    const kept = pairs([0, 1, 2, 3].slice(0, whole));
    const left = length < SEGMENT_HEADER_BYTES ? 0 : length - SEGMENT_HEADER_BYTES - whole * BATCH_BYTES;

    const log = await scene.drive(scene.open());
    assert.deepEqual(await readAll(log.readBatches(0)), kept, `length ${length}`);
    const cut = scene.disk.names.filter((name) => name.startsWith("quarantine/"));
    assert.equal(cut.length, left > 0 ? 1 : 0, `length ${length}`);
    if (left > 0) {
      const aside = scene.disk.bytesOf(cut[0]!);
      assert.deepEqual(aside, cut[0]!.endsWith(".cut") ? bytes.slice(-left) : bytes, `length ${length}`);
      assert.ok(scene.metrics.value("tidewire_log_cut_bytes_total") >= left);
      assert.ok(scene.told("warn").length + scene.told("error").length > 0, "it is told");
    }
    const more = log.append(bytesOf("more"));
    assert.ok(more >= whole);
    await scene.settle(log);
    await scene.drive(log.close());
    const again = await scene.drive(scene.open());
    assert.deepEqual(await readAll(again.readBatches(0)), [...kept, [more, "more"]], `length ${length}, second start`);
    assert.deepEqual(
      (await findings(scene.disk.folder())).filter((found) => found.kind === "damage"),
      [],
    );
  }
});

test("a batch that a device sends as payload is never taken for one of the log's", async () => {
  // A foreign batch, whole and with a plausible offset, in a record; the header in front of it is then damaged.
  const other = new Scene({ segmentBytesMax: 10_000, batchBytesMax: 1_000, recordBytesMax: 500 });
  other.random.next(); // another log, so another identity
  await other.write(["", "", "", "", "", "", "forged"]);
  const foreign = other.disk.bytesOf(FIRST).slice(-(BATCH_HEADER_BYTES + RECORD_HEADER_BYTES + 6));

  const scene = new Scene({ segmentBytesMax: 10_000, batchBytesMax: 1_000, recordBytesMax: 500 });
  const log = await scene.drive(scene.open());
  for (const record of [bytesOf("first"), foreign, bytesOf("last")]) {
    log.append(record);
    await scene.settle(log);
  }
  await scene.drive(log.close());
  const second = SEGMENT_HEADER_BYTES + BATCH_HEADER_BYTES + RECORD_HEADER_BYTES + "first".length;
  scene.disk.bytesOf(FIRST)[second + 20]! ^= 1;
  const again = await scene.drive(scene.open());
  assert.deepEqual(await readAll(again.readBatches(0)), [
    [0, "first"],
    [2, "last"],
  ]);
});
