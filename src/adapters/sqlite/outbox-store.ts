/**
 * The outbox in one SQLite file. `synchronous = FULL` in WAL mode: when `commit` returns, its readings survive SIGKILL and,
 * on a disk that honours fsync, a power cut; what a power cut can cost is only what was put in the turn that it hit.
 * The file grows to its largest need and stays there; freed pages are used again.
 */
import { existsSync, renameSync } from "node:fs";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { isTidewireError, reasonOf } from "../../base/mod.ts";
import type { Logger } from "../../base/mod.ts";
import type { Change, DeadLetter, OutboxState, QueueStore, Reading, StoredSize } from "../../queue/mod.ts";
import { QueueStoreError, sizeOf } from "../../queue/mod.ts";
import { closeDatabase, openDatabase, transaction } from "./open.ts";

const MIGRATIONS = [
  `CREATE TABLE state (
     id INTEGER PRIMARY KEY CHECK (id = 1),
     outbox TEXT NOT NULL,
     last_sequence INTEGER NOT NULL,
     count INTEGER NOT NULL,
     bytes INTEGER NOT NULL,
     dropped INTEGER NOT NULL,
     expired INTEGER NOT NULL,
     refused INTEGER NOT NULL
   ) STRICT;
   CREATE TABLE reading (
     sequence INTEGER PRIMARY KEY,
     topic TEXT NOT NULL,
     payload BLOB NOT NULL,
     priority INTEGER NOT NULL,
     accepted_at INTEGER NOT NULL,
     expires_at INTEGER,
     size INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX reading_expendable ON reading (priority, sequence, size);
   CREATE INDEX reading_expiry ON reading (expires_at) WHERE expires_at IS NOT NULL;
   CREATE TABLE dead_letter (
     sequence INTEGER PRIMARY KEY,
     topic TEXT NOT NULL,
     payload BLOB NOT NULL,
     priority INTEGER NOT NULL,
     accepted_at INTEGER NOT NULL,
     expires_at INTEGER,
     size INTEGER NOT NULL,
     reason_code INTEGER NOT NULL,
     buried_at INTEGER NOT NULL
   ) STRICT;`,
];

export interface OutboxFile {
  readonly store: QueueStore;
  /** Where the damaged file it replaces was moved; null in all good cases. */
  readonly movedAside: string | null;
  close(): void;
}

/**
 * Opens or makes the file. A damaged one is moved aside, because an unattended device must go on recording; its readings
 * may be recovered with SQLite's `.recover`. Throws DATABASE_UNUSABLE or DATABASE_NEWER for everything else.
 */
export function openOutboxStore(path: string, now: number, logger?: Logger): OutboxFile {
  let movedAside: string | null = null;
  let store: SqliteQueueStore;
  try {
    store = new SqliteQueueStore(path, logger);
    store.check();
  } catch (error) {
    if (!isDamage(error)) throw error;
    movedAside = `${path}.damaged-${now}`;
    for (const suffix of ["", "-wal", "-shm", "-pages"]) {
      if (existsSync(path + suffix)) renameSync(path + suffix, movedAside + suffix);
    }
    store = new SqliteQueueStore(path, logger);
  }
  return { store, movedAside, close: () => store.close() };
}

interface ReadingRow {
  readonly sequence: number;
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly priority: number;
  readonly accepted_at: number;
  readonly expires_at: number | null;
  readonly size: number;
}

const READING = "sequence, topic, payload, priority, accepted_at, expires_at, size";

export class SqliteQueueStore implements QueueStore {
  readonly #database: DatabaseSync;
  readonly #statements: ReturnType<typeof statementsOf>;

  constructor(path: string, logger?: Logger) {
    const told = logger === undefined ? {} : { logger };
    this.#database = openDatabase({ path, name: "outbox", migrations: MIGRATIONS, durability: "full", ...told });
    this.#statements = statementsOf(this.#database);
  }

  load(): OutboxState | null {
    const row = this.#statements.load.get() as
      | ({ [K in keyof Omit<OutboxState, "lastSequence">]: OutboxState[K] } & { last_sequence: number })
      | undefined;
    if (row === undefined) return null;
    const { outbox, last_sequence: lastSequence, count, bytes, dropped, expired, refused } = row;
    return { outbox, lastSequence, count, bytes, dropped, expired, refused };
  }

