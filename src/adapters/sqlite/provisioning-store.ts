/** Provisioning templates, ownership tokens, claims, join codes and names that are not given again, in `provisioning.db`. */
import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";
import type { EpochMs, Logger } from "../../base/mod.ts";
import type {
  BulkRecord,
  BulkStore,
  ClaimRecord,
  JoinCodeRecord,
  JoinCodeStore,
  ProvisioningStore,
  RegistrationLine,
  RegistrationTask,
  RegistrationTaskStore,
  RetirementRecord,
  RetirementStore,
  TemplateRecord,
  TemplateVersion,
  TokenRecord,
} from "../../identity/mod.ts";
import { closeDatabase, openDatabase, transaction } from "./open.ts";

const MIGRATIONS: readonly string[] = [
  `CREATE TABLE templates (
     tenant TEXT NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL, description TEXT NOT NULL, enabled INTEGER NOT NULL,
     hook TEXT, role_arn TEXT, default_version INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
     PRIMARY KEY (tenant, name)) STRICT, WITHOUT ROWID;
   CREATE TABLE template_versions (
     tenant TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, body TEXT NOT NULL, created_at INTEGER NOT NULL,
     PRIMARY KEY (tenant, name, version)) STRICT, WITHOUT ROWID;
   CREATE TABLE tokens (
     tenant TEXT NOT NULL, hash TEXT NOT NULL, certificate_id TEXT NOT NULL, claim_id TEXT NOT NULL,
     client_id TEXT NOT NULL, expires_at INTEGER NOT NULL, PRIMARY KEY (tenant, hash)) STRICT, WITHOUT ROWID;
   CREATE INDEX tokens_of_claim ON tokens (tenant, claim_id);
   CREATE INDEX tokens_by_end ON tokens (tenant, expires_at);
   CREATE TABLE claims (
     tenant TEXT NOT NULL, certificate_id TEXT NOT NULL, template TEXT NOT NULL, expires_at INTEGER NOT NULL,
     PRIMARY KEY (tenant, certificate_id)) STRICT, WITHOUT ROWID;
   CREATE INDEX claims_by_end ON claims (tenant, expires_at);
   CREATE TABLE join_codes (
     tenant TEXT NOT NULL, hash TEXT NOT NULL, document TEXT NOT NULL, expires_at INTEGER NOT NULL,
     PRIMARY KEY (tenant, hash)) STRICT, WITHOUT ROWID;
   CREATE INDEX join_codes_by_end ON join_codes (tenant, expires_at);
   CREATE TABLE retirements (
     tenant TEXT NOT NULL, thing TEXT NOT NULL, document TEXT NOT NULL,
     PRIMARY KEY (tenant, thing)) STRICT, WITHOUT ROWID;
   CREATE TABLE blocked_names (
     tenant TEXT NOT NULL, name TEXT NOT NULL, blocked_at INTEGER NOT NULL,
     PRIMARY KEY (tenant, name)) STRICT, WITHOUT ROWID;`,
  `CREATE TABLE bulk_devices (
     tenant TEXT NOT NULL, key_hash TEXT NOT NULL, document TEXT NOT NULL, at INTEGER NOT NULL,
     PRIMARY KEY (tenant, key_hash)) STRICT, WITHOUT ROWID;
   CREATE INDEX bulk_devices_by_time ON bulk_devices (tenant, at);`,
  `CREATE TABLE registration_tasks (
     tenant TEXT NOT NULL, id TEXT NOT NULL, document TEXT NOT NULL, created_at INTEGER NOT NULL,
     PRIMARY KEY (tenant, id)) STRICT, WITHOUT ROWID;
   CREATE TABLE registration_lines (
     tenant TEXT NOT NULL, task TEXT NOT NULL, line INTEGER NOT NULL, outcome TEXT NOT NULL, document TEXT NOT NULL,
     PRIMARY KEY (tenant, task, line)) STRICT, WITHOUT ROWID;
   CREATE INDEX registration_lines_by_outcome ON registration_lines (tenant, task, outcome, line);`,
];

type Row = Record<string, SQLOutputValue>;

export interface ProvisioningStoreOptions {
  readonly path: string;
  readonly logger?: Logger;
  readonly tenant?: string;
}

