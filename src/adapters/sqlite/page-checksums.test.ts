/** Flipped bits in SQLite's files are noticed, and nothing that a crash can leave is taken for one. */
import assert from "node:assert/strict";
import {
  closeSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import type { TestContext } from "node:test";
import { SimLogger, SimRandom } from "../../../sim/world.ts";
import { isTidewireError } from "../../base/mod.ts";
import { closeDatabase, openDatabase, transaction } from "./open.ts";
import type { DatabaseOptions } from "./open.ts";
import { readWal } from "./wal-file.ts";

const MIGRATIONS = [
  "CREATE TABLE t (id INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT; CREATE INDEX by_value ON t (value)",
];
/** A checkpoint every ten pages or so, and the companion written anew every hundred. */
const SIZES = { checkpoint: 40_000, appendedMax: 1_000 };
const FILES = ["", "-wal", "-pages"];

function temporary(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "tidewire-pages-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "x.db");
}

function open(path: string, more: Partial<DatabaseOptions> = {}): DatabaseSync {
  return openDatabase({ path, name: "x", migrations: MIGRATIONS, durability: "normal", sizes: SIZES, ...more });
}

function put(database: DatabaseSync, id: number, bytes = 300): void {
  transaction(database, () =>
    database.prepare("INSERT OR REPLACE INTO t VALUES (?, ?)").run(id, Buffer.alloc(bytes, id)),
  );
}

function contents(database: DatabaseSync): string {
  return JSON.stringify(database.prepare("SELECT id, hex(value) AS v FROM t ORDER BY id").all());
}

/** What a SIGKILL at this moment leaves. */
function snapshot(path: string, to: string): void {
  for (const suffix of FILES) {
    rmSync(to + suffix, { force: true });
    if (existsSync(path + suffix)) copyFileSync(path + suffix, to + suffix);
  }
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at]! ^= 4;
  writeFileSync(path, bytes);
}

const damaged = (error: unknown): boolean => isTidewireError(error) && error.code === "DATABASE_DAMAGED";

test("a bit that flips anywhere in the file is told before anything is served, and the file stays as it is", (context) => {
  const path = temporary(context);
  const database = open(path);
  for (let id = 0; id < 100; id++) put(database, id);
  closeDatabase(database);
  assert.equal(existsSync(`${path}-wal`), false);
  const whole = readFileSync(path);
  for (let at = 0; at < whole.length; at += 997) {
    flip(path, at);
    assert.throws(() => open(path), damaged, `byte ${at}`);
    flip(path, at);
  }
  writeFileSync(path, whole.subarray(0, whole.length - 4096));
  assert.throws(() => open(path), damaged, "the last page is missing");
  writeFileSync(path, Buffer.concat([whole, whole.subarray(0, 4096)]));
  assert.throws(() => open(path), damaged, "a page too many");
  writeFileSync(path, whole);
  closeDatabase(open(path));
});

test("a killed process leaves a file that is taken, whenever it was killed, with everything that was committed", (context) => {
  const path = temporary(context);
  const killed = `${path}-killed.db`;
  const random = new SimRandom(5);
  let database = open(path);
  let beside = open(path, { beside: database });
  for (let turn = 0; turn < 120; turn++) {
    put(random.chance(0.3) ? beside : database, random.below(200), random.below(3_000));
    if (random.chance(0.2)) {
      snapshot(path, killed);
      const again = open(killed);
      assert.equal(contents(again), contents(database), `turn ${turn}`);
      put(again, 1_000);
      closeDatabase(again);
      closeDatabase(open(killed));
    }
    if (random.chance(0.03)) {
      closeDatabase(beside);
      closeDatabase(database);
      database = open(path);
      beside = open(path, { beside: database });
    }
    if (random.chance(0.03)) {
      snapshot(path, killed);
      closeDatabase(beside);
      closeDatabase(database);
      snapshot(killed, path);
      database = open(path);
      beside = open(path, { beside: database });
    }
  }
  closeDatabase(beside);
  closeDatabase(database);
});

