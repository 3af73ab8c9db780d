/** Provisioning templates, ownership tokens, claims, join codes, tasks and names that are not given again. */
import type { EpochMs } from "../../base/mod.ts";
import type {
  BulkRecord,
  BulkStore,
  ClaimRecord,
  DepartureStore,
  EnrolmentCodeRecord,
  EnrolmentCodeStore,
  JoinCodeRecord,
  JoinCodeStore,
  ProvisioningStore,
  RegistrationLine,
  RegistrationTask,
  RegistrationTaskStore,
  RetirementRecord,
  TemplateRecord,
  TemplateVersion,
  TokenRecord,
} from "../../identity/mod.ts";
import { removeCodesOf, removeRecordsOf } from "./departures.ts";
import type { RecordsPage } from "./departures.ts";
import {
  BLOCKED_NAMES,
  BULK_DEVICES,
  CLAIMS,
  ENROLMENT_CODES,
  JOIN_CODES,
  PROVISIONING_TABLES,
  REGISTRATION_LINES,
  REGISTRATION_TASKS,
  RETIREMENTS,
  TEMPLATES,
  TEMPLATE_VERSIONS,
  TOKENS,
  columnsOf,
  upsertOf,
} from "./identity-schema.ts";
import type { Table } from "./schema.ts";
import { textOrNull } from "./sql.ts";
import type { Database, Locks, Row, Value } from "./sql.ts";

const TEMPLATE = columnsOf(TEMPLATES);
const TOKEN = columnsOf(TOKENS);
const CLAIM = columnsOf(CLAIMS);
const UPSERTS: ReadonlyMap<Table, string> = new Map(PROVISIONING_TABLES.map((table) => [table, upsertOf(table)]));

