/** Messages as text: a payload that may be anything, for people and for programs. */
import type { MessageProperties } from "../base/mod.ts";

/** Of a payload that is shown to a person; `--json` has all of it. */
const SHOWN_CHARS_MAX = 240;
/** Of one that is no text. */
const SHOWN_BYTES_MAX = 16;

const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Null where the bytes are no UTF-8. */
export function textOf(bytes: Uint8Array): string | null {
  try {
    return DECODER.decode(bytes);
  } catch {
    return null;
  }
}

/** Text where it is UTF-8, else base64; `encoding` says which. */
export function payloadFields(payload: Uint8Array): { readonly payload: string; readonly encoding: "utf8" | "base64" } {
  const text = textOf(payload);
  return text === null
    ? { payload: Buffer.from(payload).toString("base64"), encoding: "base64" }
    : { payload: text, encoding: "utf8" };
}

export function propertiesFields({ correlationData, ...rest }: MessageProperties): object {
  if (correlationData === undefined) return rest;
  return { ...rest, correlationDataBase64: Buffer.from(correlationData).toString("base64") };
}

/** On one line of a terminal, cut where it is long. */
export function shownPayload(payload: Uint8Array): string {
  const text = textOf(payload);
  if (text !== null) return shortened(text);
  const hex = Buffer.from(payload.subarray(0, SHOWN_BYTES_MAX))
    .toString("hex")
    .replace(/..(?!$)/g, "$& ");
  return `(${payload.length} bytes, not text: ${hex}${payload.length > SHOWN_BYTES_MAX ? " …" : ""})`;
}

function shortened(text: string): string {
  if (text.length <= SHOWN_CHARS_MAX) return printable(text);
  return `${printable(text.slice(0, SHOWN_CHARS_MAX))}… (${text.length} characters)`;
}

/** C0 and C1 controls, line and paragraph separators, and what changes the direction of writing. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, (character) =>
    JSON.stringify(character).length > 3
      ? JSON.stringify(character).slice(1, -1)
      : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
