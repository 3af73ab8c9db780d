import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { days, minutes } from "../../base/mod.ts";
import { drain } from "../../../sim/world.ts";
import { ArchiveWorld, START, event } from "./archive.fixture.ts";

let world: ArchiveWorld;
beforeEach(async () => {
  world = await ArchiveWorld.make();
});
afterEach(() => world.end());

function upTo(count: number, from = 0): readonly number[] {
  return Array.from({ length: count - from }, (_, n) => from + n);
}

/** Parquet files in the archive's folder, without what is in quarantine. */
function filesThere(): readonly string[] {
  return readdirSync(world.folder, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith(".parquet") && !name.startsWith("quarantine"))
    .sort();
}

async function flipBit(name: string, at = 100): Promise<void> {
  const path = join(world.folder, name);
  const bytes = await readFile(path);
  bytes[at]! ^= 1;
  await writeFile(path, bytes);
}

describe("from the log into files", () => {
  test("every message is in a file, once and in order, in the folder of its day", async () => {
    world.log.fill(1000);
    world.log.fill(500, { receivedAt: START + days(1) });
    await world.open();
    await world.flush();
    assert.deepEqual(await world.offsets(), upTo(1500));
    assert.deepEqual(filesThere(), ["day=2026-11-22/0-1500.parquet", "day=2026-11-23/0-1500.parquet"]);
    const { offset, rows, days: held, problem } = world.archive.progress();
    assert.deepEqual(
      { offset, rows, held, problem },
      { offset: 1500, rows: 1500, held: ["2026-11-22", "2026-11-23"], problem: null },
    );
  });

  test("all that a message is can be read back", async () => {
    const text = new TextEncoder();
    const binary = Uint8Array.of(0xff, 0x00, 0x80);
    world.log.append(
      event(1, { topic: "a/ä", thing: null, clientId: "c-1", payload: text.encode("grün"), qos: 2, retain: true }),
    );
    world.log.append(event(2, { payload: binary }));
    world.log.append(event(3, { payload: text.encode("ends\0here") }));
    world.log.append(event(4, { payload: new Uint8Array(0) }));
    world.log.append(
      event(5, {
        properties: {
          payloadFormat: 1,
          messageExpirySeconds: 4_294_967_295,
          contentType: "application/json",
          responseTopic: "answers/5",
          correlationData: binary,
          userProperties: [
            ["tw-outbox", "o1"],
            ["colour", "red"],
            ["tw-seq", "999999999999999"],
            ["colour", 'blue "quoted" \\ ☃'],
          ],
        },
      }),
    );
    world.log.append(event(6, { properties: { userProperties: [["tw-seq", "not a number"]] } }));
    await world.open();
    await world.flush();
    const basic = await world.rows(
      'topic, thing, client, qos, retain, text, payload::VARCHAR, epoch_ms("time")::DOUBLE',
    );
    assert.deepEqual(basic.slice(0, 4), [
      ["a/ä", null, "c-1", 2, true, "grün", null, START + 1],
      ["line/2/press", "press-2", "client-2", 1, false, null, "\\xFF\\x00\\x80", START + 2],
      ["line/0/press", null, "client-0", 1, false, null, "ends\\x00here", START + 3],
      ["line/1/press", "press-1", "client-1", 1, false, "", null, START + 4],
    ]);
    const rest = await world.rows(
      "content_type, response_topic, correlation::VARCHAR, user_properties::VARCHAR, payload_format, expires_after::DOUBLE, outbox, sequence::DOUBLE",
    );
    assert.deepEqual(rest[0], [null, null, null, null, null, null, null, null]);
    assert.deepEqual(rest[4]!.toSpliced(3, 1), [
      "application/json",
      "answers/5",
      "\\xFF\\x00\\x80",
      1,
      4_294_967_295,
      "o1",
      999_999_999_999_999,
    ]);
    const pairs = await world.rows(
      "user_properties[1].name, user_properties[1].value, user_properties[2].value, len(user_properties)::INTEGER",
    );
    assert.deepEqual(pairs[4], ["colour", "red", 'blue "quoted" \\ ☃', 2]);
    assert.deepEqual(pairs[5], ["tw-seq", "not a number", null, 1]);
  });

  test("a step takes no more than its rows, bytes and days; the next goes on where it ended", async () => {
    for (let n = 0; n < 40; n++) world.log.fill(50, { receivedAt: START + days(n) });
    await world.open({ limits: { stepRowsMax: 300, stepDaysMax: 4 } });
    await world.flush();
    assert.deepEqual(
      (await world.offsets()).toSorted((a, b) => a - b),
      upTo(2000),
    );
    assert.ok(world.archive.progress().counters.steps >= 12);
    await world.open({ limits: { stepBytesMax: 5_000 } });
    world.log.fill(1000);
    await world.flush();
    assert.equal(world.archive.progress().rows, 3000);
  });

  test("a step is taken when there is enough for one, or after the period; not for every message", async () => {
    await world.open({ limits: { stepRowsMax: 100 }, settings: { every: minutes(15) } });
    world.log.fill(99);
    world.archive.durable(world.log.durable);
    assert.equal(world.archive.progress().offset, null);
    world.log.fill(1);
    world.archive.durable(world.log.durable);
    while (world.archive.progress().offset !== 100) await drain();
    assert.equal(world.archive.progress().counters.steps, 1);
  });

  test("records that the log has lost are counted and passed over; those that it cannot read are left out", async () => {
    world.log.fill(10);
    world.log.records[3] = null;
    world.log.records[4] = null;
    world.log.records[7] = Uint8Array.of(0x1f, 1, 2, 3, 4, 5, 6, 0, 1, 65);
    await world.open();
    await world.flush();
    assert.deepEqual(await world.offsets(), [0, 1, 2, 5, 6, 8, 9]);
    const { counters, offset } = world.archive.progress();
    assert.deepEqual([offset, counters.gapRecords, counters.unreadable], [10, 2, 1]);
  });

  test("a log that begins anew is archived beside the old one, none of which is lost", async () => {
    world.log.fill(100);
    await world.open();
    await world.flush();
    world.log.records = [];
    world.log.id = "log-2";
    world.log.fill(30);
    await world.open();
    await world.flush();
    assert.deepEqual(filesThere(), ["day=2026-11-22/0-100.parquet", "day=2026-11-22/log2-0-30.parquet"]);
    assert.equal(world.archive.progress().rows, 130);
    assert.equal(world.archive.progress().offset, 30);
    world.log.fill(5);
    await world.open();
    await world.flush();
    assert.equal(world.archive.progress().rows, 135);
  });

  test("a log that was there before the archive is archived from its oldest record", async () => {
    world.log.fill(100);
    world.log.from = 40;
    await world.open();
    await world.flush();
    assert.deepEqual(await world.offsets(), upTo(100, 40));
    assert.equal(world.archive.progress().counters.gapRecords, 0);
  });

  test("nearly full, the disk is left to the log: the archive waits, says so, and goes on when there is room", async () => {
    let free = 100;
    await world.open({
      limits: { diskFreeBytesMin: 1_000, retryDelayMin: 5 },
      folder: (real) => ({ ...real, freeBytes: async () => free }),
    });
    world.log.fill(10);
    await world.flush();
    assert.equal(world.archive.progress().offset, null);
    assert.match(world.archive.progress().problem ?? "", /leaves them to the log/);
    free = 10_000;
    world.clock.advance(minutes(10));
    await world.flush();
    assert.deepEqual([world.archive.progress().offset, world.archive.progress().problem], [10, null]);
  });
});

