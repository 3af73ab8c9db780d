/** The generations in DuckDB's file, and whether they go on where the files end. */
import type { DuckDBConnection } from "@duckdb/node-api";
import type { ColdContent } from "./cold-files.ts";
import { eachChunk } from "./columns.ts";
import { quoted } from "./layout.ts";
import { inTransaction } from "./open.ts";
import { dropGeneration, newGeneration } from "./schema.ts";
import { seriesFromFiles } from "./states.ts";
import type { States } from "./states.ts";

/** A generation that takes no more rows. */
export interface Sealed {
  readonly number: number;
  /** The log below is in this one and those before. */
  readonly below: number;
  /** Names that existed then. */
  readonly series: number;
  readonly log: string | null;
}

export interface Generations {
  readonly sealed: readonly Sealed[];
  readonly open: number;
  readonly offset: number | null;
  readonly log: string | null;
}

/** The file was written with other files beside it: what lies between is only in the log. */
export class NotConnected extends Error {}

/** Brings tables and files together. Throws `NotConnected`. */
export async function startGenerations(
  connection: DuckDBConnection,
  content: ColdContent,
  states: States,
): Promise<Generations> {
  const all = await generationsIn(connection);
  if (all.length === 0) {
    await begin(connection, content, states);
    return generationsOf(connection);
  }
  const names = await single(connection, "SELECT count(*)::DOUBLE FROM series");
  const next = content.generation + 1;
  if (!all.some(({ number }) => number === next) || names < content.series) {
    throw new NotConnected(
      `it has the generations ${all[0]!.number} to ${all.at(-1)!.number}, and files hold those up to ${content.generation}`,
    );
  }
  for (const { number } of all) if (number < next) await inTransaction(connection, dropGeneration(number));
  return generationsOf(connection);
}

export async function generationsOf(connection: DuckDBConnection): Promise<Generations> {
  const all = await generationsIn(connection);
  const open = all.at(-1);
  if (open === undefined || open.below !== null) throw new Error("the table generations has no open one");
  const sealed: Sealed[] = [];
  for (const { number, below, series, log } of all.slice(0, -1)) {
    if (below === null || series === null) throw new Error(`generation ${number} is not sealed`);
    sealed.push({ number, below, series, log });
  }
  let offset: number | null = null;
  let log: string | null = null;
  let rows = 0;
  await eachChunk(connection, "SELECT log_offset::DOUBLE, log FROM progress", ([offsets, logs], count) => {
    rows += count;
    offset = offsets![0] as number;
    log = logs![0] as string | null;
  });
  if (rows !== 1 || offset === null) throw new Error("the table progress is not whole");
  return { sealed, open: open.number, offset: offset < 0 ? null : offset, log };
}

/** An empty file: it goes on where the files end. */
async function begin(connection: DuckDBConnection, content: ColdContent, states: States): Promise<void> {
  await connection.run("BEGIN");
  await seriesFromFiles(connection, states, content);
  for (const statement of newGeneration(content.generation + 1)) await connection.run(statement);
  const offset = content.generation === 0 ? -1 : content.offset;
  const log = content.log === null ? "NULL" : quoted(content.log);
  await connection.run(`INSERT INTO progress VALUES (${offset}, ${log})`);
  await connection.run("COMMIT");
}

/** `below` and `series` are null in the open one. */
interface Row {
  readonly number: number;
  readonly below: number | null;
  readonly series: number | null;
  readonly log: string | null;
}

async function generationsIn(connection: DuckDBConnection): Promise<readonly Row[]> {
  const found: Row[] = [];
  await eachChunk(
    connection,
    "SELECT number, below::DOUBLE, series, log FROM generations ORDER BY number",
    ([numbers, belows, series, logs], rows) => {
      for (let row = 0; row < rows; row++) {
        found.push({
          number: numbers![row] as number,
          below: belows![row] as number | null,
          series: series![row] as number | null,
          log: logs![row] as string | null,
        });
      }
    },
  );
  return found;
}

async function single(connection: DuckDBConnection, sql: string): Promise<number> {
  const result = await connection.runAndReadAll(sql);
  return Number(result.value(0, 0));
}
