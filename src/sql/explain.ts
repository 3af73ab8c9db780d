/**
 * Why a message matched a statement or did not: each part of WHERE with its value, computed by the closures that decide it in
 * the hot path. What state keeps (windows, `lag` …) is not in one message and is said to be unknown.
 */
import { newContext } from "./compile.ts";
import type { ExternalName } from "./external.ts";
import { compileExpression } from "./expressions.ts";
import type { SqlInput } from "./input.ts";
import { FUNCTIONS } from "./functions/registry.ts";
import { parseSql } from "./parser.ts";
import { printExpression } from "./print.ts";
import { Variables } from "./scope.ts";
import type { CompileContext, Evaluate } from "./scope.ts";
import { childrenOf } from "./tree.ts";
import type { Expression } from "./tree.ts";
import { isObject, member, toBoolean } from "./value.ts";
import type { SqlValue } from "./value.ts";
import { DEFAULT_SQL_VERSION } from "./version.ts";
import type { SqlVersion } from "./version.ts";
import { windowCallIn } from "./window-compile.ts";

export interface ExplainedPart {
  readonly text: string;
  /** Index into the statement, in UTF-16 units. */
  readonly at: number;
  /** How deep it stands in the condition. */
  readonly depth: number;
  readonly value: SqlValue;
  /** It depends on what state keeps: `value` says nothing. */
  readonly unknown: boolean;
  /** Why it is Undefined, where it begins to be; null elsewhere. */
  readonly reason: string | null;
}

export interface Explanation {
  readonly filter: string;
  /** WHERE; undefined where it is undecided, null where it depends on state. True without a WHERE. */
  readonly verdict: boolean | undefined | null;
  /** From the outside in. */
  readonly where: readonly ExplainedPart[];
}

/** Asks nothing. Throws `SqlError`. */
export function explainSql(text: string, input: SqlInput, version: SqlVersion = DEFAULT_SQL_VERSION): Explanation {
  return explained(preparedText(text, version), input, () => false);
}

/** As `explainSql`, but what it asks is asked, of `input.environment`. `isAnswered`: which functions somebody answers there. */
export async function explainAsking(
  text: string,
  input: SqlInput,
  isAnswered: (name: ExternalName) => boolean,
  version: SqlVersion = DEFAULT_SQL_VERSION,
): Promise<Explanation> {
  const prepared = preparedText(text, version);
  return explained(prepared, (await prepared.context.externals.prepare(input)) ?? input, isAnswered);
}

interface Prepared {
  readonly filter: string;
  readonly where: Expression | null;
  readonly context: CompileContext;
  /** Of WHERE and all of its parts: each call has one answer, whichever part looks at it. */
  readonly evaluators: ReadonlyMap<Expression, Evaluate>;
  /** Variables that depend on what is asked elsewhere. */
  readonly asking: ReadonlySet<string>;
}

function preparedText(text: string, version: SqlVersion): Prepared {
  const { variables, filter, where } = parseSql(text, { version });
  const context = newContext(version, new Variables(), true);
  const asking = new Set<string>();
  for (const { name, value } of variables) {
    context.variables.add(name, compileExpression(value, context));
    if (asks(value, asking)) asking.add(name);
  }
  const evaluators = new Map<Expression, Evaluate>();
  if (where !== null) compileParts(where, context, evaluators);
  return { filter, where, context, evaluators, asking };
}

function compileParts(node: Expression, context: CompileContext, into: Map<Expression, Evaluate>): void {
  if (windowCallIn(node) === null) into.set(node, compileExpression(node, context));
  if (node.kind === "nested") return; // its parts are of rows
  for (const child of childrenOf(node)) compileParts(child, context, into);
}

function explained(prepared: Prepared, input: SqlInput, isAnswered: Walk["isAnswered"]): Explanation {
  const { filter, where } = prepared;
  if (where === null) return { filter, verdict: true, where: [] };
  const parts: ExplainedPart[] = [];
  explainPart(where, 0, { ...prepared, input, isAnswered, parts });
  const { value, unknown } = parts[0]!;
  return { filter, verdict: unknown ? null : toBoolean(value), where: parts };
}

interface Walk extends Prepared {
  readonly input: SqlInput;
  readonly isAnswered: (name: ExternalName) => boolean;
  readonly parts: ExplainedPart[];
}

