/** All rows of a tenant from one database into another: complete, because it goes by lists of tables. */
import { TABLES } from "./schema.ts";
import type { Table } from "./schema.ts";
import { rowsOf } from "./sql.ts";
import type { Row, Sql, Touched, Value } from "./sql.ts";

/** Rows of one statement: the widest has 16 columns, and SQLite takes 32,766 values. */
const PAGE = 500;

/** To be called within a transaction of `to`. Returns the number of rows of each table. */
export function copyTables(
  from: Sql,
  to: Sql,
  tables: readonly Table[] = TABLES,
  touched: readonly Touched[] = [["policy", "*", "updated"]],
): ReadonlyMap<string, number> {
  const copied = new Map<string, number>();
  for (const table of tables) {
    const columns = [...table.key, ...table.others];
    let rows = 0;
    for (const page of pages(from, table, columns)) {
      to.change(
        `INSERT INTO ${table.name} (tenant, ${columns.join(", ")}) VALUES ${rowsOf(page.length, columns.length)}`,
        page.flat() as Value[],
        touched,
      );
      rows += page.length;
    }
    copied.set(table.name, rows);
  }
  return copied;
}

export function isEmpty(sql: Sql): boolean {
  return ["things", "certificates", "policies"].every(
    (table) => sql.rows(`SELECT 1 FROM ${table} WHERE tenant = $1 LIMIT 1`).length === 0,
  );
}

function* pages(sql: Sql, { name, key }: Table, columns: readonly string[]): Generator<readonly Row[]> {
  for (let after: readonly Value[] | null = null; ;) {
    const beyond: string = `(${key.join(", ")}) > (${key.map((_, index) => `$${index + 2}`).join(", ")})`;
    const page: readonly Row[] = sql.rows(
      `SELECT ${columns.join(", ")} FROM ${name} WHERE tenant = $1 ${after === null ? "" : `AND ${beyond}`}
       ORDER BY ${key.join(", ")} LIMIT ${PAGE}`,
      after ?? [],
    );
    if (page.length > 0) yield page;
    if (page.length < PAGE) return;
    after = key.map((column) => page.at(-1)![columns.indexOf(column)] as Value);
  }
}
