/**
 * One user's query, in a process of its own: an empty DuckDB in memory, views over the files of one folder, and settings
 * that close everything else and can no longer be opened. Used once and thrown away.
 */
import { LIST, DOUBLE, VARCHAR, StatementType, listValue } from "@duckdb/node-api";
import type { DuckDBConnection, DuckDBInstance, DuckDBPreparedStatement, DuckDBResult } from "@duckdb/node-api";
import { TidewireError, isTidewireError, minutes, reasonOf } from "../../../base/mod.ts";
import { quoted } from "../layout.ts";
import { confine, openUserDatabase } from "./database.ts";
import type { UserDatabaseLimits } from "./database.ts";
import { checkText, checkTree, clauseOf, invalid } from "./statement.ts";
import type { SqlPlace, UserRelation } from "./statement.ts";
import { timeBoundsOf } from "./range.ts";
import type { TimeBounds } from "./range.ts";
import { ALL_TIMES } from "./snapshots.ts";
import type { TimeRange } from "./snapshots.ts";
import type { UserView } from "./views.ts";

export interface UserQueryLimits extends UserDatabaseLimits {
  readonly sqlBytesMax: number;
  readonly columnsMax: number;
}

export type ScalarParameter = string | number | boolean | null;
export type Parameter = ScalarParameter | readonly (string | number)[];
/** By position or by name, as the statement has it. */
export type Parameters = readonly Parameter[] | Readonly<Record<string, Parameter>>;

export interface CheckedQuery {
  readonly relations: ReadonlySet<UserRelation>;
  readonly range: TimeRange;
}

/** The temporary table that an answer in Parquet is gathered in. */
const ANSWER = "tidewire_answer";

export class UserQuery {
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;
  readonly #limits: UserQueryLimits;
  #folder = "";
  #sql = "";

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection, limits: UserQueryLimits) {
    this.#instance = instance;
    this.#connection = connection;
    this.#limits = limits;
  }

  static async open(limits: UserQueryLimits): Promise<UserQuery> {
    const { instance, connection } = await openUserDatabase(limits);
    return new UserQuery(instance, connection, limits);
  }

  /** What the statement reads. Throws QUERY_SQL_INVALID or QUERY_NOT_ALLOWED; nothing of it has run then. */
  async check(sql: string, parameters: Parameters): Promise<CheckedQuery> {
    checkText(sql, this.#limits.sqlBytesMax);
    this.#sql = sql;
    const tree = await this.#treeOf(sql);
    const relations = checkTree(sql, tree);
    const bounds = timeBoundsOf(tree);
    return { relations, range: bounds === null ? ALL_TIMES : await this.#rangeOf(bounds, parameters) };
  }

  /** From here on nothing but the files of `folder` can be reached. */
  async bind(folder: string, views: readonly UserView[]): Promise<void> {
    this.#folder = folder;
    await confine(this.#connection, folder, views, this.#limits);
  }

  /** The answer as it is made, row by row as it is fetched. `explain`: the plan instead, nothing runs. */
  async stream(parameters: Parameters, explain: boolean): Promise<DuckDBResult> {
    try {
      await this.#prepare(this.#sql, parameters, StatementType.SELECT);
      const statement = explain
        ? await this.#prepare(`EXPLAIN ${this.#sql}`, parameters, StatementType.EXPLAIN)
        : await this.#prepare(this.#sql, parameters, StatementType.SELECT);
      return await statement.stream();
    } catch (error) {
      throw this.refusal(error);
    }
  }

  /** Writes the whole answer as one Parquet file of the folder. Returns its rows. */
  async writeParquet(parameters: Parameters, path: string): Promise<number> {
    try {
      await this.#prepare(this.#sql, parameters, StatementType.SELECT);
      // What was checked to be exactly one SELECT stands at the end, so a comment or semicolon behind it does no harm.
      const made = await this.#prepare(`CREATE TEMP TABLE ${ANSWER} AS ${this.#sql}`, parameters, StatementType.CREATE);
      await made.run();
      const copied = await this.#connection.run(`COPY ${ANSWER} TO ${quoted(path)} (FORMAT parquet, COMPRESSION zstd)`);
      return copied.rowsChanged;
    } catch (error) {
      throw this.refusal(error);
    }
  }

  /** DuckDB's words as an error of ours. */
  refusal(error: unknown): TidewireError {
    if (isTidewireError(error)) return error;
    const message = reasonOf(error);
    const place = placeIn(message);
    const reason = this.#withoutPaths(clauseOf(message.replace(/^[A-Za-z ]{1,40} Error: /, "")));
    const details = { at: place === null ? "" : ` at line ${place.line}, column ${place.column}`, ...place };
    if (/^Out of Memory|bad allocation|^.{0,40}failed to allocate/i.test(message)) return this.#tooMuchMemory(message);
    if (/^(Parser|Binder|Catalog|Syntax|Not implemented|Parameter Not)/i.test(message)) {
      return new TidewireError("QUERY_SQL_INVALID", { ...details, reason: withCandidates(reason, message) });
    }
    if (/^(IO|Permission|Internal|Fatal|Corruption)/i.test(message)) {
      return new TidewireError("STORE_UNAVAILABLE", { reason }, { cause: error });
    }
    return new TidewireError("QUERY_FAILED", { ...details, reason });
  }

  close(): void {
    this.#connection.closeSync();
    this.#instance.closeSync();
  }

  async #treeOf(sql: string): Promise<string> {
    try {
      const serialized = await this.#connection.runAndReadAll(
        "SELECT json_serialize_sql($sql::VARCHAR, skip_null := false)",
        { sql },
      );
      return serialized.value(0, 0) as string;
    } catch (error) {
      throw invalid(clauseOf(reasonOf(error)));
    }
  }

  /** What `time` is compared with, computed where nothing at all can be reached; whatever cannot be computed bounds nothing. */
  async #rangeOf({ tree, sides }: TimeBounds, parameters: Parameters): Promise<TimeRange> {
    const { instance, connection } = await openUserDatabase(this.#limits);
    try {
      await connection.run("SET enable_external_access = false");
      await connection.run("SET lock_configuration = true");
      const text = await connection.runAndReadAll("SELECT json_deserialize_sql($tree::JSON)", { tree });
      const names = sides.map((_, index) => `c${index}`);
      const times = names.map((name) => `epoch_ms(${name}::TIMESTAMPTZ)::DOUBLE`).join(", ");
      const statement = await connection.prepare(
        `SELECT ${times} FROM (${String(text.value(0, 0))}) t(${names.join(", ")})`,
      );
      bind(statement, parameters, false);
      const [row] = (await statement.runAndReadAll()).getRows();
      return rangeFrom(row as readonly (number | null)[], sides);
    } catch {
      return ALL_TIMES; // the statement itself will say what is wrong with it
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
  }

  async #prepare(sql: string, parameters: Parameters, type: StatementType): Promise<DuckDBPreparedStatement> {
    const statement = await this.#connection.prepare(sql);
    // The tree said so already; here DuckDB itself does.
    if (statement.statementType !== type)
      throw new TidewireError("QUERY_NOT_ALLOWED", { at: "", reason: "it is not a SELECT" });
    if (statement.columnCount > this.#limits.columnsMax) {
      throw new TidewireError("QUERY_ANSWER_TOO_LARGE", { limit: `${this.#limits.columnsMax} columns` });
    }
    bind(statement, parameters);
    return statement;
  }

  #tooMuchMemory(message: string): TidewireError {
    const { queryMemoryBytesMax, querySpillBytesMax } = this.#limits;
    const spilled = /temp|offload/i.test(message) && /max_temp_directory_size/.test(message);
    return spilled
      ? new TidewireError("QUERY_TOO_MUCH_MEMORY", { limit: mebibytes(querySpillBytesMax), what: "temporary files" })
      : new TidewireError("QUERY_TOO_MUCH_MEMORY", { limit: mebibytes(queryMemoryBytesMax), what: "memory" });
  }

  #withoutPaths(text: string): string {
    return this.#folder === "" ? text : text.replaceAll(this.#folder, "…");
  }
}

