/** JSON values, and a parser that a stranger's payload cannot hurt. Source: RFC 8259. */

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

export interface JsonLimits {
  readonly jsonBytesMax: number;
  readonly jsonDepthMax: number;
}

export type JsonResult =
  | { readonly ok: true; readonly value: JsonValue }
  | { readonly ok: false; readonly fault: "not-json" | "too-deep" | "too-large" };

const utf8 = new TextDecoder("utf-8", { fatal: true });

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const POINT = 0x2e;
const LETTER_E = 0x65;

/**
 * Parses UTF-8 JSON. Depth is counted in one linear pass before anything is built, so a "JSON bomb" of brackets costs
 * one scan and no memory.
 */
export function parseJson(bytes: Uint8Array, limits: JsonLimits): JsonResult {
  if (bytes.length > limits.jsonBytesMax) return { ok: false, fault: "too-large" };
  if (scan(bytes, limits.jsonDepthMax) === TOO_DEEP) return { ok: false, fault: "too-deep" };
  try {
    return { ok: true, value: JSON.parse(utf8.decode(bytes)) as JsonValue };
  } catch {
    return { ok: false, fault: "not-json" };
  }
}

/**
 * The same, where `numberOf` may replace numbers by what keeps more of them than a double does. It is asked only if one
 * of more than 15 digits or with an exponent stands in the bytes (with `points`, also if one is written with a decimal
 * point), and only then are all of them looked at; what it returns is not looked into. `replaced` says that it was.
 */
export function parseJsonNumbers(
  bytes: Uint8Array,
  limits: JsonLimits,
  numberOf: (written: string, value: number) => unknown,
  points = false,
): JsonResult & { readonly replaced?: boolean } {
  if (bytes.length > limits.jsonBytesMax) return { ok: false, fault: "too-large" };
  const found = scan(bytes, limits.jsonDepthMax);
  if (found === TOO_DEEP) return { ok: false, fault: "too-deep" };
  const replaced = found === LONG_NUMBERS || (points && found === POINTS);
  try {
    const text = utf8.decode(bytes);
    if (!replaced) return { ok: true, value: JSON.parse(text) as JsonValue, replaced };
    const revive = (_key: string, value: unknown, context?: { readonly source?: string }): unknown =>
      typeof value === "number" ? numberOf(context?.source ?? String(value), value) : value;
    return { ok: true, value: JSON.parse(text, revive) as JsonValue, replaced };
  } catch {
    return { ok: false, fault: "not-json" };
  }
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const TOO_DEEP = -1;
const PLAIN = 0;
const POINTS = 1;
const LONG_NUMBERS = 2;

/** Digits that every double keeps. */
const DOUBLE_DIGITS = 15;

/** How deep it is, and what numbers stand in it: one pass, because every message takes it. */
function scan(bytes: Uint8Array, depthMax: number): number {
  const end = bytes.length;
  let depth = 0;
  let digits = 0;
  let found = PLAIN;
  for (let i = 0; i < end; i++) {
    const c = bytes[i]!;
    if (c === QUOTE) {
      digits = 0;
      for (i++; i < end; i++) {
        const inside = bytes[i]!;
        if (inside === QUOTE) break;
        if (inside === BACKSLASH) i++;
      }
    } else if (c >= 0x30 && c <= 0x39) {
      if (++digits > DOUBLE_DIGITS) found = LONG_NUMBERS;
    } else if (c === POINT) {
      if (found === PLAIN) found = POINTS;
    } else {
      // An exponent follows a digit; the e of true and false does not.
      if (digits > 0 && (c | 0x20) === LETTER_E) found = LONG_NUMBERS;
      digits = 0;
      if (c === 0x7b || c === 0x5b) {
        if (++depth > depthMax) return TOO_DEEP;
      } else if (c === 0x7d || c === 0x5d) depth--;
    }
  }
  return found;
}
