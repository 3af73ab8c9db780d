/**
 * + - * / % with the digits that AWS IoT keeps, at the speed of doubles where doubles have them: whole numbers below
 * 2^53, and decimals of few places, which are computed as whole millionths. The rest is computed as `Decimal`.
 */
import { Decimal } from "./decimal.ts";
import { finite, settle } from "./value.ts";
import type { SqlNumber, SqlValue } from "./value.ts";
import { isFirstVersion } from "./version.ts";
import type { SqlVersion } from "./version.ts";

export type Arithmetic = (a: SqlNumber, b: SqlNumber) => SqlNumber | undefined;
export type ArithmeticOperator = "+" | "-" | "*" | "/" | "%";

const MILLION = 1e6;
/** Sums of two numbers below it have at most 15 digits in millionths, and so print as what they are. */
const SCALED_MAX = 4e8;
const SCALED_PRODUCT_MAX = 1e15;

/** The number in millionths; NaN where it is none, or too large. */
function millionths(value: number): number {
  if (value > SCALED_MAX || value < -SCALED_MAX) return NaN;
  const scaled = Math.round(value * MILLION);
  return scaled / MILLION === value ? scaled : NaN;
}

export function add(a: SqlNumber, b: SqlNumber): SqlNumber | undefined {
  if (typeof a === "number" && typeof b === "number") {
    const sum = a + b;
    if (Number.isSafeInteger(a) && Number.isSafeInteger(b) && Number.isSafeInteger(sum)) return sum;
    const scaled = millionths(a) + millionths(b);
    if (!Number.isNaN(scaled)) return scaled / MILLION + 0;
  }
  return settle(decimalOf(a).plus(decimalOf(b)));
}

function subtract(a: SqlNumber, b: SqlNumber): SqlNumber | undefined {
  if (typeof a === "number" && typeof b === "number") {
    const difference = a - b;
    if (Number.isSafeInteger(a) && Number.isSafeInteger(b) && Number.isSafeInteger(difference)) return difference + 0;
    const scaled = millionths(a) - millionths(b);
    if (!Number.isNaN(scaled)) return scaled / MILLION + 0;
  }
  return settle(decimalOf(a).minus(decimalOf(b)));
}

function multiply(a: SqlNumber, b: SqlNumber): SqlNumber | undefined {
  if (typeof a === "number" && typeof b === "number") {
    const product = a * b;
    if (Number.isSafeInteger(a) && Number.isSafeInteger(b) && Number.isSafeInteger(product)) return product + 0;
    const scaled = millionths(a) * millionths(b);
    if (scaled < SCALED_PRODUCT_MAX && scaled > -SCALED_PRODUCT_MAX) return scaled / (MILLION * MILLION) + 0;
  }
  return settle(decimalOf(a).times(decimalOf(b)));
}

/** Two doubles give the double nearest to the quotient; with a longer number there are 34 digits. */
function divideExactly(a: SqlNumber, b: SqlNumber): SqlNumber | undefined {
  if (typeof a === "number" && typeof b === "number") {
    const scaled = millionths(a) / millionths(b);
    return finite(Number.isNaN(scaled) ? a / b : scaled);
  }
  return settle(decimalOf(a).dividedBy(decimalOf(b)));
}

/** AWS IoT: Int / Int is an Int; two whole numbers are divided towards zero. */
function divide(a: SqlNumber, b: SqlNumber): SqlNumber | undefined {
  if (typeof a === "number" && typeof b === "number") {
    if (Number.isSafeInteger(a) && Number.isSafeInteger(b)) return finite(Math.trunc(a / b));
    if (!Number.isInteger(a) || !Number.isInteger(b)) return divideExactly(a, b);
  }
  if (!isInt(a) || !isInt(b)) return divideExactly(a, b);
  const divisor = decimalOf(b).toBigInt();
  return divisor === 0n ? undefined : settle(Decimal.ofInt(decimalOf(a).toBigInt() / divisor));
}

export function remainder(a: SqlNumber, b: SqlNumber): SqlNumber | undefined {
  if (typeof a === "number" && typeof b === "number") {
    if (Number.isSafeInteger(a) && Number.isSafeInteger(b)) return finite(a % b);
    const scaled = millionths(a) % millionths(b);
    if (!Number.isNaN(scaled)) return scaled / MILLION + 0;
  }
  return settle(decimalOf(a).remainder(decimalOf(b)));
}

/** Negative, 0 or positive. */
export function compare(a: SqlNumber, b: SqlNumber): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return decimalOf(a).compare(decimalOf(b));
}

export function decimalOf(value: SqlNumber): Decimal {
  return typeof value === "number" ? Decimal.of(value) : value;
}

/** Version 2016: every whole number is an Int, 10.0 too. */
function isInt(value: SqlNumber): boolean {
  return typeof value === "number" ? Number.isInteger(value) : !value.hasFraction;
}

/** Version 2015-10-08: 10.0 is a Decimal and stays one, so all but Ints are computed as `Decimal` (gotcha 1). */
function keepingFractions(operator: ArithmeticOperator): Arithmetic {
  const ofInts = operator === "/" ? divide : SECOND_VERSION[operator];
  return (a, b) => {
    if (isInt(a) && isInt(b)) return ofInts(a, b);
    const result = computed(operator, decimalOf(a), decimalOf(b));
    return result === null ? undefined : kept(result);
  };
}

function computed(operator: ArithmeticOperator, a: Decimal, b: Decimal): Decimal | null {
  switch (operator) {
    case "+":
      return a.plus(b);
    case "-":
      return a.minus(b);
    case "*":
      return a.times(b);
    case "/":
      return a.dividedBy(b);
    case "%":
      return a.remainder(b);
  }
}

/** Whole results of Decimals stay Decimals; others are doubles where a double has all their digits. */
export function kept(decimal: Decimal): SqlNumber | undefined {
  const short = decimal.stripped();
  return short.hasFraction ? settle(short) : withPoint(short);
}

function withPoint(decimal: Decimal): Decimal {
  return decimal.hasFraction ? decimal : (Decimal.parse(`${decimal.toBigInt()}.0`) ?? decimal);
}

const SECOND_VERSION: Readonly<Record<ArithmeticOperator, Arithmetic>> = {
  "+": add,
  "-": subtract,
  "*": multiply,
  "/": divide,
  "%": remainder,
};

/** `exact`: a literal with a point stands on either side, so that `/` does not cut off the fraction. */
export function arithmeticOf(operator: ArithmeticOperator, exact: boolean, version: SqlVersion): Arithmetic {
  if (isFirstVersion(version)) return keepingFractions(operator);
  return operator === "/" && exact ? divideExactly : SECOND_VERSION[operator];
}

export function negated(value: SqlValue): SqlNumber | undefined {
  if (typeof value === "number") return finite(-value);
  return value instanceof Decimal ? value.negated() : undefined;
}