  commit(change: Change): void {
    this.#guard(() =>
      transaction(this.#database, () => {
        // Deleting first lets the new rows use the pages that it frees: it matters when the disk is full.
        for (const sequence of change.remove) this.#statements.remove.run(sequence);
        for (const { sequence, reasonCode, at } of change.bury) {
          this.#statements.bury.run(reasonCode, at, sequence);
          this.#statements.remove.run(sequence);
        }
        if (change.bury.length > 0) this.#statements.boundDeadLetters.run(change.deadLettersMax);
        for (const reading of change.put) this.#insert(reading);
        const { outbox, lastSequence, count, bytes, dropped, expired, refused } = change.state;
        this.#statements.save.run(outbox, lastSequence, count, bytes, dropped, expired, refused);
      }),
    );
  }

  read(after: number, count: number, bytes: number): Reading[] {
    const readings: Reading[] = [];
    let room = bytes;
    for (const row of this.#statements.read.iterate(after, count)) {
      const reading = readingOf(row as unknown as ReadingRow);
      readings.push(reading);
      room -= sizeOf(reading);
      if (room <= 0) break;
    }
    return readings;
  }

  find(sequence: number): Reading | null {
    const row = this.#statements.find.get(sequence);
    return row === undefined ? null : readingOf(row as unknown as ReadingRow);
  }

  expendable(count: number): StoredSize[] {
    return this.#statements.expendable.all(count) as unknown as StoredSize[];
  }

  expired(now: number, count: number): StoredSize[] {
    return this.#statements.expired.all(now, count) as unknown as StoredSize[];
  }

  deadLetters(count: number): DeadLetter[] {
    return this.#statements.deadLetters.all(count).map((row) => {
      const { sequence, topic, payload, reason_code, buried_at } = row as unknown as ReadingRow & {
        reason_code: number;
        buried_at: number;
      };
      return { sequence, topic, payload, reasonCode: reason_code, at: buried_at };
    });
  }

  exhume(reasonCodes: readonly number[]): { count: number; bytes: number } {
    return this.#guard(() =>
      transaction(this.#database, () => {
        let count = 0;
        let bytes = 0;
        for (const code of reasonCodes) {
          const found = this.#statements.exhumable.get(code) as { count: number; bytes: number };
          if (found.count === 0) continue;
          this.#statements.exhume.run(code);
          this.#statements.forget.run(code);
          count += found.count;
          bytes += found.bytes;
        }
        if (count > 0) this.#statements.grow.run(count, bytes);
        return { count, bytes };
      }),
    );
  }

  /** Reads every page once (about 0.2 s per 100 MB); closes the file and throws where one is damaged. */
  check(): void {
    try {
      const { quick_check: verdict } = this.#database.prepare("PRAGMA quick_check(1)").get() as { quick_check: string };
      if (verdict !== "ok") throw Object.assign(new Error(verdict), { errcode: SQLITE_CORRUPT });
      this.load();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    closeDatabase(this.#database);
  }

  /** At most this many pages of 4 KiB; how a test makes the disk full. */
  limitPages(pages: number): void {
    this.#database.exec(`PRAGMA max_page_count = ${pages}`);
  }

  #insert(r: Reading): void {
    const { sequence, topic, payload, priority, acceptedAt, expiresAt } = r;
    this.#statements.put.run(sequence, topic, payload, priority, acceptedAt, expiresAt, sizeOf(r));
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      const kind = errorCodeOf(error) === SQLITE_FULL ? "full" : "failed";
      throw new QueueStoreError(kind, reasonOf(error), { cause: error });
    }
  }
}

function statementsOf(database: DatabaseSync): Record<StatementName, StatementSync> {
  const entries = Object.entries(SQL).map(([name, sql]) => [name, database.prepare(sql)] as const);
  return Object.fromEntries(entries) as Record<StatementName, StatementSync>;
}

type StatementName = keyof typeof SQL;

const SQL = {
  load: "SELECT * FROM state",
  save: `INSERT INTO state (id, outbox, last_sequence, count, bytes, dropped, expired, refused)
         VALUES (1, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET last_sequence = excluded.last_sequence, count = excluded.count,
           bytes = excluded.bytes, dropped = excluded.dropped, expired = excluded.expired, refused = excluded.refused`,
  grow: "UPDATE state SET count = count + ?, bytes = bytes + ?",
  put: `INSERT INTO reading (${READING}) VALUES (?, ?, ?, ?, ?, ?, ?)`,
  remove: "DELETE FROM reading WHERE sequence = ?",
  read: `SELECT ${READING} FROM reading WHERE sequence > ? ORDER BY sequence LIMIT ?`,
  find: `SELECT ${READING} FROM reading WHERE sequence = ?`,
  expendable: "SELECT sequence, priority, size FROM reading ORDER BY priority, sequence LIMIT ?",
  expired: "SELECT sequence, priority, size FROM reading WHERE expires_at <= ? ORDER BY expires_at LIMIT ?",
  bury: `INSERT OR REPLACE INTO dead_letter (${READING}, reason_code, buried_at)
         SELECT ${READING}, ?, ? FROM reading WHERE sequence = ?`,
  boundDeadLetters: `DELETE FROM dead_letter WHERE sequence IN
         (SELECT sequence FROM dead_letter ORDER BY sequence DESC LIMIT -1 OFFSET ?)`,
  deadLetters: "SELECT * FROM dead_letter ORDER BY sequence LIMIT ?",
  exhumable: "SELECT count(*) AS count, ifnull(sum(size), 0) AS bytes FROM dead_letter WHERE reason_code = ?",
  exhume: `INSERT INTO reading (${READING}) SELECT ${READING} FROM dead_letter WHERE reason_code = ?`,
  forget: "DELETE FROM dead_letter WHERE reason_code = ?",
} as const;

function readingOf(row: ReadingRow): Reading {
  return {
    sequence: row.sequence,
    topic: row.topic,
    payload: row.payload,
    priority: row.priority,
    acceptedAt: row.accepted_at,
    expiresAt: row.expires_at,
  };
}

/** https://sqlite.org/rescode.html; the low byte is the primary code. */
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_NOTADB = 26;

function errorCodeOf(error: unknown): number | null {
  const code = (error as { errcode?: unknown } | null)?.errcode;
  return typeof code === "number" ? code & 0xff : null;
}

function isDamage(error: unknown): boolean {
  if (isTidewireError(error) && error.code === "DATABASE_DAMAGED") return true;
  const code = errorCodeOf(isTidewireError(error) ? error.cause : error);
  return code === SQLITE_CORRUPT || code === SQLITE_NOTADB;
}
