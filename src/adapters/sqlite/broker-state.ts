/** The broker's `StateStore` in SQLite: a view of the log that is a moment behind it. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Logger, QoS } from "../../base/mod.ts";
import type {
  OutboxChunk,
  Progress,
  SavedExchanges,
  SavedOutbox,
  SavedState,
  SavedSubscription,
  SessionChange,
  StateStore,
  StoredSession,
} from "../../broker/mod.ts";
import { closeDatabase, openDatabase, transaction } from "./open.ts";
import { RETAINED_BY_KEY, SqliteRetained, promised } from "./retained-store.ts";
import { willFromJson, willToJson } from "./will-json.ts";

const MIGRATIONS = [
  `CREATE TABLE progress (one INTEGER PRIMARY KEY CHECK (one = 1), applied_offset INTEGER NOT NULL) STRICT;
   INSERT INTO progress VALUES (1, 0);
   CREATE TABLE sessions (
     client_id TEXT PRIMARY KEY, expiry_seconds INTEGER NOT NULL, disconnected_at INTEGER, version_number INTEGER NOT NULL,
     will TEXT
   ) STRICT;
   CREATE TABLE subscriptions (
     client_id TEXT NOT NULL, filter TEXT NOT NULL, qos INTEGER NOT NULL, no_local INTEGER NOT NULL,
     retain_as_published INTEGER NOT NULL, identifier INTEGER NOT NULL, since INTEGER NOT NULL,
     PRIMARY KEY (client_id, filter)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE outboxes (client_id TEXT PRIMARY KEY, head INTEGER NOT NULL, sent_before INTEGER NOT NULL) STRICT;
   -- One row is what one saving added: consecutive entries, two little-endian doubles each (offset, bytes and flags).
   CREATE TABLE queued (
     client_id TEXT NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL, slots BLOB NOT NULL, identifiers TEXT,
     PRIMARY KEY (client_id, first)
   ) STRICT;
   CREATE TABLE retained (
     topic TEXT PRIMARY KEY, frame BLOB NOT NULL, offset INTEGER NOT NULL, client_id TEXT NOT NULL,
     received_at INTEGER NOT NULL, expires_at INTEGER
   ) STRICT;`,
  `ALTER TABLE sessions ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
   -- QoS 2. Little-endian: identifiers in two bytes each; places in the outbox, and (place, identifier) in eight each.
   CREATE TABLE exchanges (
     client_id TEXT PRIMARY KEY, received BLOB NOT NULL, sent BLOB NOT NULL, released BLOB NOT NULL, done BLOB NOT NULL
   ) STRICT;`,
  RETAINED_BY_KEY,
  // -1: how large those entries are was not saved.
  `ALTER TABLE outboxes ADD COLUMN tail INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE outboxes ADD COLUMN bytes INTEGER NOT NULL DEFAULT -1;
   ALTER TABLE outboxes ADD COLUMN applied INTEGER NOT NULL DEFAULT 0;
   UPDATE outboxes SET tail = max(head, coalesce(
     (SELECT max(first + count) FROM queued WHERE queued.client_id = outboxes.client_id), 0));`,
  `ALTER TABLE sessions ADD COLUMN thing TEXT;
   ALTER TABLE sessions ADD COLUMN left_group INTEGER NOT NULL DEFAULT 0;`,
];

const SESSIONS_AT_ONCE = 1000;

type Value = string | number | null | Uint8Array;
type Row = Record<string, Value>;
type Values = readonly Value[];

export class SqliteBrokerState implements StateStore {
  readonly retained: SqliteRetained;
  readonly #database: DatabaseSync;
  readonly #prepared = new Map<string, StatementSync>();

  /** Throws `TidewireError` DATABASE_DAMAGED, DATABASE_UNUSABLE or DATABASE_NEWER. */
  constructor(path: string, logger?: Logger) {
    const told = logger === undefined ? {} : { logger };
    this.#database = openDatabase({ path, name: "broker", migrations: MIGRATIONS, durability: "normal", ...told });
    this.retained = new SqliteRetained(this.#database);
  }

  /** What `load` says about it, without the rest. */
  appliedOffset(): number {
    return number((this.#statement("SELECT applied_offset FROM progress").get() as Row)["applied_offset"]);
  }

  load(): Promise<SavedState> {
    return Promise.resolve({ appliedOffset: this.appliedOffset(), sessions: this.#sessions() });
  }

  queued(clientId: string, from: number, max: number): Promise<readonly OutboxChunk[]> {
    return promised(() => {
      const sql = "SELECT * FROM queued WHERE client_id = ? AND first + count > ? ORDER BY first";
      const chunks: OutboxChunk[] = [];
      let entries = 0;
      for (const row of this.#statement(sql).iterate(clientId, from) as Iterable<Row>) {
        chunks.push(chunkOf(row));
        entries += number(row["count"]);
        if (entries >= max) break;
      }
      return chunks;
    });
  }

  /**
   * Written through to the disk although the file's durability is "normal": the CONNACK or SUBACK that waits for it is a
   * promise that the subscription survives. The write-ahead log's sync covers all earlier commits too.
   */
  saveSessions(changes: readonly SessionChange[]): Promise<void> {
    return promised(() => {
      this.#database.exec("PRAGMA synchronous = FULL");
      try {
        transaction(this.#database, () => {
          for (const change of changes) this.#saveSession(change);
        });
      } finally {
        this.#database.exec("PRAGMA synchronous = NORMAL");
      }
    });
  }

  saveProgress({ appliedOffset, outboxes, exchanges }: Progress): Promise<void> {
    return promised(() =>
      transaction(this.#database, () => {
        for (const outbox of outboxes) this.#saveOutbox(outbox);
        for (const entry of exchanges) this.#saveExchanges(entry);
        this.#run("UPDATE progress SET applied_offset = ?", appliedOffset);
      }),
    );
  }

  close(): void {
    closeDatabase(this.#database);
  }

  /** One walk through the tables, all in the same order. */
  async *#sessions(): AsyncGenerator<readonly StoredSession[]> {
    const subscriptions = new Following(
      this.#rows(
        `SELECT client_id, filter, qos, no_local, retain_as_published, identifier, since FROM subscriptions
         WHERE client_id IN (SELECT client_id FROM sessions) ORDER BY client_id`,
      ),
    );
    const sessions = this.#rows(
      `SELECT client_id, expiry_seconds, disconnected_at, version_number, since, thing, left_group, will, head, tail, sent_before, bytes, applied,
         received, sent, released, done
       FROM sessions LEFT JOIN outboxes USING (client_id) LEFT JOIN exchanges USING (client_id) ORDER BY client_id`,
    );
    let batch: StoredSession[] = [];
    for (const row of sessions) {
      batch.push(sessionOf(row, subscriptions));
      if (batch.length < SESSIONS_AT_ONCE) continue;
      yield batch;
      batch = [];
    }
    yield batch;
  }

  #saveSession({ clientId, reset, session, subscriptions }: SessionChange): void {
    if (reset) {
      for (const table of ["sessions", "subscriptions", "outboxes", "queued", "exchanges"]) {
        this.#run(`DELETE FROM ${table} WHERE client_id = ?`, clientId);
      }
    }
    if (session === null) return;
    const { expirySeconds, disconnectedAt, versionNumber, since, thing, leftGroup, will } = session;
    const willText = will === null ? null : willToJson(will);
    const sessionSql = "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    this.#run(
      sessionSql,
      clientId,
      expirySeconds,
      disconnectedAt,
      versionNumber,
      willText,
      since,
      thing,
      Number(leftGroup),
    );
    for (const [filter, subscription] of subscriptions) {
      if (subscription === null) {
        this.#run("DELETE FROM subscriptions WHERE client_id = ? AND filter = ?", clientId, filter);
        continue;
      }
      const { qos, noLocal, retainAsPublished, identifier, since } = subscription;
      const sql = "INSERT OR REPLACE INTO subscriptions VALUES (?, ?, ?, ?, ?, ?, ?)";
      this.#run(sql, clientId, filter, qos, Number(noLocal), Number(retainAsPublished), identifier, since);
    }
  }

  #saveOutbox({ clientId, head, tail, sentBefore, bytes, applied, chunks }: SavedOutbox): void {
    const sql = "INSERT OR REPLACE INTO outboxes VALUES (?, ?, ?, ?, ?, ?)";
    this.#run(sql, clientId, head, sentBefore, tail, bytes, applied);
    this.#run("DELETE FROM queued WHERE client_id = ? AND first + count <= ?", clientId, head);
    for (const { first, slots, identifiers } of chunks) {
      const bytes = bytesOf(slots);
      const named = identifiers.length === 0 ? null : JSON.stringify(identifiers);
      this.#run(
        "INSERT OR REPLACE INTO queued VALUES (?, ?, ?, ?, ?)",
        clientId,
        first,
        slots.length / 2,
        bytes,
        named,
      );
    }
  }

  #saveExchanges({ clientId, received, sent, released, done }: SavedExchanges): void {
    if (received.length + sent.length + released.length + done.length === 0) {
      this.#run("DELETE FROM exchanges WHERE client_id = ?", clientId);
      return;
    }
    const sql = "INSERT OR REPLACE INTO exchanges VALUES (?, ?, ?, ?, ?)";
    const blobs = [Uint16Array.from(received), Float64Array.from(sent), Uint16Array.from(released)];
    this.#run(sql, clientId, ...blobs.map(bytesOf), bytesOf(Float64Array.from(done)));
  }

  #run(sql: string, ...values: (string | number | null | Uint8Array)[]): void {
    this.#statement(sql).run(...values);
  }

  #statement(sql: string): StatementSync {
    let statement = this.#prepared.get(sql);
    if (statement === undefined) this.#prepared.set(sql, (statement = this.#database.prepare(sql)));
    return statement;
  }

  /** Rows as arrays: a start reads hundreds of thousands. A statement of its own, because several are under way. */
  #rows(sql: string): Iterable<Values> & Iterator<Values> {
    const statement = this.#database.prepare(sql);
    statement.setReturnArrays(true);
    return statement.iterate() as unknown as Iterable<Values> & Iterator<Values>;
  }
}

