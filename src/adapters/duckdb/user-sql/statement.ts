/**
 * Whether a user's SQL may run. DuckDB parses it (`json_serialize_sql`), we walk the tree: one SELECT, every relation one of
 * ours or a CTE that is in scope there, every function on the list, every kind of node known. What is not known is refused.
 */
import { TidewireError, closestWord } from "../../../base/mod.ts";
import { USER_FUNCTIONS, USER_TABLE_FUNCTIONS } from "./functions.ts";

/** What a user may read; see `user-views.ts` for their columns. */
export const USER_RELATIONS = [
  "telemetry",
  "series",
  "things",
  "events",
  "rollups_1m",
  "rollups_1h",
  "rollups_1d",
] as const;
/** Those whose rows have a `time`, and whose files are by day. */
export const TIMED_RELATIONS: ReadonlySet<string> = new Set([
  "telemetry",
  "events",
  "rollups_1m",
  "rollups_1h",
  "rollups_1d",
]);

export type UserRelation = (typeof USER_RELATIONS)[number];

/** Line and column, both from 1. */
export interface SqlPlace {
  readonly line: number;
  readonly column: number;
}

/** An object of the tree. */
type Tree = Readonly<Record<string, unknown>>;

interface Walk {
  readonly sql: string;
  readonly found: Set<UserRelation>;
}

/** Names of CTEs, lower-case, that a relation's name may mean here. */
type Scope = ReadonlySet<string>;

/** DuckDB itself stops at 1,000 levels of one expression. */
const DEPTH_MAX = 4_000;

/** A CTE of such a name can never be taken for a file or a part of the catalogue, should we and DuckDB disagree on a scope. */
const CTE_NAME = /^(?!duckdb_|pg_|sqlite_|pragma_)[\p{L}_][\p{L}\p{N}_]{0,62}$/iu;

/** Kinds of expressions. What is not here (a `DEFAULT`, whatever comes new) is refused. */
const EXPRESSIONS: ReadonlySet<string> = new Set([
  "BETWEEN",
  "CASE",
  "CAST",
  "COLLATE",
  "COLUMN_REF",
  "COMPARISON",
  "CONJUNCTION",
  "CONSTANT",
  "FUNCTION",
  "LAMBDA",
  "LAMBDA_REF",
  "OPERATOR",
  "PARAMETER",
  "POSITIONAL_REFERENCE",
  "STAR",
  "SUBQUERY",
  "TYPE",
  "WINDOW",
]);

/** Everything else with a `type`: kinds of queries, of relations, of what follows a query, and of types. */
const KINDS: ReadonlySet<string> = new Set([
  "SELECT_NODE",
  "SET_OPERATION_NODE",
  "RECURSIVE_CTE_NODE",
  "CTE_NODE",
  "BASE_TABLE",
  "EMPTY",
  "EXPRESSION_LIST",
  "JOIN",
  "PIVOT",
  "SHOW_REF",
  "SUBQUERY",
  "TABLE_FUNCTION",
  "DISTINCT_MODIFIER",
  "LIMIT_MODIFIER",
  "LIMIT_PERCENT_MODIFIER",
  "ORDER_MODIFIER",
  "ASCENDING",
  "DESCENDING",
  "ORDER_DEFAULT",
  "ARRAY_TYPE_INFO",
  "DECIMAL_TYPE_INFO",
  "ENUM_TYPE_INFO",
  "LIST_TYPE_INFO",
  "STRING_TYPE_INFO",
  "STRUCT_TYPE_INFO",
  "UNBOUND_TYPE_INFO",
]);

/** `tree`: what `json_serialize_sql` made of `sql`. Returns the relations that it reads; throws QUERY_SQL_INVALID or QUERY_NOT_ALLOWED. */
export function checkTree(sql: string, tree: string): ReadonlySet<UserRelation> {
  const parsed = JSON.parse(tree) as Tree;
  if (parsed["error"] === true) throw refusedByParser(sql, parsed);
  const statements = parsed["statements"] as readonly Tree[];
  if (statements.length === 0) throw invalid("there is no statement");
  if (statements.length > 1) throw notAllowed("it has more than one statement");
  const walk: Walk = { sql, found: new Set() };
  visit(walk, statements[0], new Set(), 0);
  return walk.found;
}

