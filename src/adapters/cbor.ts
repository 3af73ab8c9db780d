/** CBOR (RFC 8949) for AWS's `…/cbor` topics; the one place that knows the library. */
import { decode, encode } from "cborg";
import type { JsonValue } from "../base/mod.ts";

/** Major type 6: tags. A request needs none, and some of the library's do more than read. */
const TAG = 6;
const LENGTH_FOLLOWS: readonly number[] = [1, 2, 4, 8];
const DEPTH_MAX = 16;

export function encodeCbor(value: JsonValue): Uint8Array {
  return encode(value);
}

/** Throws where the bytes are not one item of maps, lists, texts, numbers and the like, or nested too deeply. */
export function decodeCbor(bytes: Uint8Array): unknown {
  const end = skip(bytes, 0, 0);
  if (end !== bytes.length) throw new Error("more than one CBOR item");
  return plain(decode(bytes, { useMaps: true, allowIndefinite: false, rejectDuplicateMapKeys: true }));
}

/** Maps as objects; `__proto__` is a key like any other. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (!(value instanceof Map)) return value;
  const object: Record<string, unknown> = {};
  for (const [key, item] of value as ReadonlyMap<unknown, unknown>) {
    if (typeof key !== "string") throw new Error("a key of a CBOR map is no text");
    Object.defineProperty(object, key, { value: plain(item), enumerable: true, configurable: true, writable: true });
  }
  return object;
}

/** Where the item at `at` ends. Indefinite lengths, tags and deep nesting are refused before anything is built. */
function skip(bytes: Uint8Array, at: number, depth: number): number {
  if (at >= bytes.length) throw new Error("the CBOR ends in the middle of an item");
  if (depth > DEPTH_MAX) throw new Error("the CBOR is nested too deeply");
  const major = bytes[at]! >> 5;
  const short = bytes[at]! & 31;
  if (major === TAG) throw new Error("a CBOR tag is not taken here");
  if (short > 27) throw new Error("CBOR of indefinite length is not taken here");
  let from = at + 1;
  let argument = short;
  if (short >= 24) {
    const width = LENGTH_FOLLOWS[short - 24]!;
    argument = 0;
    for (let i = 0; i < width; i++) argument = argument * 256 + (bytes[from + i] ?? 0);
    from += width;
  }
  if (major === 2 || major === 3) from += argument;
  const items = major === 4 ? argument : major === 5 ? argument * 2 : 0;
  for (let i = 0; i < items; i++) from = skip(bytes, from, depth + 1);
  if (from > bytes.length) throw new Error("the CBOR ends in the middle of an item");
  return from;
}
