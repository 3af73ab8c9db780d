import assert from "node:assert/strict";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, test } from "node:test";
import { SimLogger, SimMetrics, SimRandom } from "../../../sim/world.ts";
import { fileCrc32, openLogDirectory } from "../../adapters/files/mod.ts";
import { systemScheduler } from "../../adapters/system.ts";
import { LIMITS, days, hours, topicMatches } from "../../base/mod.ts";
import type { Message } from "../../base/mod.ts";
import { Log, LogReader } from "../../log/mod.ts";
import { messageRecordBytes, writeMessageRecord } from "../../wire/record/mod.ts";
import { ArchiveWorld, START, event } from "../store/archive.fixture.ts";
import { PastMessages } from "./past-messages.ts";
import type { PastWanted } from "./past-messages.ts";

/** A data folder with a log and the archive of it. */
class Past {
  static readonly all: Past[] = [];
  readonly world: ArchiveWorld;
  readonly log: Log;

  private constructor(world: ArchiveWorld, log: Log) {
    this.world = world;
    this.log = log;
    Past.all.push(this);
  }

  static async make(): Promise<Past> {
    const world = await ArchiveWorld.make();
    const directory = await openLogDirectory(join(world.root, "log"));
    const ports = { directory, crc32: fileCrc32, logger: new SimLogger(), metrics: new SimMetrics() };
    const more = { clock: world.clock, scheduler: systemScheduler, random: new SimRandom(1), limits: LIMITS.log };
    const log = await Log.open({ ...ports, ...more });
    world.log.id = (await (await LogReader.open(ports)).identity())!;
    await world.open();
    return new Past(world, log);
  }

  async publish(messages: readonly Message[]): Promise<void> {
    for (const message of messages) {
      const bytes = new Uint8Array(messageRecordBytes(message));
      writeMessageRecord(bytes, 0, message);
      this.log.append(bytes);
      this.world.log.append(message);
    }
    await this.log.flush();
  }

  async read(more: Partial<PastWanted> = {}) {
    const wanted = { from: 0, to: START + days(30), filters: ["#"], wants: () => true, thing: null, ...more };
    const past = await PastMessages.open(this.world.root, wanted);
    const seen: [offset: number, topic: string, payload: string][] = [];
    await past.each(
      (offset, { topic, payload }) => seen.push([offset, topic, Buffer.from(payload).toString()]),
      () => true,
    );
    return { seen, offsets: seen.map(([offset]) => offset), counts: past.counts, notes: past.notes };
  }

  async end(): Promise<void> {
    await this.log.close();
    await this.world.end();
  }
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
    const fromLog = await past.read();
    assert.deepEqual(fromLog.offsets, range(0, 300));
    await past.world.flush();
    await past.publish(events(300, 500));
    const both = await past.read();
    assert.deepEqual(both.offsets, range(0, 500));
    assert.deepEqual(both.counts, { log: 200, archive: 300, forgotten: 0, unreadable: 0 });
    assert.deepEqual(both.seen.slice(0, 300), fromLog.seen);
  });

  test("those of two days that share a range of offsets are put in order again", async () => {
    const past = await Past.make();
    await past.publish(events(0, 400, (n) => ({ receivedAt: START + (n % 3 === 0 ? days(1) : 0) + n })));
    await past.world.flush();
    assert.ok(past.world.archive.progress().files >= 2);
    const { offsets, counts } = await past.read();
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
    const { offsets, counts } = await past.read({
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
      (await past.read({ thing: "press-2" })).offsets,
      range(0, 600).filter((n) => n % 3 === 2),
    );
  });

  test("where neither has them, it is said", async () => {
    const past = await Past.make();
    await past.publish(events(0, 300));
    await past.world.flush();
    await past.world.close();
    await past.publish(events(300, 310));
    const { notes } = await past.read({ from: START - hours(24) });
    assert.match(notes.join(), /The archive begins on 2026-11-22T10:00Z/);
    await rename(join(past.world.folder, "manifest.json"), join(past.world.folder, "manifest.previous.json"));
    await rm(past.world.folder, { recursive: true });
    const fromLog = await past.read();
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
    assert.equal((await past.read()).offsets.length, 5_000);
  });
});