test("a power cut within a checkpoint: torn pages that the write-ahead log still holds are no damage", (context) => {
  const path = temporary(context);
  const big = { sizes: { checkpoint: 1e9, appendedMax: 1e9 } };
  const database = open(path, big);
  for (let id = 0; id < 200; id++) put(database, id, 1_000);
  const before = `${path}-before.db`;
  snapshot(path, before);
  const expected = contents(database);
  closeDatabase(database); // the checkpoint
  const after = readFileSync(path);
  const random = new SimRandom(9);
  for (let cut = 0; cut < 12; cut++) {
    const torn = `${path}-torn.db`;
    snapshot(before, torn);
    copyFileSync(`${path}-pages`, `${torn}-pages`); // it was synced before the first page was written
    const pages = Buffer.alloc(after.length);
    readFileSync(before).copy(pages);
    for (let at = 0; at < after.length; at += 512) if (random.chance(0.5)) after.copy(pages, at, at, at + 512);
    writeFileSync(torn, pages.subarray(0, random.chance(0.5) ? pages.length : random.below(pages.length)));
    const again = open(torn, big);
    assert.equal(contents(again), expected);
    closeDatabase(again);
    closeDatabase(open(torn, big));
  }
});

test("the end of a damaged write-ahead log is left out, kept, and told; what it held before is served", (context) => {
  const path = temporary(context);
  const database = open(path, { sizes: { checkpoint: 1e9, appendedMax: 1e9 } });
  for (let id = 0; id < 20; id++) put(database, id);
  const killed = `${path}-killed.db`;
  snapshot(path, killed);
  closeDatabase(database);
  const { length } = readFileSync(`${killed}-wal`);
  flip(`${killed}-wal`, Math.floor(length * 0.7));
  const logger = new SimLogger();
  const again = open(killed, { logger });
  const { n } = again.prepare("SELECT count(*) AS n FROM t").get() as { n: number };
  assert.ok(n > 5 && n < 20, `${n} rows`);
  const line = logger.lines.find(({ level }) => level === "error");
  assert.match(line?.message ?? "", /write-ahead log/);
  assert.equal(readFileSync(String(line?.fields["kept"])).length, length);
  closeDatabase(again);
});

test("a file that another program changed is refused; without its companion it is taken as it is", (context) => {
  const path = temporary(context);
  closeDatabase(open(path));
  const stranger = new DatabaseSync(path);
  stranger.exec("INSERT INTO t VALUES (1, x'00')");
  stranger.close();
  assert.throws(
    () => open(path),
    (error) => damaged(error) && (error as { fix: string }).fix.includes(`${path}-pages`),
  );
  rmSync(`${path}-pages`);
  closeDatabase(open(path));
  assert.ok(existsSync(`${path}-pages`));
  flip(path, 5_000);
  assert.throws(() => open(path), damaged);
});

test("a damaged companion is told and made anew; where it cannot be written, the database goes on without", (context) => {
  const path = temporary(context);
  const first = open(path);
  put(first, 1);
  closeDatabase(first);
  flip(`${path}-pages`, 20);
  const logger = new SimLogger();
  const database = open(path, { logger });
  assert.match(logger.lines[0]?.message ?? "", /page checksums of a database are damaged/);
  mkdirSync(`${path}-pages.new`); // in the way of the next time that it is written anew
  for (let id = 0; id < 150; id++) put(database, id, 1_000);
  assert.ok(logger.lines.some(({ message }) => message.includes("cannot be kept")));
  assert.equal(existsSync(`${path}-pages`), false);
  const expected = contents(database);
  closeDatabase(database);
  rmSync(`${path}-pages.new`, { recursive: true });
  const again = open(path);
  assert.equal(contents(again), expected);
  closeDatabase(again);
  assert.ok(readdirSync(join(path, "..")).includes("x.db-pages"));
});

