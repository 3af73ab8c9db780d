/** Tree → closures, built once per rule. Evaluation never throws and never changes its input. */
import type { JsonValue } from "../base/mod.ts";
import { isJsonObject } from "../base/mod.ts";
import { FUNCTIONS } from "./functions/registry.ts";
import type { SqlInput } from "./input.ts";
import { parseSql } from "./parser.ts";
import { childrenOf, dispatch, impliedName } from "./tree.ts";
import type { BinaryOperator, ByKind, CastType, Expression, Node, SelectClause, SelectItem } from "./tree.ts";
import { compileWindows } from "./window-compile.ts";
import type { WindowPlan } from "./window-plan.ts";
import { bounded, equal, finite, member, setKey, toBoolean, toNumber, toText } from "./value.ts";
import type { SqlValue } from "./value.ts";

export type SqlOutcome =
  | { readonly matched: true; readonly value: JsonValue | Uint8Array }
  /** `undecided`: WHERE was Undefined, e.g. because a key is missing; that says nothing about the condition. */
  | { readonly matched: false; readonly undecided: boolean };

export interface CompiledSql {
  /** MQTT topic filter after FROM; the caller routes by it, `evaluate` does not look at it again. */
  readonly filter: string;
  readonly text: string;
  /** Every message as it is: `SELECT *` or `SELECT VALUE *` without a condition. */
  readonly takesAll: boolean;
  /** What the statement needs beside the message; null where nothing. Then `evaluate`, `test` and `select` do not apply. */
  readonly windows: WindowPlan | null;
  evaluate(input: SqlInput): SqlOutcome;
  /** WHERE alone; undefined where undecided. Cheaper than `evaluate` for those who need no value. */
  test(input: SqlInput): boolean | undefined;
  /** SELECT alone, for those who have tested already. */
  select(input: SqlInput): JsonValue | Uint8Array;
}

export type Evaluate = (input: SqlInput) => SqlValue;

/** Parses and compiles a statement. Throws `SqlError`. */
export function compileSql(text: string): CompiledSql {
  const statement = parseSql(text);
  const windows = compileWindows(text, statement, { expression: compileExpression, select: compileSelect });
  if (windows !== null) return statefulSql(text, statement.filter, windows);
  const select = compileSelect(statement.select);
  const where = statement.where === null ? null : compileExpression(statement.where);
  const test = (input: SqlInput): boolean | undefined => (where === null ? true : toBoolean(where(input)));
  return {
    filter: statement.filter,
    text,
    takesAll: where === null && select === wholePayload,
    windows: null,
    test,
    select,
    evaluate(input) {
      const verdict = test(input);
      if (verdict !== true) return { matched: false, undecided: verdict === undefined };
      return { matched: true, value: select(input) };
    },
  };
}

/** Without its runtime a statement with state says nothing about a message. */
function statefulSql(text: string, filter: string, windows: WindowPlan): CompiledSql {
  const undecided = { matched: false, undecided: true } as const;
  return { filter, text, takesAll: false, windows, test: () => undefined, select: () => "", evaluate: () => undecided };
}

function compileSelect(select: SelectClause): (input: SqlInput) => JsonValue | Uint8Array {
  if (select.kind === "value") {
    if (select.value.kind === "star") return wholePayload;
    const value = compileExpression(select.value);
    return (input) => {
      const result = value(input);
      return result === undefined ? "" : result; // Undefined by itself is an empty string
    };
  }
  if (select.items.length === 1 && select.items[0]!.kind === "star") return wholePayload;
  const writers = select.items.map(compileItem);
  return (input) => {
    const target: Record<string, JsonValue> = {};
    for (const write of writers) write(target, input);
    return target;
  };
}

function wholePayload(input: SqlInput): JsonValue | Uint8Array {
  const json = input.json();
  return json === undefined ? input.payload : json;
}

type Writer = (target: Record<string, JsonValue>, input: SqlInput) => void;

