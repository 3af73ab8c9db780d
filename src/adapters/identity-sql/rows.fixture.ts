/** All that a tenant has, for comparing. */
import { TABLES } from "./schema.ts";
import type { Row, Sql } from "./sql.ts";

export function rowsIn(sql: Sql): readonly (readonly Row[])[] {
  return TABLES.map(({ name, key, others }) =>
    sql.rows(`SELECT ${[...key, ...others].join(", ")} FROM ${name} WHERE tenant = $1 ORDER BY ${key.join(", ")}`),
  );
}
