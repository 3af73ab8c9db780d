/** From the files in the data folder into a shared database, so that nobody is locked out by the change. */
import { copyTables, isEmpty } from "../adapters/identity-sql/copy.ts";
import { PEOPLE_TABLES, PROVISIONING_TABLES, SUCCESSION_TABLES } from "../adapters/identity-sql/identity-schema.ts";
import type { Table } from "../adapters/identity-sql/schema.ts";
import type { Database, Touched } from "../adapters/identity-sql/sql.ts";
import type { Logger } from "../base/mod.ts";

interface Holder {
  readonly sql: Database;
}

export interface IdentityFiles {
  readonly registry: Holder;
  readonly people: Holder;
  readonly provisioning: Holder;
  readonly renewals: Holder;
}

interface Part {
  readonly name: keyof Omit<IdentityFiles, "registry">;
  readonly tables: readonly Table[];
  readonly touched: readonly Touched[];
}

const PARTS: readonly Part[] = [
  { name: "people", tables: PEOPLE_TABLES, touched: [["people", "", "updated"]] },
  { name: "provisioning", tables: PROVISIONING_TABLES, touched: [] },
  { name: "renewals", tables: SUCCESSION_TABLES, touched: [["successions", "", "updated"]] },
];

/**
 * In one transaction of the shared database; the files stay as they are. The registry is copied into one that is empty. The
 * rest is copied once, by the first platform that comes with it: what was used up or ended since must not come back from files.
 */
export function moveIdentity(files: IdentityFiles, to: Holder, logger: Logger): void {
  if (to.sql.rows(MOVED, [MARK]).length > 0) return tellWhatIsLeft(files, to, logger);
  to.sql.transaction(() => {
    if (to.sql.rows(MOVED, [MARK]).length > 0) return; // another platform was faster
    if (isEmpty(to.sql) && !isEmpty(files.registry.sql)) {
      const copied = copyTables(files.registry.sql, to.sql);
      const [things = 0, certificates = 0] = [copied.get("things"), copied.get("certificates")];
      logger.info("The registry was copied from the data folder into PostgreSQL", {
        audit: true,
        things,
        certificates,
      });
    }
    for (const { name, tables, touched } of PARTS) {
      const copied = copyTables(files[name].sql, to.sql, tables, touched);
      const rows = Object.fromEntries([...copied].filter(([, count]) => count > 0));
      if (Object.keys(rows).length === 0) continue;
      logger.info("A part of identity was copied from the data folder into PostgreSQL", {
        audit: true,
        part: name,
        ...rows,
      });
    }
    to.sql.change("INSERT INTO registry_values VALUES ($1, $2, 'yes')", [MARK]);
  });
}

const MARK = "identity was moved";
const MOVED = "SELECT 1 FROM registry_values WHERE tenant = $1 AND name = $2";

/** Users of a platform that joins others are not taken along; whoever misses them should know where they are. */
function tellWhatIsLeft({ people }: IdentityFiles, to: Holder, logger: Logger): void {
  const users = (sql: Database): ReadonlySet<string> =>
    new Set(sql.rows("SELECT name FROM users WHERE tenant = $1").map(([name]) => String(name)));
  const shared = users(to.sql);
  const left = [...users(people.sql)].filter((name) => !shared.has(name)).length;
  if (left === 0) return;
  logger.info("Users in people.db of the data folder are not in the shared registry, so they cannot log in", {
    users: left,
  });
}
