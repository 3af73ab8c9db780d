/** A record of the log as one line: for people, or as JSON that gives every byte back. */
import type { Message } from "../base/mod.ts";
import { readLogged, recordTime } from "../wire/record/mod.ts";
import type { SessionNote } from "../wire/record/mod.ts";
import { payloadFields, printable, propertiesFields, shownPayload } from "./message-text.ts";

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
  return JSON.stringify({
    ...head,
    kind: "message",
    topic,
    ...payloadFields(payload),
    qos,
    retain,
    client: clientId,
    thing,
    properties: properties === null ? null : propertiesFields(properties),
  });
}

/** One line, whatever a device put into it: nothing in it moves the cursor or colours the terminal. */
export function sentenceOf(line: LogLine): string {
  const head = `${line.offset}  ${new Date(line.time).toISOString()}`;
  if (line.kind === "note") return `${head}  ${printable(line.note.clientId)}  (QoS 2 exchanges)`;
  const { topic, payload, thing, clientId, retain } = line.message;
  const shown = shownPayload(payload);
  return `${head}  ${printable(thing ?? clientId)}  ${printable(topic)}  ${retain ? "(retained) " : ""}${shown}`;
}
