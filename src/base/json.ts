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

/**
 * Parses UTF-8 JSON. Depth is counted in one linear pass before anything is built, so a "JSON bomb" of brackets costs
 * one scan and no memory.
 */
export function parseJson(bytes: Uint8Array, limits: JsonLimits): JsonResult {
  if (bytes.length > limits.jsonBytesMax) return { ok: false, fault: "too-large" };
  if (deeperThan(bytes, limits.jsonDepthMax)) return { ok: false, fault: "too-deep" };
  try {
    return { ok: true, value: JSON.parse(utf8.decode(bytes)) as JsonValue };
  } catch {
    return { ok: false, fault: "not-json" };
  }
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function deeperThan(bytes: Uint8Array, depthMax: number): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i++) {
    const c = bytes[i]!;
    if (inString) {
      if (c === BACKSLASH) i++;
      else if (c === QUOTE) inString = false;
    } else if (c === QUOTE) inString = true;
    else if (c === 0x7b || c === 0x5b) {
      if (++depth > depthMax) return true;
    } else if (c === 0x7d || c === 0x5d) depth--;
  }
  return false;
}
