/** The broker's retained messages in SQLite: one row per topic, found by seeking (`topic-scan.ts`). */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { RetainedPage, RetainedSaved, RetainedStore, RetainedTotals, SavedRetained } from "../../broker/mod.ts";
import { transaction } from "./open.ts";
import { TopicScan, behind, compareKeys, keyOf, topicOf } from "./topic-scan.ts";

/** Turns the first table, by topic, into one by key; `||` on BLOBs would make text of them. */
export const RETAINED_BY_KEY = `
  ALTER TABLE retained RENAME TO retained_by_topic;
  -- A key is the topic with U+0000 between its levels: see topic-scan.ts.
  CREATE TABLE retained (
    key BLOB PRIMARY KEY, offset INTEGER NOT NULL, frame BLOB NOT NULL, client_id TEXT NOT NULL,
    received_at INTEGER NOT NULL, expires_at INTEGER
  ) STRICT, WITHOUT ROWID;
  INSERT INTO retained SELECT CAST(replace(topic, '/', char(0)) AS BLOB), offset, frame, client_id, received_at, expires_at
    FROM retained_by_topic;
  DROP TABLE retained_by_topic;
  CREATE INDEX retained_by_offset ON retained (offset);
  CREATE INDEX retained_by_expiry ON retained (expires_at) WHERE expires_at IS NOT NULL;
  CREATE TABLE retained_totals (
    one INTEGER PRIMARY KEY CHECK (one = 1), messages INTEGER NOT NULL, bytes INTEGER NOT NULL
  ) STRICT;
  INSERT INTO retained_totals SELECT 1, count(*), coalesce(sum(length(frame)), 0) FROM retained;`;

/** Rows read with one query, at first; more where all of them are of use, fewer where most are passed over. */
const ROWS_AT_FIRST = 16;
const ROWS_MIN = 2;
const ROWS_MAX = 128;
/** What one look-up may cost before it stops for others: queries count for two rows each. */
const WORK_MAX = 500;
/** Bytes of packets that one page holds, and one more packet. */
const PAGE_BYTES = 256 * 1024;
/** A larger packet does not lie beside its key, and is read only where it is wanted. */
const BESIDE_KEY_BYTES = 1024;

const COLUMNS = "key, offset, frame, client_id, received_at, expires_at";
const SHORT = `CASE WHEN length(frame) <= ${BESIDE_KEY_BYTES} THEN frame END`;
type Row<Frame = Uint8Array> = readonly [Uint8Array, number, Frame, string, number, number | null];

export class SqliteRetained implements RetainedStore {
  readonly #database: DatabaseSync;
  readonly #prepared = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  save(changes: readonly SavedRetained[], room: RetainedTotals): Promise<RetainedSaved> {
    return promised(() => transaction(this.#database, () => this.#save(changes, room)));
  }

  page(filter: string, after: string | null, max: number): Promise<RetainedPage> {
    return promised(() => (/[+#]/.test(filter) ? this.#page(filter, after, max) : this.#exact(filter, after)));
  }

  at(offset: number): Promise<SavedRetained | null> {
    return promised(() => {
      const row = this.#statement(`SELECT ${COLUMNS} FROM retained WHERE offset = ?`).get(offset);
      return row === undefined ? null : retainedOf(row as unknown as Row);
    });
  }

  expire(now: number, max: number): Promise<RetainedTotals & { removed: number }> {
    return promised(() => {
      const sql = "SELECT key, length(frame) FROM retained WHERE expires_at <= ? LIMIT ?";
      const rows = this.#statement(sql).all(now, max) as unknown as [Uint8Array, number][];
      return { ...this.#remove(rows), removed: rows.length };
    });
  }

  forgetFrom(offset: number): Promise<RetainedTotals> {
    return promised(() => {
      const sql = "SELECT key, length(frame) FROM retained WHERE offset >= ?";
      return this.#remove(this.#statement(sql).all(offset) as unknown as [Uint8Array, number][]);
    });
  }

  #save(changes: readonly SavedRetained[], room: RetainedTotals): RetainedSaved {
    let { messages, bytes } = this.#totals();
    const refused: SavedRetained[] = [];
    for (const change of changes) {
      const { topic, frame, offset, clientId, receivedAt, expiresAt } = change;
      const key = keyOf(topic);
      const before = this.#statement("SELECT length(frame) FROM retained WHERE key = ?").get(key);
      if (before !== undefined) {
        messages--;
        bytes -= (before as unknown as [number])[0];
      }
      if (frame !== null && messages < room.messages && bytes + frame.length <= room.bytes) {
        messages++;
        bytes += frame.length;
        const sql = "INSERT OR REPLACE INTO retained VALUES (?, ?, ?, ?, ?, ?)";
        this.#statement(sql).run(key, offset, frame, clientId, receivedAt, expiresAt);
        continue;
      }
      if (frame !== null) refused.push(change);
      if (before !== undefined) this.#statement("DELETE FROM retained WHERE key = ?").run(key);
    }
    this.#statement("UPDATE retained_totals SET messages = ?, bytes = ?").run(messages, bytes);
    return { messages, bytes, refused };
  }

  #remove(rows: readonly (readonly [key: Uint8Array, bytes: number])[]): RetainedTotals {
    const totals = this.#totals();
    if (rows.length === 0) return totals;
    return transaction(this.#database, () => {
      let { messages, bytes } = totals;
      for (const [key, length] of rows) {
        this.#statement("DELETE FROM retained WHERE key = ?").run(key);
        messages--;
        bytes -= length;
      }
      this.#statement("UPDATE retained_totals SET messages = ?, bytes = ?").run(messages, bytes);
      return { messages, bytes };
    });
  }

  #totals(): RetainedTotals {
    const row = this.#statement("SELECT messages, bytes FROM retained_totals").get() as unknown as [number, number];
    return { messages: row[0], bytes: row[1] };
  }

  #exact(topic: string, after: string | null): RetainedPage {
    const row = this.#statement(`SELECT ${COLUMNS} FROM retained WHERE key = ?`).get(keyOf(topic));
    return { found: row === undefined || topic === after ? [] : [retainedOf(row as unknown as Row)], upTo: null };
  }

