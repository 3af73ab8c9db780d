/** A record of the log as one line: for people, or as JSON that gives every byte back. */
import type { Message, MessageProperties } from "../base/mod.ts";
import { readLogged, recordTime } from "../wire/record/mod.ts";
import type { SessionNote } from "../wire/record/mod.ts";

/** Of a payload that is shown to a person; `--json` has all of it. */
const SHOWN_CHARS_MAX = 240;

export type LogLine =
  | { readonly kind: "message"; readonly offset: number; readonly time: number; readonly message: Message }
  | { readonly kind: "note"; readonly offset: number; readonly time: number; readonly note: SessionNote };

/** Throws `RecordError` where the record is nothing that this Tidewire knows. */
export function lineOf(offset: number, record: Uint8Array): LogLine {
  const time = recordTime(record);
  const logged = readLogged(record);
  return logged.kind === "note"
    ? { kind: "note", offset, time, note: logged.note }
    : { kind: "message", offset, time, message: logged.message };
}

/** The payload is text where it is UTF-8, else base64; `encoding` says which. */
export function jsonOf(line: LogLine): string {
  const head = { offset: line.offset, time: new Date(line.time).toISOString(), receivedAt: line.time };
  if (line.kind === "note") {
    const { clientId, ...rest } = line.note;
    return JSON.stringify({ ...head, kind: "note", client: clientId, ...rest });
  }
  const { topic, payload, qos, retain, clientId, thing, properties } = line.message;
  const text = textOf(payload);
  return JSON.stringify({
    ...head,
    kind: "message",
    topic,
    payload: text ?? Buffer.from(payload).toString("base64"),
    encoding: text === null ? "base64" : "utf8",
    qos,
    retain,
    client: clientId,
    thing,
    properties: properties === null ? null : propertiesOf(properties),
  });
}

function propertiesOf({ correlationData, ...rest }: MessageProperties): object {
  if (correlationData === undefined) return rest;
  return { ...rest, correlationDataBase64: Buffer.from(correlationData).toString("base64") };
}

/** One line, whatever a device put into it: nothing in it moves the cursor or colours the terminal. */
export function sentenceOf(line: LogLine): string {
  const head = `${line.offset}  ${new Date(line.time).toISOString()}`;
  if (line.kind === "note") return `${head}  ${printable(line.note.clientId)}  (QoS 2 exchanges)`;
  const { topic, payload, thing, clientId, retain } = line.message;
  const text = textOf(payload);
  const shown = text === null ? `(${payload.length} bytes, not text)` : shortened(text);
  return `${head}  ${printable(thing ?? clientId)}  ${printable(topic)}  ${retain ? "(retained) " : ""}${shown}`;
}

function shortened(text: string): string {
  if (text.length <= SHOWN_CHARS_MAX) return printable(text);
  return `${printable(text.slice(0, SHOWN_CHARS_MAX))}… (${text.length} characters)`;
}

/** C0 and C1 controls, line and paragraph separators, and what changes the direction of writing. */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, (character) =>
    JSON.stringify(character).length > 3
      ? JSON.stringify(character).slice(1, -1)
      : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function textOf(bytes: Uint8Array): string | null {
  try {
    return DECODER.decode(bytes);
  } catch {
    return null;
  }
}
