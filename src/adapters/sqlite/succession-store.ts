/** Which certificate follows which, in `renewals.db`. */
import type { Logger } from "../../base/mod.ts";
import { SUCCESSIONS } from "../identity-sql/identity-schema.ts";
import { FIRST_TENANT } from "../identity-sql/sql.ts";
import type { Database } from "../identity-sql/sql.ts";
import { SuccessionTable } from "../identity-sql/successions.ts";
import { closeDatabase, openDatabase } from "./open.ts";
import { SqliteSql } from "./sql.ts";

const MIGRATIONS: readonly string[] = [
  `CREATE TABLE succession (
     successor TEXT PRIMARY KEY, predecessor TEXT NOT NULL, issued_at INTEGER NOT NULL, confirmed_at INTEGER) STRICT;
   CREATE TABLE allowance (certificate TEXT PRIMARY KEY, until INTEGER NOT NULL) STRICT;`,
  `ALTER TABLE succession RENAME TO succession_before;
   ALTER TABLE allowance RENAME TO allowance_before;
   ${SUCCESSIONS}
   INSERT INTO succession SELECT 'default', successor, predecessor, issued_at, confirmed_at FROM succession_before;
   INSERT INTO allowance SELECT 'default', certificate, until FROM allowance_before;
   DROP TABLE succession_before;
   DROP TABLE allowance_before;`,
];

export interface OpenRenewalsFile {
  readonly successions: SuccessionTable;
  /** For copying. */
  readonly sql: Database;
  close(): void;
}

/** Throws `TidewireError` DATABASE_DAMAGED, DATABASE_UNUSABLE or DATABASE_NEWER. */
export function openRenewalsFile(path: string, logger?: Logger, tenant: string = FIRST_TENANT): OpenRenewalsFile {
  const file = { path, name: "renewals", migrations: MIGRATIONS, durability: "full" } as const;
  const database = openDatabase(logger === undefined ? file : { ...file, logger });
  const sql = new SqliteSql(database, tenant);
  return { successions: new SuccessionTable(sql), sql, close: () => closeDatabase(database) };
}