/** Subscriptions of the clients that a walk comes by, in the same order. */
class Following {
  readonly #rows: Iterator<Values>;
  #next: IteratorResult<Values>;

  constructor(rows: Iterator<Values>) {
    this.#rows = rows;
    this.#next = rows.next();
  }

  of(clientId: string): SavedSubscription[] {
    const found: SavedSubscription[] = [];
    while (this.#next.done !== true && this.#next.value[0] === clientId) {
      found.push(subscriptionOf(this.#next.value));
      this.#next = this.#rows.next();
    }
    return found;
  }
}

function sessionOf(row: Values, following: Following): StoredSession {
  const [id, expirySeconds, disconnectedAt, versionNumber, since, thing, leftGroup, will] = row;
  const [head, tail, sentBefore, bytes, applied, received, sent, released, done] = row.slice(8);
  const clientId = text(id);
  return {
    clientId,
    expirySeconds: number(expirySeconds),
    disconnectedAt: numberOrNull(disconnectedAt),
    versionNumber: number(versionNumber),
    since: number(since),
    thing: thing === null ? null : text(thing),
    leftGroup: leftGroup === 1,
    will: typeof will === "string" ? willFromJson(will) : null,
    subscriptions: following.of(clientId),
    outbox:
      head === null
        ? null
        : {
            head: number(head),
            tail: number(tail),
            sentBefore: number(sentBefore),
            bytes: number(bytes),
            applied: number(applied),
          },
    exchanges:
      received === null
        ? null
        : {
            clientId,
            received: identifiersOf(received),
            sent: [...doublesOf(sent)],
            released: identifiersOf(released),
            done: [...doublesOf(done)],
          },
  };
}

function subscriptionOf([, filter, qos, noLocal, retainAsPublished, identifier, since]: Values): SavedSubscription {
  return {
    filter: text(filter),
    qos: number(qos) as QoS,
    noLocal: noLocal === 1,
    retainAsPublished: retainAsPublished === 1,
    identifier: number(identifier),
    since: number(since),
  };
}

function chunkOf(row: Row): OutboxChunk {
  const slots = doublesOf(row["slots"]);
  const named = row["identifiers"];
  const identifiers = typeof named === "string" ? (JSON.parse(named) as OutboxChunk["identifiers"]) : [];
  return { first: number(row["first"]), slots, identifiers };
}

function bytesOf({ buffer, byteOffset, byteLength }: Float64Array | Uint16Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function doublesOf(blob: Value | undefined): Float64Array {
  const copy = (blob as Uint8Array).slice(); // numbers need alignment
  return new Float64Array(copy.buffer, 0, copy.byteLength / 8);
}

function identifiersOf(blob: Value | undefined): number[] {
  const copy = (blob as Uint8Array).slice();
  return [...new Uint16Array(copy.buffer, 0, copy.byteLength / 2)];
}

function text(value: Value | undefined): string {
  if (typeof value !== "string") throw new TypeError("broker.db: a text was expected");
  return value;
}

function number(value: Value | undefined): number {
  if (typeof value !== "number") throw new TypeError("broker.db: a number was expected");
  return value;
}

function numberOrNull(value: Value | undefined): number | null {
  return value === null ? null : number(value);
}
