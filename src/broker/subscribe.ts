/** SUBSCRIBE and UNSUBSCRIBE (MQTT 5.0 sections 3.8 to 3.11). */
import { sharedFilterOf, topicFilterFault } from "../base/mod.ts";
import type { TopicFault, TopicLimits } from "../base/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import type { SubscribePacket, SubscribeRequest, UnsubscribePacket } from "../wire/mqtt/mod.ts";
import { answer } from "./answers.ts";
import type { Connection } from "./connection.ts";
import { pump } from "./pump.ts";
import type { RefusalKind } from "./refusals.ts";
import { asksForIngest } from "./reserved-topics.ts";
import type { SubscriptionEvent } from "./presence.ts";
import type { Session, Subscription } from "./session.ts";
import { asksForSystemTopics } from "./system-topics.ts";

/** SUBACK of 3.1.1 has one word for every refusal (section 3.9.3 there). */
const FAILURE_V3 = 0x80;

/** What a changed subscription costs, in deliveries: routes are looked up anew. */
const FILTER_WORK = 16;

interface Refusal {
  readonly kind: RefusalKind;
  readonly code: number;
  readonly detail: string;
  readonly fix: string;
}

export function acceptSubscribe(connection: Connection, packet: SubscribePacket): void {
  const { core } = connection;
  const session = connection.session!;
  const reasonCodes: number[] = [];
  const made: string[] = [];
  let because: string | null = null;
  for (const request of packet.requests) {
    const refusal = refusalOf(connection, session, request);
    if (refusal === null) {
      reasonCodes.push(subscribe(connection, session, request, packet.subscriptionIdentifier));
      made.push(request.filter);
      continue;
    }
    const { kind, code, detail, fix } = refusal;
    const fields = { ...connection.describe(), filter: request.filter, fix };
    core.refusals.refuse(kind, `a subscription was refused: ${detail}`, fields);
    reasonCodes.push(connection.version === 5 ? code : FAILURE_V3);
    because ??= `${detail}; ${fix}`;
  }
  // [MQTT-3.8.4-1], [MQTT-3.8.4-2], [MQTT-3.8.4-5], [MQTT-3.8.4-6], [MQTT-3.9.3-1]
  answer(connection, because, (out, reason) => out.suback({ packetId: packet.packetId, reasonCodes, ...reason }));
  core.fairness.chargeFilters(connection, reasonCodes.length);
  connection.intake.spend(reasonCodes.length * FILTER_WORK);
  tell(connection, "subscribed", made);
  pump(core, session);
}

export function acceptUnsubscribe(connection: Connection, packet: UnsubscribePacket): void {
  const { core } = connection;
  const session = connection.session!;
  const reasonCodes: number[] = [];
  const ended: string[] = [];
  for (const filter of packet.filters) {
    const subscription = session.subscriptions.get(filter); // [MQTT-3.10.4-1]: compared character by character
    if (subscription === undefined) {
      // Perhaps it ended a moment ago, and its UNSUBACK was lost on the way.
      if (core.saving.isBehind(session)) core.saving.changed(session, connection);
      reasonCodes.push(REASON.noSubscriptionExisted);
      continue;
    }
    session.subscriptions.delete(filter);
    ended.push(filter);
    // No new message is added [MQTT-3.10.4-2]; what the outbox holds is still delivered [MQTT-3.10.4-3].
    core.tree.remove(filter, subscription);
    core.saving.unsubscribed(session, filter, connection);
    reasonCodes.push(REASON.success);
  }
  // [MQTT-3.10.4-4], [MQTT-3.10.4-5], [MQTT-3.10.4-6], [MQTT-3.11.3-1]
  answer(connection, null, (out) => out.unsuback({ packetId: packet.packetId, reasonCodes }));
  core.fairness.chargeFilters(connection, reasonCodes.length);
  connection.intake.spend(reasonCodes.length * FILTER_WORK);
  tell(connection, "unsubscribed", ended);
}

function tell(connection: Connection, type: SubscriptionEvent["type"], filters: readonly string[]): void {
  const { core, sessionIdentifier, publisher, peer } = connection;
  if (filters.length === 0 || core.subscriptionListeners.size === 0) return;
  const { clientId } = publisher;
  const { certificateId } = peer;
  core.tellSubscriptions({ type, clientId, certificateId, at: core.clock.now(), sessionIdentifier, filters });
}

