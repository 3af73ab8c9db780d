/**
 * Rules, waiting deliveries, dead letters, alerts and the checkpoint in `rules.db`. What a person did is on disk when the
 * call returns; the regular save is not waited for (see `RulesStore.save`): a sync once a second would stop the broker's
 * loop for 10 ms and more.
 */
import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";
import { LIMITS } from "../../base/mod.ts";
import type { EpochMs, Logger } from "../../base/mod.ts";
import { idPart, keyOf } from "../../rules/mod.ts";
import type {
  Alert,
  DeadLetter,
  Delivery,
  DeliveryKey,
  ForgottenState,
  RuleDocument,
  RulesLimits,
  RulesStore,
  SaveBatch,
  SavedDelivery,
  StoredAlert,
  StoredState,
} from "../../rules/mod.ts";
import { closeDatabase, openDatabase, transaction } from "./open.ts";

const DELIVERY_COLUMNS = "key, id, target, kind, rule, url, headers, secret, body, log_offset, created_at, things";

const MIGRATIONS: readonly string[] = [
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
];

type Row = Record<string, SQLOutputValue>;

export interface RulesStoreOptions {
  readonly path: string;
  readonly logger?: Logger;
  readonly limits?: Pick<RulesLimits, "deadLettersMax" | "alertsHistoryMax">;
}

export class SqliteRulesStore implements RulesStore {
  readonly #database: DatabaseSync;
  readonly #limits: Pick<RulesLimits, "deadLettersMax" | "alertsHistoryMax">;
  readonly #statements: Statements;
  #waiting: number;

