/**
 * Shadows, their answers that are on the way, and the place in the log, in `shadows.db`. The log has every request, so the
 * regular save is not waited for; see `ShadowStore.save`.
 */
import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";
import type { EpochMs, Logger } from "../../base/mod.ts";
import type { Answer, ShadowStore, StoredShadow, TwinChanges, WaitingAnswers } from "../../twin/mod.ts";
import { closeDatabase, openDatabase, transaction } from "./open.ts";

const MIGRATIONS: readonly string[] = [
  `CREATE TABLE progress (tenant TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT;
   -- name '': the classic shadow. document NULL: deleted, and only its version is remembered.
   CREATE TABLE shadows (
     tenant TEXT NOT NULL, thing TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, document TEXT,
     changed_at INTEGER NOT NULL, PRIMARY KEY (tenant, thing, name)) STRICT;
   CREATE INDEX shadows_deleted ON shadows (tenant, changed_at) WHERE document IS NULL;
   CREATE TABLE answers (
     tenant TEXT NOT NULL, position INTEGER NOT NULL, answers TEXT NOT NULL, PRIMARY KEY (tenant, position)) STRICT;`,
];

type Row = Record<string, SQLOutputValue>;

export interface ShadowStoreOptions {
  readonly path: string;
  readonly logger?: Logger;
  readonly tenant?: string;
}

export class SqliteShadowStore implements ShadowStore {
  readonly #database: DatabaseSync;
  readonly #tenant: string;
  readonly #prepared = new Map<string, StatementSync>();
  #count: number;

  /** Throws `TidewireError` DATABASE_DAMAGED, DATABASE_UNUSABLE or DATABASE_NEWER. */
  constructor({ path, logger, tenant = "default" }: ShadowStoreOptions) {
    const told = logger === undefined ? {} : { logger };
    this.#database = openDatabase({ path, name: "shadows", migrations: MIGRATIONS, durability: "normal", ...told });
    this.#tenant = tenant;
    this.#count = this.#number("SELECT count(*) AS n FROM shadows WHERE tenant = ? AND document IS NOT NULL");
  }

