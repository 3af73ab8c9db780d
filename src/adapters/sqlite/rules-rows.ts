/** Rows of `rules.db`: their tables, statements, and how values become them. */
import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite";
import { keyOf } from "../../rules/mod.ts";
import type { DeadLetter, DeadReceiver, Delivery, KeptLetter, Origin, SavedDelivery } from "../../rules/mod.ts";

const COLUMNS = "key, id, receiver, rule, things, body, fields, log_offset, created_at, event, origin, payload";
const VALUES = COLUMNS.replaceAll(/\w+/g, "?");

export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
   CREATE TABLE rules (name TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT;
   CREATE TABLE deliveries (
     key TEXT PRIMARY KEY, id TEXT NOT NULL, target TEXT NOT NULL, kind TEXT NOT NULL, rule TEXT, url TEXT NOT NULL,
     headers TEXT NOT NULL, secret TEXT, body BLOB NOT NULL, log_offset INTEGER NOT NULL, created_at INTEGER NOT NULL,
     attempts INTEGER NOT NULL, next_attempt_at INTEGER NOT NULL, last_error TEXT) STRICT;
   CREATE INDEX deliveries_due ON deliveries (target, next_attempt_at, log_offset);
   CREATE INDEX deliveries_age ON deliveries (created_at);
   CREATE INDEX deliveries_rule ON deliveries (rule);
   CREATE TABLE dead_letters (
     seq INTEGER PRIMARY KEY AUTOINCREMENT,
     key TEXT NOT NULL UNIQUE, id TEXT NOT NULL, target TEXT NOT NULL, kind TEXT NOT NULL, rule TEXT, url TEXT NOT NULL,
     headers TEXT NOT NULL, secret TEXT, body BLOB NOT NULL, log_offset INTEGER NOT NULL, created_at INTEGER NOT NULL,
     attempts INTEGER NOT NULL, last_error TEXT NOT NULL, died_at INTEGER NOT NULL) STRICT;
   CREATE TABLE alerts (
     id TEXT PRIMARY KEY, document TEXT NOT NULL, resolved_at INTEGER, last_offset INTEGER NOT NULL,
     clear_since INTEGER) STRICT;
   CREATE INDEX alerts_resolved ON alerts (resolved_at);`,
  // A JSON array; what was saved before names its thing, where it does, in the id alone.
  `ALTER TABLE deliveries ADD COLUMN things TEXT NOT NULL DEFAULT '[]';
   ALTER TABLE dead_letters ADD COLUMN things TEXT NOT NULL DEFAULT '[]';`,
  // Receivers of any kind, with their secrets sealed. `rules-upgrade.ts` moves the rows over and drops the old tables.
  `ALTER TABLE deliveries RENAME TO old_deliveries;
   ALTER TABLE dead_letters RENAME TO old_dead_letters;
   DROP INDEX deliveries_due; DROP INDEX deliveries_age; DROP INDEX deliveries_rule;
   CREATE TABLE receivers (
     key TEXT PRIMARY KEY, carrier TEXT NOT NULL, label TEXT NOT NULL, settings TEXT NOT NULL) STRICT;
   CREATE TABLE deliveries (
     key TEXT PRIMARY KEY, id TEXT NOT NULL, receiver TEXT NOT NULL, rule TEXT, things TEXT NOT NULL, body BLOB NOT NULL,
     fields TEXT NOT NULL, log_offset INTEGER NOT NULL, created_at INTEGER NOT NULL, event TEXT, origin TEXT, payload BLOB,
     attempts INTEGER NOT NULL, next_attempt_at INTEGER NOT NULL, last_error TEXT) STRICT;
   CREATE INDEX deliveries_due ON deliveries (receiver, next_attempt_at, log_offset);
   CREATE INDEX deliveries_age ON deliveries (created_at);
   CREATE INDEX deliveries_rule ON deliveries (rule);
   CREATE TABLE dead_letters (
     seq INTEGER PRIMARY KEY AUTOINCREMENT,
     key TEXT NOT NULL UNIQUE, id TEXT NOT NULL, receiver TEXT NOT NULL, rule TEXT, things TEXT NOT NULL, body BLOB NOT NULL,
     fields TEXT NOT NULL, log_offset INTEGER NOT NULL, created_at INTEGER NOT NULL, event TEXT, origin TEXT, payload BLOB,
     attempts INTEGER NOT NULL, last_error TEXT NOT NULL, died_at INTEGER NOT NULL) STRICT;
   CREATE INDEX dead_letters_rule ON dead_letters (rule, event);
   CREATE INDEX dead_letters_receiver ON dead_letters (receiver);`,
  // State of rules with windows; page -1 is the header.
  `CREATE TABLE window_state (
     rule TEXT NOT NULL, page INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (rule, page)) STRICT, WITHOUT ROWID;`,
  // An alert's story, life and who is still to be told; and rows of what is told and watched, by kind.
  `ALTER TABLE alerts ADD COLUMN more TEXT;
   ALTER TABLE alerts ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
   CREATE TABLE alert_rows (
     kind TEXT NOT NULL, id TEXT NOT NULL, thing TEXT, document TEXT NOT NULL, PRIMARY KEY (kind, id)) STRICT, WITHOUT ROWID;
   CREATE INDEX alert_rows_thing ON alert_rows (thing);`,
  `CREATE TABLE documents (
     kind TEXT NOT NULL, name TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (kind, name)) STRICT;`,
  // From where the log is read again for rules that are behind with what they ask.
  "CREATE TABLE owed (rule TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;",
  // Each page may be there twice: one counts, the other is older or was staged by a save that is under way. `slots` has a byte per
  // page that says which; 0 beyond its end. `packed`: 1 where the body is deflated.
  `CREATE TABLE window_heads (
     rule TEXT PRIMARY KEY, header BLOB NOT NULL, slots BLOB NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE window_pages (
     rule TEXT NOT NULL, page INTEGER NOT NULL, slot INTEGER NOT NULL, packed INTEGER NOT NULL, body BLOB NOT NULL,
     PRIMARY KEY (rule, page, slot)) STRICT;
   INSERT INTO window_heads (rule, header, slots) SELECT rule, body, x'' FROM window_state WHERE page = -1;
   INSERT INTO window_pages (rule, page, slot, packed, body) SELECT rule, page, 0, 0, body FROM window_state WHERE page >= 0;
   DROP TABLE window_state;`,
];

/** Of a thing, or saved before things were: then its name is between these in the id. */
const OF_THING =
  "?1 IN (SELECT value FROM json_each(things)) OR (things = '[]' AND (instr(id, ?2) > 0 OR instr(id, ?3) > 0))";

/** Of those asked for, the newest: number, rule, receiver, before, limit. */
const ASKED = `FROM dead_letters WHERE (?1 IS NULL OR seq = ?1) AND (?2 IS NULL OR rule = ?2)
  AND (?3 IS NULL OR receiver = ?3) AND (?4 IS NULL OR seq < ?4) ORDER BY seq DESC LIMIT ?5`;

const SQL = {
  putHead: "INSERT OR REPLACE INTO window_heads (rule, header, slots) VALUES (?, ?, ?)",
  putPage: "INSERT OR REPLACE INTO window_pages (rule, page, slot, packed, body) VALUES (?, ?, ?, 1, ?)",
  dropPage: "DELETE FROM window_pages WHERE rule = ? AND page = ? AND slot = ?",
  dropHead: "DELETE FROM window_heads WHERE rule = ?",
  dropPages: "DELETE FROM window_pages WHERE rule = ?",
  putOwed: "INSERT OR REPLACE INTO owed (rule, position) VALUES (?, ?)",
  dropOwed: "DELETE FROM owed WHERE rule = ?",
  putRule: "INSERT OR REPLACE INTO rules (name, document) VALUES (?, ?)",
  deleteRule: "DELETE FROM rules WHERE name = ?",
  dropOfRule: "DELETE FROM deliveries WHERE rule = ?",
  putDocument: "INSERT OR REPLACE INTO documents (kind, name, document) VALUES (?, ?, ?)",
  deleteDocument: "DELETE FROM documents WHERE kind = ? AND name = ?",
  documents: "SELECT kind, name, document FROM documents ORDER BY kind, name",
  putReceiver: "INSERT OR REPLACE INTO receivers (key, carrier, label, settings) VALUES (?, ?, ?, ?)",
  receiver: "SELECT * FROM receivers WHERE key = ?",
  add: `INSERT OR IGNORE INTO deliveries (${COLUMNS}, attempts, next_attempt_at, last_error) VALUES (${VALUES}, ?, ?, ?)`,
  update: "UPDATE deliveries SET attempts = max(attempts, ?), next_attempt_at = ?, last_error = ? WHERE key = ?",
  remove: "DELETE FROM deliveries WHERE key = ?",
  bury: `INSERT OR REPLACE INTO dead_letters (${COLUMNS}, attempts, last_error, died_at) VALUES (${VALUES}, ?, ?, ?)`,
  trimDead: "DELETE FROM dead_letters WHERE seq <= (SELECT max(seq) FROM dead_letters) - ?",
  putAlert:
    "INSERT OR REPLACE INTO alerts (id, document, resolved_at, last_offset, clear_since, more, told) VALUES (?, ?, ?, ?, ?, ?, ?)",
  trimAlerts: `DELETE FROM alerts WHERE told = 0 AND resolved_at < (
                 SELECT resolved_at FROM alerts WHERE resolved_at IS NOT NULL ORDER BY resolved_at DESC LIMIT 1 OFFSET ? - 1)`,
  setMeta: "INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)",
  due: "SELECT * FROM deliveries WHERE receiver = ? AND next_attempt_at <= ? ORDER BY next_attempt_at, log_offset LIMIT ?",
  nextDue: "SELECT min(next_attempt_at) AS n FROM deliveries WHERE receiver = ?",
  waitingFor: "SELECT count(*) AS n FROM deliveries WHERE receiver = ?",
  older: "SELECT * FROM deliveries WHERE created_at < ? ORDER BY created_at, log_offset LIMIT ?",
  // The key holds the receiver. What is there already under the new one is the same event: it stays.
  moveWaiting:
    "UPDATE OR REPLACE deliveries SET receiver = ?3, key = id || ' ' || ?3 WHERE rule = ?1 AND receiver = ?2",
  moveDead: "UPDATE OR REPLACE dead_letters SET receiver = ?3, key = id || ' ' || ?3 WHERE rule = ?1 AND receiver = ?2",
  has: "SELECT 1 FROM deliveries WHERE key = ? UNION ALL SELECT 1 FROM dead_letters WHERE key = ?",
  hasDied: "SELECT 1 FROM dead_letters WHERE rule = ? AND event = ? LIMIT 1",
  dead: `SELECT d.*, r.carrier, r.label FROM (SELECT * ${ASKED}) d LEFT JOIN receivers r ON r.key = d.receiver ORDER BY d.seq DESC`,
  // Of the index alone: the rows hold the bodies.
  deadReceivers: `SELECT d.*, r.carrier, r.label FROM (
                    SELECT receiver, count(*) AS n, max(seq) AS newest FROM dead_letters GROUP BY receiver) d
                  LEFT JOIN receivers r ON r.key = d.receiver ORDER BY d.newest DESC`,
  dropDead: `DELETE FROM dead_letters WHERE seq IN (SELECT seq ${ASKED})`,
  editDead: "UPDATE dead_letters SET body = ifnull(?, body), fields = ifnull(?, fields) WHERE seq = ?",
  unbury: "DELETE FROM dead_letters WHERE key = ?",
  putAlertRow: "INSERT OR REPLACE INTO alert_rows (kind, id, thing, document) VALUES (?, ?, ?, ?)",
  dropAlertRow: "DELETE FROM alert_rows WHERE kind = ? AND id = ?",
  dropAlert: "DELETE FROM alerts WHERE id = ?",
  forgetAlertRows: "DELETE FROM alert_rows WHERE thing = ?",
  forgetAlerts: "DELETE FROM alerts WHERE json_extract(document, '$.thing') = ?",
  forgetWaiting: `DELETE FROM deliveries WHERE ${OF_THING}`,
  forgetDead: `DELETE FROM dead_letters WHERE ${OF_THING}`,
} as const;

export type Row = Record<string, SQLOutputValue>;
export type Statements = Readonly<Record<keyof typeof SQL, StatementSync>>;

export function prepareStatements(database: DatabaseSync): Statements {
  const entries = Object.entries(SQL).map(([name, text]) => [name, database.prepare(text)] as const);
  return Object.fromEntries(entries) as Statements;
}

/** As in `COLUMNS`. `fields`: as it is kept. */
export function columnsOf(delivery: Delivery, fields: string = JSON.stringify(delivery.fields)): SQLInputValue[] {
  const { id, receiver, rule, things, body, offset, createdAt, origin } = delivery;
  const known = [keyOf(delivery), id, receiver, rule, JSON.stringify(things), body, fields, offset];
  if (origin === null) return [...known, createdAt, null, null, null];
  const { payload, event, ...told } = origin;
  return [...known, createdAt, event, JSON.stringify(told), payload];
}

function deliveryOf(row: Row): Delivery {
  return {
    id: row["id"] as string,
    receiver: row["receiver"] as string,
    rule: row["rule"] as string | null,
    things: JSON.parse(row["things"] as string) as string[],
    body: row["body"] as Uint8Array,
    fields: JSON.parse(row["fields"] as string) as Record<string, string>,
    offset: row["log_offset"] as number,
    createdAt: row["created_at"] as number,
    origin: originOf(row),
  };
}

function originOf(row: Row): Origin | null {
  if (row["origin"] === null) return null;
  const told = JSON.parse(row["origin"] as string) as Omit<Origin, "event" | "payload">;
  return { ...told, event: row["event"] as string, payload: row["payload"] as Uint8Array };
}

export function savedOf(row: Row): SavedDelivery {
  return {
    ...deliveryOf(row),
    attempts: row["attempts"] as number,
    nextAttemptAt: row["next_attempt_at"] as number,
    lastError: row["last_error"] as string | null,
  };
}

export function deadReceiverOf({ receiver, carrier, label, n, newest }: Row): DeadReceiver {
  return {
    receiver: receiver as string,
    carrier: (carrier ?? "") as string,
    label: (label ?? "") as string,
    count: n as number,
    newest: newest as number,
  };
}

export function letterOf(row: Row): KeptLetter {
  const letter: DeadLetter = {
    ...deliveryOf(row),
    attempts: row["attempts"] as number,
    lastError: row["last_error"] as string,
    diedAt: row["died_at"] as number,
  };
  const { carrier, label } = row;
  return {
    ...letter,
    number: row["seq"] as number,
    carrier: (carrier ?? "") as string,
    label: (label ?? "") as string,
  };
}