function compileItem(item: SelectItem): Writer {
  if (item.kind === "star") {
    return (target, input) => {
      const json = input.json();
      if (!isJsonObject(json)) return;
      for (const key of Object.keys(json)) setKey(target, key, json[key]!);
    };
  }
  const value = compileExpression(item.value);
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

export function compileExpression(expression: Expression): Evaluate {
  const evaluate = compileNode(expression);
  if (expression.kind === "literal" || !isConstant(expression)) return evaluate;
  const value = evaluate(NO_MESSAGE);
  return () => value;
}

function compileNode(expression: Expression): Evaluate {
  return dispatch(COMPILERS, expression);
}

const COMPILERS: ByKind<Evaluate> = {
  literal:
    ({ value }) =>
    () =>
      value,
  path: (node) => compilePath(node.path),
  member: (node) => {
    const of = compileExpression(node.of);
    return (input) => member(of(input), node.name);
  },
  star: () => (input) => input.json(),
  slot:
    ({ index }) =>
    (input) =>
      input.slots?.[index],
  call: (node) => compileCall(node.name, node.args),
  cast: (node) => {
    const of = compileExpression(node.of);
    const cast = CASTS[node.type];
    return (input) => cast(of(input));
  },
  unary: (node) => compileUnary(node.operator, compileExpression(node.of)),
  binary: compileBinary,
  case: compileCase,
  array: (node) => {
    const items = node.items.map(compileExpression);
    // JSON has no Undefined, and leaving an item out would shift the others.
    return (input) => items.map((item) => item(input) ?? null);
  },
  object: (node) => {
    const entries = node.entries.map(({ key, value }) => ({ key, value: compileExpression(value) }));
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

function compileCall(name: string, args: readonly Expression[]): Evaluate {
  const spec = FUNCTIONS.get(name.toLowerCase())!;
  if (args[0]?.kind === "star") {
    const rest = args.slice(1).map(compileExpression);
    return (input) =>
      spec.star!(
        rest.map((arg) => arg(input)),
        input,
      );
  }
  const compiled = args.map(compileExpression);
  if (compiled.length === 0) return (input) => spec.call([], input);
  if (compiled.length === 1) {
    const only = compiled[0]!;
    return (input) => spec.call([only(input)], input);
  }
  return (input) =>
    spec.call(
      compiled.map((arg) => arg(input)),
      input,
    );
}

const CASTS: Readonly<Record<CastType, (value: SqlValue) => SqlValue>> = {
  string: toText,
  decimal: castNumber,
  int: (value) => {
    const number = castNumber(value);
    return number === undefined ? undefined : Math.floor(number); // rounds down, unlike the silent conversion
  },
  boolean: (value) => (typeof value === "number" ? value !== 0 : toBoolean(value)),
};

function castNumber(value: SqlValue): number | undefined {
  return typeof value === "boolean" ? Number(value) : toNumber(value);
}

function compileUnary(operator: "-" | "not", of: Evaluate): Evaluate {
  if (operator === "not") {
    return (input) => {
      const value = toBoolean(of(input));
      return value === undefined ? undefined : !value;
    };
  }
  return (input) => {
    const value = toNumber(of(input));
    return value === undefined ? undefined : finite(-value);
  };
}

function compileCase(expression: Node<"case">): Evaluate {
  const of = compileExpression(expression.of);
  const branches = expression.branches.map((branch) => ({
    when: compileExpression(branch.when),
    result: compileExpression(branch.result),
  }));
  const otherwise =
    expression.otherwise === null ? (): undefined => undefined : compileExpression(expression.otherwise);
  return (input) => {
    const value = of(input);
    if (value === undefined) return undefined;
    for (const branch of branches) if (equal(value, branch.when(input)) === true) return branch.result(input);
    return otherwise(input);
  };
}

type Binary = Node<"binary">;

function compileBinary(expression: Binary): Evaluate {
  const left = compileExpression(expression.left);
  const right = compileExpression(expression.right);
  switch (expression.operator) {
    case "and":
      return (input) => both(left(input), right(input), (a, b) => a && b);
    case "or":
      return (input) => both(left(input), right(input), (a, b) => a || b);
    case "=":
      return (input) => equal(left(input), right(input));
    case "<>":
      return (input) => {
        const same = equal(left(input), right(input));
        return same === undefined ? undefined : !same;
      };
    case "+":
      return (input) => add(left(input), right(input));
    case "/":
      return compileDivision(expression, left, right);
    case "<":
    case "<=":
    case ">":
    case ">=":
    case "-":
    case "*":
    case "%":
      break;
  }
  return compileNumeric(NUMERIC[expression.operator], left, right);
}

/** AND and OR take booleans, or the strings that say so; anything else makes the whole Undefined. */
function both(left: SqlValue, right: SqlValue, join: (a: boolean, b: boolean) => boolean): boolean | undefined {
  const a = toBoolean(left);
  const b = toBoolean(right);
  return a === undefined || b === undefined ? undefined : join(a, b);
}

type NumericOperator = Exclude<BinaryOperator, "and" | "or" | "=" | "<>" | "+" | "/">;

const NUMERIC: Readonly<Record<NumericOperator, (a: number, b: number) => SqlValue>> = {
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
  "-": (a, b) => finite(a - b),
  "*": (a, b) => finite(a * b),
  "%": (a, b) => finite(a % b),
};

function compileNumeric(operate: (a: number, b: number) => SqlValue, left: Evaluate, right: Evaluate): Evaluate {
  return (input) => {
    const a = toNumber(left(input));
    if (a === undefined) return undefined;
    const b = toNumber(right(input));
    return b === undefined ? undefined : operate(a, b);
  };
}

/** `+` joins where either side is a string, even one that looks like a number. */
function add(left: SqlValue, right: SqlValue): SqlValue {
  if (typeof left === "number" && typeof right === "number") return finite(left + right);
  if (typeof left !== "string" && typeof right !== "string") return undefined;
  const a = toText(left);
  const b = toText(right);
  return a === undefined || b === undefined ? undefined : bounded(a + b);
}

/**
 * AWS IoT: Int / Int is an Int. A literal with a decimal point on either side (`used * 100.0 / total`) makes the
 * division exact; without one, two whole numbers are divided towards zero.
 */
function compileDivision(expression: Binary, left: Evaluate, right: Evaluate): Evaluate {
  const exact = hasDecimalLiteral(expression.left) || hasDecimalLiteral(expression.right);
  const divide = (a: number, b: number): SqlValue => {
    if (exact || !Number.isInteger(a) || !Number.isInteger(b)) return finite(a / b);
    return finite(Math.trunc(a / b));
  };
  return compileNumeric(divide, left, right);
}

function hasDecimalLiteral(expression: Expression): boolean {
  if (expression.kind === "literal") return expression.decimal;
  const arithmetic = expression.kind === "unary" || expression.kind === "binary";
  return arithmetic && childrenOf(expression).some(hasDecimalLiteral);
}

/** Whether the value depends on no message, so that it can be computed once. */
function isConstant(expression: Expression): boolean {
  if (expression.kind === "path" || expression.kind === "star" || expression.kind === "slot") return false;
  if (expression.kind === "call" && !FUNCTIONS.get(expression.name.toLowerCase())!.pure) return false;
  return childrenOf(expression).every(isConstant);
}
