/** What stands behind the last batch where a disk wrote whole blocks: an end like any other, and nothing else passes for it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Scene, bytesOf, findings, numbered, readAll } from "./log.fixture.ts";
import { PADDING, PADDING_BYTES_MAX } from "./ports.ts";

const ROOMY = { segmentBytesMax: 50_000, groupBytesMax: 1_000 };

/** Ten records in one segment that was not closed, and what is put behind them. */
async function endingWith(behind: Uint8Array): Promise<{ readonly scene: Scene; readonly segment: string }> {
  const scene = new Scene(ROOMY);
  await scene.write(numbered(10));
  const segment = scene.disk.names[0]!;
  const whole = scene.disk.bytesOf(segment);
  scene.disk.put(segment, Buffer.concat([whole, behind]));
  return { scene, segment };
}

const padding = (length: number): Uint8Array => new Uint8Array(length).fill(PADDING);

for (const length of [1, 55, 56, 57, PADDING_BYTES_MAX - 1]) {
  test(`${length} bytes of padding: the next start cuts them, keeps none of them, and says nothing`, async () => {
    const { scene, segment } = await endingWith(padding(length));
    assert.deepEqual(
      (await findings(scene.disk.folder())).map(({ kind }) => kind),
      ["segment"],
      "verify",
    );
    const log = await scene.drive(scene.open());
    assert.deepEqual([scene.told("warn"), scene.told("error")], [[], []]);
    assert.deepEqual(scene.disk.names, [segment], "nothing in quarantine, no segment begun anew");
    assert.equal(log.append(bytesOf("next")), 10, "no offset is left out");
    await scene.settle(log);
    assert.deepEqual(
      (await readAll(log.readBatches(0))).map(([, record]) => record),
      [...numbered(10), "next"],
    );
    await scene.drive(log.close());
  });
}

test("a segment that kept its padding ends where its batches end, with another one behind it", async () => {
  const scene = new Scene();
  await scene.write(numbered(30));
  const [first] = scene.disk.names;
  scene.disk.put(first!, Buffer.concat([scene.disk.bytesOf(first!), padding(300)]));
  const log = await scene.drive(scene.open());
  assert.equal((await readAll(log.readBatches(0))).length, 30);
  assert.deepEqual([scene.told("warn"), scene.told("error")], [[], []]);
  await scene.drive(log.close());
});

for (const [what, behind] of [
  ["zeros, as lost blocks read", new Uint8Array(400)],
  ["padding with one bit flipped", padding(400).with(200, PADDING ^ 4)],
  ["more padding than a block", padding(PADDING_BYTES_MAX)],
  ["padding with something behind it", Uint8Array.of(...padding(100), 7)],
] as const) {
  test(`not an end: ${what}`, async () => {
    const { scene } = await endingWith(behind);
    const found = (await findings(scene.disk.folder())).map(({ kind }) => kind);
    assert.deepEqual(found, ["unfinished end", "segment"]);
    const log = await scene.drive(scene.open());
    assert.equal(scene.told("warn").length, 2, "what was cut, and that offsets were left out");
    assert.ok(scene.disk.names.some((name) => name.startsWith("quarantine/")));
    assert.equal((await readAll(log.readBatches(0))).length, 10);
    await scene.drive(log.close());
  });
}
