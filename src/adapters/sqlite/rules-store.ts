/**
 * Rules, waiting deliveries, dead letters, alerts and the checkpoint in `rules.db`. What a person did is on disk when the
 * call returns; the regular save is not waited for (see `RulesStore.save`): a sync once a second would stop the broker's
 * loop for 10 ms and more. Secrets of rules and receivers are sealed, and fields of deliveries: a header may be a secret.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { LIMITS, reasonOf } from "../../base/mod.ts";
import type { EpochMs, JsonObject, Logger } from "../../base/mod.ts";
import type { Sealing } from "../../people/mod.ts";
import { idPart, keyOf, mapRuleSecrets } from "../../rules/mod.ts";
import type {
  Alert,
  AlertRow,
  DeadLetterQuery,
  DeadReceiver,
  DeliveryKey,
  ForgottenState,
  KeptLetter,
  LetterChange,
  Receiver,
  RefusedRow,
  Revived,
  RuleDocument,
  RulesLimits,
  RulesStore,
  SaveBatch,
  Saved,
  SavedDelivery,
  SavedWindows,
  StoredAlert,
  StoredChange,
  StoredDocument,
  StoredState,
  StateSnapshot,
} from "../../rules/mod.ts";
import { closeDatabase, openDatabase, transaction } from "./open.ts";
import { MIGRATIONS, columnsOf, deadReceiverOf, letterOf, prepareStatements, savedOf } from "./rules-rows.ts";
import type { Row, Statements } from "./rules-rows.ts";
import { WindowRows } from "./rules-windows.ts";
import { upgradeRows } from "./rules-upgrade.ts";

const OPEN_FIELDS: ReadonlySet<string> = new Set(
  "content-type contentType topic raw subject thread routingKey stream".split(" "),
);

/** A checkpoint stops the loop: small ones, more often, for state of windows is written a little at a time. */
const SIZES = { checkpoint: 512 * 1024, appendedMax: 256 * 1024 };

type StoreLimits = Pick<RulesLimits, "deadLettersMax" | "alertsHistoryMax">;

export interface RulesStoreOptions {
  readonly path: string;
  readonly sealing: Pick<Sealing, "seal" | "open" | "hmac">;
  readonly logger?: Logger;
  readonly limits?: StoreLimits;
}

export class SqliteRulesStore implements RulesStore {
  readonly #database: DatabaseSync;
  readonly #limits: StoreLimits;
  readonly #statements: Statements;
  readonly #sealing: RulesStoreOptions["sealing"];
  readonly #logger: Logger | undefined;
  readonly #windows: WindowRows;
  #waiting: number;

