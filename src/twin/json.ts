/**
 * JSON values of a shadow. Keys are data, `__proto__` too, and a number keeps the digits that it was given with, also where
 * a double cannot hold them (a 64-bit serial number, `1e400`). Source: RFC 8259.
 */
import { isJsonObject } from "../base/mod.ts";
import type { JsonObject, JsonValue } from "../base/mod.ts";

/** ECMAScript's "JSON.parse source text access", which the compiler's library does not know yet. */
interface SourceTextJson {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): unknown;
  isRawJSON(value: unknown): boolean;
}
const sourceJson = JSON as unknown as SourceTextJson;

/** What a double may not hold has so many digits, or an exponent. Within a string it only costs the slower way. */
const MAYBE_INEXACT = /\d{16}|\d\.\d{15}|\d[eE][+-]?\d/;

/** Throws `SyntaxError`. Deep text is no danger here; `exact` recurses, and is for text whose depth was looked at. */
export function parse(text: string): JsonValue {
  return JSON.parse(text) as JsonValue;
}

/** As `parse`, and numbers that a double cannot hold stay as they are written. */
export function exact(text: string): JsonValue {
  if (!MAYBE_INEXACT.test(text)) return parse(text);
  return sourceJson.parse(text, (_key, value, { source }) =>
    typeof value === "number" && source !== undefined && !holds(value, source) ? sourceJson.rawJSON(source) : value,
  ) as JsonValue;
}

/** An object with keys; a number that is kept as text is none, whatever JavaScript takes it for. */
export function isNode(value: JsonValue | undefined): value is JsonObject {
  return isJsonObject(value) && !sourceJson.isRawJSON(value);
}

export function own(node: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(node, key) ? node[key] : undefined;
}

/** An object that is being made. */
export type Draft = Record<string, JsonValue>;

/** By assignment, `__proto__` would change what the object is. */
export function put(draft: Draft, key: string, value: JsonValue): void {
  if (key === "__proto__") {
    Object.defineProperty(draft, key, { value, enumerable: true, configurable: true, writable: true });
  } else draft[key] = value;
}

export function same(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => same(item, b[i]));
  }
  if (!isNode(a) || !isNode(b)) return !isNode(a) && !isNode(b) && JSON.stringify(a) === JSON.stringify(b);
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]));
}

/** Whether the double is the number that was written, not only the nearest one. */
function holds(value: number, source: string): boolean {
  if (!Number.isFinite(value)) return false;
  return digitsOf(String(value)) === digitsOf(source);
}

/** Significant digits and the power of ten behind them: `1.50e3` and `1500` are the same. */
function digitsOf(text: string): string {
  const [, sign = "", whole = "", fraction = "", power = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const digits = (whole + fraction).replace(/^0+/, "");
  const significant = digits.replace(/0+$/, "");
  if (significant === "") return "0";
  return `${sign}${significant}e${Number(power) - fraction.length + digits.length - significant.length}`;
}