test("somebody who reads meanwhile holds a checkpoint up, and nothing else", (context) => {
  const path = temporary(context);
  const database = open(path);
  const reader = open(path, { beside: database });
  for (let id = 0; id < 50; id++) put(database, id);
  const rows = reader.prepare("SELECT * FROM t").iterate();
  rows.next();
  for (let id = 0; id < 80; id++) put(database, id, 1_000);
  const killed = `${path}-killed.db`;
  snapshot(path, killed);
  closeDatabase(open(killed));
  rows.return?.();
  for (let id = 0; id < 80; id++) put(database, id, 900);
  const expected = contents(database);
  closeDatabase(reader);
  closeDatabase(database);
  const again = open(path);
  assert.equal(contents(again), expected);
  closeDatabase(again);
});

test("the write-ahead log is read as SQLite reads it: a commit counts only as a whole, and a damaged log up to there", (context) => {
  const path = temporary(context);
  const database = open(path, { sizes: { checkpoint: 1e9, appendedMax: 1e9 } });
  const ends: number[] = [];
  for (let id = 0; id < 12; id++) {
    put(database, id, 5_000);
    ends.push(readFileSync(`${path}-wal`).length);
  }
  const bytes = readFileSync(`${path}-wal`);
  closeDatabase(database);
  const { frames, pages, lostBytes } = readWal(bytes);
  assert.deepEqual([frames.length * (24 + 4096) + 32, lostBytes], [bytes.length, 0]);
  assert.equal(pages, readFileSync(path).length / 4096);
  for (let length = 0; length < bytes.length; length += 331) {
    const part = readWal(bytes.subarray(0, length));
    const end = ends.findLast((commit) => commit <= length) ?? 32;
    assert.equal(part.frames.length, (end - 32) / (24 + 4096), `${length} bytes`);
    assert.deepEqual(part.frames, frames.slice(0, part.frames.length));
    assert.equal(part.lostBytes > 0, length >= end + 16);
  }
  for (let at = 0; at < bytes.length; at += 577) {
    const copy = Buffer.from(bytes);
    copy[at]! ^= 1;
    const part = readWal(copy);
    assert.ok(part.lostBytes > 0, `byte ${at}`);
    assert.ok(part.frames.length < frames.length);
  }
});

// Without it another process takes itself for the last one, and removes the write-ahead log from under us.
test("SQLite keeps its lock on a file that was just made, or whose checksums were", (context) => {
  const path = temporary(context);
  for (const run of ["made", "without its checksums", "as it was"]) {
    if (run === "without its checksums") rmSync(`${path}-pages`);
    const database = open(path);
    put(database, 1);
    assert.ok(existsSync(`${path}-pages`), run);
    const ours = new RegExp(`POSIX .* ${process.pid} [0-9a-f]+:[0-9a-f]+:${statSync(path).ino} `);
    assert.match(readFileSync("/proc/locks", "utf8"), ours, run);
    closeDatabase(database);
  }
});

/** A thread that has it open, has put ids up to `count`, and ends without closing it. */
async function endedThread(path: string, count: number): Promise<void> {
  const module = join(import.meta.dirname, "open.ts");
  const options = { path, name: "x", migrations: MIGRATIONS, durability: "normal", sizes: SIZES };
  const code = `const { parentPort } = require("node:worker_threads");
    import(${JSON.stringify(module)}).then(({ openDatabase, transaction }) => {
      globalThis.database = openDatabase(${JSON.stringify(options)});
      const insert = database.prepare("INSERT OR REPLACE INTO t VALUES (?, zeroblob(300))");
      for (let id = 0; id < ${count}; id++) transaction(database, () => insert.run(id));
      parentPort.postMessage("ready");
    });
    setInterval(() => {}, 1000);`;
  const thread = new Worker(code, { eval: true, execArgv: [] });
  await once(thread, "message");
  await thread.terminate();
}

const countIn = (database: DatabaseSync): number =>
  (database.prepare("SELECT count(*) AS n FROM t").get() as { n: number }).n;

