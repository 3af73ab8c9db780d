/**
 * Rows of the open database's tables as Parquet files, for a query that runs in another process. Only what came since the last
 * call is written; files never change, so a reader takes them by hard link and may keep them as long as it likes.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { DuckDBConnection } from "@duckdb/node-api";
import { quoted } from "./layout.ts";

/** A table that only grows, and what of it is written. */
export interface HotTable {
  readonly name: string;
  readonly columns: string;
  /** Of one that is not, what there is may be behind. */
  readonly wanted: boolean;
}

/** Files that hold the table's rows below `rows`, in the order of arrival. */
interface Chain {
  rows: number;
  readonly files: string[];
}

/** Files of one table before they are written anew as one: each costs a query a few hundred microseconds. */
const FILES_MAX = 32;

export class HotFiles {
  readonly folder: string;
  /** By table. Bounded by the tables that the last call named. */
  readonly #chains = new Map<string, Chain>();
  #written = 0;
  /** One at a time; a second caller finds nearly everything written. */
  #turn: Promise<unknown> = Promise.resolve();

  /** `folder`: its own, made and emptied here; DuckDB must be allowed to write there. */
  constructor(folder: string) {
    this.folder = folder;
  }

  /** `tables`: all there are. `use` gets the files of those that are wanted, as of one moment, and must have linked them when it resolves. */
  with<T>(
    connection: DuckDBConnection,
    tables: readonly HotTable[],
    use: (files: ReadonlyMap<string, readonly string[]>) => Promise<T>,
  ): Promise<T> {
    return this.#next(async () => use(await this.#bringUpToDate(connection, tables)));
  }

  /** Nobody has asked for a while: the files' space is worth more. */
  forget(): Promise<void> {
    return this.#next(() => this.#clear());
  }

  #next<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #bringUpToDate(connection: DuckDBConnection, tables: readonly HotTable[]) {
    if (this.#chains.size === 0) await this.#clear(); // another process may have left files here
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    await this.#drop(new Set(tables.map(({ name }) => name)));
    await connection.run("BEGIN TRANSACTION READ ONLY");
    try {
      for (const table of tables) if (table.wanted) await this.#extend(connection, table);
    } catch (error) {
      this.#chains.clear(); // half a file may lie there
      throw error;
    } finally {
      await connection.run("ROLLBACK");
    }
    return new Map([...this.#chains].map(([name, { files }]) => [name, [...files]]));
  }

  async #extend(connection: DuckDBConnection, { name, columns }: HotTable): Promise<void> {
    let chain = this.#chains.get(name);
    if (chain !== undefined && chain.files.length >= FILES_MAX) {
      await this.#remove(chain);
      chain = undefined;
    }
    if (chain === undefined) this.#chains.set(name, (chain = { rows: 0, files: [] }));
    const counted = await connection.runAndReadAll(`SELECT count(*)::DOUBLE FROM ${name}`);
    const rows = counted.value(0, 0) as number;
    if (rows === chain.rows && chain.files.length > 0) return; // an empty table has a file, too: its columns
    const file = `${name}-${this.#written++}.parquet`;
    await connection.run(
      `COPY (SELECT ${columns} FROM ${name} WHERE rowid >= ${chain.rows} AND rowid < ${rows}) ` +
        `TO ${quoted(join(this.folder, file))} (FORMAT parquet, COMPRESSION lz4_raw)`,
    );
    chain.files.push(file);
    chain.rows = rows;
  }

  /** Tables that are no more: their rows are in files of their own by now. */
  async #drop(present: ReadonlySet<string>): Promise<void> {
    for (const [name, chain] of this.#chains) {
      if (present.has(name)) continue;
      this.#chains.delete(name);
      await this.#remove(chain);
    }
  }

  async #remove(chain: Chain): Promise<void> {
    for (const file of chain.files) await rm(join(this.folder, file), { force: true });
  }

  async #clear(): Promise<void> {
    this.#chains.clear();
    await rm(this.folder, { recursive: true, force: true });
  }
}
