/** What an administrator may ask of the broker: AWS IoT's DeleteConnection, GetRetainedMessage and ListRetainedMessages. */
import type { Message } from "../base/mod.ts";
import { REASON, propertiesOf } from "../wire/mqtt/mod.ts";
import type { Core } from "./core.ts";
import { expiryLeft } from "./delivery.ts";
import { copyOf } from "./frame.ts";
import { endSession } from "./lifecycle.ts";
import type { Retained } from "./retained.ts";

export interface EndConnection {
  /** The session goes too, also one that waits for its client to come back. */
  readonly cleanSession: boolean;
  readonly preventWill: boolean;
}

/** Retained messages in the order of `compareTopics`. */
export interface RetainedList {
  readonly found: readonly Message[];
  /** Every topic up to here has been looked at; null: there are no more. */
  readonly upTo: string | null;
}

/** False where there is nothing of this client to end. */
export function endConnection(core: Core, clientId: string, { cleanSession, preventWill }: EndConnection): boolean {
  const session = core.sessions.get(clientId);
  if (session === undefined) return false;
  const { connection } = session;
  if (connection === null && !cleanSession) return false;
  if (preventWill) {
    if (connection !== null) connection.will = null;
    session.will = null;
    session.willAt = null;
  }
  connection?.disconnect(REASON.administrativeAction, "API_INITIATED_DISCONNECT", "ended by an administrator");
  if (cleanSession) endSession(core, session);
  return true;
}

/** `filter`: one topic, or `#`. */
export async function listRetained(
  core: Core,
  filter: string,
  after: string | null,
  max: number,
): Promise<RetainedList> {
  const { found, upTo } = await core.retained.page(filter, after, max);
  const now = core.clock.now();
  return { found: found.filter((one) => !isExpired(one, now)).map(messageOf), upTo };
}

function isExpired({ frame, receivedAt }: Retained, now: number): boolean {
  const left = expiryLeft(frame, receivedAt, now);
  return left !== null && left <= 0;
}

function messageOf({ topic, frame, clientId, receivedAt }: Retained): Message {
  const payload = copyOf(frame.buffer, frame.payloadStart, frame.payloadEnd);
  return {
    topic,
    payload,
    qos: frame.qos,
    retain: true,
    clientId,
    thing: null,
    receivedAt,
    properties: propertiesOf(frame),
  };
}