/** `now()` is a little later when the query runs. */
const SLACK = minutes(1);

function rangeFrom(row: readonly (number | null)[], sides: TimeBounds["sides"]): TimeRange {
  let { from, to } = ALL_TIMES;
  row.forEach((time, index) => {
    if (time === null || !Number.isFinite(time)) return;
    if (sides[index]!.includes("from")) from = Math.max(from, Math.floor(time) - SLACK);
    if (sides[index]!.includes("to")) to = Math.min(to, Math.ceil(time) + SLACK);
  });
  return { from, to };
}

/** `all`: a value that the statement has no place for is a mistake. */
function bind(statement: DuckDBPreparedStatement, parameters: Parameters, all = true): void {
  const given = new Map<string, Parameter>(
    Array.isArray(parameters)
      ? (parameters as readonly Parameter[]).map((value, index) => [String(index + 1), value])
      : Object.entries(parameters as Readonly<Record<string, Parameter>>),
  );
  for (let index = 1; index <= statement.parameterCount; index++) {
    const name = statement.parameterName(index);
    if (!given.has(name)) throw invalid(`the parameter ${shownName(name)} has no value`);
    bindOne(statement, index, given.get(name)!);
    given.delete(name);
  }
  const [unused] = given.keys();
  if (all && unused !== undefined)
    throw invalid(`there is a value for the parameter ${shownName(unused)}, which it does not have`);
}

function bindOne(statement: DuckDBPreparedStatement, index: number, value: Parameter): void {
  if (value === null) statement.bindNull(index);
  else if (typeof value === "string") statement.bindVarchar(index, value);
  else if (typeof value === "boolean") statement.bindBoolean(index, value);
  else if (typeof value === "number") {
    if (Number.isSafeInteger(value)) statement.bindBigInt(index, BigInt(value));
    else statement.bindDouble(index, value);
  } else {
    const texts = value.some((item) => typeof item === "string");
    if (texts) statement.bindList(index, listValue(value.map(String)), LIST(VARCHAR));
    else statement.bindList(index, listValue(value), LIST(DOUBLE));
  }
}

function shownName(name: string): string {
  return /^\d+$/.test(name) ? `number ${name}` : `$${name.slice(0, 60)}`;
}

/** DuckDB prints `LINE 2: …` and a caret below; a long line is cut, and then only the line is right. */
function placeIn(message: string): SqlPlace | null {
  const match = /\nLINE (\d+): (.*)\n( *)\^/.exec(message);
  if (match === null || match[2]!.startsWith("...")) return null;
  const prefix = `LINE ${match[1]}: `.length;
  return { line: Number(match[1]), column: Math.max(1, match[3]!.length - prefix + 1) };
}

/** "Candidate bindings: …" is what the asker needs most. */
function withCandidates(reason: string, message: string): string {
  const hint = /\n(Candidate bindings: .*|Did you mean .*)/.exec(message);
  return hint === null ? reason : `${reason}; ${clauseOf(hint[1]!).replace(/^[CD]/, (letter) => letter.toLowerCase())}`;
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`;
}
