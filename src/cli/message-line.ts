/** A message as one line of JSON, as `tidewire log export` writes it, or as people write it by hand. */
import { encodeUtf8, isJsonObject, parseIsoTime } from "../base/mod.ts";
import type { EpochMs, JsonValue, Message } from "../base/mod.ts";

export type MessageLine =
  | { readonly kind: "message"; readonly message: Message }
  /** A line of the log that is none: a note of the broker's. */
  | { readonly kind: "note" }
  | { readonly kind: "fault"; readonly reason: string };

/** `topic`: every line is a payload of this topic; null where the lines say it. */
export function messageLine(line: string, topic: string | null, now: EpochMs): MessageLine {
  if (topic !== null) return { kind: "message", message: messageOf(topic, encodeUtf8(line), "", null, now) };
  let json: JsonValue;
  try {
    json = JSON.parse(line) as JsonValue;
  } catch {
    return fault("it is not JSON; name the topic with --topic where lines are payloads");
  }
  if (!isJsonObject(json)) return fault('it is not {"topic": …, "payload": …}');
  if (json["kind"] === "note") return { kind: "note" };
  const { topic: own, payload, encoding, client, thing, time, receivedAt } = json;
  if (typeof own !== "string" || own === "")
    return fault("it has no topic; name one with --topic where lines are payloads");
  if (payload === undefined) return fault("it has no payload");
  const bytes = payloadOf(payload, encoding);
  if (bytes === null) return fault("its payload is not in its encoding");
  const at = timeOf(receivedAt) ?? timeOf(time);
  if (at === null && (receivedAt ?? time) !== undefined) return fault("its time is none");
  const publisher = typeof client === "string" ? client : typeof thing === "string" ? thing : "";
  return {
    kind: "message",
    message: messageOf(own, bytes, publisher, typeof thing === "string" ? thing : null, at ?? now),
  };
}

/** Lines that do not say who published them are of one publisher: keyed functions tell publishers apart. */
const UNNAMED = "stdin";

function messageOf(topic: string, payload: Uint8Array, named: string, thing: string | null, at: EpochMs): Message {
  const clientId = named === "" ? UNNAMED : named;
  return { topic, payload, qos: 1, retain: false, clientId, thing, receivedAt: at, properties: null };
}

/** With an encoding, the payload's text or base64; without one, its JSON. */
function payloadOf(payload: JsonValue, encoding: JsonValue | undefined): Uint8Array | null {
  if (encoding === undefined) return encodeUtf8(JSON.stringify(payload));
  if (typeof payload !== "string") return null;
  if (encoding === "utf8") return encodeUtf8(payload);
  return encoding === "base64" ? Buffer.from(payload, "base64") : null;
}

function timeOf(value: JsonValue | undefined): EpochMs | null {
  if (typeof value === "string") return parseIsoTime(value);
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? Math.floor(value) : null;
}

function fault(reason: string): MessageLine {
  return { kind: "fault", reason };
}
