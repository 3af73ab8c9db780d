/** Tree → closures. Evaluation never throws and never changes its input. */
import { LIMITS } from "../base/mod.ts";
import { callOf } from "./calls.ts";
import { castTo } from "./cast.ts";
import { literalText } from "./functions/function.ts";
import { FUNCTIONS } from "./functions/registry.ts";
import type { SqlInput } from "./input.ts";
import { combine, invert, negate } from "./operators.ts";
import { RowInput, messageOf } from "./scope.ts";
import type { CompileContext, Evaluate } from "./scope.ts";
import { childrenOf, dispatch, impliedName } from "./tree.ts";
import type { ByKind, Expression, Node, SelectClause, SelectItem } from "./tree.ts";
import { equal, isObject, member, setKey, toBoolean, withDoubles } from "./value.ts";
import type { SqlJson, SqlValue } from "./value.ts";
import { isFirstVersion } from "./version.ts";

export type Select = (input: SqlInput) => SqlJson | Uint8Array;

export function compileSelect(select: SelectClause, context: CompileContext): Select {
  if (isWholePayload(select)) {
    const payload = payloadOf(context);
    const finish = finisher(null, context);
    return (input) => {
      const json = payload(input);
      return json === undefined ? input.payload : (finish(json, input) ?? null);
    };
  }
  if (select.kind !== "value") return compileItems(select.items, context);
  const value = compileExpression(select.value, context);
  const finish = finisher(select.value, context);
  return (input) => {
    const result = finish(value(input), input);
    return result === undefined ? "" : result; // Undefined by itself is an empty string
  };
}

export function isWholePayload(select: SelectClause): boolean {
  if (select.kind === "value") return select.value.kind === "star";
  return select.items.length === 1 && select.items[0]!.kind === "star";
}

/** The payload as JSON, as the version sees it. */
function payloadOf({ version, inRows }: CompileContext): Evaluate {
  if (inRows || !isFirstVersion(version)) return (input) => input.json();
  return (input) => (input.written === undefined ? input.json() : input.written());
}

type Finish = (value: SqlValue, input: SqlInput) => SqlValue;

/** What is done to a value on its way out. A part of the payload can hold a long number only where that says so. */
function finisher(expression: Expression | null, { doubles }: CompileContext): Finish {
  if (!doubles) return (value) => value;
  const payload = expression === null || expression.kind === "path" || expression.kind === "star";
  return payload ? (value, input) => (input.exact === true ? withDoubles(value) : value) : withDoubles;
}

function compileItems(
  items: readonly SelectItem[],
  context: CompileContext,
): (input: SqlInput) => Record<string, SqlJson> {
  const writers = items.map((item) => compileItem(item, context));
  return (input) => {
    const target: Record<string, SqlJson> = {};
    for (const write of writers) write(target, input);
    return target;
  };
}

type Writer = (target: Record<string, SqlJson>, input: SqlInput) => void;

function compileItem(item: SelectItem, context: CompileContext): Writer {
  if (item.kind === "star") {
    const payload = payloadOf(context);
    const finish = finisher(null, context);
    return (target, input) => {
      const json = finish(payload(input), input);
      if (!isObject(json)) return;
      for (const key of Object.keys(json)) setKey(target, key, json[key]!);
    };
  }
  const value = compileExpression(item.value, context);
  const finish = finisher(item.value, context);
  const path = item.as ?? [impliedName(item.value)!];
  if (path.length === 1) {
    const key = path[0]!;
    return (target, input) => {
      const result = finish(value(input), input);
      if (result !== undefined) setKey(target, key, result);
    };
  }
  return (target, input) => {
    const result = finish(value(input), input);
    if (result !== undefined) setPath(target, path, result);
  };
}

/** Objects on the way are copied before they are written to: they may belong to the payload. */
function setPath(target: Record<string, SqlJson>, path: readonly string[], value: SqlJson): void {
  let at = target;
  for (const key of path.slice(0, -1)) {
    const present = member(at, key);
    const next: Record<string, SqlJson> = isObject(present) ? { ...present } : {};
    setKey(at, key, next);
    at = next;
  }
  setKey(at, path.at(-1)!, value);
}

/** Stands in for the message while a constant is computed; a pure expression never looks at it. */
const NO_MESSAGE: SqlInput = {
  topic: "",
  clientId: "",
  receivedAt: 0,
  payload: new Uint8Array(0),
  json: () => undefined,
};

export function compileExpression(expression: Expression, context: CompileContext): Evaluate {
  const evaluate = dispatch(COMPILERS, expression)(context);
  if (expression.kind === "literal" || !isConstant(expression)) return evaluate;
  const value = evaluate(NO_MESSAGE);
  return () => value;
}

/** Whether the value depends on no message, so that it can be computed once. */
function isConstant(expression: Expression): boolean {
  const { kind } = expression;
  if (kind === "path" || kind === "star" || kind === "variable" || kind === "nested" || kind === "slot") return false;
  if (kind === "call" && !FUNCTIONS.get(expression.name.toLowerCase())!.pure) return false;
  return childrenOf(expression).every(isConstant);
}