/** Throws for text that DuckDB's parser must not see: it ends at a NUL, and we would read on. */
export function checkText(sql: string, bytesMax: number): void {
  if (sql.trim() === "") throw invalid("there is no statement");
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  const control = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.exec(sql);
  if (control !== null) {
    throw invalid(`it has a control character (code ${control[0].charCodeAt(0)})`, placeOf(sql, control.index));
  }
  if (!sql.isWellFormed()) throw invalid("it has half of a surrogate pair, which no text can have");
  const bytes = Buffer.byteLength(sql);
  if (bytes > bytesMax) throw invalid(`it is ${bytes} bytes long; ${bytesMax} are allowed`);
}

function visit(walk: Walk, value: unknown, scope: Scope, depth: number): void {
  if (typeof value !== "object" || value === null) return;
  if (depth > DEPTH_MAX) throw notAllowed("it is nested too deeply");
  if (Array.isArray(value)) {
    for (const item of value) visit(walk, item, scope, depth + 1);
    return;
  }
  const node = value as Tree;
  if ("is_null" in node) return; // a literal: DuckDB's value, not a part of the statement
  checkKind(walk, node, scope);
  const inner = withCtes(walk, node, scope, depth);
  for (const [key, child] of Object.entries(node)) {
    if (key === "cte_map") continue;
    visit(walk, child, scopeOf(node, key, inner), depth + 1);
  }
}

/** The recursive half of a recursive CTE knows its own name, the half that it starts from does not. */
function scopeOf(node: Tree, key: string, scope: Scope): Scope {
  if (node["type"] !== "RECURSIVE_CTE_NODE" || key !== "right") return scope;
  return new Set([...scope, String(node["cte_name"]).toLowerCase()]);
}

/** A CTE is known after its definition: to the CTEs that follow, and to the query that they belong to. */
function withCtes(walk: Walk, node: Tree, scope: Scope, depth: number): Scope {
  const map = (node["cte_map"] as Tree | undefined)?.["map"] as readonly Tree[] | undefined;
  if (map === undefined || map.length === 0) return scope;
  const inner = new Set(scope);
  for (const { key, value } of map) {
    const name = String(key);
    if (!CTE_NAME.test(name)) throw notAllowed(`'${shown(name)}' cannot be the name of a common table expression`);
    visit(walk, value, inner, depth + 1);
    inner.add(name.toLowerCase());
  }
  return inner;
}

function checkKind(walk: Walk, node: Tree, scope: Scope): void {
  const { class: kind, type } = node;
  if (typeof kind === "string") {
    if (!EXPRESSIONS.has(kind)) throw notAllowed(`${kind} expressions are not supported`, placeIn(walk, node));
    if (kind === "FUNCTION" || kind === "WINDOW") checkFunction(walk, node, USER_FUNCTIONS);
    return;
  }
  if (typeof type !== "string") return;
  if (!KINDS.has(type)) throw notAllowed(`${type} is not supported`, placeIn(walk, node));
  if (type === "BASE_TABLE") checkRelation(walk, node, scope);
  else if (type === "TABLE_FUNCTION") checkFunction(walk, node["function"] as Tree, USER_TABLE_FUNCTIONS, true);
  else if (type === "SHOW_REF") checkShow(walk, node);
  else if (type === "PIVOT") checkPivot(walk, node);
}

function checkRelation(walk: Walk, node: Tree, scope: Scope): void {
  const name = String(node["table_name"]).toLowerCase();
  const place = placeIn(walk, node);
  if (node["catalog_name"] !== "" || node["schema_name"] !== "") {
    throw notAllowed(`'${shown(name)}' is named with a schema; relations have none here`, place);
  }
  if (node["at_clause"] !== null && node["at_clause"] !== undefined) throw notAllowed("AT is not supported", place);
  if (scope.has(name)) return;
  const relation = USER_RELATIONS.find((known) => known === name);
  if (relation === undefined) throw unknownRelation(name, place);
  walk.found.add(relation);
}