  /** Throws `TidewireError` DATABASE_DAMAGED, DATABASE_UNUSABLE or DATABASE_NEWER. */
  constructor(options: RulesStoreOptions) {
    this.#limits = options.limits ?? LIMITS.rules;
    this.#database = openDatabase({
      path: options.path,
      name: "rules",
      migrations: MIGRATIONS,
      durability: "full",
      ...(options.logger === undefined ? {} : { logger: options.logger }),
    });
    this.#statements = prepare(this.#database);
    this.#waiting = this.#number("SELECT count(*) AS n FROM deliveries") ?? 0;
  }

  close(): void {
    closeDatabase(this.#database);
  }

  load(): StoredState {
    const all = (sql: string): Row[] => this.#database.prepare(sql).all();
    const rules = all("SELECT document FROM rules ORDER BY name").map(
      (row) => JSON.parse(row["document"] as string) as RuleDocument,
    );
    const alerts = all("SELECT document, last_offset, clear_since FROM alerts").map((row): StoredAlert => ({
      alert: JSON.parse(row["document"] as string) as Alert,
      lastOffset: row["last_offset"] as number,
      clearSince: row["clear_since"] as number | null,
    }));
    const targets = all("SELECT target, min(kind) AS kind FROM deliveries GROUP BY target").map((row) => ({
      target: row["target"] as string,
      kind: row["kind"] as Delivery["kind"],
    }));
    return {
      rules,
      alerts,
      targets,
      checkpoint: this.#number("SELECT value AS n FROM meta WHERE name = 'checkpoint'"),
      waiting: this.#waiting,
      savedOffsetMax: Math.max(
        this.#number("SELECT max(log_offset) AS n FROM deliveries") ?? -1,
        this.#number("SELECT max(log_offset) AS n FROM dead_letters") ?? -1,
      ),
      newestCreatedAt: this.#number("SELECT max(created_at) AS n FROM deliveries"),
    };
  }

  putRule(rule: RuleDocument): void {
    this.#statements.putRule.run(rule.ruleName, JSON.stringify(rule));
  }

  deleteRule(ruleName: string): number {
    return transaction(this.#database, () => {
      this.#statements.deleteRule.run(ruleName);
      const dropped = Number(this.#statements.dropOfRule.run(ruleName).changes);
      this.#waiting -= dropped;
      return dropped;
    });
  }

  save(batch: SaveBatch, durable: boolean): number {
    let waiting: number;
    // In WAL mode a commit that is synced takes all earlier ones along, so switching back and forth keeps the order.
    if (!durable) this.#database.exec("PRAGMA synchronous = NORMAL");
    try {
      waiting = this.#saveBatch(batch);
    } finally {
      if (!durable) this.#database.exec("PRAGMA synchronous = FULL");
    }
    this.#waiting = waiting; // only now: a rolled back transaction must not have counted
    return waiting;
  }

  #saveBatch(batch: SaveBatch): number {
    let waiting = this.#waiting;
    transaction(this.#database, () => {
      for (const delivery of batch.deliveries) waiting += this.#saveDelivery(delivery);
      for (const key of batch.done) {
        waiting -= Number(this.#statements.remove.run(key).changes);
        this.#statements.unbury.run(key); // given up while its last attempt was on the way, which then succeeded
      }
      for (const letter of batch.dead) {
        waiting -= Number(this.#statements.remove.run(keyOf(letter)).changes);
        this.#statements.bury.run(...columnsOf(letter), letter.attempts, letter.lastError, letter.diedAt);
      }
      if (batch.dead.length > 0) this.#statements.trimDead.run(this.#limits.deadLettersMax);
      this.#saveAlerts(batch.alerts);
      this.#statements.setMeta.run("checkpoint", batch.checkpoint);
    });
    return waiting;
  }

  forgetThing(thing: string): ForgottenState {
    const part = idPart(thing);
    return transaction(this.#database, () => {
      const changes = (statement: StatementSync, ...values: readonly string[]): number =>
        Number(statement.run(...values).changes);
      const alerts = changes(this.#statements.forgetAlerts, thing);
      const deadLetters = changes(this.#statements.forgetDead, thing, `.${part}.`, `-${part}-`);
      const deliveries = changes(this.#statements.forgetWaiting, thing, `.${part}.`, `-${part}-`);
      this.#waiting -= deliveries;
      return { alerts, deliveries, deadLetters };
    });
  }

  due(target: string, now: EpochMs, limit: number): SavedDelivery[] {
    return (this.#statements.due.all(target, now, limit) as Row[]).map(savedOf);
  }

  nextDue(target: string): EpochMs | null {
    return (this.#statements.nextDue.get(target) as Row)["n"] as number | null;
  }

  has(key: DeliveryKey): boolean {
    return this.#statements.has.get(key, key) !== undefined;
  }

  expire(createdBefore: EpochMs, now: EpochMs, reason: string): number {
    const expired = transaction(this.#database, () => {
      const buried = Number(this.#statements.buryOld.run(reason, now, createdBefore).changes);
      if (buried === 0) return 0;
      const removed = Number(this.#statements.removeOld.run(createdBefore).changes);
      this.#statements.trimDead.run(this.#limits.deadLettersMax);
      return removed;
    });
    this.#waiting -= expired;
    return expired;
  }

  deadLetters(limit: number): DeadLetter[] {
    return (this.#statements.dead.all(limit) as Row[]).map(deadOf);
  }

  revive(key: DeliveryKey, now: EpochMs): SavedDelivery | null {
    const row = this.#statements.deadOne.get(key);
    if (row === undefined) return null;
    // It starts anew, or it would be given up again at once.
    const delivery: SavedDelivery = {
      ...deliveryOf(row),
      createdAt: now,
      attempts: 0,
      nextAttemptAt: now,
      lastError: null,
    };
    const added = transaction(this.#database, () => {
      this.#statements.unbury.run(key);
      return this.#saveDelivery(delivery);
    });
    this.#waiting += added;
    return delivery;
  }

  #saveDelivery(delivery: SavedDelivery): number {
    const { attempts, nextAttemptAt, lastError } = delivery;
    const added = this.#statements.add.run(...columnsOf(delivery), attempts, nextAttemptAt, lastError).changes;
    if (Number(added) === 0) this.#statements.update.run(attempts, nextAttemptAt, lastError, keyOf(delivery));
    return Number(added);
  }

  #saveAlerts(alerts: readonly StoredAlert[]): void {
    let resolved = false;
    for (const { alert, lastOffset, clearSince } of alerts) {
      resolved ||= alert.state === "resolved";
      this.#statements.putAlert.run(alert.id, JSON.stringify(alert), alert.resolvedAt, lastOffset, clearSince);
    }
    if (resolved) this.#statements.trimAlerts.run(this.#limits.alertsHistoryMax);
  }

  #number(sql: string): number | null {
    const row = this.#database.prepare(sql).get();
    return (row?.["n"] as number | null | undefined) ?? null;
  }
}

type Statements = Record<StatementName, StatementSync>;
type StatementName =
  | "putRule"
  | "deleteRule"
  | "dropOfRule"
  | "add"
  | "update"
  | "remove"
  | "bury"
  | "trimDead"
  | "putAlert"
  | "trimAlerts"
  | "setMeta"
  | "due"
  | "nextDue"
  | "has"
  | "buryOld"
  | "removeOld"
  | "dead"
  | "deadOne"
  | "unbury"
  | "forgetAlerts"
  | "forgetWaiting"
  | "forgetDead";

/** Of a thing, or saved before things were: then its name is between these in the id. */
const OF_THING =
  "?1 IN (SELECT value FROM json_each(things)) OR (things = '[]' AND (instr(id, ?2) > 0 OR instr(id, ?3) > 0))";

function prepare(database: DatabaseSync): Statements {
  const sql: Record<StatementName, string> = {
    putRule: "INSERT OR REPLACE INTO rules (name, document) VALUES (?, ?)",
    deleteRule: "DELETE FROM rules WHERE name = ?",
    dropOfRule: "DELETE FROM deliveries WHERE rule = ?",
    add: `INSERT OR IGNORE INTO deliveries (${DELIVERY_COLUMNS}, attempts, next_attempt_at, last_error)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    update: "UPDATE deliveries SET attempts = max(attempts, ?), next_attempt_at = ?, last_error = ? WHERE key = ?",
    remove: "DELETE FROM deliveries WHERE key = ?",
    bury: `INSERT OR REPLACE INTO dead_letters (${DELIVERY_COLUMNS}, attempts, last_error, died_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    trimDead: "DELETE FROM dead_letters WHERE seq <= (SELECT max(seq) FROM dead_letters) - ?",
    putAlert:
      "INSERT OR REPLACE INTO alerts (id, document, resolved_at, last_offset, clear_since) VALUES (?, ?, ?, ?, ?)",
    trimAlerts: `DELETE FROM alerts WHERE resolved_at < (
                   SELECT resolved_at FROM alerts WHERE resolved_at IS NOT NULL ORDER BY resolved_at DESC LIMIT 1 OFFSET ? - 1)`,
    setMeta: "INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)",
    due: "SELECT * FROM deliveries WHERE target = ? AND next_attempt_at <= ? ORDER BY next_attempt_at, log_offset LIMIT ?",
    nextDue: "SELECT min(next_attempt_at) AS n FROM deliveries WHERE target = ?",
    has: "SELECT 1 FROM deliveries WHERE key = ? UNION ALL SELECT 1 FROM dead_letters WHERE key = ?",
    buryOld: `INSERT OR REPLACE INTO dead_letters (${DELIVERY_COLUMNS}, attempts, last_error, died_at)
              SELECT ${DELIVERY_COLUMNS}, attempts, ifnull(last_error || '; ', '') || ?, ?
              FROM deliveries WHERE created_at < ? ORDER BY created_at`,
    removeOld: "DELETE FROM deliveries WHERE created_at < ?",
    dead: "SELECT * FROM dead_letters ORDER BY seq DESC LIMIT ?",
    deadOne: "SELECT * FROM dead_letters WHERE key = ?",
    unbury: "DELETE FROM dead_letters WHERE key = ?",
    forgetAlerts: "DELETE FROM alerts WHERE json_extract(document, '$.thing') = ?",
    forgetWaiting: `DELETE FROM deliveries WHERE ${OF_THING}`,
    forgetDead: `DELETE FROM dead_letters WHERE ${OF_THING}`,
  };
  const entries = Object.entries(sql).map(([name, text]) => [name, database.prepare(text)] as const);
  return Object.fromEntries(entries) as Statements;
}

function columnsOf(d: Delivery): (string | number | null | Uint8Array)[] {
  const headers = JSON.stringify(d.headers);
  const things = JSON.stringify(d.things);
  return [keyOf(d), d.id, d.target, d.kind, d.rule, d.url, headers, d.secret, d.body, d.offset, d.createdAt, things];
}

function deliveryOf(row: Row): Delivery {
  return {
    id: row["id"] as string,
    target: row["target"] as string,
    kind: row["kind"] as Delivery["kind"],
    rule: row["rule"] as string | null,
    things: JSON.parse(row["things"] as string) as string[],
    url: row["url"] as string,
    headers: JSON.parse(row["headers"] as string) as Record<string, string>,
    secret: row["secret"] as string | null,
    body: row["body"] as Uint8Array,
    offset: row["log_offset"] as number,
    createdAt: row["created_at"] as number,
  };
}

function savedOf(row: Row): SavedDelivery {
  return {
    ...deliveryOf(row),
    attempts: row["attempts"] as number,
    nextAttemptAt: row["next_attempt_at"] as number,
    lastError: row["last_error"] as string | null,
  };
}

function deadOf(row: Row): DeadLetter {
  return {
    ...deliveryOf(row),
    attempts: row["attempts"] as number,
    lastError: row["last_error"] as string,
    diedAt: row["died_at"] as number,
  };
}