  /** Throws `TidewireError` DATABASE_DAMAGED, DATABASE_UNUSABLE or DATABASE_NEWER. */
  constructor(options: RulesStoreOptions) {
    this.#limits = options.limits ?? LIMITS.rules;
    this.#sealing = options.sealing;
    this.#logger = options.logger;
    this.#database = openDatabase({
      path: options.path,
      name: "rules",
      migrations: MIGRATIONS,
      durability: "full",
      sizes: SIZES,
      ...(options.logger === undefined ? {} : { logger: options.logger }),
    });
    this.#statements = prepareStatements(this.#database);
    this.#windows = new WindowRows(this.#database, this.#statements);
    upgradeRows({
      database: this.#database,
      statements: this.#statements,
      keyedHash: (text) => this.#sealing.hmac(text),
      putRule: (rule) => this.putRule(rule),
      putReceiver: (receiver) => this.#putReceiver(receiver),
    });
    this.#waiting = this.#number("SELECT count(*) AS n FROM deliveries") ?? 0;
  }

  close(): void {
    closeDatabase(this.#database);
  }

  load(): StoredState {
    const all = (sql: string): Row[] => this.#database.prepare(sql).all();
    const rules = all("SELECT document FROM rules ORDER BY name").map((row) =>
      this.#openRule(JSON.parse(row["document"] as string) as RuleDocument),
    );
    const alerts = all("SELECT document, last_offset, clear_since, more FROM alerts").map((row): StoredAlert => ({
      alert: JSON.parse(row["document"] as string) as Alert,
      lastOffset: row["last_offset"] as number,
      clearSince: row["clear_since"] as number | null,
      more: row["more"] === null ? null : (JSON.parse(row["more"] as string) as StoredAlert["more"]),
    }));
    const alertRows = all("SELECT kind, id, thing, document FROM alert_rows").map((row): AlertRow => ({
      kind: row["kind"] as AlertRow["kind"],
      id: row["id"] as string,
      thing: row["thing"] as string | null,
      document: row["document"] as string,
    }));
    this.#database.exec(`DELETE FROM receivers WHERE key NOT IN (
      SELECT receiver FROM deliveries UNION ALL SELECT receiver FROM dead_letters)`);
    const receivers = all("SELECT * FROM receivers WHERE key IN (SELECT receiver FROM deliveries)");
    return {
      rules,
      alerts,
      alertRows,
      receivers: receivers.map((row) => this.#openReceiver(row)).filter((receiver) => receiver !== null),
      checkpoint: this.#number("SELECT value AS n FROM meta WHERE name = 'checkpoint'"),
      waiting: this.#waiting,
      savedOffsetMax: Math.max(
        this.#number("SELECT max(log_offset) AS n FROM deliveries") ?? -1,
        this.#number("SELECT max(log_offset) AS n FROM dead_letters") ?? -1,
      ),
      newestCreatedAt: this.#number("SELECT max(created_at) AS n FROM deliveries"),
      windows: this.#windows.load(),
      toldUntil: this.#number("SELECT value AS n FROM meta WHERE name = 'told_until'"),
      owed: all("SELECT rule, position FROM owed").map((row) => ({
        rule: row["rule"] as string,
        position: row["position"] as number,
      })),
    };
  }

  putRule(rule: RuleDocument): void {
    const about = aboutRule(rule);
    const sealed = mapRuleSecrets(rule, (secret) => this.#sealing.seal(secret, about));
    this.#statements.putRule.run(rule.ruleName, JSON.stringify(sealed));
  }

  change({ rules, deletes, documents }: StoredChange): number[] {
    const dropped = transaction(this.#database, () => {
      for (const { kind, name, document } of documents) {
        if (document === null) this.#statements.deleteDocument.run(kind, name);
        else this.#statements.putDocument.run(kind, name, JSON.stringify(document));
      }
      for (const rule of rules) this.putRule(rule);
      return deletes.map((ruleName) => {
        this.#statements.deleteRule.run(ruleName);
        this.#windows.dropRule(ruleName);
        this.#statements.dropOwed.run(ruleName);
        return Number(this.#statements.dropOfRule.run(ruleName).changes);
      });
    });
    for (const ruleName of deletes) this.#windows.forgetRule(ruleName);
    for (const count of dropped) this.#waiting -= count;
    return dropped;
  }

  documents(): StoredDocument[] {
    return (this.#statements.documents.all() as Row[]).map((row) => ({
      kind: row["kind"] as string,
      name: row["name"] as string,
      document: JSON.parse(row["document"] as string) as JsonObject,
    }));
  }

  stage(rule: string, pages: StateSnapshot["pages"]): void {
    this.#unwaited(() => this.#windows.stage(rule, pages));
  }

  save(batch: SaveBatch, durable: boolean): Saved {
    const saved = durable ? this.#saveBatch(batch) : this.#unwaited(() => this.#saveBatch(batch));
    this.#waiting = saved.waiting; // only now: a rolled back transaction must not have counted
    const isTaken = ({ rule }: SavedWindows): boolean => saved.refused.every((refused) => refused.rule !== rule);
    this.#windows.saved(batch.windows.filter(isTaken));
    return saved;
  }

  /** In WAL mode a commit that is synced takes all earlier ones along, so switching back and forth keeps the order. */
  #unwaited<T>(work: () => T): T {
    this.#database.exec("PRAGMA synchronous = NORMAL");
    try {
      return work();
    } finally {
      this.#database.exec("PRAGMA synchronous = FULL");
    }
  }

  #saveBatch(batch: SaveBatch): Saved {
    let waiting = this.#waiting;
    const lost: RefusedRow[] = [];
    const row = (rule: string | null, work: () => void): void => {
      const reason = whyRefused(work);
      if (reason !== null) lost.push({ rule, reason });
    };
    const refused = transaction(this.#database, () => {
      for (const receiver of batch.receivers) row(null, () => this.#putReceiver(receiver));
      for (const delivery of batch.deliveries) row(delivery.rule, () => (waiting += this.#saveDelivery(delivery)));
      for (const key of batch.done) {
        waiting -= Number(this.#statements.remove.run(key).changes);
        this.#statements.unbury.run(key); // given up while its last attempt was on the way, which then succeeded
      }
      for (const letter of batch.dead) {
        waiting -= Number(this.#statements.remove.run(keyOf(letter)).changes);
        row(letter.rule, () => {
          const columns = columnsOf(letter, this.#sealedFields(letter.id, letter.fields));
          this.#statements.bury.run(...columns, letter.attempts, letter.lastError, letter.diedAt);
        });
      }
      if (batch.dead.length > 0) this.#statements.trimDead.run(this.#limits.deadLettersMax);
      for (const stored of batch.alerts) row(stored.alert.rule, () => this.#saveAlert(stored));
      if (batch.alerts.some(({ alert }) => alert.state === "resolved")) {
        this.#statements.trimAlerts.run(this.#limits.alertsHistoryMax);
      }
      for (const alertRow of batch.alertRows) row(null, () => this.#saveAlertRow(alertRow));
      const states = this.#windows.save(batch.windows);
      const { toldUntil } = batch;
      if (toldUntil !== null) this.#statements.setMeta.run("told_until", Math.floor(toldUntil));
      for (const { rule, position } of batch.owed) {
        if (position === null) this.#statements.dropOwed.run(rule);
        else this.#statements.putOwed.run(rule, position);
      }
      this.#statements.setMeta.run("checkpoint", batch.checkpoint);
      return states;
    });
    return { waiting, refused, lost };
  }

  forgetThing(thing: string): ForgottenState {
    const part = idPart(thing);
    return transaction(this.#database, () => {
      const changes = (statement: StatementSync, ...values: readonly string[]): number =>
        Number(statement.run(...values).changes);
      const alerts = changes(this.#statements.forgetAlerts, thing);
      changes(this.#statements.forgetAlertRows, thing);
      const deadLetters = changes(this.#statements.forgetDead, thing, `.${part}.`, `-${part}-`);
      const deliveries = changes(this.#statements.forgetWaiting, thing, `.${part}.`, `-${part}-`);
      this.#waiting -= deliveries;
      this.#windows.dropIdle(); // the thing may be in what does not count
      return { alerts, deliveries, deadLetters };
    });
  }

  due(receiver: string, now: EpochMs, limit: number): SavedDelivery[] {
    return (this.#statements.due.all(receiver, now, limit) as Row[]).map((row) => savedOf(this.#opened(row)));
  }

  nextDue(receiver: string): EpochMs | null {
    return (this.#statements.nextDue.get(receiver) as Row)["n"] as number | null;
  }

  waitingFor(receiver: string): number {
    return (this.#statements.waitingFor.get(receiver) as Row)["n"] as number;
  }

  older(createdBefore: EpochMs, limit: number): SavedDelivery[] {
    return (this.#statements.older.all(createdBefore, limit) as Row[]).map((row) => savedOf(this.#opened(row)));
  }

  changeReceiver(rule: string, from: string, to: Receiver): number {
    return transaction(this.#database, () => {
      this.#putReceiver(to);
      const moved = Number(this.#statements.moveWaiting.run(rule, from, to.key).changes);
      this.#statements.moveDead.run(rule, from, to.key);
      return moved;
    });
  }

  has(key: DeliveryKey): boolean {
    return this.#statements.has.get(key, key) !== undefined;
  }

  hasDied(rule: string, event: string): boolean {
    return this.#statements.hasDied.get(rule, event) !== undefined;
  }

  deadLetters(query: DeadLetterQuery): KeptLetter[] {
    return (this.#statements.dead.all(...asked(query)) as Row[]).map((row) => letterOf(this.#opened(row)));
  }

  deadReceivers(): DeadReceiver[] {
    return (this.#statements.deadReceivers.all() as Row[]).map(deadReceiverOf);
  }

  editDeadLetter(number: number, { body, fields }: LetterChange): KeptLetter | null {
    const [letter] = this.deadLetters({ number, limit: 1 });
    if (letter === undefined) return null;
    const sealed = fields === undefined ? null : this.#sealedFields(letter.id, fields);
    this.#statements.editDead.run(body ?? null, sealed, number);
    return { ...letter, ...(body === undefined ? {} : { body }), ...(fields === undefined ? {} : { fields }) };
  }

  revive(query: DeadLetterQuery, now: EpochMs): readonly Revived[] {
    const counts = new Map<string, number>();
    const letters = this.deadLetters(query);
    transaction(this.#database, () => {
      for (const letter of letters) {
        this.#statements.unbury.run(keyOf(letter));
        // It starts anew, or it would be given up again at once.
        const added = this.#saveDelivery({
          ...letter,
          createdAt: now,
          attempts: 0,
          nextAttemptAt: now,
          lastError: null,
        });
        counts.set(letter.receiver, (counts.get(letter.receiver) ?? 0) + added);
      }
    });
    return [...counts].flatMap(([key, count]) => {
      this.#waiting += count;
      const receiver = this.#openReceiver(this.#statements.receiver.get(key));
      return receiver === null ? [] : [{ receiver, count }];
    });
  }

  dropDeadLetters(query: DeadLetterQuery): number {
    return Number(this.#statements.dropDead.run(...asked(query)).changes);
  }

  #putReceiver({ key, carrier, label, settings }: Receiver): void {
    const sealed = this.#sealing.seal(JSON.stringify(settings), `receiver ${key}`);
    this.#statements.putReceiver.run(key, carrier, label, sealed);
  }

  /** What waits for one that cannot be opened stays where it is: with the right secret, it goes on. */
  #openReceiver(row: Row | undefined): Receiver | null {
    if (row === undefined) return null;
    const [key, carrier, label] = [row["key"] as string, row["carrier"] as string, row["label"] as string];
    const settings = this.#sealing.open(row["settings"] as string, `receiver ${key}`);
    if (settings !== null) return { key, carrier, label, settings: JSON.parse(settings) as JsonObject };
    this.#logger?.error("The settings of a receiver cannot be opened; what waits for it is not sent", {
      carrier,
      label,
    });
    return null;
  }

  #openRule(rule: RuleDocument): RuleDocument {
    const about = aboutRule(rule);
    return mapRuleSecrets(rule, (sealed, _, name) => {
      const secret = this.#sealing.open(sealed, about);
      if (secret !== null) return secret;
      this.#logger?.error("A secret of a rule cannot be opened; put the rule again", {
        rule: rule.ruleName,
        key: name,
      });
      return "";
    });
  }

  /** What everybody may know of nearly all of them is left as it is: sealing takes longer than the row. */
  #sealedFields(id: string, fields: Readonly<Record<string, string>>): string {
    const text = JSON.stringify(fields);
    return Object.keys(fields).every((name) => OPEN_FIELDS.has(name))
      ? text
      : this.#sealing.seal(text, aboutFields(id));
  }

  #opened(row: Row): Row {
    const fields = row["fields"] as string;
    if (fields.startsWith("{")) return row;
    const opened = this.#sealing.open(fields, aboutFields(row["id"] as string));
    if (opened === null) this.#logger?.error("The fields of a delivery cannot be opened", { id: row["id"] });
    return { ...row, fields: opened ?? "{}" };
  }

  #saveDelivery(delivery: SavedDelivery): number {
    const { attempts, nextAttemptAt, lastError } = delivery;
    const columns = columnsOf(delivery, this.#sealedFields(delivery.id, delivery.fields));
    const added = this.#statements.add.run(...columns, attempts, nextAttemptAt, lastError).changes;
    if (Number(added) === 0) this.#statements.update.run(attempts, nextAttemptAt, lastError, keyOf(delivery));
    return Number(added);
  }

  #saveAlert({ alert, lastOffset, clearSince, more }: StoredAlert): void {
    const known = [alert.id, JSON.stringify(alert), alert.resolvedAt, lastOffset, clearSince];
    this.#statements.putAlert.run(...known, more === null ? null : JSON.stringify(more), more?.told.length ?? 0);
  }

  #saveAlertRow({ kind, id, thing, document }: AlertRow): void {
    if (kind === "alert") this.#statements.dropAlert.run(id);
    else if (document === null) this.#statements.dropAlertRow.run(kind, id);
    else this.#statements.putAlertRow.run(kind, id, thing, document);
  }

  #number(sql: string): number | null {
    const row = this.#database.prepare(sql).get();
    return (row?.["n"] as number | null | undefined) ?? null;
  }
}

/** Result codes that are about the row at hand: SQLite undoes that statement alone. https://sqlite.org/rescode.html */
const SQLITE_TOOBIG = 18;
const SQLITE_CONSTRAINT = 19;
const SQLITE_MISMATCH = 20;

/** Null where it went well. What is not about the row is thrown. */
function whyRefused(work: () => void): string | null {
  try {
    work();
    return null;
  } catch (error) {
    const code = (error as { errcode?: unknown }).errcode;
    const primary = typeof code === "number" ? code & 0xff : null; // without one the driver could not bind the value
    if (primary !== null && ![SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH].includes(primary)) throw error;
    return reasonOf(error);
  }
}

function aboutFields(id: string): string {
  return `fields ${id}`;
}

function aboutRule({ ruleName }: RuleDocument): string {
  return `rule ${ruleName}`;
}

function asked({ number, rule, receiver, before, limit }: DeadLetterQuery): (number | string | null)[] {
  return [number ?? null, rule ?? null, receiver ?? null, before ?? null, limit];
}