  close(): void {
    closeDatabase(this.#database);
  }

  position(): number | null {
    const row = this.#statement("SELECT position FROM progress WHERE tenant = ?").get(this.#tenant);
    return (row?.["position"] as number | undefined) ?? null;
  }

  shadow(thing: string, name: string): StoredShadow | undefined {
    const sql = "SELECT version, document, changed_at FROM shadows WHERE tenant = ? AND thing = ? AND name = ?";
    const row = this.#statement(sql).get(this.#tenant, thing, name);
    if (row === undefined) return undefined;
    const text = row["document"] as string | null;
    return { thing, name, version: row["version"] as number, text, changedAt: row["changed_at"] as number };
  }

  countOf(thing: string): number {
    return this.#number("SELECT count(*) AS n FROM shadows WHERE tenant = ? AND thing = ?", thing);
  }

  named(thing: string, after: string, limit: number): readonly string[] {
    const sql = `SELECT name FROM shadows WHERE tenant = ? AND thing = ? AND name > ? AND document IS NOT NULL
                 ORDER BY name LIMIT ?`;
    return this.#statement(sql)
      .all(this.#tenant, thing, after, limit)
      .map((row) => row["name"] as string);
  }

  count(): number {
    return this.#count;
  }

  waiting(): readonly WaitingAnswers[] {
    const sql = "SELECT position, answers FROM answers WHERE tenant = ? ORDER BY position";
    return this.#statement(sql)
      .all(this.#tenant)
      .map((row) => ({
        position: row["position"] as number,
        answers: (JSON.parse(row["answers"] as string) as SavedAnswer[]).map(answerOf),
      }));
  }

  save(changes: TwinChanges, durable: boolean): void {
    let added = 0;
    this.#inTransaction(durable, () => {
      for (const shadow of changes.shadows) added += this.#saveShadow(shadow);
      const { position, answers, answered } = changes;
      if (answered >= 0) this.#run("DELETE FROM answers WHERE tenant = ? AND position <= ?", answered);
      if (answers.length > 0) {
        const saved = JSON.stringify(answers.map(savedOf));
        this.#run("INSERT OR REPLACE INTO answers (tenant, position, answers) VALUES (?, ?, ?)", position, saved);
      }
      this.#run("INSERT OR REPLACE INTO progress (tenant, position) VALUES (?, ?)", position);
    });
    this.#count += added; // only now: a rolled back transaction must not have counted
  }

  forget(things: readonly string[]): number {
    let present = 0;
    let removed = 0;
    this.#inTransaction(true, () => {
      for (const thing of things) {
        const sql = "SELECT count(*) AS n FROM shadows WHERE tenant = ? AND thing = ? AND document IS NOT NULL";
        present += this.#number(sql, thing);
        removed += this.#run("DELETE FROM shadows WHERE tenant = ? AND thing = ?", thing);
        this.#forgetAnswers(`$aws/things/${thing}/`);
      }
    });
    this.#count -= present;
    return removed;
  }

  /** Those of the last requests lie here until others come. */
  #forgetAnswers(prefix: string): void {
    const sql = "SELECT position, answers FROM answers WHERE tenant = ? AND instr(answers, ?) > 0";
    for (const row of this.#statement(sql).all(this.#tenant, prefix)) {
      const answers = JSON.parse(row["answers"] as string) as SavedAnswer[];
      const others = JSON.stringify(answers.filter(([topic]) => !topic.startsWith(prefix)));
      this.#run("UPDATE answers SET answers = ?2 WHERE tenant = ?1 AND position = ?3", others, Number(row["position"]));
    }
  }

  things(after: string, limit: number): readonly string[] {
    const sql = "SELECT DISTINCT thing FROM shadows WHERE tenant = ? AND thing > ? ORDER BY thing LIMIT ?";
    return this.#statement(sql)
      .all(this.#tenant, after, limit)
      .map((row) => row["thing"] as string);
  }

  purge(deletedBefore: EpochMs, limit: number): number {
    const sql = `DELETE FROM shadows WHERE rowid IN (
                   SELECT rowid FROM shadows WHERE tenant = ? AND document IS NULL AND changed_at < ? LIMIT ?)`;
    return transaction(this.#database, () => this.#run(sql, deletedBefore, limit));
  }

  /** 1 where there is one more than before, -1 where there is one less. */
  #saveShadow({ thing, name, version, text, changedAt }: StoredShadow): number {
    const before = this.#number(
      "SELECT count(*) AS n FROM shadows WHERE tenant = ? AND thing = ? AND name = ? AND document IS NOT NULL",
      thing,
      name,
    );
    this.#run(
      `INSERT OR REPLACE INTO shadows (tenant, thing, name, version, document, changed_at) VALUES (?, ?, ?, ?, ?, ?)`,
      thing,
      name,
      version,
      text,
      changedAt,
    );
    return (text === null ? 0 : 1) - before;
  }

  #inTransaction(durable: boolean, work: () => void): void {
    // In WAL mode a commit that is synced takes all earlier ones along, so switching back and forth keeps the order.
    if (durable) this.#database.exec("PRAGMA synchronous = FULL");
    try {
      transaction(this.#database, work);
    } finally {
      if (durable) this.#database.exec("PRAGMA synchronous = NORMAL");
    }
  }

  #run(sql: string, ...values: readonly (string | number | null)[]): number {
    return Number(this.#statement(sql).run(this.#tenant, ...values).changes);
  }

  #number(sql: string, ...values: readonly string[]): number {
    return (this.#statement(sql).get(this.#tenant, ...values) as Row)["n"] as number;
  }

  /** As many as this file has texts. */
  #statement(sql: string): StatementSync {
    let statement = this.#prepared.get(sql);
    if (statement === undefined) this.#prepared.set(sql, (statement = this.#database.prepare(sql)));
    return statement;
  }
}

type SavedAnswer = readonly [topic: string, payload: string, until: EpochMs | null, hops?: number];

function savedOf({ topic, payload, until, hops }: Answer): SavedAnswer {
  return hops === undefined ? [topic, payload, until] : [topic, payload, until, hops];
}

function answerOf([topic, payload, until, hops]: SavedAnswer): Answer {
  return hops === undefined ? { topic, payload, until } : { topic, payload, until, hops };
}
