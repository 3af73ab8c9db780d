/** A table of PostgreSQL, asked anew for each message. */
import type { JsonObject } from "../../base/mod.ts";
import type { PostgresServerAddress } from "../postgres/server-url.ts";
import { ReaderPool } from "../postgres/reader-pool.ts";
import { Session } from "../postgres/session.ts";
import type { Table } from "./table.ts";

export interface PostgresTableOptions {
  readonly address: PostgresServerAddress;
  /** May name a schema: `plant.devices`. */
  readonly table: string;
  readonly key: string;
  readonly sort: string | null;
  readonly connectionsMax: number;
  readonly statementTimeout: number;
}

export class PostgresTable implements Table {
  readonly key: string;
  readonly sort: string | null;
  readonly #pool: ReaderPool;
  readonly #statement: string;

  constructor({ address, table, key, sort, connectionsMax, statementTimeout }: PostgresTableOptions) {
    this.key = key;
    this.sort = sort;
    const open = (): Promise<Session> => Session.open({ address, name: "tidewire look-ups", statementTimeout });
    this.#pool = new ReaderPool(open, connectionsMax);
    const from = table.split(".").map(quoted).join(".");
    const also = sort === null ? "" : ` AND t.${quoted(sort)} = $2`;
    this.#statement = `SELECT to_jsonb(t)::text FROM ${from} t WHERE t.${quoted(key)} = $1${also} LIMIT 1`;
  }

  async row(key: string, sort: string | null): Promise<JsonObject | undefined> {
    const values = sort === null ? [key] : [key, sort];
    const [row] = await this.#pool.use((session) => session.query(this.#statement, values));
    return row === undefined ? undefined : (JSON.parse(row[0] as string) as JsonObject);
  }

  close(): Promise<void> {
    return this.#pool.close();
  }
}

function quoted(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}
