/** `--format` of `tidewire sub`: the letters of mosquitto_sub, so that scripts can stay as they are. */
import type { Received } from "../adapters/mqtt-client/mod.ts";
import type { EpochMs } from "../base/mod.ts";
import { payloadFields, printable, propertiesFields, shownPayload, textOf } from "./message-text.ts";
import { optionFault } from "./option-fault.ts";

export type MessageFormat = (message: Received, time: EpochMs) => string;

const FIELDS: Readonly<Record<string, MessageFormat>> = {
  "%": () => "%",
  t: ({ topic }) => topic,
  p: ({ payload }) => textOf(payload) ?? Buffer.from(payload).toString("hex"),
  x: ({ payload }) => Buffer.from(payload).toString("hex"),
  X: ({ payload }) => Buffer.from(payload).toString("hex").toUpperCase(),
  b: ({ payload }) => Buffer.from(payload).toString("base64"),
  l: ({ payload }) => String(payload.length),
  q: ({ qos }) => String(qos),
  r: ({ retain }) => (retain ? "1" : "0"),
  j: jsonOf,
  I: (_message, time) => new Date(time).toISOString(),
  U: (_message, time) => (time / 1000).toFixed(3),
  C: ({ properties }) => properties?.contentType ?? "",
  R: ({ properties }) => properties?.responseTopic ?? "",
  E: ({ properties }) => String(properties?.messageExpirySeconds ?? ""),
  F: ({ properties }) => String(properties?.payloadFormat ?? ""),
  D: ({ properties }) =>
    properties?.correlationData === undefined ? "" : Buffer.from(properties.correlationData).toString("hex"),
  P: ({ properties }) => (properties?.userProperties ?? []).map(([name, value]) => `${name}:${value}`).join(" "),
};

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", "\\": "\\", "0": "\0" };

/** Throws CONFIG_VALUE_INVALID. */
export function messageFormat(template: string): MessageFormat {
  const parts: (string | MessageFormat)[] = [];
  let rest = template;
  while (rest !== "") {
    const [taken, mark, letter, plain] = /^(?:([%\\])(.?)|([^%\\]+))/su.exec(rest)!;
    rest = rest.slice(taken.length);
    if (plain !== undefined) parts.push(plain);
    else if (mark === "\\") parts.push(ESCAPES[letter!] ?? taken);
    else parts.push(fieldOf(letter!));
  }
  return (message, time) => parts.map((part) => (typeof part === "string" ? part : part(message, time))).join("");
}

function fieldOf(letter: string): MessageFormat {
  if (Object.hasOwn(FIELDS, letter)) return FIELDS[letter]!;
  const reason = `%${letter} is none of ${Object.keys(FIELDS)
    .map((name) => `%${name}`)
    .join(" ")}`;
  throw optionFault("sub", "--format", reason);
}

/** As `tidewire log export` writes messages, as far as a subscriber is told of them; `pub` and `rules run` read it. */
export function jsonOf({ topic, payload, qos, retain, dup, properties }: Received, time: EpochMs): string {
  return JSON.stringify({
    time: new Date(time).toISOString(),
    topic,
    ...payloadFields(payload),
    qos,
    retain,
    ...(dup ? { dup } : {}),
    ...(properties === null ? {} : { properties: propertiesFields(properties) }),
  });
}

/** For a person: one line, whatever is in it. */
export function sentenceOf({ topic, payload, retain }: Received, time: EpochMs): string {
  const at = new Date(time).toISOString().slice(11, 23);
  return `${at}  ${printable(topic)}  ${retain ? "(retained) " : ""}${shownPayload(payload)}`;
}