function explainPart(node: Expression, depth: number, walk: Walk): void {
  const { context, input, parts, evaluators } = walk;
  const unknown = windowCallIn(node) !== null;
  context.budget.refill();
  const value = unknown ? undefined : evaluators.get(node)!(input);
  const reason = unknown || value !== undefined ? null : reasonOf(node, walk);
  parts.push({ text: printExpression(node), at: node.at, depth, value, unknown, reason });
  if (node.kind === "nested") return;
  for (const child of childrenOf(node)) {
    if (child.kind !== "literal") explainPart(child, depth + 1, walk);
  }
}

const UNASKED = "is asked when a message comes, not here";
const UNANSWERED = "was asked now, and has no answer";

function isExternal(name: string): boolean {
  return FUNCTIONS.get(name.toLowerCase())?.external !== undefined;
}

function asks(node: Expression, asking: ReadonlySet<string>): boolean {
  if (node.kind === "variable") return asking.has(node.name);
  return (node.kind === "call" && isExternal(node.name)) || childrenOf(node).some((child) => asks(child, asking));
}

/** Null where a part of it says why. */
function reasonOf(node: Expression, { evaluators, input, asking, isAnswered, context }: Walk): string | null {
  if (node.kind === "path") return missing(node.path, input.json());
  if (node.kind === "star") return "the payload is not JSON";
  if (node.kind === "nested") return "there is nothing to select from";
  if (node.kind === "variable")
    return asking.has(node.name)
      ? `what SET asks for it ${context.externals.calls.some(({ name }) => isAnswered(name)) ? UNANSWERED : UNASKED}`
      : "SET gives it no value";
  if (node.kind === "call" && isExternal(node.name)) {
    const name = node.name.toLowerCase() as ExternalName;
    return `${node.name}() ${isAnswered(name) ? UNANSWERED : UNASKED}`;
  }
  const values = childrenOf(node).map((child) => evaluators.get(child)!(input));
  if (values.includes(undefined)) return null;
  const types = values.map(typeName).join(" and ");
  if (node.kind === "call") return `${node.name}() has no value of ${types === "" ? "nothing" : types}`;
  if (node.kind === "binary") return `${node.operator.toUpperCase()} has no value of ${types}`;
  if (node.kind === "case") return "no branch is taken, and there is no ELSE";
  return `it has no value of ${types}`;
}

function missing(path: readonly string[], payload: SqlValue): string {
  if (payload === undefined) return "the payload is not JSON";
  let value: SqlValue = payload;
  for (const [i, key] of path.entries()) {
    const above = i === 0 ? "the payload" : path.slice(0, i).join(".");
    if (!isObject(value)) return `${above} is ${typeName(value)}, not an object`;
    value = member(value, key);
    if (value === undefined) return `${above} has no key ${key}`;
  }
  return "it is not there";
}

function typeName(value: SqlValue): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (isObject(value)) return "an object";
  return typeof value === "string" ? "a string" : typeof value === "boolean" ? "a boolean" : "a number";
}

/** For people: the statement with a caret under each part that begins to be Undefined or is false, and all parts below. */
export function printExplanation(text: string, { where }: Explanation): string {
  const deciding = where.filter(({ value, unknown, reason }) => reason !== null || (!unknown && value === false));
  const lines = [...marked(text, new Set(deciding.map(({ at }) => at)))];
  const width = Math.min(60, Math.max(0, ...where.map(({ text: part, depth }) => part.length + depth * 2)));
  for (const { text: part, depth, value, unknown, reason } of where) {
    const shown = unknown
      ? "(depends on the messages before)"
      : value === undefined
        ? "Undefined"
        : JSON.stringify(value);
    const why = reason === null ? "" : `: ${reason}`;
    lines.push(`  ${`${"  ".repeat(depth)}${part}`.padEnd(width)}  ${shown}${why}`);
  }
  return lines.join("\n");
}

function* marked(text: string, places: ReadonlySet<number>): Generator<string> {
  let begin = 0;
  for (const line of text.split("\n")) {
    yield `  ${line.replaceAll("\t", " ")}`;
    const carets = Array.from({ length: line.length }, (_, i) => (places.has(begin + i) ? "^" : " ")).join("");
    if (carets.trim() !== "") yield `  ${carets.trimEnd()}`;
    begin += line.length + 1;
  }
}
