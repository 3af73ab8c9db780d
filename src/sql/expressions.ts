/** Tree → closures. Evaluation never throws and never changes its input. */
import type { JsonValue } from "../base/mod.ts";
import { LIMITS, isJsonObject } from "../base/mod.ts";
import { CASTS } from "./cast.ts";
import { FUNCTIONS } from "./functions/registry.ts";
import type { SqlInput } from "./input.ts";
import { combine, invert, negate } from "./operators.ts";
import { RowInput, messageOf } from "./scope.ts";
import type { CompileContext, Evaluate } from "./scope.ts";
import { childrenOf, dispatch, impliedName } from "./tree.ts";
import type { ByKind, Expression, Node, SelectClause, SelectItem } from "./tree.ts";
import { equal, member, setKey, toBoolean } from "./value.ts";
import type { SqlValue } from "./value.ts";

export type Select = (input: SqlInput) => JsonValue | Uint8Array;

export function compileSelect(select: SelectClause, context: CompileContext): Select {
  if (select.kind === "value") {
    if (select.value.kind === "star") return wholePayload;
    const value = compileExpression(select.value, context);
    return (input) => {
      const result = value(input);
      return result === undefined ? "" : result; // Undefined by itself is an empty string
    };
  }
  if (select.items.length === 1 && select.items[0]!.kind === "star") return wholePayload;
  return compileItems(select.items, context);
}

export function wholePayload(input: SqlInput): JsonValue | Uint8Array {
  const json = input.json();
  return json === undefined ? input.payload : json;
}

function compileItems(
  items: readonly SelectItem[],
  context: CompileContext,
): (input: SqlInput) => Record<string, JsonValue> {
  const writers = items.map((item) => compileItem(item, context));
  return (input) => {
    const target: Record<string, JsonValue> = {};
    for (const write of writers) write(target, input);
    return target;
  };
}

type Writer = (target: Record<string, JsonValue>, input: SqlInput) => void;

function compileItem(item: SelectItem, context: CompileContext): Writer {
  if (item.kind === "star") {
    return (target, input) => {
      const json = input.json();
      if (!isJsonObject(json)) return;
      for (const key of Object.keys(json)) setKey(target, key, json[key]!);
    };
  }
  const value = compileExpression(item.value, context);
  const path = item.as ?? [impliedName(item.value)!];
  if (path.length === 1) {
    const key = path[0]!;
    return (target, input) => {
      const result = value(input);
      if (result !== undefined) setKey(target, key, result);
    };
  }
  return (target, input) => {
    const result = value(input);
    if (result !== undefined) setPath(target, path, result);
  };
}

/** Objects on the way are copied before they are written to: they may belong to the payload. */
function setPath(target: Record<string, JsonValue>, path: readonly string[], value: JsonValue): void {
  let at = target;
  for (const key of path.slice(0, -1)) {
    const present = member(at, key);
    const next: Record<string, JsonValue> = isJsonObject(present) ? { ...present } : {};
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
    () =>
      compilePath(path),
  variable: (node) => (context) => context.variables.reader(node.name),
  member: (node) => (context) => {
    const of = compileExpression(node.of, context);
    return (input) => member(of(input), node.name);
  },
  star: () => () => (input) => input.json(),
  slot:
    ({ index }) =>
    () =>
    (input) =>
      messageOf(input).slots?.[index],
  nested: (node) => (context) => compileNested(node, context),
  call: (node) => (context) => compileCall(node, context),
  cast: (node) => (context) => {
    const of = compileExpression(node.of, context);
    const cast = CASTS[node.type];
    return (input) => cast(of(input));
  },
  unary: (node) => (context) => (node.operator === "not" ? invert : negate)(compileExpression(node.of, context)),
  binary: (node) => (context) => {
    const left = compileExpression(node.left, context);
    const right = compileExpression(node.right, context);
    return combine(node.operator, left, right, hasDecimalLiteral(node));
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
      const object: Record<string, JsonValue> = {};
      for (const { key, value } of entries) {
        const result = value(input);
        if (result !== undefined) setKey(object, key, result);
      }
      return object;
    };
  },
};

function compilePath(path: readonly string[]): Evaluate {
  const [first, second] = path as [string, string?];
  if (path.length === 1) return (input) => member(input.json(), first);
  if (path.length === 2) return (input) => member(member(input.json(), first), second!);
  return (input) => {
    let value: SqlValue = input.json();
    for (const key of path) value = member(value, key);
    return value;
  };
}

/**
 * From an array, an array of what is selected from each item; from an object, what is selected from it (AWS IoT's
 * third example of `transform`); from anything else Undefined. A row without a value is left out.
 */
function compileNested(node: Node<"nested">, context: CompileContext): Evaluate {
  const from = compileExpression(node.from, context);
  const inner: CompileContext = { ...context, inRows: true };
  const value = compileRow(node.select, inner);
  const where = node.where === null ? null : compileExpression(node.where, inner);
  const { budget } = context;
  budget.used = true;
  return (input) => {
    const source = from(input);
    if (typeof source !== "object" || source === null) return undefined;
    const row = new RowInput(messageOf(input));
    const rows: JsonValue[] = [];
    const items: readonly JsonValue[] = Array.isArray(source) ? source : [source];
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
function sizeOf(value: JsonValue, max: number): number {
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null) return 1;
  let size = 1;
  for (const item of Object.values(value)) {
    size += sizeOf(item, max - size);
    if (size > max) break;
  }
  return size;
}

function compileCall({ name, args }: Node<"call">, context: CompileContext): Evaluate {
  const spec = FUNCTIONS.get(name.toLowerCase())!;
  const star = args[0]?.kind === "star";
  const apply: Apply = star
    ? (values, input) => spec.star!(values, input)
    : (values, input) => spec.call(values, input);
  const compiled = (star ? args.slice(1) : args).map((arg) => compileExpression(arg, context));
  if (context.inRows) return compileRowCall(apply, compiled, context);
  if (compiled.length === 0) return (input) => apply([], input);
  if (compiled.length === 1) {
    const only = compiled[0]!;
    return (input) => apply([only(input)], input);
  }
  return (input) =>
    apply(
      compiled.map((arg) => arg(input)),
      input,
    );
}

type Apply = (values: readonly SqlValue[], input: SqlInput) => SqlValue;

/** The same, paid for by the texts that the function reads. */
function compileRowCall(apply: Apply, args: readonly Evaluate[], { budget }: CompileContext): Evaluate {
  return (input) => {
    const values = args.map((arg) => arg(input));
    let cost = 1;
    for (const value of values) if (typeof value === "string") cost += value.length;
    return budget.spend(cost) ? apply(values, input) : undefined;
  };
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
