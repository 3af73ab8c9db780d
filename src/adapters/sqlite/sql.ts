/** A tenant's rows in one of our SQLite files, for the statements of `../identity-sql/`. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Database, Row, Value } from "../identity-sql/sql.ts";
import { transaction } from "./open.ts";

export class SqliteSql implements Database {
  readonly position = "instr";
  readonly #database: DatabaseSync;
  readonly #tenant: string;
  /** By text; as many as the parts of `identity-sql/` write: a text per filter, and per number of attributes or tags. */
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync, tenant: string) {
    this.#database = database;
    this.#tenant = tenant;
  }

  rows(text: string, values: readonly Value[] = []): readonly Row[] {
    let statement = this.#statements.get(text);
    if (statement === undefined) {
      statement = this.#database.prepare(text.replaceAll(/\$(?=\d)/g, "?"));
      statement.setReturnArrays(true);
      this.#statements.set(text, statement);
    }
    return statement.all(this.#tenant, ...values) as unknown as readonly Row[];
  }

  change(text: string, values: readonly Value[]): readonly Row[] {
    if (!this.#database.isTransaction) throw new Error("a change outside of a transaction");
    return this.rows(text, values);
  }

  transaction<T>(work: () => T): T {
    return this.#database.isTransaction ? work() : transaction(this.#database, work);
  }
}