describe("merging", () => {
  test("small files of a day become one, and the same messages are in it", async () => {
    await world.open({ limits: { mergeFilesMin: 4 } });
    for (let n = 0; n < 9; n++) {
      world.log.fill(20);
      await world.flush();
    }
    await world.archive.tidy();
    assert.ok(filesThere().length < 4, filesThere().join());
    assert.deepEqual(await world.offsets(), upTo(180));
    assert.ok(world.archive.progress().counters.merges >= 1);
    world.clock.advance(days(2));
    await world.archive.tidy();
    assert.deepEqual(filesThere(), ["day=2026-11-22/0-180.parquet"]);
    assert.deepEqual(await world.offsets(), upTo(180));
  });

  test("a file that is being read stays until it is released", async () => {
    await world.open({ limits: { mergeFilesMin: 2 } });
    world.log.fill(20);
    await world.flush();
    const files = await world.archive.eventFiles(0, Number.MAX_SAFE_INTEGER);
    world.log.fill(20);
    await world.flush();
    await world.archive.tidy();
    assert.ok(existsSync(files.paths[0]!));
    assert.deepEqual(await world.offsets(), upTo(40));
    files.release();
    await world.archive.tidy();
    assert.equal(existsSync(files.paths[0]!), false);
  });

  test("a damaged file is not mixed into others", async () => {
    await world.open({ limits: { mergeFilesMin: 3 } });
    for (let n = 0; n < 2; n++) {
      world.log.fill(20);
      await world.flush();
    }
    await world.open({ limits: { mergeFilesMin: 3 } }); // what this process wrote itself it would not read again
    await flipBit("day=2026-11-22/0-20.parquet");
    world.log.fill(20);
    await world.flush();
    await world.archive.tidy();
    await world.archive.tidy();
    assert.deepEqual(await world.offsets(), upTo(60, 20));
    assert.equal(world.archive.progress().damagedFiles, 1);
  });
});

