/**
 * Values while a statement is evaluated, and AWS IoT's conversions between them.
 * Source: AWS IoT developer guide, "Data types" (conversions) and "Operators".
 */
import type { JsonValue } from "../base/mod.ts";
import { LIMITS } from "../base/mod.ts";
import { Decimal } from "./decimal.ts";

/** JSON, where a number that no double holds is a `Decimal`. */
export type SqlJson = null | boolean | number | string | Decimal | readonly SqlJson[] | SqlObject;
export interface SqlObject {
  readonly [key: string]: SqlJson;
}

/** `undefined` is the SQL's Undefined: no value. It differs from null, and is left out of JSON. */
export type SqlValue = SqlJson | undefined;

/** A number as it is computed with: a double stands for the decimal that it prints as. */
export type SqlNumber = number | Decimal;

/** Strings that convert to numbers by themselves; nothing else does, not " 5", "+5" or ".5" (gotcha 3). */
const NUMERIC = /^-?\d+(\.\d+)?([eE]-?\d+)?$/;

/** Digits that a double carries through text and back, whatever they are. */
const DOUBLE_DIGITS = 15;

/** "To Decimal" for the functions that AWS IoT computes in double precision. */
export function toNumber(value: SqlValue): number | undefined {
  if (typeof value === "number") return value;
  if (value instanceof Decimal) return finite(value.toNumber());
  if (typeof value !== "string" || !NUMERIC.test(value)) return undefined;
  return finite(Number(value));
}

/** "To Decimal": numbers, and strings that look like one, with all their digits. */
export function toSqlNumber(value: SqlValue): SqlNumber | undefined {
  if (typeof value === "number" || value instanceof Decimal) return value;
  if (typeof value !== "string" || !NUMERIC.test(value)) return undefined;
  return numberOfText(value);
}

/** The number that a text in JSON's notation stands for: a double where it is one. */
export function numberOfText(text: string): SqlNumber | undefined {
  if (text.length <= DOUBLE_DIGITS && !/[eE]/.test(text)) return Number(text) + 0;
  return settle(Decimal.parse(text));
}

/** As a double where that prints as the same decimal. Version 2016: 10.0 is 10 (gotcha 1). */
export function settle(decimal: Decimal | null): SqlNumber | undefined {
  if (decimal === null) return undefined;
  const number = decimal.toNumber();
  if (Number.isFinite(number) && Decimal.of(number).compare(decimal) === 0) return number + 0;
  return decimal.stripped();
}

/** "To Int": decimals are rounded to the nearest, numeric strings truncated (gotcha 6). */
export function toInt(value: SqlValue): number | undefined {
  const number = toNumber(value);
  if (number === undefined) return undefined;
  return typeof value === "string" ? Math.trunc(number) : roundAway(number);
}

/** Rounds to the nearest integer, halves away from zero: AWS IoT's round(-1.5) is -2. */
export function roundAway(number: number): number {
  const rounded = Math.sign(number) * Math.round(Math.abs(number));
  return rounded === 0 ? 0 : rounded;
}

/** "To Boolean": true and false, and the strings that say so in any case (gotcha 4). */
export function toBoolean(value: SqlValue): boolean | undefined {
  if (typeof value === "boolean") return value;
  if (typeof value !== "string" || value.length > 5) return undefined;
  const lower = value.toLowerCase();
  return lower === "true" ? true : lower === "false" ? false : undefined;
}

/** "To String": arrays and objects as JSON; Null and Undefined have no string. */
export function toText(value: SqlValue): string | undefined {
  if (typeof value === "string") return value;
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" || typeof value === "boolean" || value instanceof Decimal) return String(value);
  return bounded(JSON.stringify(value));
}

/** A string that would grow past the limit is Undefined, so that no rule can exhaust the memory. */
export function bounded(text: string): string | undefined {
  return text.length <= LIMITS.rules.sqlStringCharsMax ? text : undefined;
}

export function finite(number: number): number | undefined {
  if (!Number.isFinite(number)) return undefined;
  return number === 0 ? 0 : number; // no -0: JSON would print it as 0 anyway, and equality would not care
}

export function isObject(value: SqlValue): value is SqlObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Decimal);
}

/** A key of an object; never anything that its prototype has. Undefined where `value` is no object. */
export function member(value: SqlValue, key: string): SqlValue {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, key) ? (value as SqlObject)[key] : undefined;
}

/** `=`: no conversion; values of different types are unequal. Undefined where either is Undefined. */
export function equal(left: SqlValue, right: SqlValue): boolean | undefined {
  if (left === undefined || right === undefined) return undefined;
  return sameJson(left, right);
}

function sameJson(left: SqlJson, right: SqlJson): boolean {
  if (left === right) return true;
  if (left instanceof Decimal || right instanceof Decimal) return sameNumber(left, right);
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) return false;
  if (Array.isArray(left) || Array.isArray(right)) {
    if (!Array.isArray(left) || !Array.isArray(right) || left.length !== right.length) return false;
    return left.every((item: SqlJson, i) => sameJson(item, right[i] as SqlJson));
  }
  const keys = Object.keys(left);
  if (keys.length !== Object.keys(right).length) return false;
  return keys.every(
    (key) => Object.hasOwn(right, key) && sameJson((left as SqlObject)[key]!, (right as SqlObject)[key]!),
  );
}

/** Only 10.0 of version 2015 can be a `Decimal` and equal a number. */
function sameNumber(left: SqlJson, right: SqlJson): boolean {
  const a = typeof left === "number" ? Decimal.of(left) : left;
  const b = typeof right === "number" ? Decimal.of(right) : right;
  return a instanceof Decimal && b instanceof Decimal && a.compare(b) === 0;
}

/** Sets an own property even where the key is `__proto__`, which plain assignment would swallow. */
export function setKey(target: Record<string, SqlJson>, key: string, value: SqlJson): void {
  if (key === "__proto__") {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    target[key] = value;
  }
}

/**
 * The value with doubles only, for a consumer that computes with them. Copies what must change, and only that. Null
 * where no double is near enough, as JSON has it; Undefined for such a number by itself.
 */
export function withDoubles(value: SqlValue): JsonValue | undefined {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Decimal) return finite(value.toNumber());
  if (Array.isArray(value)) {
    const items = value as readonly SqlJson[];
    const changed = items.map((item) => withDoubles(item) ?? null);
    return changed.every((item, i) => item === items[i]) ? (value as JsonValue) : changed;
  }
  const object = value as SqlObject;
  let copy: Record<string, SqlJson> | null = null;
  for (const key of Object.keys(object)) {
    const item = object[key]!;
    const double = withDoubles(item) ?? null;
    if (double === item) continue;
    copy ??= { ...object };
    setKey(copy, key, double);
  }
  return (copy ?? object) as JsonValue;
}
