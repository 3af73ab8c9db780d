/** From the registry in the data folder into an empty shared one, so that nobody is locked out by the change. */
import type { PostgresRegistryStore } from "../adapters/postgres/mod.ts";
import { copyTables, isEmpty } from "../adapters/registry-sql/copy.ts";
import type { SqliteRegistryStore } from "../adapters/sqlite/registry-store.ts";
import type { Logger } from "../base/mod.ts";

/** All in one transaction of the new store; the old one stays as it is. Does nothing where the new one holds anything. */
export function moveRegistry(from: SqliteRegistryStore, to: PostgresRegistryStore, logger: Logger): void {
  if (!isEmpty(to.sql) || isEmpty(from.sql)) return;
  const copied = to.transaction(() => copyTables(from.sql, to.sql));
  logger.info("The registry was copied from the data folder into PostgreSQL", {
    audit: true,
    things: copied.get("things") ?? 0,
    certificates: copied.get("certificates") ?? 0,
  });
}
