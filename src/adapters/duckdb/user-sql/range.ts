/**
 * From when to when a statement can need points at all, so that files of other days are neither checked nor opened. Only where
 * that is beyond doubt: one relation with times in the whole statement, and comparisons of its `time` with what needs no row,
 * joined by AND in the WHERE right above it. Everything else reads all.
 */
import { TIMED_RELATIONS } from "./statement.ts";

type Tree = Readonly<Record<string, unknown>>;

/** `expressions`: what `time` is compared with, each once; `tree`: a statement that selects them, for `json_deserialize_sql`. */
export interface TimeBounds {
  readonly tree: string;
  /** Of each selected expression: whether it is a lower bound, an upper one, or both. */
  readonly sides: readonly (readonly ("from" | "to")[])[];
}

const SIDES: Readonly<Record<string, readonly ("from" | "to")[]>> = {
  COMPARE_GREATERTHAN: ["from"],
  COMPARE_GREATERTHANOREQUALTO: ["from"],
  COMPARE_LESSTHAN: ["to"],
  COMPARE_LESSTHANOREQUALTO: ["to"],
  COMPARE_EQUAL: ["from", "to"],
};
const MIRRORED: Readonly<Record<string, string>> = {
  COMPARE_GREATERTHAN: "COMPARE_LESSTHAN",
  COMPARE_GREATERTHANOREQUALTO: "COMPARE_LESSTHANOREQUALTO",
  COMPARE_LESSTHAN: "COMPARE_GREATERTHAN",
  COMPARE_LESSTHANOREQUALTO: "COMPARE_GREATERTHANOREQUALTO",
  COMPARE_EQUAL: "COMPARE_EQUAL",
};

/** Answers anew each time, so what it gave here says nothing of what it will give. */
const VOLATILE: ReadonlySet<unknown> = new Set(["random", "uuid", "uuidv4", "uuidv7", "gen_random_uuid"]);

/** DuckDB's "nowhere": one more than JavaScript's numbers hold. */
const NOWHERE = /"query_location":18446744073709551615/g;

/** `tree`: as `json_serialize_sql` made it, and checked. Null where nothing is certain. */
export function timeBoundsOf(tree: string): TimeBounds | null {
  const text = tree.replaceAll(NOWHERE, '"query_location":0');
  if (/\d{16}/.test(text)) return null; // a number that would not come back as it went
  const [statement] = (JSON.parse(text) as Tree)["statements"] as readonly Tree[];
  const selects: Tree[] = [];
  let timed = 0;
  let ctes = false;
  walk(statement, (node) => {
    if (isTimed(node)) timed++;
    if (node["type"] === "SELECT_NODE" && (leavesOf(node["from_table"]) ?? []).some(isTimed)) selects.push(node);
    if (((node["cte_map"] as Tree | undefined)?.["map"] as readonly unknown[] | undefined)?.length) ctes = true;
  });
  const [select] = selects;
  if (timed !== 1 || select === undefined) return null;
  const leaves = leavesOf(select["from_table"])!;
  if (leaves.length > 1 && ctes) return null; // what is joined could be one with a `time` of its own
  if (leaves.some((leaf) => (leaf["column_name_alias"] as readonly unknown[]).length > 0)) return null;
  const bounds = conjunctsOf(select["where_clause"] as Tree | null).flatMap(boundsOf);
  if (bounds.length === 0) return null;
  return {
    tree: selecting(
      statement!,
      bounds.map(({ expression }) => expression),
    ),
    sides: bounds.map(({ sides }) => sides),
  };
}

interface Bound {
  readonly expression: Tree;
  readonly sides: readonly ("from" | "to")[];
}

function isTimed(node: Tree | null): boolean {
  return node?.["type"] === "BASE_TABLE" && TIMED_RELATIONS.has(String(node["table_name"]).toLowerCase());
}

function conjunctsOf(where: Tree | null | undefined): readonly Tree[] {
  if (where === null || where === undefined) return [];
  return where["type"] === "CONJUNCTION_AND" ? (where["children"] as readonly Tree[]).flatMap(conjunctsOf) : [where];
}

function boundsOf(condition: Tree): readonly Bound[] {
  if (condition["class"] === "BETWEEN" && isTime(condition["input"] as Tree)) {
    return [
      { expression: condition["lower"] as Tree, sides: ["from"] as const },
      { expression: condition["upper"] as Tree, sides: ["to"] as const },
    ].filter(({ expression }) => needsNoRow(expression));
  }
  if (condition["class"] !== "COMPARISON") return [];
  const left = condition["left"] as Tree;
  const right = condition["right"] as Tree;
  const type = String(condition["type"]);
  const [expression, comparison] = isTime(left) ? [right, type] : isTime(right) ? [left, MIRRORED[type]] : [null, ""];
  const sides = SIDES[comparison ?? ""];
  return expression === null || sides === undefined || !needsNoRow(expression) ? [] : [{ expression, sides }];
}

function isTime(node: Tree): boolean {
  const names = node["column_names"] as readonly string[] | undefined;
  return node["class"] === "COLUMN_REF" && names!.length <= 2 && names!.at(-1)!.toLowerCase() === "time";
}

function needsNoRow(expression: Tree): boolean {
  let free = true;
  walk(expression, (node) => {
    const kind = node["class"];
    if (kind === "COLUMN_REF" || kind === "SUBQUERY" || kind === "STAR" || kind === "WINDOW" || kind === "LAMBDA")
      free = false;
    if (VOLATILE.has(node["function_name"])) free = false;
  });
  return free;
}

/** Relations of a FROM; null where one of them could have a `time` that is not a point's. Joins of any kind keep a WHERE above them. */
function leavesOf(from: unknown): readonly Tree[] | null {
  const node = from as Tree | null;
  if (node?.["type"] === "JOIN") {
    const left = leavesOf(node["left"]);
    const right = leavesOf(node["right"]);
    return left === null || right === null ? null : [...left, ...right];
  }
  return node?.["type"] === "BASE_TABLE" && (isTimed(node) || isTimeless(node)) ? [node] : null;
}

function isTimeless(node: Tree): boolean {
  return ["things", "series"].includes(String(node["table_name"]).toLowerCase());
}

/** The same statement reduced to a list of expressions. */
function selecting(statement: Tree, expressions: readonly Tree[]): string {
  const node = {
    type: "SELECT_NODE",
    modifiers: [],
    cte_map: { map: [] },
    select_list: expressions.map((expression) => ({ ...expression, alias: "" })),
    from_table: { type: "EMPTY", alias: "", sample: null, query_location: 0 },
    where_clause: null,
    group_expressions: [],
    group_sets: [],
    aggregate_handling: "STANDARD_HANDLING",
    having: null,
    sample: null,
    qualify: null,
  };
  const { named_param_map: parameters } = statement;
  return JSON.stringify({ error: false, statements: [{ node, named_param_map: parameters }] });
}

function walk(value: unknown, meet: (node: Tree) => void): void {
  if (typeof value !== "object" || value === null) return;
  if (!Array.isArray(value)) meet(value as Tree);
  for (const child of Object.values(value)) walk(child, meet);
}
