/**
 * Values while a statement is evaluated, and AWS IoT's conversions between them.
 * Source: AWS IoT developer guide, "Data types" (conversions) and "Operators".
 */
import type { JsonObject, JsonValue } from "../base/mod.ts";
import { LIMITS } from "../base/mod.ts";

/** `undefined` is the SQL's Undefined: no value. It differs from null, and is left out of JSON. */
export type SqlValue = JsonValue | undefined;

/** Strings that convert to numbers by themselves; nothing else does, not " 5", "+5" or ".5". */
const NUMERIC = /^-?\d+(\.\d+)?([eE]-?\d+)?$/;

/** "To Decimal": numbers, and strings that look like one. */
export function toNumber(value: SqlValue): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value !== "string" || !NUMERIC.test(value)) return undefined;
  const number = Number(value);
  return Number.isFinite(number) ? number : undefined;
}

/** "To Int": decimals are rounded to the nearest, numeric strings truncated. */
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

/** "To Boolean": true and false, and the strings that say so in any case. */
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
  if (typeof value === "number" || typeof value === "boolean") return String(value);
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

/** A key of an object; never anything that its prototype has. Undefined where `value` is no object. */
export function member(value: SqlValue, key: string): SqlValue {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, key) ? (value as JsonObject)[key] : undefined;
}

/** `=`: no conversion; values of different types are unequal. Undefined where either is Undefined. */
export function equal(left: SqlValue, right: SqlValue): boolean | undefined {
  if (left === undefined || right === undefined) return undefined;
  return sameJson(left, right);
}

function sameJson(left: JsonValue, right: JsonValue): boolean {
  if (left === right) return true;
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) return false;
  if (Array.isArray(left) || Array.isArray(right)) {
    if (!Array.isArray(left) || !Array.isArray(right) || left.length !== right.length) return false;
    return left.every((item: JsonValue, i) => sameJson(item, right[i] as JsonValue));
  }
  const keys = Object.keys(left);
  if (keys.length !== Object.keys(right).length) return false;
  return keys.every(
    (key) => Object.hasOwn(right, key) && sameJson((left as JsonObject)[key]!, (right as JsonObject)[key]!),
  );
}

/** Sets an own property even where the key is `__proto__`, which plain assignment would swallow. */
export function setKey(target: Record<string, JsonValue>, key: string, value: JsonValue): void {
  if (key === "__proto__") {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    target[key] = value;
  }
}
