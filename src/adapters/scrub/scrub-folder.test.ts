import assert from "node:assert/strict";
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { SimClock, SimLogger, SimMetrics, SimRandom } from "../../../sim/world.ts";
import { LIMITS, seconds } from "../../base/mod.ts";
import { Log } from "../../log/mod.ts";
import { ManifestFile, fileCrc32, openLogDirectory } from "../files/mod.ts";
import { openSecrets } from "../secrets/mod.ts";
import { readWal } from "../sqlite/wal-file.ts";
import { closeDatabase, openDatabase, transaction } from "../sqlite/open.ts";
import { systemClock, systemScheduler } from "../system.ts";
import { PoliteReading } from "./pace.ts";
import { scrubFolder } from "./scrub-folder.ts";
import type { ScrubReport } from "./scrub-folder.ts";

const PAGE = 4096;
const MIGRATIONS = ["CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT)"];
let data = "";
beforeEach(() => (data = mkdtempSync(join(tmpdir(), "tidewire-scrub-"))));
afterEach(() => rmSync(data, { recursive: true, force: true }));

const at = (name: string): string => join(data, name);

function scrub(): Promise<ScrubReport> {
  return scrubFolder({
    data,
    bytesPerSecondMax: null,
    clock: systemClock,
    scheduler: systemScheduler,
    limits: { ...LIMITS.scrub, secondLookAfter: 1 },
  });
}

/** In place, as a disk does it: nobody's handle or time stamp changes. */
function flip(name: string, position: number): void {
  const byte = readFileSync(at(name))[position]!;
  const file = openSync(at(name), "r+");
  writeSync(file, Buffer.of(byte ^ 4), 0, 1, position);
  closeSync(file);
}

type Database = ReturnType<typeof openDatabase>;

function open(name: string, sizes?: { checkpoint: number; appendedMax: number }): Database {
  const options = { path: at(name), name, migrations: MIGRATIONS, durability: "normal" } as const;
  return openDatabase({ ...options, ...(sizes === undefined ? {} : { sizes }) });
}

function fill(database: Database, from: number, count: number): void {
  const insert = database.prepare("INSERT OR REPLACE INTO rows VALUES (?, ?)");
  transaction(database, () => {
    for (let n = from; n < from + count; n++) insert.run(n, `row ${n} ${"x".repeat(200)}`);
  });
}

