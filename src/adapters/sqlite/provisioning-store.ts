/** Provisioning in `provisioning.db`. */
import type { Logger } from "../../base/mod.ts";
import { PROVISIONING } from "../identity-sql/identity-schema.ts";
import { ProvisioningTable } from "../identity-sql/provisioning.ts";
import { FIRST_TENANT } from "../identity-sql/sql.ts";
import type { Database } from "../identity-sql/sql.ts";
import { closeDatabase, openDatabase } from "./open.ts";
import { SqliteSql } from "./sql.ts";

export interface OpenProvisioningFile {
  readonly store: ProvisioningTable;
  /** For copying. */
  readonly sql: Database;
  close(): void;
}

export interface ProvisioningFileOptions {
  readonly path: string;
  readonly logger?: Logger;
  readonly tenant?: string;
}

/** Throws `TidewireError` DATABASE_DAMAGED, DATABASE_UNUSABLE or DATABASE_NEWER. */
export function openProvisioningFile({
  path,
  logger,
  tenant = FIRST_TENANT,
}: ProvisioningFileOptions): OpenProvisioningFile {
  const file = { path, name: "provisioning", migrations: PROVISIONING, durability: "full" } as const;
  const database = openDatabase(logger === undefined ? file : { ...file, logger });
  const sql = new SqliteSql(database, tenant);
  return { store: new ProvisioningTable(sql), sql, close: () => closeDatabase(database) };
}
