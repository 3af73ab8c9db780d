/** The registry and presence in `registry.db`. Plain prepared statements; every registry commit is on disk. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Logger } from "../../base/mod.ts";
import type { PresenceStore, RegistryStore, SavedPresence } from "../../registry/mod.ts";
import {
  SQLITE_DEVICE_PASSWORDS,
  SQLITE_PASSWORD_USES,
  SQLITE_REGISTRY,
  SQLITE_STATISTICS,
  withTenants,
} from "../identity-sql/schema.ts";
import { FIRST_TENANT, textOrNull } from "../identity-sql/sql.ts";
import type { Database, Row } from "../identity-sql/sql.ts";
import { registryTables } from "../identity-sql/tables.ts";
import { closeDatabase, openDatabase, transaction } from "./open.ts";
import { SqliteSql } from "./sql.ts";

export const REGISTRY_MIGRATIONS: readonly string[] = [
  `CREATE TABLE things (
     name TEXT PRIMARY KEY, id TEXT NOT NULL, type TEXT, attributes TEXT NOT NULL,
     version INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, searchable TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE thing_attributes (
     name TEXT NOT NULL, value TEXT NOT NULL, thing TEXT NOT NULL REFERENCES things (name) ON DELETE CASCADE,
     PRIMARY KEY (name, value, thing)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX thing_attributes_by_thing ON thing_attributes (thing);
   CREATE INDEX things_by_type ON things (type, name);
   CREATE TABLE certificates (
     id TEXT PRIMARY KEY, pem TEXT NOT NULL, status TEXT NOT NULL, serial TEXT NOT NULL,
     subject TEXT NOT NULL, issuer TEXT NOT NULL, not_before INTEGER NOT NULL, not_after INTEGER NOT NULL,
     created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX certificates_by_creation ON certificates (created_at, id);
   CREATE TABLE policies (
     name TEXT PRIMARY KEY, document TEXT NOT NULL, version INTEGER NOT NULL,
     created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE thing_principals (
     thing TEXT NOT NULL REFERENCES things (name) ON DELETE CASCADE,
     certificate TEXT NOT NULL REFERENCES certificates (id) ON DELETE CASCADE,
     exclusive INTEGER NOT NULL,
     PRIMARY KEY (thing, certificate)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX thing_principals_by_certificate ON thing_principals (certificate, thing);
   CREATE TABLE policy_targets (
     policy TEXT NOT NULL REFERENCES policies (name) ON DELETE RESTRICT,
     certificate TEXT NOT NULL REFERENCES certificates (id) ON DELETE CASCADE,
     PRIMARY KEY (policy, certificate)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX policy_targets_by_certificate ON policy_targets (certificate, policy);
   CREATE TABLE presence (
     thing TEXT PRIMARY KEY, online INTEGER NOT NULL, last_seen_at INTEGER NOT NULL,
     reason TEXT, address TEXT
   ) STRICT, WITHOUT ROWID;`,

  `DROP TABLE thing_attributes;
   ${withTenants(SQLITE_REGISTRY, {
     attributes: "attributes",
     eachAttribute: `SELECT each.key AS name, each.value AS value, things_before.name AS thing
       FROM things_before, json_each(things_before.attributes) AS each`,
     exclusive: "exclusive",
   })}
   ALTER TABLE presence RENAME TO presence_before;
   CREATE TABLE presence (
     tenant TEXT NOT NULL, thing TEXT NOT NULL, online INTEGER NOT NULL, last_seen_at INTEGER NOT NULL,
     reason TEXT, address TEXT,
     PRIMARY KEY (tenant, thing)
   ) STRICT, WITHOUT ROWID;
   INSERT INTO presence SELECT 'default', thing, online, last_seen_at, reason, address FROM presence_before;
   DROP TABLE presence_before;
   ${SQLITE_STATISTICS}`,

  SQLITE_DEVICE_PASSWORDS,
  SQLITE_PASSWORD_USES,
];

export interface OpenRegistry {
  readonly store: SqliteRegistryStore;
  readonly presence: PresenceStore;
  close(): void;
}

/** Throws DATABASE_DAMAGED, DATABASE_UNUSABLE or DATABASE_NEWER. */
export function openRegistry(path: string, logger?: Logger, tenant: string = FIRST_TENANT): OpenRegistry {
  const file = { path, name: "registry", migrations: REGISTRY_MIGRATIONS, ...(logger === undefined ? {} : { logger }) };
  const database = openDatabase({ ...file, durability: "full" });
  // Presence has its own connection: it may lose its last changes, so it need not wait for the disk in the broker's thread.
  const presence = openDatabase({ ...file, durability: "normal", beside: database });
  return {
    store: sqliteRegistryStore(database, tenant),
    presence: new SqlitePresenceStore(presence, tenant),
    close: () => {
      closeDatabase(presence);
      closeDatabase(database);
    },
  };
}

/** With the statements themselves, for copying. */
export type SqliteRegistryStore = RegistryStore & { readonly sql: Database };

function sqliteRegistryStore(database: DatabaseSync, tenant: string): SqliteRegistryStore {
  const sql = new SqliteSql(database, tenant);
  return { sql, ...registryTables(sql), transaction: (work) => transaction(database, work) };
}

class SqlitePresenceStore implements PresenceStore {
  readonly #database: DatabaseSync;
  readonly #save: StatementSync;
  readonly #remove: StatementSync;
  readonly #tenant: string;

  constructor(database: DatabaseSync, tenant: string) {
    this.#database = database;
    this.#tenant = tenant;
    this.#save = database.prepare("INSERT OR REPLACE INTO presence VALUES (?, ?, ?, ?, ?, ?)");
    this.#remove = database.prepare("DELETE FROM presence WHERE tenant = ? AND thing = ?");
  }

  load(): readonly SavedPresence[] {
    const all = this.#database.prepare(
      "SELECT thing, online, last_seen_at, reason, address FROM presence WHERE tenant = ?",
    );
    all.setReturnArrays(true);
    const rows = all.all(this.#tenant) as unknown as readonly Row[];
    return rows.map(([thing, online, lastSeenAt, reason, address]) => ({
      thing: String(thing),
      online: online === 1,
      lastSeenAt: Number(lastSeenAt),
      disconnectReason: textOrNull(reason),
      remoteAddress: textOrNull(address),
    }));
  }

  save(entries: readonly SavedPresence[]): void {
    transaction(this.#database, () => {
      for (const { thing, online, lastSeenAt, disconnectReason, remoteAddress } of entries) {
        this.#save.run(this.#tenant, thing, online ? 1 : 0, lastSeenAt, disconnectReason, remoteAddress);
      }
    });
  }

  remove(thing: string): void {
    this.#remove.run(this.#tenant, thing);
  }
}