// Node closes the connection of a thread that ends, and SQLite then runs a checkpoint without us.
test("a thread that ends with the file open leaves a whole file, however often; a bit that flips then is told all the same", async (context) => {
  const path = temporary(context);
  for (const count of [1, 10, 40, 41]) {
    await endedThread(path, count);
    assert.equal(existsSync(`${path}-wal`), false, "SQLite has removed it");
    const killedWhileItOpens = `${path}.copy`;
    for (const suffix of [...FILES, "-wal.held"]) {
      rmSync(killedWhileItOpens + suffix, { force: true });
      if (existsSync(path + suffix)) copyFileSync(path + suffix, killedWhileItOpens + suffix);
    }
    flip(killedWhileItOpens, 4096 + 2000);
    assert.throws(() => open(killedWhileItOpens), damaged);
    flip(killedWhileItOpens, 4096 + 2000);
    const held = readFileSync(`${killedWhileItOpens}-wal.held`);
    closeDatabase(open(killedWhileItOpens));
    assert.equal(existsSync(`${killedWhileItOpens}-wal.held`), false);
    writeFileSync(`${killedWhileItOpens}-wal.held`, held);
    const again = open(killedWhileItOpens);
    assert.equal(countIn(again), count);
    closeDatabase(again);
  }
  const database = open(path);
  assert.equal(countIn(database), 41);
  closeDatabase(database);
  assert.deepEqual(
    readdirSync(join(path, "..")).filter((name) => name.startsWith("x.db-")),
    ["x.db-pages"],
  );
});

test("after a kill somebody looks into the file by another program, which ends what the log held: it is whole", (context) => {
  const [path, killed] = [temporary(context), temporary(context)];
  const database = open(path);
  for (let id = 0; id < 30; id++) put(database, id);
  snapshot(path, killed);
  linkSync(`${killed}-wal`, `${killed}-wal.held`);
  const stranger = new DatabaseSync(killed);
  assert.equal(countIn(stranger), 30);
  stranger.close();
  assert.equal(existsSync(`${killed}-wal`), false);
  const again = open(killed);
  assert.equal(contents(again), contents(database));
  for (const one of [again, database]) closeDatabase(one);
});

test("a reader that has not come to its end when the file is closed", (context) => {
  const path = temporary(context);
  const database = open(path);
  for (let id = 0; id < 10; id++) put(database, id);
  const rows = database.prepare("SELECT id FROM t").iterate();
  rows.next();
  put(database, 10);
  closeDatabase(database);
  const again = open(path);
  assert.equal(countIn(again), 11);
  closeDatabase(again);
});

// A fleet's index, or a broker's queues: a million devices are as large as this.
test("a file of more than one GiB has a page that SQLite never writes, and is whole", (context) => {
  const path = temporary(context);
  const large = { migrations: ["CREATE TABLE t (id INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT"] };
  const database = openDatabase({ path, name: "x", durability: "normal", ...large });
  const insert = database.prepare("INSERT INTO t VALUES (?, zeroblob(33554432))");
  for (let id = 0; id < 33; id++) transaction(database, () => insert.run(id));
  closeDatabase(database);
  assert.ok(statSync(path).size > 1_073_741_824 + 4096, "not yet beyond it");
  for (const run of ["with the checksums as they were written", "once more"]) {
    const again = openDatabase({ path, name: "x", durability: "normal", ...large });
    const { n } = again.prepare("SELECT count(*) AS n FROM t").get() as { n: number };
    assert.equal(n, 33, run);
    transaction(again, () => again.prepare("UPDATE t SET value = zeroblob(1) WHERE id = 0").run());
    closeDatabase(again);
  }
  const handle = openSync(path, "r+");
  writeSync(handle, Buffer.from([1]), 0, 1, 1_073_741_824 + 2 * 4096);
  closeSync(handle);
  assert.throws(() => openDatabase({ path, name: "x", durability: "normal", ...large }), damaged, "the page behind it");
});
