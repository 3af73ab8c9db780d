/** People in `people.db`, and what this platform alone knows: its own token's end, and where its audit log ends. */
import type { Logger } from "../../base/mod.ts";
import { PEOPLE } from "../identity-sql/identity-schema.ts";
import { PeopleTable } from "../identity-sql/people.ts";
import { FIRST_TENANT } from "../identity-sql/sql.ts";
import type { Database } from "../identity-sql/sql.ts";
import { closeDatabase, openDatabase } from "./open.ts";
import { SqliteSql } from "./sql.ts";

const FACTS = `
   CREATE TABLE facts (tenant TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (tenant, name))
     STRICT, WITHOUT ROWID;`;

const [FIRST = "", ...LATER] = PEOPLE;
const MIGRATIONS: readonly string[] = [`${FIRST}${FACTS}`, ...LATER];

/** A text that is on disk when `write` returns. */
export interface KeptFact {
  read(): string | null;
  write(text: string): void;
}

export interface OpenPeopleFile {
  readonly people: PeopleTable;
  /** SHA-256 of the platform's token that is not taken any more. */
  readonly revokedToken: KeptFact;
  /** The end of the audit log's chain, kept apart from its files. */
  readonly auditAnchor: KeptFact;
  /** The last checkpoint of it that was signed. */
  readonly auditCheckpoint: KeptFact;
  /** For copying. */
  readonly sql: Database;
  close(): void;
}

export interface PeopleFileOptions {
  readonly path: string;
  readonly tenant?: string;
  readonly logger?: Logger;
}

/** Throws `TidewireError` DATABASE_DAMAGED, DATABASE_UNUSABLE or DATABASE_NEWER. */
export function openPeopleFile({ path, tenant = FIRST_TENANT, logger }: PeopleFileOptions): OpenPeopleFile {
  const file = { path, name: "people", migrations: MIGRATIONS, durability: "full" } as const;
  const database = openDatabase(logger === undefined ? file : { ...file, logger });
  const sql = new SqliteSql(database, tenant);
  return {
    people: new PeopleTable(sql),
    revokedToken: fact(sql, "revoked-token"),
    auditAnchor: fact(sql, "audit-anchor"),
    auditCheckpoint: fact(sql, "audit-checkpoint"),
    sql,
    close: () => closeDatabase(database),
  };
}

function fact(sql: Database, name: string): KeptFact {
  return {
    read: () => {
      const [row] = sql.rows("SELECT value FROM facts WHERE tenant = $1 AND name = $2", [name]);
      return row === undefined ? null : String(row[0]);
    },
    write: (text) => {
      const put = `INSERT INTO facts VALUES ($1, $2, $3) ON CONFLICT (tenant, name) DO UPDATE SET value = excluded.value`;
      sql.transaction(() => sql.change(put, [name, text]));
    },
  };
}