export class ProvisioningTable
  implements ProvisioningStore, JoinCodeStore, EnrolmentCodeStore, DepartureStore, BulkStore, RegistrationTaskStore
{
  readonly #db: Database;
  /** Null where nobody else works on the same database. */
  readonly #locks: Locks | null;

  constructor(db: Database, locks: Locks | null = null) {
    this.#db = db;
    this.#locks = locks;
  }

  atomically<T>(work: () => T): T {
    return this.#db.transaction(work);
  }

  // ── templates ────────────────────────────────────────────────────────────────────────────────

  template(name: string): TemplateRecord | null {
    return this.#first(`SELECT ${TEMPLATE} FROM templates WHERE tenant = $1 AND name = $2`, [name], templateOf);
  }

  templates(after: string | null, limit: number): readonly TemplateRecord[] {
    const text = `SELECT ${TEMPLATE} FROM templates WHERE tenant = $1 AND name > $2 ORDER BY name LIMIT $3`;
    return this.#db.rows(text, [after ?? "", limit]).map(templateOf);
  }

  countTemplates(): number {
    return this.#count("templates WHERE tenant = $1", []);
  }

  saveTemplate(template: TemplateRecord, version?: TemplateVersion): void {
    const { name, type, description, enabled, hook, roleArn, defaultVersion, createdAt, updatedAt } = template;
    const times = [createdAt, updatedAt];
    this.#db.transaction(() => {
      this.#put(TEMPLATES, [name, type, description, enabled ? 1 : 0, hook, roleArn, defaultVersion, ...times]);
      if (version === undefined) return;
      this.#put(TEMPLATE_VERSIONS, [name, version.version, version.body, version.createdAt]);
    });
  }

  removeTemplate(name: string): void {
    this.#db.transaction(() => {
      this.#change("DELETE FROM templates WHERE tenant = $1 AND name = $2", [name]);
      this.#change("DELETE FROM template_versions WHERE tenant = $1 AND name = $2", [name]);
    });
  }

  versions(name: string): readonly TemplateVersion[] {
    const text = `SELECT version, body, created_at FROM template_versions WHERE tenant = $1 AND name = $2
      ORDER BY version`;
    return this.#db.rows(text, [name]).map(([version, body, createdAt]) => ({
      version: Number(version),
      body: String(body),
      createdAt: Number(createdAt),
    }));
  }

  removeVersion(name: string, version: number): void {
    this.#change("DELETE FROM template_versions WHERE tenant = $1 AND name = $2 AND version = $3", [name, version]);
  }

  // ── tokens and claims ────────────────────────────────────────────────────────────────────────

  saveToken({ tokenHash, certificateId, claimId, clientId, expiresAt }: TokenRecord): void {
    this.#put(TOKENS, [tokenHash, certificateId, claimId, clientId, expiresAt]);
  }

  token(tokenHash: string): TokenRecord | null {
    return this.#first(`SELECT ${TOKEN} FROM tokens WHERE tenant = $1 AND hash = $2`, [tokenHash], tokenOf);
  }

  removeToken(tokenHash: string): void {
    this.#change("DELETE FROM tokens WHERE tenant = $1 AND hash = $2", [tokenHash]);
  }

  countTokens(claimId: string): number {
    return this.#count("tokens WHERE tenant = $1 AND claim_id = $2", [claimId]);
  }

  expiredTokens(now: EpochMs, limit: number): readonly TokenRecord[] {
    const text = `SELECT ${TOKEN} FROM tokens WHERE tenant = $1 AND expires_at <= $2 ORDER BY expires_at LIMIT $3`;
    return this.#db.rows(text, [now, limit]).map(tokenOf);
  }

  saveClaim({ certificateId, template, expiresAt }: ClaimRecord): void {
    this.#put(CLAIMS, [certificateId, template, expiresAt]);
  }

  removeClaim(certificateId: string): void {
    this.#change("DELETE FROM claims WHERE tenant = $1 AND certificate_id = $2", [certificateId]);
  }

  claim(certificateId: string): ClaimRecord | null {
    const text = `SELECT ${CLAIM} FROM claims WHERE tenant = $1 AND certificate_id = $2`;
    return this.#first(text, [certificateId], claimOf);
  }

  expiredClaims(now: EpochMs, limit: number): readonly ClaimRecord[] {
    const text = `SELECT ${CLAIM} FROM claims WHERE tenant = $1 AND expires_at <= $2 ORDER BY expires_at LIMIT $3`;
    return this.#db.rows(text, [now, limit]).map(claimOf);
  }

  // ── join codes ───────────────────────────────────────────────────────────────────────────────

  joinCode(secretHash: string): JoinCodeRecord | null {
    const text = "SELECT document FROM join_codes WHERE tenant = $1 AND hash = $2";
    return this.#first(text, [secretHash], documentOf) as JoinCodeRecord | null;
  }

  saveJoinCode(code: JoinCodeRecord): void {
    this.#put(JOIN_CODES, [code.secretHash, JSON.stringify(code), code.expiresAt]);
  }

  removeJoinCode(secretHash: string): void {
    this.#change("DELETE FROM join_codes WHERE tenant = $1 AND hash = $2", [secretHash]);
  }

  countJoinCodes(): number {
    return this.#count("join_codes WHERE tenant = $1", []);
  }

  joinCodes(limit: number): readonly JoinCodeRecord[] {
    const text = "SELECT document FROM join_codes WHERE tenant = $1 ORDER BY expires_at LIMIT $2";
    return this.#db.rows(text, [limit]).map(documentOf) as JoinCodeRecord[];
  }

  removeExpiredJoinCodes(now: EpochMs): void {
    this.#change("DELETE FROM join_codes WHERE tenant = $1 AND expires_at <= $2", [now]);
  }

  // ── enrolment codes ──────────────────────────────────────────────────────────────────────────

  enrolmentCode(thing: string): EnrolmentCodeRecord | null {
    const text = "SELECT thing, hash, expires_at FROM enrolment_codes WHERE tenant = $1 AND thing = $2";
    return this.#first(text, [thing], ([of, codeHash, expiresAt]) => {
      return { thing: String(of), codeHash: String(codeHash), expiresAt: Number(expiresAt) };
    });
  }

  saveEnrolmentCode({ thing, codeHash, expiresAt }: EnrolmentCodeRecord): void {
    this.#put(ENROLMENT_CODES, [thing, codeHash, expiresAt]);
  }

  removeEnrolmentCode(thing: string, codeHash: string): boolean {
    const text = "DELETE FROM enrolment_codes WHERE tenant = $1 AND thing = $2 AND hash = $3 RETURNING 1";
    return this.#change(text, [thing, codeHash]).length > 0;
  }

  removeEnrolmentCodes(now: EpochMs): void {
    this.#change("DELETE FROM enrolment_codes WHERE tenant = $1 AND expires_at <= $2", [now]);
  }

  countEnrolmentCodes(): number {
    return this.#count("enrolment_codes WHERE tenant = $1", []);
  }

  // ── devices of bulk files ────────────────────────────────────────────────────────────────────

  bulkDevice(keyHash: string): BulkRecord | null {
    const text = "SELECT document FROM bulk_devices WHERE tenant = $1 AND key_hash = $2";
    return this.#first(text, [keyHash], documentOf) as BulkRecord | null;
  }

  saveBulkDevice(record: BulkRecord): void {
    this.#put(BULK_DEVICES, [record.keyHash, JSON.stringify(record), record.at]);
  }

  removeBulkDevices(before: EpochMs, limit: number): number {
    const oldest = "SELECT key_hash FROM bulk_devices WHERE tenant = $1 AND at < $2 ORDER BY at LIMIT $3";
    const text = `DELETE FROM bulk_devices WHERE tenant = $1 AND key_hash IN (${oldest}) RETURNING 1`;
    return this.#change(text, [before, limit]).length;
  }

  // ── registration tasks ───────────────────────────────────────────────────────────────────────

  mayWorkOn(taskId: string): boolean {
    return this.#locks?.lock(lockOf(taskId)) ?? true;
  }

  leaveWorkOn(taskId: string): void {
    this.#locks?.unlock(lockOf(taskId));
  }

  saveRegistrationTask(task: RegistrationTask): void {
    this.#put(REGISTRATION_TASKS, [task.taskId, JSON.stringify(task), task.createdAt]);
  }

  registrationTask(taskId: string): RegistrationTask | null {
    const text = "SELECT document FROM registration_tasks WHERE tenant = $1 AND id = $2";
    return this.#first(text, [taskId], documentOf) as RegistrationTask | null;
  }

  registrationTasks(): readonly RegistrationTask[] {
    const text = "SELECT document FROM registration_tasks WHERE tenant = $1 ORDER BY created_at DESC, id DESC";
    return this.#db.rows(text).map(documentOf) as RegistrationTask[];
  }

  removeRegistrationTask(taskId: string): void {
    this.#change("DELETE FROM registration_tasks WHERE tenant = $1 AND id = $2", [taskId]);
  }

  saveRegistrationLine(taskId: string, line: RegistrationLine): void {
    this.#put(REGISTRATION_LINES, [taskId, line.line, line.outcome, JSON.stringify(line)]);
  }

  registrationLine(taskId: string, line: number): RegistrationLine | null {
    const text = "SELECT document FROM registration_lines WHERE tenant = $1 AND task = $2 AND line = $3";
    return this.#first(text, [taskId, line], documentOf) as RegistrationLine | null;
  }

  registrationLines(
    taskId: string,
    outcome: RegistrationLine["outcome"],
    after: number,
    limit: number,
  ): readonly RegistrationLine[] {
    const text = `SELECT document FROM registration_lines
      WHERE tenant = $1 AND task = $2 AND outcome = $3 AND line > $4 ORDER BY line LIMIT $5`;
    return this.#db.rows(text, [taskId, outcome, after, limit]).map(documentOf) as RegistrationLine[];
  }

  countRegistrationLines(taskId: string): { readonly succeeded: number; readonly failed: number } {
    const from = "registration_lines WHERE tenant = $1 AND task = $2 AND outcome = $3";
    return { succeeded: this.#count(from, [taskId, "done"]), failed: this.#count(from, [taskId, "failed"]) };
  }

  removeRegistrationLines(taskId: string, limit: number): number {
    const some = "SELECT line FROM registration_lines WHERE tenant = $1 AND task = $2 LIMIT $3";
    const text = `DELETE FROM registration_lines WHERE tenant = $1 AND task = $2 AND line IN (${some}) RETURNING 1`;
    return this.#change(text, [taskId, limit]).length;
  }

  // ── things that leave ────────────────────────────────────────────────────────────────────────

  removeCodesOf(thing: string): number {
    return removeCodesOf(this.#db, thing);
  }

  removeRecordsOf(thing: string, after: string, limit: number): RecordsPage {
    return removeRecordsOf(this.#db, thing, after, limit);
  }

  saveRetirement(retirement: RetirementRecord): void {
    this.#put(RETIREMENTS, [retirement.thing, JSON.stringify(retirement)]);
  }

  removeRetirement(thing: string): void {
    this.#change("DELETE FROM retirements WHERE tenant = $1 AND thing = $2", [thing]);
  }

  retirements(): readonly RetirementRecord[] {
    const text = "SELECT document FROM retirements WHERE tenant = $1 ORDER BY thing";
    return this.#db.rows(text).map(documentOf) as RetirementRecord[];
  }

  blockName(name: string, at: EpochMs): void {
    this.#put(BLOCKED_NAMES, [name, at]);
  }

  freeName(name: string): boolean {
    return this.#change("DELETE FROM blocked_names WHERE tenant = $1 AND name = $2 RETURNING 1", [name]).length > 0;
  }

  isBlocked(name: string): boolean {
    return this.#db.rows("SELECT 1 FROM blocked_names WHERE tenant = $1 AND name = $2", [name]).length > 0;
  }

  #put(table: Table, values: readonly Value[]): void {
    this.#change(UPSERTS.get(table)!, values);
  }

  #change(text: string, values: readonly Value[]): readonly Row[] {
    return this.#db.transaction(() => this.#db.change(text, values));
  }

  #first<T>(text: string, values: readonly Value[], of: (row: Row) => T): T | null {
    const [row] = this.#db.rows(text, values);
    return row === undefined ? null : of(row);
  }

  #count(from: string, values: readonly Value[]): number {
    return Number(this.#db.rows(`SELECT count(*) FROM ${from}`, values)[0]?.[0] ?? 0);
  }
}

function lockOf(taskId: string): string {
  return `registration task ${taskId}`;
}

function templateOf(row: Row): TemplateRecord {
  const [name, type, description, enabled, hook, roleArn, defaultVersion, createdAt, updatedAt] = row;
  return {
    name: String(name),
    type: String(type) as TemplateRecord["type"],
    description: String(description),
    enabled: Number(enabled) === 1,
    hook: textOrNull(hook),
    roleArn: textOrNull(roleArn),
    defaultVersion: Number(defaultVersion),
    createdAt: Number(createdAt),
    updatedAt: Number(updatedAt),
  };
}

function tokenOf([tokenHash, certificateId, claimId, clientId, expiresAt]: Row): TokenRecord {
  return {
    tokenHash: String(tokenHash),
    certificateId: String(certificateId),
    claimId: String(claimId),
    clientId: String(clientId),
    expiresAt: Number(expiresAt),
  };
}

function claimOf([certificateId, template, expiresAt]: Row): ClaimRecord {
  return { certificateId: String(certificateId), template: String(template), expiresAt: Number(expiresAt) };
}

function documentOf([document]: Row): unknown {
  return JSON.parse(String(document));
}
