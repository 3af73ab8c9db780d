/** Where a stopped platform's data folder still has a word: files by name, databases by table. */
import { readFileSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { DuckDBInstance } from "@duckdb/node-api";

/** Databases are asked row by row: what is deleted may lie in their free pages until those are used again. */
export async function tracesIn(folder: string, word: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const name = relative(folder, path);
    if (name.endsWith(".db")) found.push(...tablesOfSqlite(path, word).map((table) => `${name}: ${table}`));
    else if (name.endsWith(".duckdb"))
      found.push(...(await tablesOfDuckDb(path, word)).map((table) => `${name}: ${table}`));
    else if (!/\.(?:db|duckdb)[.-]/.test(name) && readFileSync(path).includes(word)) found.push(name);
  }
  return found;
}

function tablesOfSqlite(path: string, word: string): readonly string[] {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
    return tables
      .map(({ name }) => String(name))
      .filter((name) => {
        const rows = database.prepare(`SELECT * FROM "${name}"`);
        rows.setReadBigInts(true);
        return rows.all().some((row) => Object.values(row).some((value) => textOf(value).includes(word)));
      });
  } finally {
    database.close();
  }
}

async function tablesOfDuckDb(path: string, word: string): Promise<readonly string[]> {
  const instance = await DuckDBInstance.create(path, { access_mode: "READ_ONLY" });
  try {
    const connection = await instance.connect();
    const tables = await connection.runAndReadAll("SELECT table_name FROM duckdb_tables()");
    const found: string[] = [];
    for (const [table] of tables.getRows()) {
      const sql = `SELECT count(*) FROM "${String(table)}" AS t WHERE contains(t::VARCHAR, '${word}')`;
      const counted = await connection.runAndReadAll(sql);
      if (Number(counted.getRows()[0]![0]) > 0) found.push(String(table));
    }
    connection.closeSync();
    return found;
  } finally {
    instance.closeSync();
  }
}

function textOf(value: unknown): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : String(value);
}
