/** What a device sent, for people: text of a bounded length. */
import { decodeUtf8 } from "../../base/mod.ts";
import type { JsonValue } from "../../base/mod.ts";

export function shortened(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax)}…`;
}

export function textOfBytes(bytes: Uint8Array): string {
  try {
    return decodeUtf8(bytes, 0, bytes.length);
  } catch {
    return `(${bytes.length} bytes that are not text)`;
  }
}

/** The value itself where it is short, else the beginning of its text. */
export function shortenedValue(value: JsonValue, charsMax: number): JsonValue {
  const text = JSON.stringify(value);
  return text.length <= charsMax ? value : shortened(text, charsMax);
}
