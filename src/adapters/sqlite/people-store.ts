/** Users, keys and dashboards in SQLite, every commit synced: a right that was taken stays taken. */
import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";
import type { Logger } from "../../base/mod.ts";
import type { Key, PeopleStore, Permission, Role, SavedSession, StoredPeople, User } from "../../people/mod.ts";
import { closeDatabase, openDatabase, transaction } from "./open.ts";

const MIGRATIONS: readonly string[] = [
  `CREATE TABLE users (
     tenant TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL, disabled INTEGER NOT NULL, password TEXT,
     password_changed_at INTEGER, invitation_hash TEXT, invitation_expires_at INTEGER, created_at INTEGER NOT NULL,
     last_login_at INTEGER, PRIMARY KEY (tenant, name)) STRICT, WITHOUT ROWID;
   CREATE TABLE keys (
     tenant TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, owner TEXT, permissions TEXT NOT NULL,
     things TEXT, secret TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER, last_used_at INTEGER,
     last_used_from TEXT, PRIMARY KEY (tenant, id)) STRICT, WITHOUT ROWID;
   CREATE TABLE sessions (
     tenant TEXT NOT NULL, id TEXT NOT NULL, hash TEXT NOT NULL, user TEXT, created_at INTEGER NOT NULL,
     last_seen_at INTEGER NOT NULL, ends_at INTEGER NOT NULL, address TEXT NOT NULL, agent TEXT NOT NULL,
     PRIMARY KEY (tenant, id)) STRICT, WITHOUT ROWID;
   CREATE TABLE facts (tenant TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (tenant, name))
     STRICT, WITHOUT ROWID;`,
  `ALTER TABLE keys ADD COLUMN policies TEXT NOT NULL DEFAULT '[]';`,
];

const REVOKED_TOKEN = "revoked-token";

type Row = Record<string, SQLOutputValue>;

export interface PeopleStoreOptions {
  readonly path: string;
  readonly tenant?: string;
  readonly logger?: Logger;
}

export class SqlitePeopleStore implements PeopleStore {
  readonly #database: DatabaseSync;
  readonly #tenant: string;
  readonly #statements: Readonly<Record<StatementName, StatementSync>>;

  /** Throws `TidewireError` DATABASE_DAMAGED, DATABASE_UNUSABLE or DATABASE_NEWER. */
  constructor({ path, tenant = "default", logger }: PeopleStoreOptions) {
    this.#database = openDatabase({
      path,
      name: "people",
      migrations: MIGRATIONS,
      durability: "full",
      ...(logger === undefined ? {} : { logger }),
    });
    this.#tenant = tenant;
    const prepared = Object.entries(SQL).map(([name, text]) => [name, this.#database.prepare(text)] as const);
    this.#statements = Object.fromEntries(prepared) as Record<StatementName, StatementSync>;
  }

  close(): void {
    closeDatabase(this.#database);
  }

  load(): StoredPeople {
    const all = (name: StatementName): Row[] => this.#statements[name].all(this.#tenant);
    const revoked = this.#statements.fact.get(this.#tenant, REVOKED_TOKEN);
    return {
      users: all("users").map(userOf),
      keys: all("keys").map(keyOf),
      sessions: all("sessions").map(sessionOf),
      revokedToken: (revoked?.["value"] as string | undefined) ?? null,
    };
  }

  putUser(user: User): void {
    const { name, role, disabled, password, passwordChangedAt, invitation, createdAt, lastLoginAt } = user;
    const { hash = null, expiresAt = null } = invitation ?? {};
    const columns = [
      name,
      role,
      disabled ? 1 : 0,
      password,
      passwordChangedAt,
      hash,
      expiresAt,
      createdAt,
      lastLoginAt,
    ];
    this.#run(() => this.#statements.putUser.run(this.#tenant, ...columns));
  }

  deleteUser(name: string): void {
    this.#run(() => {
      for (const statement of ["deleteUser", "deleteKeysOf", "deleteSessionsOf"] as const) {
        this.#statements[statement].run(this.#tenant, name);
      }
    });
  }

  putKey(key: Key): void {
    const { id, kind, name, owner, secret, createdAt, expiresAt, lastUsedAt, lastUsedFrom } = key;
    const things = key.things === null ? null : JSON.stringify(key.things);
    const columns = [id, kind, name, owner, JSON.stringify(key.permissions), things, secret];
    const times = [createdAt, expiresAt, lastUsedAt, lastUsedFrom];
    this.#run(() => this.#statements.putKey.run(this.#tenant, ...columns, ...times, JSON.stringify(key.policies)));
  }

  deleteKey(id: string): void {
    this.#run(() => this.#statements.deleteKey.run(this.#tenant, id));
  }

  putSessions(sessions: readonly SavedSession[]): void {
    this.#run(() => {
      for (const { id, hash, user, createdAt, lastSeenAt, endsAt, address, agent } of sessions) {
        const columns = [id, hash, user, createdAt, lastSeenAt, endsAt, address, agent];
        this.#statements.putSession.run(this.#tenant, ...columns);
      }
    });
  }

  deleteSessions(ids: readonly string[]): void {
    this.#run(() => {
      for (const id of ids) this.#statements.deleteSession.run(this.#tenant, id);
    });
  }

  revokeToken(hash: string): void {
    this.#run(() => this.#statements.putFact.run(this.#tenant, REVOKED_TOKEN, hash));
  }

  /** The end of the audit log's chain, kept apart from its files. */
  readonly auditAnchor = this.#fact("audit-anchor");
  /** The last checkpoint of it that was signed. */
  readonly auditCheckpoint = this.#fact("audit-checkpoint");

  #fact(name: string): { read(): string | null; write(text: string): void } {
    return {
      read: () => (this.#statements.fact.get(this.#tenant, name)?.["value"] as string | undefined) ?? null,
      write: (text) => this.#run(() => this.#statements.putFact.run(this.#tenant, name, text)),
    };
  }

  #run(work: () => unknown): void {
    transaction(this.#database, work);
  }
}

