/**
 * The rows of the open database as Parquet files, for a query that runs in another process. Only what came since the last
 * snapshot is written; files never change, so an asker takes them by hard link and may keep them as long as it likes.
 */
import { link, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { DuckDBConnection } from "@duckdb/node-api";

/** Names of files in the asker's folder. */
export interface HotFiles {
  readonly series: readonly string[];
  readonly points: readonly string[];
  readonly texts: readonly string[];
}

type Table = keyof HotFiles;

/** What each table's files hold: rows below this, in the order of arrival. */
interface Chain {
  rows: number;
  readonly files: string[];
}

/** Columns as a query sees them: times that Parquet's own statistics let a query skip by. */
const COLUMNS: Readonly<Record<Table, string>> = {
  series: "id, thing, measurement, field, type",
  points: "series, make_timestamptz(time * 1000) AS time, value",
  texts: "series, make_timestamptz(time * 1000) AS time, value",
};

const TABLES: readonly Table[] = ["series", "points", "texts"];

/** Files of one table before they are written anew as one: each costs a query a few hundred microseconds. */
const FILES_MAX = 32;

export class HotSnapshot {
  readonly #folder: string;
  #chains: Readonly<Record<Table, Chain>> | null = null;
  #written = 0;
  /** One at a time; a second asker finds nearly everything written. */
  #turn: Promise<unknown> = Promise.resolve();

  /** `folder`: its own, made and emptied here; DuckDB must be allowed to write there. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Brings the files up to date and links them into `target`, which must exist and lie in the same file system. */
  async into(target: string, connection: DuckDBConnection): Promise<HotFiles> {
    const turn = this.#turn.then(() => this.#take(target, connection));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** Nobody has asked for a while: the files' space is worth more. */
  async forget(): Promise<void> {
    const turn = this.#turn.then(() => this.#clear());
    this.#turn = turn.catch(() => {});
    await turn;
  }

  async #take(target: string, connection: DuckDBConnection): Promise<HotFiles> {
    if (this.#chains === null || TABLES.some((table) => this.#chains![table].files.length >= FILES_MAX)) {
      await this.#clear();
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    }
    const chains = (this.#chains ??= { series: emptyChain(), points: emptyChain(), texts: emptyChain() });
    await connection.run("BEGIN TRANSACTION READ ONLY"); // the three tables as of one commit
    try {
      for (const table of TABLES) await this.#extend(table, chains[table], connection);
    } catch (error) {
      this.#chains = null; // half a file may lie there
      throw error;
    } finally {
      await connection.run("ROLLBACK");
    }
    for (const { files } of Object.values(chains)) {
      for (const file of files) await link(join(this.#folder, file), join(target, file));
    }
    return { series: [...chains.series.files], points: [...chains.points.files], texts: [...chains.texts.files] };
  }

  async #extend(table: Table, chain: Chain, connection: DuckDBConnection): Promise<void> {
    const counted = await connection.runAndReadAll(`SELECT count(*)::DOUBLE FROM ${table}`);
    const rows = counted.value(0, 0) as number;
    if (rows === chain.rows && chain.files.length > 0) return; // an empty table needs a file, too: its columns
    const file = `${table}-${this.#written++}.parquet`;
    const path = join(this.#folder, file).replaceAll("'", "''");
    await connection.run(
      `COPY (SELECT ${COLUMNS[table]} FROM ${table} WHERE rowid >= ${chain.rows} AND rowid < ${rows}) TO '${path}' (FORMAT parquet, COMPRESSION lz4_raw)`,
    );
    chain.files.push(file);
    chain.rows = rows;
  }

  async #clear(): Promise<void> {
    this.#chains = null;
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function emptyChain(): Chain {
  return { rows: 0, files: [] };
}