  #page(filter: string, after: string | null, max: number): RetainedPage {
    const scan = new TopicScan(filter);
    const found: SavedRetained[] = [];
    let bytes = 0;
    let rows = Math.min(ROWS_AT_FIRST, max);
    let work = 0;
    let from: Uint8Array | null = after === null ? scan.first : behind(keyOf(after));
    let last = from;
    while (from !== null) {
      if (work >= WORK_MAX || found.length >= max || bytes >= PAGE_BYTES) return { found, upTo: topicOf(last) };
      const chunk = this.#rowsFrom(from, rows);
      work += rows + 2;
      let seek: Uint8Array | null = null;
      let used = 0;
      for (const row of chunk) {
        const key = row[0];
        if (seek !== null && compareKeys(key, seek) < 0) continue;
        if (found.length >= max || bytes >= PAGE_BYTES) return { found, upTo: topicOf(last) };
        used++;
        last = key;
        scan.look(key);
        if (scan.matched) {
          const whole = this.#whole(row);
          found.push(retainedOf(whole));
          bytes += whole[2].length;
        }
        if (scan.over) return { found, upTo: null };
        seek = scan.seek;
      }
      if (chunk.length < rows) return { found, upTo: null };
      const end: Uint8Array = behind(chunk.at(-1)![0]);
      from = seek !== null && compareKeys(seek, end) > 0 ? seek : end;
      rows = used * 2 > chunk.length ? Math.min(rows * 2, ROWS_MAX) : Math.max(rows >> 1, ROWS_MIN);
    }
    return { found, upTo: null };
  }

  #rowsFrom(key: Uint8Array, rows: number): readonly Row<Uint8Array | null>[] {
    const columns = `key, offset, ${SHORT}, client_id, received_at, expires_at`;
    const sql = `SELECT ${columns} FROM retained WHERE key >= ? ORDER BY key LIMIT ?`;
    return this.#statement(sql).all(key, rows) as unknown as readonly Row<Uint8Array | null>[];
  }

  #whole(row: Row<Uint8Array | null>): Row {
    const [key, offset, frame, clientId, receivedAt, expiresAt] = row;
    if (frame !== null) return [key, offset, frame, clientId, receivedAt, expiresAt];
    return this.#statement(`SELECT ${COLUMNS} FROM retained WHERE key = ?`).get(key) as unknown as Row;
  }

  #statement(sql: string): StatementSync {
    let statement = this.#prepared.get(sql);
    if (statement === undefined) {
      this.#prepared.set(sql, (statement = this.#database.prepare(sql)));
      statement.setReturnArrays(true);
    }
    return statement;
  }
}

/** The store's calls are promises, so that an engine across the network can serve them too; this one is done at once. */
export function promised<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(work());
  });
}

function retainedOf([key, offset, frame, clientId, receivedAt, expiresAt]: Row): SavedRetained {
  return { topic: topicOf(key), frame, offset, clientId, receivedAt, expiresAt };
}
