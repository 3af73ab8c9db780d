import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import fc from "fast-check";
import { WalTail, readWal } from "./wal-file.ts";

/** A database whose pages go to the log before their commit where a transaction is large. */
function opened(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0");
  database.exec("PRAGMA cache_size = 4; PRAGMA cache_spill = 4");
  database.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT");
  return database;
}

const STEPS = {
  commit: ["BEGIN", "COMMIT"],
  rollBack: ["BEGIN", "ROLLBACK"],
  truncate: ["PRAGMA wal_checkpoint(TRUNCATE)"],
  restart: ["PRAGMA wal_checkpoint(RESTART)"],
} as const;

test("a log that is read piece by piece is what it is as a whole, whatever is rolled back, checkpointed and begun anew", () => {
  const folder = mkdtempSync(join(tmpdir(), "tidewire-wal-"));
  const name = fc.constantFrom<keyof typeof STEPS>("commit", "commit", "commit", "rollBack", "truncate", "restart");
  const step = fc.record({ name, rows: fc.nat({ max: 40 }), looks: fc.boolean(), midway: fc.boolean() });
  let run = 0;
  try {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const path = join(folder, `${run++}.db`);
        const database = opened(path);
        const tail = new WalTail(`${path}-wal`);
        let row = 0;
        for (const { name: kind, rows, looks, midway } of steps) {
          const [first, last] = STEPS[kind];
          database.exec(first);
          const put = database.prepare("INSERT OR REPLACE INTO t VALUES (?, ?)");
          if (last !== undefined)
            for (let i = 0; i < rows; i++) put.run(row++ % 200, new Uint8Array(1_500).fill(row % 256));
          if (midway) tail.advance();
          if (last !== undefined) database.exec(last);
          if (!looks) continue;
          const { frames, pages } = readWal(existsSync(`${path}-wal`) ? readFileSync(`${path}-wal`) : Buffer.alloc(0));
          assert.deepEqual(tail.advance(), { frames, pages });
        }
        database.close();
        const { frames } = tail.advance(); // its file is gone
        assert.deepEqual([frames, tail.end], [[], 0]);
      }),
      { numRuns: 60 },
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("what is damaged behind what was read is not taken", (context) => {
  const folder = mkdtempSync(join(tmpdir(), "tidewire-wal-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "x.db");
  const database = opened(path);
  const tail = new WalTail(`${path}-wal`);
  const before = tail.advance().frames.length;
  database.exec("INSERT INTO t VALUES (1, x'01')");
  const whole = readFileSync(`${path}-wal`);
  const altered = Buffer.from(whole);
  altered[altered.length - 1]! ^= 1;
  writeFileSync(`${path}-wal`, altered);
  assert.equal(tail.advance().frames.length, before);
  writeFileSync(`${path}-wal`, whole);
  assert.equal(tail.advance().frames.length, before + 1);
  database.close();
});
