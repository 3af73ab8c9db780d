/** What the operators do, on values that are computed already. Source: AWS IoT developer guide, "Operators". */
import { arithmeticOf, compare, negated } from "./arithmetic.ts";
import type { Arithmetic } from "./arithmetic.ts";
import type { SqlInput } from "./input.ts";
import type { Evaluate } from "./scope.ts";
import type { BinaryOperator } from "./tree.ts";
import { bounded, equal, toBoolean, toSqlNumber, toText } from "./value.ts";
import type { SqlValue } from "./value.ts";
import type { SqlVersion } from "./version.ts";

/** `exact`: a literal with a point stands on either side, so that `/` does not cut off the fraction. */
export function combine(
  operator: BinaryOperator,
  left: Evaluate,
  right: Evaluate,
  { exact, version }: { readonly exact: boolean; readonly version: SqlVersion },
): Evaluate {
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
    case "<":
    case "<=":
    case ">":
    case ">=":
      return ordering(operator, left, right);
    case "+":
      return addition(arithmeticOf("+", exact, version), left, right);
    case "-":
    case "*":
    case "/":
    case "%":
      return numeric(arithmeticOf(operator, exact, version), left, right);
  }
}

export function negate(of: Evaluate): Evaluate {
  return (input) => negated(toSqlNumber(of(input)));
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

type Ordering = (input: SqlInput) => boolean | undefined;

/** Two doubles, nearly always: compared where they are, without a call. */
function ordering(operator: "<" | "<=" | ">" | ">=", left: Evaluate, right: Evaluate): Ordering {
  const otherwise = (a: SqlValue, b: SqlValue): boolean | undefined => {
    const x = toSqlNumber(a);
    const y = toSqlNumber(b);
    if (x === undefined || y === undefined) return undefined;
    const order = compare(x, y);
    return operator === "<" ? order < 0 : operator === "<=" ? order <= 0 : operator === ">" ? order > 0 : order >= 0;
  };
  switch (operator) {
    case "<":
      return (input) => {
        const a = left(input);
        const b = right(input);
        return typeof a === "number" && typeof b === "number" ? a < b : otherwise(a, b);
      };
    case "<=":
      return (input) => {
        const a = left(input);
        const b = right(input);
        return typeof a === "number" && typeof b === "number" ? a <= b : otherwise(a, b);
      };
    case ">":
      return (input) => {
        const a = left(input);
        const b = right(input);
        return typeof a === "number" && typeof b === "number" ? a > b : otherwise(a, b);
      };
    case ">=":
      return (input) => {
        const a = left(input);
        const b = right(input);
        return typeof a === "number" && typeof b === "number" ? a >= b : otherwise(a, b);
      };
  }
}

function numeric(operate: Arithmetic, left: Evaluate, right: Evaluate): Evaluate {
  return (input) => {
    const a = toSqlNumber(left(input));
    if (a === undefined) return undefined;
    const b = toSqlNumber(right(input));
    return b === undefined ? undefined : operate(a, b);
  };
}

/** `+` joins where either side is a string, even one that looks like a number (gotcha 5). */
function addition(sum: Arithmetic, left: Evaluate, right: Evaluate): Evaluate {
  return (input) => {
    const a = left(input);
    const b = right(input);
    if (typeof a !== "string" && typeof b !== "string") {
      const x = toSqlNumber(a);
      const y = toSqlNumber(b);
      return x === undefined || y === undefined ? undefined : sum(x, y);
    }
    const head = toText(a);
    const tail = toText(b);
    return head === undefined || tail === undefined ? undefined : bounded(head + tail);
  };
}
