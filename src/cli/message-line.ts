/** A message as one line of JSON, as `tidewire log export` writes it, or as people write it by hand. */
import { encodeUtf8, isJsonObject, parseIsoTime } from "../base/mod.ts";
import type { EpochMs, JsonValue, Message, MessageProperties, QoS } from "../base/mod.ts";

export type MessageLine =
  | { readonly kind: "message"; readonly message: Message }
  /** A line of the log that is none: a note of the broker's. */
  | { readonly kind: "note" }
  | { readonly kind: "fault"; readonly reason: string };

/** Of lines that do not say it themselves. */
export type MessageDefaults = Pick<Message, "qos" | "retain" | "properties">;

const USUAL: MessageDefaults = { qos: 1, retain: false, properties: null };

/** `topic`: every line is a payload of this topic; null where the lines say it. */
export function messageLine(
  line: string,
  topic: string | null,
  now: EpochMs,
  defaults: MessageDefaults = USUAL,
): MessageLine {
  const messageOf = (own: string, payload: Uint8Array, named: string, thing: string | null, at: EpochMs): Message => {
    const clientId = named === "" ? UNNAMED : named;
    return { ...defaults, topic: own, payload, clientId, thing, receivedAt: at };
  };
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
  const { qos = defaults.qos, retain = defaults.retain } = json;
  if (qos !== 0 && qos !== 1 && qos !== 2) return fault("its qos is not 0, 1 or 2");
  if (typeof retain !== "boolean") return fault("its retain is not true or false");
  const properties = propertiesOf(json["properties"], defaults.properties);
  if (properties === "fault") return fault("its properties are none");
  const publisher = typeof client === "string" ? client : typeof thing === "string" ? thing : "";
  const message = messageOf(own, bytes, publisher, typeof thing === "string" ? thing : null, at ?? now);
  return { kind: "message", message: { ...message, qos: qos satisfies QoS, retain, properties } };
}

/** As `propertiesFields` writes them. */
function propertiesOf(
  given: JsonValue | undefined,
  usual: MessageProperties | null,
): MessageProperties | null | "fault" {
  if (given === undefined || given === null) return usual;
  if (!isJsonObject(given)) return "fault";
  const { payloadFormat, messageExpirySeconds, contentType, responseTopic, correlationDataBase64, userProperties } =
    given;
  const optional = (value: JsonValue | undefined, type: "string" | "number"): boolean =>
    value === undefined || typeof value === type;
  const pairs = userProperties ?? [];
  const isRight =
    (payloadFormat === undefined || payloadFormat === 0 || payloadFormat === 1) &&
    optional(messageExpirySeconds, "number") &&
    [contentType, responseTopic, correlationDataBase64].every((text) => optional(text, "string")) &&
    Array.isArray(pairs) &&
    pairs.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every((text) => typeof text === "string"));
  if (!isRight) return "fault";
  return {
    ...(payloadFormat === undefined ? {} : { payloadFormat }),
    ...(messageExpirySeconds === undefined ? {} : { messageExpirySeconds: messageExpirySeconds as number }),
    ...(contentType === undefined ? {} : { contentType: contentType as string }),
    ...(responseTopic === undefined ? {} : { responseTopic: responseTopic as string }),
    ...(correlationDataBase64 === undefined
      ? {}
      : { correlationData: Buffer.from(correlationDataBase64 as string, "base64") }),
    ...(pairs.length === 0 ? {} : { userProperties: pairs as readonly (readonly [string, string])[] }),
  };
}

/** Lines that do not say who published them are of one publisher: keyed functions tell publishers apart. */
const UNNAMED = "stdin";

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
