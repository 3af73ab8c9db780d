/** The broker's `StateStore` in SQLite: a view of the log that is a moment behind it. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { QoS } from "../../base/mod.ts";
import type {
  OutboxChunk,
  Progress,
  SavedExchanges,
  SavedOutbox,
  SavedRetained,
  SavedSession,
  SavedState,
  SavedSubscription,
  SessionChange,
  StateStore,
} from "../../broker/mod.ts";
import { openDatabase, transaction } from "./open.ts";
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
];

type Row = Record<string, string | number | null | Uint8Array>;

export class SqliteBrokerState implements StateStore {
  readonly #database: DatabaseSync;
  readonly #prepared = new Map<string, StatementSync>();

  /** Throws `TidewireError` DATABASE_UNUSABLE or DATABASE_NEWER. */
  constructor(path: string) {
    this.#database = openDatabase({ path, name: "broker", migrations: MIGRATIONS, durability: "normal" });
  }

  load(): Promise<SavedState> {
    return promised(() => this.#load());
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

  saveProgress({ appliedOffset, outboxes, exchanges, retained }: Progress): Promise<void> {
    return promised(() =>
      transaction(this.#database, () => {
        for (const outbox of outboxes) this.#saveOutbox(outbox);
        for (const entry of exchanges) this.#saveExchanges(entry);
        for (const message of retained) this.#saveRetained(message);
        this.#run("UPDATE progress SET applied_offset = ?", appliedOffset);
      }),
    );
  }

  close(): void {
    this.#database.close();
  }

  #load(): SavedState {
    const subscriptions = Map.groupBy(this.#all("SELECT * FROM subscriptions"), (row) => text(row["client_id"]));
    const chunks = Map.groupBy(this.#all("SELECT * FROM queued ORDER BY client_id, first"), (row) =>
      text(row["client_id"]),
    );
    return {
      appliedOffset: number(this.#all("SELECT applied_offset FROM progress")[0]!["applied_offset"]),
      sessions: this.#all("SELECT * FROM sessions").map((row) => {
        const own = subscriptions.get(text(row["client_id"])) ?? [];
        return Object.assign(sessionOf(row), { subscriptions: own.map(subscriptionOf) });
      }),
      outboxes: this.#all("SELECT * FROM outboxes").map((row) => ({
        clientId: text(row["client_id"]),
        head: number(row["head"]),
        sentBefore: number(row["sent_before"]),
        chunks: (chunks.get(text(row["client_id"])) ?? []).map(chunkOf),
      })),
      exchanges: this.#all("SELECT * FROM exchanges").map(exchangesOf),
      retained: this.#all("SELECT * FROM retained").map(retainedOf),
    };
  }

  #saveSession({ clientId, reset, session, subscriptions }: SessionChange): void {
    if (reset) {
      for (const table of ["sessions", "subscriptions", "outboxes", "queued", "exchanges"]) {
        this.#run(`DELETE FROM ${table} WHERE client_id = ?`, clientId);
      }
    }
    if (session === null) return;
    const { expirySeconds, disconnectedAt, versionNumber, since, will } = session;
    const willText = will === null ? null : willToJson(will);
    const sessionSql = "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?)";
    this.#run(sessionSql, clientId, expirySeconds, disconnectedAt, versionNumber, willText, since);
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

  #saveOutbox({ clientId, head, sentBefore, chunks }: SavedOutbox): void {
    this.#run("INSERT OR REPLACE INTO outboxes VALUES (?, ?, ?)", clientId, head, sentBefore);
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

  #saveRetained({ topic, frame, offset, clientId, receivedAt, expiresAt }: SavedRetained): void {
    if (frame === null) this.#run("DELETE FROM retained WHERE topic = ?", topic);
    else {
      const sql = "INSERT OR REPLACE INTO retained VALUES (?, ?, ?, ?, ?, ?)";
      this.#run(sql, topic, frame, offset, clientId, receivedAt, expiresAt);
    }
  }

  #run(sql: string, ...values: (string | number | null | Uint8Array)[]): void {
    let statement = this.#prepared.get(sql);
    if (statement === undefined) this.#prepared.set(sql, (statement = this.#database.prepare(sql)));
    statement.run(...values);
  }

  #all(sql: string): Row[] {
    return this.#database.prepare(sql).all() as Row[];
  }
}

/** The store's calls are promises, so that an engine across the network can serve them too; this one is done at once. */
function promised<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(work());
  });
}

function sessionOf(row: Row): SavedSession {
  const will = row["will"];
  return {
    clientId: text(row["client_id"]),
    expirySeconds: number(row["expiry_seconds"]),
    disconnectedAt: numberOrNull(row["disconnected_at"]),
    versionNumber: number(row["version_number"]),
    since: number(row["since"]),
    will: typeof will === "string" ? willFromJson(will) : null,
  };
}

function subscriptionOf(row: Row): SavedSubscription {
  return {
    filter: text(row["filter"]),
    qos: number(row["qos"]) as QoS,
    noLocal: row["no_local"] === 1,
    retainAsPublished: row["retain_as_published"] === 1,
    identifier: number(row["identifier"]),
    since: number(row["since"]),
  };
}

function chunkOf(row: Row): OutboxChunk {
  const slots = doublesOf(row["slots"]);
  const named = row["identifiers"];
  const identifiers = typeof named === "string" ? (JSON.parse(named) as OutboxChunk["identifiers"]) : [];
  return { first: number(row["first"]), slots, identifiers };
}

function exchangesOf(row: Row): SavedExchanges {
  return {
    clientId: text(row["client_id"]),
    received: identifiersOf(row["received"]),
    sent: [...doublesOf(row["sent"])],
    released: identifiersOf(row["released"]),
    done: [...doublesOf(row["done"])],
  };
}

function bytesOf({ buffer, byteOffset, byteLength }: Float64Array | Uint16Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function doublesOf(blob: Row[string] | undefined): Float64Array {
  const copy = (blob as Uint8Array).slice(); // numbers need alignment
  return new Float64Array(copy.buffer, 0, copy.byteLength / 8);
}

function identifiersOf(blob: Row[string] | undefined): number[] {
  const copy = (blob as Uint8Array).slice();
  return [...new Uint16Array(copy.buffer, 0, copy.byteLength / 2)];
}

function retainedOf(row: Row): SavedRetained {
  return {
    topic: text(row["topic"]),
    frame: row["frame"] as Uint8Array,
    offset: number(row["offset"]),
    clientId: text(row["client_id"]),
    receivedAt: number(row["received_at"]),
    expiresAt: numberOrNull(row["expires_at"]),
  };
}

function text(value: Row[string] | undefined): string {
  if (typeof value !== "string") throw new TypeError("broker.db: a text was expected");
  return value;
}

function number(value: Row[string] | undefined): number {
  if (typeof value !== "number") throw new TypeError("broker.db: a number was expected");
  return value;
}

function numberOrNull(value: Row[string] | undefined): number | null {
  return value === null ? null : number(value);
}