const COMPILERS: ByKind<(context: CompileContext) => Evaluate> = {
  literal:
    ({ value }) =>
    () =>
    () =>
      value,
  path:
    ({ path }) =>
    (context) =>
      compilePath(path, context),
  variable: (node) => (context) => context.variables.reader(node.name),
  member: (node) => (context) => {
    const of = compileExpression(node.of, context);
    return (input) => member(of(input), node.name);
  },
  star: () => payloadOf,
  slot:
    ({ index }) =>
    () =>
    (input) =>
      messageOf(input).slots?.[index],
  nested: (node) => (context) => compileNested(node, context),
  call: (node) => (context) => compileCall(node, context),
  cast: (node) => (context) => {
    const of = compileExpression(node.of, context);
    const cast = castTo(node.type, context.version);
    return (input) => cast(of(input));
  },
  unary: (node) => (context) => (node.operator === "not" ? invert : negate)(compileExpression(node.of, context)),
  binary: (node) => (context) => {
    const left = compileExpression(node.left, context);
    const right = compileExpression(node.right, context);
    return combine(node.operator, left, right, { exact: hasDecimalLiteral(node), version: context.version });
  },
  case: (node) => (context) => compileCase(node, context),
  array: (node) => (context) => {
    const items = node.items.map((item) => compileExpression(item, context));
    // JSON has no Undefined, and leaving an item out would shift the others.
    return (input) => items.map((item) => item(input) ?? null);
  },
  object: (node) => (context) => {
    const entries = node.entries.map(({ key, value }) => ({ key, value: compileExpression(value, context) }));
    return (input) => {
      const object: Record<string, SqlJson> = {};
      for (const { key, value } of entries) {
        const result = value(input);
        if (result !== undefined) setKey(object, key, result);
      }
      return object;
    };
  },
};

function topOf(input: SqlInput, key: string): SqlValue {
  return input.top === undefined ? member(input.json(), key) : input.top(key);
}

function compilePath(path: readonly string[], context: CompileContext): Evaluate {
  if (isFirstVersion(context.version)) {
    const payload = payloadOf(context);
    return (input) => path.reduce<SqlValue>(member, payload(input));
  }
  const [first, second] = path as [string, string?];
  if (path.length === 1) return (input) => topOf(input, first);
  if (path.length === 2) return (input) => member(topOf(input, first), second!);
  const rest = path.slice(1);
  return (input) => {
    let value = topOf(input, first);
    for (const key of rest) value = member(value, key);
    return value;
  };
}

/**
 * From an array, an array of what is selected from each item; from an object, what is selected from it (AWS IoT's
 * third example of `transform`); from anything else Undefined. A row without a value is left out.
 */
function compileNested(node: Node<"nested">, context: CompileContext): Evaluate {
  const from = compileExpression(node.from, context);
  const inner: CompileContext = { ...context, inRows: true, doubles: false };
  const value = compileRow(node.select, inner);
  const where = node.where === null ? null : compileExpression(node.where, inner);
  const { budget } = context;
  budget.used = true;
  return (input) => {
    const source = from(input);
    if (typeof source !== "object" || source === null) return undefined;
    const row = new RowInput(messageOf(input));
    const rows: SqlJson[] = [];
    const items: readonly SqlJson[] = Array.isArray(source) ? source : [source];
    for (const item of items) {
      if (!budget.spend(1)) return undefined;
      row.item = item;
      if (where !== null && toBoolean(where(row)) !== true) continue;
      const result = value(row);
      if (result === undefined) continue;
      if (!budget.spend(sizeOf(result, LIMITS.rules.sqlStringCharsMax))) return undefined;
      rows.push(result);
    }
    return Array.isArray(source) ? rows : rows[0];
  };
}

function compileRow(select: SelectClause, context: CompileContext): Evaluate {
  if (select.kind === "value") return compileExpression(select.value, context);
  const star = select.items.length === 1 && select.items[0]!.kind === "star";
  return star ? (input) => input.json() : compileItems(select.items, context);
}

/** Roughly the length as JSON; stops counting at `max`. */
function sizeOf(value: SqlJson, max: number): number {
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null) return 1;
  let size = 1;
  for (const item of Object.values(value)) {
    size += sizeOf(item, max - size);
    if (size > max) break;
  }
  return size;
}

function compileCall(node: Node<"call">, context: CompileContext): Evaluate {
  const spec = FUNCTIONS.get(node.name.toLowerCase())!;
  const args = node.args.map((arg) => (arg.kind === "star" ? nothing : compileExpression(arg, context)));
  const star = node.args.some(({ kind }) => kind === "star");
  const of = spec.external === undefined ? null : literalText(node.args, 0);
  return callOf(spec, args, { star, waits: node.args.some(waits), of }, context);
}

const nothing: Evaluate = () => undefined;

/** Whether the value may depend on the answer of an external function. */
function waits(expression: Expression): boolean {
  if (expression.kind === "variable") return true;
  if (expression.kind === "call" && FUNCTIONS.get(expression.name.toLowerCase())!.external !== undefined) return true;
  return childrenOf(expression).some(waits);
}

function compileCase(expression: Node<"case">, context: CompileContext): Evaluate {
  const of = compileExpression(expression.of, context);
  const branches = expression.branches.map((branch) => ({
    when: compileExpression(branch.when, context),
    result: compileExpression(branch.result, context),
  }));
  const otherwise =
    expression.otherwise === null ? (): undefined => undefined : compileExpression(expression.otherwise, context);
  return (input) => {
    const value = of(input);
    if (value === undefined) return undefined;
    for (const branch of branches) if (equal(value, branch.when(input)) === true) return branch.result(input);
    return otherwise(input);
  };
}

/** `used * 100.0 / total`: a literal with a decimal point on either side makes the division exact. */
function hasDecimalLiteral(expression: Expression): boolean {
  if (expression.kind === "literal") return expression.decimal;
  const arithmetic = expression.kind === "unary" || expression.kind === "binary";
  return arithmetic && childrenOf(expression).some(hasDecimalLiteral);
}