function refusalOf(connection: Connection, session: Session, request: SubscribeRequest): Refusal | null {
  const { limits } = connection.core;
  const { filter } = request;
  const fault = filterFault(filter, limits);
  if (fault !== null) {
    if (fault === "too-long") connection.core.reached.count("topicBytesMax");
    if (fault === "too-deep") connection.core.reached.count("topicLevelsMax");
    const fix =
      fault === "share"
        ? "write $share/<name>/<filter>, with a name that has no wildcards"
        : "correct the topic filter: + and # stand alone in a level, # comes last";
    return {
      kind: "subscribe-filter",
      code: REASON.topicFilterInvalid,
      detail: `the filter is not valid: ${fault}`,
      fix,
    };
  }
  if (asksForIngest(filter)) {
    const detail = "what is published to $aws/rules/ is for rules alone";
    const fix = "subscribe to the topic that the rule publishes to";
    return { kind: "subscribe-forbidden", code: REASON.notAuthorized, detail, fix };
  }
  if (!connection.authorizer.subscribe(filter)) {
    const fix = "allow iot:Subscribe on the filter in the client's policy";
    return { kind: "subscribe-forbidden", code: REASON.notAuthorized, detail: "not authorized", fix };
  }
  if (!session.subscriptions.has(filter) && session.subscriptions.size >= limits.subscriptionsPerSessionMax) {
    connection.core.reached.count("subscriptionsPerSessionMax");
    const detail = `a session has at most ${limits.subscriptionsPerSessionMax} subscriptions`;
    return { kind: "subscribe-quota", code: REASON.quotaExceeded, detail, fix: "use filters with wildcards" };
  }
  if (!session.subscriptions.has(filter) && sharesTooMany(session, filter, limits.sharedSubscriptionsPerSessionMax)) {
    connection.core.reached.count("sharedSubscriptionsPerSessionMax");
    const detail = `a session has at most ${limits.sharedSubscriptionsPerSessionMax} shared subscriptions`;
    return { kind: "subscribe-quota", code: REASON.quotaExceeded, detail, fix: "use filters with wildcards" };
  }
  return null;
}

function sharesTooMany(session: Session, filter: string, most: number): boolean {
  if (sharedFilterOf(filter) === null || session.subscriptions.size < most) return false;
  let shared = 0;
  for (const other of session.subscriptions.list()) if (sharedFilterOf(other.filter) !== null) shared++;
  return shared >= most;
}

/** [MQTT-4.8.2-1], [MQTT-4.8.2-2]; the limits hold for the name of a share, and for the filter behind it. */
function filterFault(filter: string, limits: TopicLimits): TopicFault | "share" {
  const shared = sharedFilterOf(filter);
  if (shared === null) return topicFilterFault(filter, limits);
  if (shared === "invalid" || topicFilterFault(shared.shareName, limits) !== null) return "share";
  return topicFilterFault(shared.filter, limits);
}

/** Makes or replaces the subscription [MQTT-3.8.4-3]; returns the granted QoS. */
function subscribe(connection: Connection, session: Session, request: SubscribeRequest, identifier: number): number {
  const { core } = connection;
  const { filter, qos, noLocal, retainAsPublished, retainHandling } = request; // granted as asked for [MQTT-3.8.4-7]
  const before = session.subscriptions.get(filter);
  // A crash replays to a subscription what it was owed: what came before it was made, or raised from QoS 0, it was not.
  const since = before === undefined || (before.qos === 0 && qos !== 0) ? core.lastOffset + 1 : before.since;
  const subscription: Subscription = {
    kind: "session",
    session,
    filter,
    qos,
    noLocal,
    // A 3.1.1 client sees RETAIN only on messages that were retained before it subscribed [MQTT311-3.3.1-9].
    retainAsPublished: connection.version === 5 && retainAsPublished,
    identifier,
    since,
  };
  if (before !== undefined) core.tree.remove(filter, before);
  session.subscriptions.set(subscription);
  core.tree.add(filter, subscription);
  core.saving.subscribed(session, subscription, connection, before);
  if (sharedFilterOf(filter) !== null) return qos; // no retained messages (section 4.8.2)
  const wanted = retainHandling === 0 || (retainHandling === 1 && before === undefined); // [MQTT-3.3.1-9], [MQTT-3.3.1-10], [MQTT-3.3.1-11], [MQTT-3.8.4-4]
  if (wanted && asksForSystemTopics(filter)) core.greetSystem?.(session, subscription);
  if (wanted && core.retained.size > 0) {
    const before = core.lastOffset + 1;
    (session.retainedWanted ??= new Map()).set(filter, { subscription, before, after: null });
  }
  return qos;
}
