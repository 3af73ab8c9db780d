/**
 * Tables of people, provisioning and renewals, the same in SQLite and PostgreSQL; the tenant is the first column of every key.
 * One text per format of the SQLite files: never edited once released, only appended.
 */
import { forPostgres, table } from "./schema.ts";
import type { Table } from "./schema.ts";

/** `user` is a word of PostgreSQL's own, hence the quotes. */
export const PEOPLE: readonly string[] = [
  `CREATE TABLE users (
     tenant TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL, disabled INTEGER NOT NULL, password TEXT,
     password_changed_at INTEGER, invitation_hash TEXT, invitation_expires_at INTEGER, created_at INTEGER NOT NULL,
     last_login_at INTEGER, PRIMARY KEY (tenant, name)) STRICT, WITHOUT ROWID;
   CREATE TABLE keys (
     tenant TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, owner TEXT, permissions TEXT NOT NULL,
     things TEXT, secret TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER, last_used_at INTEGER,
     last_used_from TEXT, PRIMARY KEY (tenant, id)) STRICT, WITHOUT ROWID;
   CREATE TABLE sessions (
     tenant TEXT NOT NULL, id TEXT NOT NULL, hash TEXT NOT NULL, "user" TEXT, created_at INTEGER NOT NULL,
     last_seen_at INTEGER NOT NULL, ends_at INTEGER NOT NULL, address TEXT NOT NULL, agent TEXT NOT NULL,
     PRIMARY KEY (tenant, id)) STRICT, WITHOUT ROWID;`,
  `ALTER TABLE keys ADD COLUMN policies TEXT NOT NULL DEFAULT '[]';`,
];

export const PROVISIONING: readonly string[] = [
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
  `CREATE TABLE enrolment_codes (
     tenant TEXT NOT NULL, thing TEXT NOT NULL, hash TEXT NOT NULL, expires_at INTEGER NOT NULL,
     PRIMARY KEY (tenant, thing)) STRICT, WITHOUT ROWID;`,
];

export const SUCCESSIONS = `
   CREATE TABLE succession (
     tenant TEXT NOT NULL, successor TEXT NOT NULL, predecessor TEXT NOT NULL, issued_at INTEGER NOT NULL,
     confirmed_at INTEGER, PRIMARY KEY (tenant, successor)) STRICT, WITHOUT ROWID;
   CREATE INDEX succession_by_predecessor ON succession (tenant, predecessor);
   CREATE TABLE allowance (
     tenant TEXT NOT NULL, certificate TEXT NOT NULL, until INTEGER NOT NULL,
     PRIMARY KEY (tenant, certificate)) STRICT, WITHOUT ROWID;`;

export const POSTGRES_IDENTITY = [...PEOPLE, ...PROVISIONING, SUCCESSIONS].map(forPostgres).join("\n");

export const USERS = table(
  "users",
  "name",
  "role disabled password password_changed_at invitation_hash invitation_expires_at created_at last_login_at",
);
export const KEYS = table(
  "keys",
  "id",
  "kind name owner permissions things secret created_at expires_at last_used_at last_used_from policies",
);
export const SESSIONS = table("sessions", "id", 'hash "user" created_at last_seen_at ends_at address agent');

export const TEMPLATES = table(
  "templates",
  "name",
  "type description enabled hook role_arn default_version created_at updated_at",
);
export const TEMPLATE_VERSIONS = table("template_versions", "name version", "body created_at");
export const TOKENS = table("tokens", "hash", "certificate_id claim_id client_id expires_at");
export const CLAIMS = table("claims", "certificate_id", "template expires_at");
export const JOIN_CODES = table("join_codes", "hash", "document expires_at");
export const RETIREMENTS = table("retirements", "thing", "document");
export const BLOCKED_NAMES = table("blocked_names", "name", "blocked_at");
export const BULK_DEVICES = table("bulk_devices", "key_hash", "document at");
export const REGISTRATION_TASKS = table("registration_tasks", "id", "document created_at");
export const REGISTRATION_LINES = table("registration_lines", "task line", "outcome document");
export const ENROLMENT_CODES = table("enrolment_codes", "thing", "hash expires_at");

export const SUCCESSION = table("succession", "successor", "predecessor issued_at confirmed_at");
export const ALLOWANCE = table("allowance", "certificate", "until");

export const PEOPLE_TABLES: readonly Table[] = [USERS, KEYS, SESSIONS];
export const PROVISIONING_TABLES: readonly Table[] = [
  TEMPLATES,
  TEMPLATE_VERSIONS,
  TOKENS,
  CLAIMS,
  JOIN_CODES,
  RETIREMENTS,
  BLOCKED_NAMES,
  BULK_DEVICES,
  REGISTRATION_TASKS,
  REGISTRATION_LINES,
  ENROLMENT_CODES,
];
export const SUCCESSION_TABLES: readonly Table[] = [SUCCESSION, ALLOWANCE];

/** Inserts a row of all columns, in the order of the table's list, or replaces the one with its key. */
export function upsertOf({ name, key, others }: Table): string {
  const columns = [...key, ...others];
  const values = columns.map((_, index) => `$${index + 2}`).join(", ");
  const changes = others.map((column) => `${column} = excluded.${column}`).join(", ");
  return `INSERT INTO ${name} (tenant, ${columns.join(", ")}) VALUES ($1, ${values})
    ON CONFLICT (tenant, ${key.join(", ")}) DO UPDATE SET ${changes}`;
}

/** Its columns in the order of the table's list. */
export function columnsOf({ key, others }: Table): string {
  return [...key, ...others].join(", ");
}
