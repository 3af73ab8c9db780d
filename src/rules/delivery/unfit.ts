/** Messages that the broker kept aside, because they do not fit their topic's schema: dead letters that are published when they are sent again. */
import { UNFIT_REASON, UNFIT_SCHEMA, UNFIT_TOPIC } from "../../base/mod.ts";
import type { Message } from "../../base/mod.ts";
import { HOPS_PROPERTY, hopsOf } from "../actions/republish.ts";
import type { DeadLetter } from "./delivery.ts";
import { receiverOf } from "./receivers.ts";
import type { KeyedHash } from "./receivers.ts";
import type { Receiver } from "./sender.ts";

export function isUnfit(topic: string): boolean {
  return topic.startsWith(UNFIT_TOPIC);
}

/** The broker itself, as `republish` has it. */
export function ownBroker(hash: KeyedHash): Receiver {
  return receiverOf("republish", "this broker", {}, hash);
}

/** The id follows from the offset: read again from the log, it is the same letter. */
export function unfitLetter(offset: number, message: Message, receiver: string): DeadLetter {
  const { topic, payload, qos, retain, thing, clientId, receivedAt, properties } = message;
  const users = properties?.userProperties ?? [];
  const said = (wanted: string): string => users.find(([name]) => name === wanted)?.[1] ?? "?";
  const own = users.filter(([name]) => ![UNFIT_SCHEMA, UNFIT_REASON, HOPS_PROPERTY].includes(name));
  const { contentType } = properties ?? {};
  const fields = {
    topic: topic.slice(UNFIT_TOPIC.length),
    qos: qos === 0 ? "0" : "1",
    retain: String(retain),
    hops: String(hopsOf(properties)),
    ...(thing === null ? {} : { thing }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(own.length === 0 ? {} : { userProperties: JSON.stringify(own) }),
  };
  return {
    id: `unfit.${offset}`,
    receiver,
    rule: null,
    things: thing === null ? [] : [thing],
    body: payload.slice(),
    fields,
    offset,
    createdAt: receivedAt,
    origin: null,
    attempts: 0,
    lastError: `from ${thing ?? clientId}: schema ${said(UNFIT_SCHEMA)}: ${said(UNFIT_REASON)}`,
    diedAt: receivedAt,
  };
}
