/** What an administrator may ask of the broker: AWS IoT's DeleteConnection, GetRetainedMessage and ListRetainedMessages. */
import type { Message } from "../base/mod.ts";
import { REASON, propertiesOf } from "../wire/mqtt/mod.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import { expiryLeft } from "./pump.ts";
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

/** Connections that are looked at in one turn; to end one costs some hundred microseconds. */
const LOOKED_AT_ONCE = 64;

/**
 * Asked of all connections whenever somebody's rights may have changed, so who is not chosen costs one call. The first of
 * the chosen are looked at at once. `ended`: how many, when all have been.
 */
export function endUnauthorized(
  core: Core,
  isChosen: (principal: string | null) => boolean,
  ended: (count: number) => void,
): void {
  const chosen: Connection[] = [];
  for (const connection of core.connections) {
    if (connection.state === "connected" && isChosen(connection.principal)) chosen.push(connection);
  }
  let count = 0;
  const look = (from: number): void => {
    const until = Math.min(from + LOOKED_AT_ONCE, chosen.length);
    for (let i = from; i < until; i++) {
      const connection = chosen[i]!;
      const detail = connection.state === "connected" ? lostRight(connection) : null;
      if (detail === null) continue;
      connection.disconnect(REASON.notAuthorized, "FORBIDDEN_ACCESS", detail);
      count++;
    }
    if (until < chosen.length) core.options.scheduler.defer(() => look(until));
    else ended(count);
  };
  look(0);
}

/**
 * MQTT has no word for a subscription that ends, and a client that is not told would wait for ever; so its connection ends,
 * and it is refused when it subscribes again.
 */
function lostRight(connection: Connection): string | null {
  const { authorizer, session } = connection;
  if (authorizer.mayStay?.() === false) return "the client may not connect any more";
  const { revision } = authorizer;
  if (connection.subscriptionsAllowedAt === revision) return null;
  for (const { filter } of session?.subscriptions.list() ?? []) {
    if (!authorizer.subscribe(filter)) return `the client may not subscribe to '${filter}' any more`;
  }
  connection.subscriptionsAllowedAt = revision;
  return null;
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
