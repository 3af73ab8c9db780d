/** What the operators do, on values that are computed already. Source: AWS IoT developer guide, "Operators". */
import type { Evaluate } from "./scope.ts";
import type { BinaryOperator } from "./tree.ts";
import { bounded, equal, finite, toBoolean, toNumber, toText } from "./value.ts";
import type { SqlValue } from "./value.ts";

/** `exact`: a literal with a point stands on either side, so that `/` does not cut off the fraction. */
export function combine(operator: BinaryOperator, left: Evaluate, right: Evaluate, exact: boolean): Evaluate {
  switch (operator) {
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
      return numeric(exact ? divideExactly : divide, left, right);
    case "<":
    case "<=":
    case ">":
    case ">=":
    case "-":
    case "*":
    case "%":
      return numeric(NUMERIC[operator], left, right);
  }
}

export function negate(of: Evaluate): Evaluate {
  return (input) => {
    const value = toNumber(of(input));
    return value === undefined ? undefined : finite(-value);
  };
}

export function invert(of: Evaluate): Evaluate {
  return (input) => {
    const value = toBoolean(of(input));
    return value === undefined ? undefined : !value;
  };
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

function numeric(operate: (a: number, b: number) => SqlValue, left: Evaluate, right: Evaluate): Evaluate {
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

/** AWS IoT: Int / Int is an Int; two whole numbers are divided towards zero. */
function divide(a: number, b: number): SqlValue {
  if (!Number.isInteger(a) || !Number.isInteger(b)) return finite(a / b);
  return finite(Math.trunc(a / b));
}

function divideExactly(a: number, b: number): SqlValue {
  return finite(a / b);
}