describe("databases", () => {
  test("a flipped bit in any page of a database that is in use is found, with its page", async () => {
    const database = open("registry.db");
    fill(database, 0, 300);
    closeDatabase(database);
    const again = open("registry.db");
    const pages = readFileSync(at("registry.db")).length / PAGE;
    assert.ok(pages > 10);
    assert.deepEqual((await scrub()).findings, []);
    for (const page of [1, 5, pages]) {
      flip("registry.db", (page - 1) * PAGE + 1234);
      const { findings, unverified } = await scrub();
      assert.deepEqual(
        findings.map(({ file, place }) => [file, place]),
        [["registry.db", `page ${page}`]],
      );
      assert.match(findings[0]!.fix, /tidewire restore/);
      assert.deepEqual(unverified, []);
      flip("registry.db", (page - 1) * PAGE + 1234);
    }
    assert.deepEqual((await scrub()).findings, []);
    closeDatabase(again);
  });

  test("while it is written to and checkpoints run, nothing is found that is not there", async () => {
    const sizes = { checkpoint: 64 * 1024, appendedMax: 4 * 1024 };
    const database = open("broker.db", sizes);
    const over = new AbortController();
    const writer = (async () => {
      for (let n = 0; !over.signal.aborted; n = (n + 37) % 5_000) {
        fill(database, n, 50);
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    for (let round = 0; round < 40; round++) assert.deepEqual((await scrub()).findings, [], `round ${round}`);
    over.abort();
    await writer;
    closeDatabase(database);
  });

  test("a page that the write-ahead log holds is not looked at in the file: the next checkpoint writes it", async () => {
    const database = open("rules.db");
    fill(database, 0, 50);
    closeDatabase(database);
    const again = open("rules.db");
    fill(again, 50, 50);
    const [frame] = readWal(readFileSync(at("rules.db-wal"))).frames;
    flip("rules.db", (frame!.page - 1) * PAGE + 100);
    assert.deepEqual((await scrub()).findings, []);
    closeDatabase(again);
  });

  test("a flipped bit in committed frames of the write-ahead log is found while it is in use; its end is not damage", async () => {
    const database = open("rules.db");
    fill(database, 0, 200);
    assert.deepEqual((await scrub()).findings, []);
    flip("rules.db-wal", 32 + 24 + 3 * (PAGE + 24) + 50);
    const { findings } = await scrub();
    assert.deepEqual(
      findings.map(({ file }) => file),
      ["rules.db-wal"],
    );
    flip("rules.db-wal", 32 + 24 + 3 * (PAGE + 24) + 50);
    writeFileSync(at("rules.db-wal"), Buffer.alloc(5_000, 7), { flag: "a" });
    assert.deepEqual((await scrub()).findings, []);
    closeDatabase(database);
  });

  test("damaged and missing checksums are told from damaged pages; a file that was cut lacks its last ones", async () => {
    for (const name of ["people.db", "shadows.db", "renewals.db"]) {
      const database = open(name);
      fill(database, 0, 300);
      closeDatabase(database);
    }
    flip("people.db-pages", 40);
    rmSync(at("shadows.db-pages"));
    truncateSync(at("renewals.db"), 3 * PAGE);
    const { findings, unverified } = await scrub();
    assert.deepEqual(unverified, ["people.db", "shadows.db"]);
    assert.deepEqual(
      findings.map(({ file }) => file),
      ["people.db-pages", "renewals.db"],
    );
    assert.match(findings[1]!.place, /^pages 4, 5, 6, 7, 8 and \d+ others$/);
  });

  test("an agent's outbox in the folder of its device is one of them, and says what becomes of it", async () => {
    mkdirSync(at("devices/pump-7/data"), { recursive: true });
    const database = open("devices/pump-7/data/outbox.db");
    fill(database, 0, 50);
    closeDatabase(database);
    flip("devices/pump-7/data/outbox.db", PAGE + 5);
    const [found] = (await scrub()).findings;
    assert.equal(found?.file, "devices/pump-7/data/outbox.db");
    assert.match(found.fix, /agent again/);
  });
});

test("secrets and manifests, the ones before them too", async () => {
  const logger = new SimLogger();
  const secrets = openSecrets(at("secrets"), { logger });
  assert.ok(secrets.adminToken !== "");
  mkdirSync(at("telemetry"));
  const options = { format: "f", version: 1, validate: (content: unknown) => content, logger };
  for (const name of ["forgotten.json", "telemetry/manifest.json", "exports/daily.json"]) {
    const file = await ManifestFile.open({ ...options, path: at(name) });
    await file.write({ n: 1 });
    await file.write({ n: 2 });
  }
  writeFileSync(at("format.json"), '{"format":5,"version":"1.0.0"}');
  assert.deepEqual((await scrub()).findings, []);
  const damaged = ["admin-token", "session-key"].map((name) => `secrets/${name}`);
  const manifests = ["forgotten.json", "telemetry/manifest.json", "exports/daily.json.previous"];
  for (const name of [...damaged, ...manifests]) flip(name, 11);
  flip("format.json", 0);
  const { findings } = await scrub();
  assert.deepEqual(new Set(findings.map(({ file }) => file)), new Set([...damaged, ...manifests, "format.json"]));
  assert.doesNotMatch(JSON.stringify(findings), new RegExp(secrets.adminToken.slice(3)));
});

test("the log, while it is appended to: a damaged batch is found with its offsets", async () => {
  const log = await Log.open({
    directory: await openLogDirectory(at("log")),
    crc32: fileCrc32,
    clock: new SimClock(),
    scheduler: systemScheduler,
    random: new SimRandom(1),
    logger: new SimLogger(),
    metrics: new SimMetrics(),
    limits: { ...LIMITS.log, segmentBytesMax: 20_000, groupBytesMax: 3_000, batchBytesMax: 1_000, recordBytesMax: 500 },
  });
  const append = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++) log.append(Buffer.from(`record ${"x".repeat(n % 90)}`));
    await log.flush();
  };
  await append(800);
  const over = new AbortController();
  const appender = (async () => {
    while (!over.signal.aborted) await append(20);
  })();
  for (let round = 0; round < 10; round++) assert.deepEqual((await scrub()).findings, []);
  const first = (await (await openLogDirectory(at("log"))).list()).toSorted()[0]!;
  flip(`log/${first}`, 5_000);
  const [found, ...others] = (await scrub()).findings;
  assert.deepEqual(others, []);
  assert.equal(found?.file, `log/${first}`);
  assert.match(found.place, /^byte \d+, offsets \d+ to \d+$/);
  over.abort();
  await appender;
  await log.close();
});

test("of thousands of findings only so many are named", async () => {
  for (let n = 0; n < 5; n++) {
    const database = open(`${n}.db`);
    fill(database, 0, 50);
    closeDatabase(database);
    flip(`${n}.db`, PAGE + 9);
  }
  const { findings, more } = await scrubFolder({
    data,
    bytesPerSecondMax: null,
    clock: systemClock,
    scheduler: systemScheduler,
    limits: { ...LIMITS.scrub, secondLookAfter: 1, findingsMax: 2 },
  });
  assert.deepEqual([findings.length, more], [2, 3]);
});

test(
  "a disk that dies in many places: the second looks are waited for side by side; told file by file",
  { timeout: 20_000 },
  async () => {
    for (let n = 10; n < 30; n++) {
      const database = open(`${n}.db`);
      fill(database, 0, 50);
      closeDatabase(database);
      flip(`${n}.db`, PAGE + 9);
    }
    writeFileSync(at("format.json"), "{");
    // Nobody's wait ends before all of them wait: one after the other would never get on.
    const waiting: (() => void)[] = [];
    let together = 17; // sixteen databases at once, and the manifests
    const after = (_: number, then: () => void): (() => void) => {
      waiting.push(then);
      if (waiting.length < together) return () => {};
      together = 1;
      for (const go of waiting.splice(0)) setImmediate(go);
      return () => {};
    };
    const limits = { ...LIMITS.scrub, secondLookAfter: seconds(1) };
    const scheduler = { ...systemScheduler, after };
    const { findings } = await scrubFolder({ data, bytesPerSecondMax: null, clock: systemClock, scheduler, limits });
    assert.deepEqual(
      findings.map(({ file }) => file),
      [...Array.from({ length: 20 }, (_, n) => `${n + 10}.db`), "format.json"],
    );
  },
);

test("the disk is left to others: so many bytes a second, and no burst after a pause", async () => {
  const clock = new SimClock();
  const pace = new PoliteReading({ bytesPerSecondMax: 1_000_000, secondLookAfter: 5, clock, scheduler: clock });
  let done = 0;
  const reading = (async () => {
    for (; done < 40; done++) await pace.spent(100_000);
  })();
  await clock.run(1_000);
  assert.ok(done >= 9 && done <= 11, `${done}`);
  await clock.run(3_500);
  await reading;
  clock.jump(60_000);
  done = 0;
  const later = (async () => {
    for (; done < 10; done++) await pace.spent(100_000);
  })();
  await clock.run(300);
  assert.ok(done <= 4, `${done}`);
  await clock.run(1_000);
  await later;
  assert.equal(pace.bytes, 5_000_000);
});