const SQL = {
  users: "SELECT * FROM users WHERE tenant = ? ORDER BY name",
  keys: "SELECT * FROM keys WHERE tenant = ? ORDER BY id",
  sessions: "SELECT * FROM sessions WHERE tenant = ? ORDER BY id",
  fact: "SELECT value FROM facts WHERE tenant = ? AND name = ?",
  putUser: "INSERT OR REPLACE INTO users VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
  putKey: "INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
  putSession: "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
  putFact: "INSERT OR REPLACE INTO facts VALUES (?, ?, ?)",
  deleteUser: "DELETE FROM users WHERE tenant = ? AND name = ?",
  deleteKeysOf: "DELETE FROM keys WHERE tenant = ? AND owner = ?",
  deleteSessionsOf: "DELETE FROM sessions WHERE tenant = ? AND user = ?",
  deleteKey: "DELETE FROM keys WHERE tenant = ? AND id = ?",
  deleteSession: "DELETE FROM sessions WHERE tenant = ? AND id = ?",
} as const;

type StatementName = keyof typeof SQL;

function userOf(row: Row): User {
  const hash = row["invitation_hash"] as string | null;
  return {
    name: row["name"] as string,
    role: row["role"] as Role,
    disabled: row["disabled"] === 1,
    password: row["password"] as string | null,
    passwordChangedAt: row["password_changed_at"] as number | null,
    invitation: hash === null ? null : { hash, expiresAt: row["invitation_expires_at"] as number },
    createdAt: row["created_at"] as number,
    lastLoginAt: row["last_login_at"] as number | null,
  };
}

function keyOf(row: Row): Key {
  const things = row["things"] as string | null;
  return {
    id: row["id"] as string,
    kind: row["kind"] as Key["kind"],
    name: row["name"] as string,
    owner: row["owner"] as string | null,
    permissions: JSON.parse(row["permissions"] as string) as Permission[],
    things: things === null ? null : (JSON.parse(things) as string[]),
    policies: JSON.parse(row["policies"] as string) as string[],
    secret: row["secret"] as string,
    createdAt: row["created_at"] as number,
    expiresAt: row["expires_at"] as number | null,
    lastUsedAt: row["last_used_at"] as number | null,
    lastUsedFrom: row["last_used_from"] as string | null,
  };
}

function sessionOf(row: Row): SavedSession {
  return {
    id: row["id"] as string,
    hash: row["hash"] as string,
    user: row["user"] as string | null,
    createdAt: row["created_at"] as number,
    lastSeenAt: row["last_seen_at"] as number,
    endsAt: row["ends_at"] as number,
    address: row["address"] as string,
    agent: row["agent"] as string,
  };
}
