/** `tidewire query`: SQL over what a platform has stored, as a table for people and as a stream for programs. */
import { createWriteStream, readFileSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { extname } from "node:path";
import { pipeline } from "node:stream/promises";
import { Command, InvalidArgumentError, Option } from "commander";
import { TidewireError, isTidewireError, reasonOf } from "../base/mod.ts";
import type { Millis } from "../base/mod.ts";
import type { QueryRequest, QueryResult } from "../cloud/api/contract.ts";
import { clientOf, withConnection } from "./connection.ts";
import { optionFault } from "./option-fault.ts";
import type { Output } from "./output.ts";
import { alignedTable } from "./query-table.ts";
import { durationOf } from "./time-options.ts";

const FORMATS = ["table", "json", "ndjson", "csv", "parquet"] as const;
type Format = (typeof FORMATS)[number];

interface Options {
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
  readonly format?: Format;
  readonly output?: string;
  readonly param: Readonly<Record<string, string>>;
  readonly timeout?: Millis;
  readonly rows?: number;
  readonly file?: string;
  readonly explain?: boolean;
}

const HELP = `
The SQL is DuckDB's, read-only: one SELECT over the relations
  telemetry    time, thing, measurement, field, type, value, text
  rollups_1m, rollups_1h, rollups_1d
               time, thing, measurement, field, type, count, sum, avg, min, max, first, first_time, last, last_time, …
  series       thing, measurement, field, type
  events       time, topic, thing, client, qos, retain, text, payload, user_properties, …: as far as archived
  things       thing, type, attributes, created, state, last_seen
DESCRIBE lists a relation's columns; docs/reference/query.md says more.`;

export function queryCommand(output: Output): Command {
  return withConnection(new Command("query"))
    .description("ask with SQL what the platform has stored")
    .argument("[sql]", "one SELECT; without it, it is read from --file or standard input")
    .addOption(
      new Option(
        "--format <format>",
        "how it is written; without it, table on a terminal, else by --output's name, else ndjson",
      ).choices(FORMATS),
    )
    .option("--output <file>", "write the answer to a file, which appears when it is whole")
    .option("--param <name=value>", "value of $name, or of the nth ? as 1=value; may be repeated", parameter, {})
    .option(
      "--timeout <duration>",
      "the query is stopped then, e.g. 500ms, 30s; at most 30m (default: 10s)",
      durationOf,
    )
    .option("--rows <count>", "rows of table and json, at most (default: 10000)", rowsOf)
    .option("--file <file>", "read the SQL from a file")
    .option("--explain", "print how it would be answered")
    .addHelpText("after", HELP)
    .action((sql: string | undefined, options: Options) => query(sql, options, output));
}

async function query(sql: string | undefined, options: Options, output: Output): Promise<void> {
  const format = formatOf(options);
  const request: QueryRequest = {
    sql: await textOf(sql, options),
    parameters: parametersOf(options.param),
    format: format === "table" ? "json" : format,
    ...(options.timeout === undefined ? {} : { timeout: `${options.timeout}ms` }),
    ...(options.rows === undefined ? {} : { rows: options.rows }),
    ...(options.explain === true ? { explain: true } : {}),
  };
  const answer = await clientOf(options).stream("/api/query", request);
  if (answer.headers["x-tidewire-incomplete"] !== undefined) {
    output.note(
      "Files that should have been read are damaged: the answer is incomplete. `tidewire log` and the platform's health say more.",
    );
  }
  if (format === "table") printTable(await wholeOf(answer), options, output);
  else if (options.output === undefined) await toStandardOutput(answer);
  else await toFile(answer, options.output);
}

function formatOf({ format, output, explain }: Options): Format {
  if (format === "parquet" && output === undefined && process.stdout.isTTY) {
    throw wrong("--format", "Parquet is no text for a terminal; add --output FILE");
  }
  if (format !== undefined) {
    if (format === "table" && output !== undefined)
      throw wrong("--format", "a table is for the screen; take csv for a file");
    return format;
  }
  if (output !== undefined) return BY_ENDING[extname(output).toLowerCase()] ?? "ndjson";
  return process.stdout.isTTY || explain === true ? "table" : "ndjson";
}

const BY_ENDING: Readonly<Record<string, Format>> = {
  ".csv": "csv",
  ".json": "json",
  ".jsonl": "ndjson",
  ".ndjson": "ndjson",
  ".parquet": "parquet",
};

async function textOf(sql: string | undefined, { file }: Options): Promise<string> {
  if (sql !== undefined && file !== undefined) throw wrong("--file", "the SQL is given as an argument, too");
  if (sql !== undefined && sql !== "-") return sql;
  if (file !== undefined) {
    try {
      return readFileSync(file, "utf8");
    } catch (error) {
      throw wrong("--file", reasonOf(error));
    }
  }
  if (process.stdin.isTTY) throw wrong("sql", "it is missing; `tidewire query --help` has examples");
  let text = "";
  for await (const part of process.stdin.setEncoding("utf8")) text += part as string;
  return text;
}

/** Values travel as text; DuckDB turns them into what the place in the statement needs. */
function parametersOf(given: Readonly<Record<string, string>>): NonNullable<QueryRequest["parameters"]> {
  const names = Object.keys(given);
  if (names.length === 0 || !names.every((name) => /^\d+$/.test(name))) return given;
  return names.map((_, index) => {
    const value = given[String(index + 1)];
    if (value === undefined)
      throw wrong("--param", `there are ${names.length} values, but none for number ${index + 1}`);
    return value;
  });
}

function parameter(text: string, before: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const equals = text.indexOf("=");
  const name = text.slice(0, Math.max(0, equals)).replace(/^\$/, "");
  if (!/^\w+$/.test(name)) throw new InvalidArgumentError("it must be name=value.");
  return { ...before, [name]: text.slice(equals + 1) };
}

function rowsOf(text: string): number {
  const rows = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (rows < 1) throw new InvalidArgumentError("it must be a whole number above 0.");
  return rows;
}

function printTable(result: QueryResult, { explain }: Options, output: Output): void {
  if (explain === true) {
    for (const row of result.rows) output.result(String(row[1]));
    return;
  }
  output.result(alignedTable(result));
  const { rowCount, truncated } = result;
  const more = truncated ? "the first " : "";
  const hint = truncated ? "; --rows N shows more, --format ndjson all" : "";
  output.note(`(${more}${rowCount} ${rowCount === 1 ? "row" : "rows"}${hint})`);
}

async function wholeOf(answer: IncomingMessage): Promise<QueryResult> {
  let text = "";
  let bytes = 0;
  try {
    for await (const part of answer.setEncoding("utf8")) {
      text += part as string;
      bytes = text.length;
    }
  } catch (error) {
    throw brokenOff(bytes, error);
  }
  return JSON.parse(text) as QueryResult;
}

/** A reader that has enough (`| head`) ends the query, and that is no error. */
export async function toStandardOutput(answer: IncomingMessage): Promise<void> {
  let bytes = 0;
  answer.on("data", (part: Uint8Array) => (bytes += part.length));
  try {
    await pipeline(answer, process.stdout, { end: false });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPIPE") throw brokenOff(bytes, error);
  }
}

export async function toFile(answer: IncomingMessage, path: string): Promise<void> {
  const part = `${path}.part`;
  let bytes = 0;
  answer.on("data", (chunk: Uint8Array) => (bytes += chunk.length));
  try {
    await pipeline(answer, createWriteStream(part));
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    const { syscall } = error as NodeJS.ErrnoException;
    if (syscall === "open" || syscall === "write" || syscall === "rename") throw wrong("--output", reasonOf(error));
    throw brokenOff(bytes, error);
  }
}

function brokenOff(bytes: number, error: unknown): TidewireError {
  if (isTidewireError(error)) return error;
  return new TidewireError("ANSWER_BROKEN_OFF", { bytes, reason: reasonOf(error) }, { cause: error });
}

function wrong(key: string, reason: string): TidewireError {
  return optionFault("query", key, reason);
}
