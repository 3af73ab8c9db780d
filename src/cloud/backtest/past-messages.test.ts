import assert from "node:assert/strict";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, test } from "node:test";
import { days, hours, topicMatches } from "../../base/mod.ts";
import type { Message } from "../../base/mod.ts";
import { START, event } from "../store/archive.fixture.ts";
import { Past } from "./past.fixture.ts";
import { PastMessages } from "./past-messages.ts";
import type { PastWanted } from "./past-messages.ts";

async function read(past: Past, more: Partial<PastWanted> = {}) {
  const wanted = { from: 0, to: START + days(30), filters: ["#"], wants: () => true, thing: null, ...more };
  const messages = await PastMessages.open(past.world.root, wanted);
  const seen: [offset: number, topic: string, payload: string][] = [];
  await messages.each(
    (offset, { topic, payload }) => seen.push([offset, topic, Buffer.from(payload).toString()]),
    () => true,
  );
  return { seen, offsets: seen.map(([offset]) => offset), counts: messages.counts, notes: messages.notes };
}

const range = (from: number, below: number): number[] => Array.from({ length: below - from }, (_, i) => from + i);
const events = (from: number, below: number, more: (n: number) => Partial<Message> = () => ({})): Message[] =>
  range(from, below).map((n) => event(n, more(n)));

afterEach(async () => {
  for (const past of Past.all.splice(0)) await past.end();
});

describe("messages that were", () => {
  test("come once and in order over the seam of archive and log, as they were published", async () => {
    const past = await Past.make();
    await past.publish(events(0, 300));
    const fromLog = await read(past);
    assert.deepEqual(fromLog.offsets, range(0, 300));
    await past.world.flush();
    await past.publish(events(300, 500));
    const both = await read(past);
    assert.deepEqual(both.offsets, range(0, 500));
    assert.deepEqual(both.counts, { log: 200, archive: 300, forgotten: 0, unreadable: 0 });
    assert.deepEqual(both.seen.slice(0, 300), fromLog.seen);
  });

  test("those of two days that share a range of offsets are put in order again", async () => {
    const past = await Past.make();
    await past.publish(events(0, 400, (n) => ({ receivedAt: START + (n % 3 === 0 ? days(1) : 0) + n })));
    await past.world.flush();
    assert.ok(past.world.archive.progress().files >= 2);
    const { offsets, counts } = await read(past);
    assert.deepEqual(offsets, range(0, 400));
    assert.equal(counts.archive, 400);
  });

  test("of other topics do not leave the archive; of other times and things neither come from there nor from the log", async () => {
    const past = await Past.make();
    const now = past.world.clock.now();
    const received = (n: number): Partial<Message> => ({ receivedAt: now - 1_000 + n });
    await past.publish(events(0, 300, received));
    await past.world.flush();
    await past.publish(events(300, 600, received));
    const filter = "line/1/#";
    const { offsets, counts } = await read(past, {
      filters: [filter],
      wants: (topic) => topicMatches(filter, topic),
      from: now - 900,
      to: now - 500,
    });
    assert.deepEqual(
      offsets,
      range(100, 500).filter((n) => n % 3 === 1),
    );
    assert.equal(counts.archive, 67);
    assert.deepEqual(
      (await read(past, { thing: "press-2" })).offsets,
      range(0, 600).filter((n) => n % 3 === 2),
    );
  });

  test("where neither has them, it is said", async () => {
    const past = await Past.make();
    await past.publish(events(0, 300));
    await past.world.flush();
    await past.world.close();
    await past.publish(events(300, 310));
    const { notes } = await read(past, { from: START - hours(24) });
    assert.match(notes.join(), /The archive begins on 2026-11-22T10:00Z/);
    await rename(join(past.world.folder, "manifest.json"), join(past.world.folder, "manifest.previous.json"));
    await rm(past.world.folder, { recursive: true });
    const fromLog = await read(past);
    assert.deepEqual(fromLog.offsets, range(0, 310));
    assert.deepEqual(fromLog.notes, []);
  });

  test("who stops gets no more, and nothing is left behind", async () => {
    const past = await Past.make();
    await past.publish(events(0, 5_000));
    await past.world.flush();
    const wanted = { from: 0, to: START + days(1), filters: ["#"], wants: () => true, thing: null };
    const stopped = await PastMessages.open(past.world.root, wanted);
    let seen = 0;
    assert.equal(
      await stopped.each(
        () => seen++,
        () => false,
      ),
      "stopped",
    );
    assert.ok(seen > 0 && seen < 5_000, `${seen}`);
    assert.equal((await read(past)).offsets.length, 5_000);
  });
});