export class SqliteProvisioningStore
  implements ProvisioningStore, JoinCodeStore, RetirementStore, BulkStore, RegistrationTaskStore
{
  readonly #database: DatabaseSync;
  readonly #tenant: string;
  readonly #prepared = new Map<string, StatementSync>();

  /** Throws `TidewireError` DATABASE_DAMAGED, DATABASE_UNUSABLE or DATABASE_NEWER. */
  constructor({ path, logger, tenant = "default" }: ProvisioningStoreOptions) {
    this.#tenant = tenant;
    this.#database = openDatabase({
      path,
      name: "provisioning",
      migrations: MIGRATIONS,
      durability: "full",
      ...(logger === undefined ? {} : { logger }),
    });
  }

  close(): void {
    closeDatabase(this.#database);
  }

  atomically<T>(work: () => T): T {
    return transaction(this.#database, work);
  }

  // ── templates ────────────────────────────────────────────────────────────────────────────────

  template(name: string): TemplateRecord | null {
    const row = this.#sql("SELECT * FROM templates WHERE tenant = ? AND name = ?").get(this.#tenant, name);
    return row === undefined ? null : templateOf(row);
  }

  templates(after: string | null, limit: number): readonly TemplateRecord[] {
    const sql = "SELECT * FROM templates WHERE tenant = ? AND name > ? ORDER BY name LIMIT ?";
    return this.#sql(sql)
      .all(this.#tenant, after ?? "", limit)
      .map(templateOf);
  }

  countTemplates(): number {
    return this.#number("SELECT count(*) AS n FROM templates WHERE tenant = ?");
  }

  saveTemplate(template: TemplateRecord, version?: TemplateVersion): void {
    const { name, type, description, enabled, hook, roleArn, defaultVersion, createdAt, updatedAt } = template;
    transaction(this.#database, () => {
      this.#sql("INSERT OR REPLACE INTO templates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)").run(
        this.#tenant,
        name,
        type,
        description,
        enabled ? 1 : 0,
        hook,
        roleArn,
        defaultVersion,
        createdAt,
        updatedAt,
      );
      if (version === undefined) return;
      const values = [this.#tenant, name, version.version, version.body, version.createdAt] as const;
      this.#sql("INSERT OR REPLACE INTO template_versions VALUES (?, ?, ?, ?, ?)").run(...values);
    });
  }

  removeTemplate(name: string): void {
    transaction(this.#database, () => {
      this.#sql("DELETE FROM templates WHERE tenant = ? AND name = ?").run(this.#tenant, name);
      this.#sql("DELETE FROM template_versions WHERE tenant = ? AND name = ?").run(this.#tenant, name);
    });
  }

  versions(name: string): readonly TemplateVersion[] {
    const sql =
      "SELECT version, body, created_at FROM template_versions WHERE tenant = ? AND name = ? ORDER BY version";
    return this.#sql(sql)
      .all(this.#tenant, name)
      .map((row) => ({
        version: row["version"] as number,
        body: row["body"] as string,
        createdAt: row["created_at"] as number,
      }));
  }

  removeVersion(name: string, version: number): void {
    const sql = "DELETE FROM template_versions WHERE tenant = ? AND name = ? AND version = ?";
    this.#sql(sql).run(this.#tenant, name, version);
  }

  // ── tokens and claims ────────────────────────────────────────────────────────────────────────

  saveToken({ tokenHash, certificateId, claimId, clientId, expiresAt }: TokenRecord): void {
    const values = [this.#tenant, tokenHash, certificateId, claimId, clientId, expiresAt] as const;
    this.#sql("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?)").run(...values);
  }

  token(tokenHash: string): TokenRecord | null {
    const row = this.#sql("SELECT * FROM tokens WHERE tenant = ? AND hash = ?").get(this.#tenant, tokenHash);
    return row === undefined ? null : tokenOf(row);
  }

  removeToken(tokenHash: string): void {
    this.#sql("DELETE FROM tokens WHERE tenant = ? AND hash = ?").run(this.#tenant, tokenHash);
  }

  countTokens(claimId: string): number {
    return this.#number("SELECT count(*) AS n FROM tokens WHERE tenant = ? AND claim_id = ?", claimId);
  }

  expiredTokens(now: EpochMs, limit: number): readonly TokenRecord[] {
    const sql = "SELECT * FROM tokens WHERE tenant = ? AND expires_at <= ? ORDER BY expires_at LIMIT ?";
    return this.#sql(sql).all(this.#tenant, now, limit).map(tokenOf);
  }

  saveClaim({ certificateId, template, expiresAt }: ClaimRecord): void {
    const values = [this.#tenant, certificateId, template, expiresAt] as const;
    this.#sql("INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?)").run(...values);
  }

  removeClaim(certificateId: string): void {
    this.#sql("DELETE FROM claims WHERE tenant = ? AND certificate_id = ?").run(this.#tenant, certificateId);
  }

  claim(certificateId: string): ClaimRecord | null {
    const row = this.#sql("SELECT * FROM claims WHERE tenant = ? AND certificate_id = ?").get(
      this.#tenant,
      certificateId,
    );
    return row === undefined ? null : claimOf(row);
  }

  expiredClaims(now: EpochMs, limit: number): readonly ClaimRecord[] {
    const sql = "SELECT * FROM claims WHERE tenant = ? AND expires_at <= ? ORDER BY expires_at LIMIT ?";
    return this.#sql(sql).all(this.#tenant, now, limit).map(claimOf);
  }

  // ── join codes ───────────────────────────────────────────────────────────────────────────────

  joinCode(secretHash: string): JoinCodeRecord | null {
    const row = this.#sql("SELECT document FROM join_codes WHERE tenant = ? AND hash = ?").get(
      this.#tenant,
      secretHash,
    );
    return row === undefined ? null : codeOf(row);
  }

  saveJoinCode(code: JoinCodeRecord): void {
    const values = [this.#tenant, code.secretHash, JSON.stringify(code), code.expiresAt] as const;
    this.#sql("INSERT OR REPLACE INTO join_codes VALUES (?, ?, ?, ?)").run(...values);
  }

  removeJoinCode(secretHash: string): void {
    this.#sql("DELETE FROM join_codes WHERE tenant = ? AND hash = ?").run(this.#tenant, secretHash);
  }

  countJoinCodes(): number {
    return this.#number("SELECT count(*) AS n FROM join_codes WHERE tenant = ?");
  }

  joinCodes(limit: number): readonly JoinCodeRecord[] {
    const sql = "SELECT document FROM join_codes WHERE tenant = ? ORDER BY expires_at LIMIT ?";
    return this.#sql(sql).all(this.#tenant, limit).map(codeOf);
  }

  removeExpiredJoinCodes(now: EpochMs): void {
    this.#sql("DELETE FROM join_codes WHERE tenant = ? AND expires_at <= ?").run(this.#tenant, now);
  }

  // ── devices of bulk files ────────────────────────────────────────────────────────────────────

  bulkDevice(keyHash: string): BulkRecord | null {
    const sql = "SELECT document FROM bulk_devices WHERE tenant = ? AND key_hash = ?";
    const row = this.#sql(sql).get(this.#tenant, keyHash);
    return row === undefined ? null : (JSON.parse(row["document"] as string) as BulkRecord);
  }

  saveBulkDevice(record: BulkRecord): void {
    const values = [this.#tenant, record.keyHash, JSON.stringify(record), record.at] as const;
    this.#sql("INSERT OR REPLACE INTO bulk_devices VALUES (?, ?, ?, ?)").run(...values);
  }

  removeBulkDevices(before: EpochMs, limit: number): number {
    const oldest = "SELECT key_hash FROM bulk_devices WHERE tenant = ? AND at < ? ORDER BY at LIMIT ?";
    const sql = `DELETE FROM bulk_devices WHERE tenant = ? AND key_hash IN (${oldest})`;
    return Number(this.#sql(sql).run(this.#tenant, this.#tenant, before, limit).changes);
  }

  // ── registration tasks ───────────────────────────────────────────────────────────────────────

  saveRegistrationTask(task: RegistrationTask): void {
    const values = [this.#tenant, task.taskId, JSON.stringify(task), task.createdAt] as const;
    this.#sql("INSERT OR REPLACE INTO registration_tasks VALUES (?, ?, ?, ?)").run(...values);
  }

  registrationTask(taskId: string): RegistrationTask | null {
    const sql = "SELECT document FROM registration_tasks WHERE tenant = ? AND id = ?";
    const row = this.#sql(sql).get(this.#tenant, taskId);
    return row === undefined ? null : (JSON.parse(row["document"] as string) as RegistrationTask);
  }

  registrationTasks(): readonly RegistrationTask[] {
    return this.#sql("SELECT document FROM registration_tasks WHERE tenant = ? ORDER BY created_at DESC, id DESC")
      .all(this.#tenant)
      .map((row) => JSON.parse(row["document"] as string) as RegistrationTask);
  }

  removeRegistrationTask(taskId: string): void {
    this.#sql("DELETE FROM registration_tasks WHERE tenant = ? AND id = ?").run(this.#tenant, taskId);
  }

  saveRegistrationLine(taskId: string, line: RegistrationLine): void {
    const values = [this.#tenant, taskId, line.line, line.outcome, JSON.stringify(line)] as const;
    this.#sql("INSERT OR REPLACE INTO registration_lines VALUES (?, ?, ?, ?, ?)").run(...values);
  }

  registrationLine(taskId: string, line: number): RegistrationLine | null {
    const sql = "SELECT document FROM registration_lines WHERE tenant = ? AND task = ? AND line = ?";
    const row = this.#sql(sql).get(this.#tenant, taskId, line);
    return row === undefined ? null : (JSON.parse(row["document"] as string) as RegistrationLine);
  }

  registrationLines(
    taskId: string,
    outcome: RegistrationLine["outcome"],
    after: number,
    limit: number,
  ): readonly RegistrationLine[] {
    const sql =
      "SELECT document FROM registration_lines WHERE tenant = ? AND task = ? AND outcome = ? AND line > ? ORDER BY line LIMIT ?";
    return this.#sql(sql)
      .all(this.#tenant, taskId, outcome, after, limit)
      .map((row) => JSON.parse(row["document"] as string) as RegistrationLine);
  }

  countRegistrationLines(taskId: string): { readonly succeeded: number; readonly failed: number } {
    const sql = "SELECT count(*) AS n FROM registration_lines WHERE tenant = ? AND task = ? AND outcome = ?";
    return { succeeded: this.#number(sql, taskId, "done"), failed: this.#number(sql, taskId, "failed") };
  }

  removeRegistrationLines(taskId: string, limit: number): number {
    const some = "SELECT line FROM registration_lines WHERE tenant = ? AND task = ? LIMIT ?";
    const sql = `DELETE FROM registration_lines WHERE tenant = ? AND task = ? AND line IN (${some})`;
    return Number(this.#sql(sql).run(this.#tenant, taskId, this.#tenant, taskId, limit).changes);
  }

  // ── retired things ───────────────────────────────────────────────────────────────────────────

  saveRetirement(retirement: RetirementRecord): void {
    const values = [this.#tenant, retirement.thing, JSON.stringify(retirement)] as const;
    this.#sql("INSERT OR REPLACE INTO retirements VALUES (?, ?, ?)").run(...values);
  }

  removeRetirement(thing: string): void {
    this.#sql("DELETE FROM retirements WHERE tenant = ? AND thing = ?").run(this.#tenant, thing);
  }

  /** Those that are not finished. */
  retirements(): readonly RetirementRecord[] {
    return this.#sql("SELECT document FROM retirements WHERE tenant = ? ORDER BY thing")
      .all(this.#tenant)
      .map((row) => JSON.parse(row["document"] as string) as RetirementRecord);
  }

  blockName(name: string, at: EpochMs): void {
    this.#sql("INSERT OR REPLACE INTO blocked_names VALUES (?, ?, ?)").run(this.#tenant, name, at);
  }

  /** False where it was not blocked. */
  freeName(name: string): boolean {
    const sql = "DELETE FROM blocked_names WHERE tenant = ? AND name = ?";
    return Number(this.#sql(sql).run(this.#tenant, name).changes) > 0;
  }

  isBlocked(name: string): boolean {
    const sql = "SELECT 1 FROM blocked_names WHERE tenant = ? AND name = ?";
    return this.#sql(sql).get(this.#tenant, name) !== undefined;
  }

  /** As many as there are texts in this file. */
  #sql(text: string): StatementSync {
    let statement = this.#prepared.get(text);
    if (statement === undefined) this.#prepared.set(text, (statement = this.#database.prepare(text)));
    return statement;
  }

  #number(sql: string, ...values: readonly string[]): number {
    return this.#sql(sql).get(this.#tenant, ...values)!["n"] as number;
  }
}

function templateOf(row: Row): TemplateRecord {
  return {
    name: row["name"] as string,
    type: row["type"] as TemplateRecord["type"],
    description: row["description"] as string,
    enabled: row["enabled"] === 1,
    hook: row["hook"] as string | null,
    roleArn: row["role_arn"] as string | null,
    defaultVersion: row["default_version"] as number,
    createdAt: row["created_at"] as number,
    updatedAt: row["updated_at"] as number,
  };
}

function tokenOf(row: Row): TokenRecord {
  return {
    tokenHash: row["hash"] as string,
    certificateId: row["certificate_id"] as string,
    claimId: row["claim_id"] as string,
    clientId: row["client_id"] as string,
    expiresAt: row["expires_at"] as number,
  };
}

function codeOf(row: Row): JoinCodeRecord {
  return JSON.parse(row["document"] as string) as JoinCodeRecord;
}

function claimOf(row: Row): ClaimRecord {
  return {
    certificateId: row["certificate_id"] as string,
    template: row["template"] as string,
    expiresAt: row["expires_at"] as number,
  };
}