describe("damage", () => {
  const harm: Readonly<Record<string, (name: string) => Promise<void>>> = {
    "a flipped bit": (name) => flipBit(name),
    "a missing end": (name) => truncate(join(world.folder, name), 200),
    "a missing file": (name) => rm(join(world.folder, name)),
  };
  for (const [what, damage] of Object.entries(harm)) {
    test(`${what} is found before the file is used: it is named as missing, never served`, async () => {
      await world.open();
      world.log.fill(20);
      await world.flush();
      world.log.fill(20);
      await world.flush();
      await world.open();
      await damage("day=2026-11-22/0-20.parquet");
      const files = await world.archive.eventFiles(0, Number.MAX_SAFE_INTEGER);
      assert.deepEqual(
        files.missing.map(({ file, rows }) => [file, rows]),
        [["day=2026-11-22/0-20.parquet", 20]],
      );
      files.release();
      assert.deepEqual(await world.offsets(), upTo(40, 20));
      assert.match(world.archive.progress().problem ?? "", /1 of its files is damaged/);
      await world.open();
      assert.deepEqual(await world.offsets(), upTo(40, 20)); // it is remembered
    });
  }

  test("the daily check finds it too, and puts the file aside", async () => {
    await world.open();
    world.log.fill(20);
    await world.flush();
    await flipBit("day=2026-11-22/0-20.parquet");
    await world.archive.scrub();
    assert.equal(world.archive.progress().damagedFiles, 1);
    assert.deepEqual(readdirSync(join(world.folder, "quarantine")), ["day=2026-11-22_0-20.parquet"]);
    assert.notEqual(world.archive.progress().scrubbedAt, null);
  });

  test("a lost catalog is made anew from the files, and nothing that the log has lost is lost with it", async () => {
    await world.open();
    for (let n = 0; n < 3; n++) {
      world.log.fill(20);
      await world.flush();
    }
    await world.close();
    await rm(join(world.folder, "manifest.json"));
    await rm(join(world.folder, "manifest.json.previous"));
    world.log.from = 30; // the log has let go of the first file, and of half of the second
    await world.open();
    await world.flush();
    assert.deepEqual(await world.offsets(), upTo(60));
    assert.equal(world.archive.progress().offset, 60);
  });

  test("a catalog that is older than the files goes on from them", async () => {
    await world.open({ limits: { mergeFilesMin: 3 } });
    for (let n = 0; n < 3; n++) {
      world.log.fill(20);
      await world.flush();
    }
    await world.archive.tidy();
    world.log.fill(20);
    await world.flush();
    await world.close();
    world.log.from = 80;
    await writeFile(join(world.folder, "manifest.json"), "damaged");
    await world.open();
    await world.flush();
    assert.deepEqual(await world.offsets(), upTo(80));
  });

  test("what is not ours is left alone", async () => {
    await world.open();
    world.log.fill(20);
    await world.flush();
    const foreign = join(world.folder, "day=2026-11-22", "notes.txt");
    await writeFile(foreign, "mine");
    await world.open();
    await world.archive.tidy();
    assert.ok(existsSync(foreign));
    assert.ok(world.logger.lines.some(({ message }) => message.includes("not ours")));
  });
});

describe("retention", () => {
  async function fillDays(count: number): Promise<void> {
    for (let n = 0; n < count; n++) {
      world.log.fill(20, { receivedAt: START + days(n) });
      await world.flush();
    }
    world.clock.advance(START + days(count) - world.clock.now());
  }

  test("days that are older than they are kept go; the others stay", async () => {
    await world.open({ settings: { keep: days(3) } });
    await fillDays(6);
    await world.archive.tidy();
    assert.deepEqual(world.archive.progress().days, ["2026-11-25", "2026-11-27"]);
    assert.deepEqual(await world.offsets(), upTo(120, 60));
    assert.equal(filesThere().length, 3);
  });

  test("a clock that jumps ten years ahead empties nothing, until it has gone on for a day", async () => {
    await world.open({ settings: { keep: days(3) } });
    await fillDays(2);
    world.clock.jump(days(3650));
    await world.archive.tidy();
    assert.equal(world.archive.progress().rows, 40);
    world.clock.jump(-1 * days(3650));
    await world.archive.tidy();
    assert.equal(world.archive.progress().rows, 40);
    world.clock.jump(days(3650));
    await world.archive.tidy();
    await world.open({ settings: { keep: days(3) } }); // a restart is no proof
    await world.archive.tidy();
    assert.equal(world.archive.progress().rows, 40);
    world.clock.advance(days(1) + 1);
    await world.archive.tidy();
    assert.equal(world.archive.progress().rows, 20); // the newest day stays whatever the clock says
  });

  test("above its size the oldest goes, and it is said", async () => {
    await world.open();
    await fillDays(5);
    const { warmBytes } = world.archive.progress();
    await world.open({ settings: { bytesMax: Math.floor((warmBytes * 3) / 5) } });
    await world.archive.tidy();
    assert.deepEqual(await world.offsets(), upTo(100, 40));
    assert.ok(world.logger.lines.some(({ message }) => message.includes("larger than it may be")));
  });
});