function checkFunction(walk: Walk, node: Tree, allowed: ReadonlySet<string>, isTable = false): void {
  const name = String(node["function_name"]).toLowerCase();
  if (allowed.has(name)) {
    // A table function is met a second time as a child of its relation; there it is a function like others.
    if (node["catalog"] === "" || node["catalog"] === undefined) return;
    throw notAllowed(`the function '${shown(name)}' is named with a catalogue`, placeIn(walk, node));
  }
  if (!isTable && USER_TABLE_FUNCTIONS.has(name)) return; // outside FROM DuckDB finds no such function
  const what = isTable ? "table function" : "function";
  const near = closestWord(name, [...allowed]);
  throw notAllowed(
    `the ${what} '${shown(name)}' is not among those that a query may call${near === null ? "" : `; did you mean '${near}'?`}`,
    placeIn(walk, node),
  );
}

/** DESCRIBE and SUMMARIZE of what may be read; SHOW of anything else looks into the catalogue. */
function checkShow(walk: Walk, node: Tree): void {
  const { query, show_type: type, table_name: table } = node;
  const known = type === "DESCRIBE" || type === "SUMMARY";
  if (known && table === "" && query !== null && query !== undefined) return; // the query is walked like any other
  throw notAllowed(`SHOW is not supported; the relations are ${USER_RELATIONS.join(", ")}`, placeIn(walk, node));
}

/** `PIVOT … ON x` without values is several statements, and one that names an ENUM reads the catalogue. */
function checkPivot(walk: Walk, node: Tree): void {
  for (const pivot of node["pivots"] as readonly Tree[]) {
    if (pivot["pivot_enum"] !== "") throw notAllowed("PIVOT over an ENUM is not supported", placeIn(walk, node));
  }
}

function unknownRelation(name: string, place: SqlPlace | null): TidewireError {
  const near = closestWord(name, USER_RELATIONS);
  const hint = near === null ? `relations are ${USER_RELATIONS.join(", ")}` : `did you mean '${near}'?`;
  return notAllowed(`there is no relation '${shown(name)}' for queries; ${hint}`, place);
}

function refusedByParser(sql: string, parsed: Tree): TidewireError {
  const message = String(parsed["error_message"]);
  if (message.startsWith("Only SELECT statements")) {
    return notAllowed(/^\s*pivot\b/i.test(sql) ? "PIVOT needs its values in IN (…)" : "it is not a SELECT");
  }
  const position = Number(parsed["position"] ?? Number.NaN);
  return invalid(clauseOf(message), Number.isFinite(position) ? placeOfByte(sql, position) : null);
}

function placeIn({ sql }: Walk, node: Tree): SqlPlace | null {
  return placeOfByte(sql, Number(node["query_location"] ?? Number.NaN));
}

/** DuckDB counts bytes of UTF-8; what it does not know lies far behind the end. */
export function placeOfByte(sql: string, position: number): SqlPlace | null {
  const bytes = Buffer.from(sql);
  if (!(position >= 0 && position <= bytes.length)) return null;
  return placeOf(sql, bytes.toString("utf8", 0, position).length);
}

function placeOf(sql: string, index: number): SqlPlace {
  const before = sql.slice(0, index).split("\n");
  return { line: before.length, column: Array.from(before.at(-1)!).length + 1 };
}

export function invalid(reason: string, place: SqlPlace | null = null): TidewireError {
  return new TidewireError("QUERY_SQL_INVALID", { at: at(place), reason, line: place?.line, column: place?.column });
}

function notAllowed(reason: string, place: SqlPlace | null = null): TidewireError {
  return new TidewireError("QUERY_NOT_ALLOWED", { at: at(place), reason, line: place?.line, column: place?.column });
}

function at(place: SqlPlace | null): string {
  return place === null ? "" : ` at line ${place.line}, column ${place.column}`;
}

/** What somebody wrote, for a message. */
function shown(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** DuckDB's first sentence, without its full stop. */
export function clauseOf(message: string): string {
  return (message.split("\n")[0] ?? "").replace(/[.!\s]+$/, "");
}
