/** A client's PUBLISH: rights, journal, subscribers, acknowledgement (MQTT 5.0 section 3.3). */
import { isTidewireError, reasonOf } from "../base/mod.ts";
import type { Message } from "../base/mod.ts";
import { PacketError, REASON, propertiesOf } from "../wire/mqtt/mod.ts";
import type { PublishView } from "../wire/mqtt/mod.ts";
import { explainRefusal } from "./answers.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import { deliver, deliverLocally } from "./delivery.ts";
import { expiryLeft } from "./pump.ts";
import { MANY } from "./publish-forms.ts";
import { examinedMessage, keptAside, marked, objectionTo } from "./examining.ts";
import type { Objection } from "./examining.ts";
import { copyOf, frameOf } from "./frame.ts";
import { isNewMessage, received as receivedOnce, refuseMessage } from "./receive-once.ts";
import { isClosed } from "./reserved-topics.ts";
import type { Route } from "./routes.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Nodes of the tree of filters that cost about as much as one delivery. */
const NODES_PER_DELIVERY = 8;

/** HOT. Takes the message and has it answered as its QoS asks [MQTT-3.3.4-1], under its packet identifier [MQTT-2.2.1-5]. */
export function acceptPublish(connection: Connection, received: PublishView): void {
  const { core } = connection;
  core.meters.received[received.qos].value++;
  core.meters.payloadReceived.value += received.payloadEnd - received.payloadStart;
  let view = received.topicAlias === 0 ? received : withoutAlias(connection, received);
  const route = core.routes.of(view);
  if (core.routes.nodesVisited > 0) spendOnMatch(connection);
  if (view.qos === 1 && !mayHaveOneMore(connection)) return;
  if (view.qos === 2 && !isNewMessage(connection, view.packetId)) return;
  if (!connection.mayPublish(route, view.retain)) {
    refusePublish(connection, route, view);
    return;
  }
  if (route.isExamined) {
    const fit = examined(connection, route, view);
    if (fit === null) return;
    view = fit;
  }
  const offset = append(connection, route, view);
  if (offset < 0) return;
  // Without RETAIN, what is retained stays as it is [MQTT-3.3.1-8].
  if (view.retain) retainFrom(connection, route, view, offset);
  if (route.isWanted) deliverFrom(connection, route, view, offset);
  if (view.qos === 1) {
    connection.unacknowledged++;
    core.acknowledgements.push(connection, view.packetId, REASON.success, offset);
  } else if (view.qos === 2) receivedOnce(connection, view.packetId, offset);
  if (core.pacing.wanted) core.pacing.hold(connection);
  if (route.isServed) serve(connection, route, view, offset);
  if (route.isWanted) connection.intake.spend(route.targets.length + route.groups.length);
}

function deliverFrom(connection: Connection, route: Route, view: PublishView, offset: number): void {
  const { core, session } = connection;
  const isForMany = route.targets.length >= MANY;
  if (isForMany && core.fanOut.follow(route, view, session)) return;
  deliver(core, route, view, offset, connection.receivedAt, session);
  if (isForMany) core.fanOut.open(route, view, session);
}

/** To what runs inside the platform: at once, or once it is on disk. */
function serve(connection: Connection, route: Route, view: PublishView, offset: number): void {
  const { core } = connection;
  const message = messageOf(connection, route, view);
  deliverLocally(core, message, route);
  for (const { service } of route.services) core.services.ask(service, connection, message, offset);
}

/** Filters of a fleet lead a topic through a dozen nodes; `+/+/+/…` in all combinations through as many as there are. */
function spendOnMatch(connection: Connection): void {
  const { routes } = connection.core;
  connection.intake.spend(routes.nodesVisited / NODES_PER_DELIVERY);
  routes.nodesVisited = 0;
}

/**
 * A message from inside the platform, or a will. `patient`: nobody was promised it, so nobody but subscribers waits until it
 * is on disk. Returns its offset; throws what the journal throws.
 */
export function publishMessage(core: Core, given: Message, patient = false): number {
  let view = frameOf(given);
  const route = core.routes.of(view);
  const message = route.isExamined ? examinedMessage(route, given) : given;
  const offset = core.journal.appendMessage(message, patient && !route.isWanted);
  core.lastOffset = offset;
  core.backlog.add(view.end);
  if (message.topic !== given.topic) {
    core.planTurnEnd(); // kept aside
    return offset;
  }
  if (message !== given) view = frameOf(message);
  if (view.retain) retain(core, route, view, offset, message.clientId, message.receivedAt);
  // A will is its client's own publish: No Local holds for it [MQTT-3.8.3-3].
  deliver(core, route, view, offset, message.receivedAt, core.sessions.get(message.clientId) ?? null);
  if (route.locals.length > 0) deliverLocally(core, message, route);
  core.planTurnEnd();
  return offset;
}

/** The packet as it is to be taken, with a mark where it has one; null where it is not taken, and the client knows. */
function examined(connection: Connection, route: Route, view: PublishView): PublishView | null {
  const payload = view.buffer.subarray(view.payloadStart, view.payloadEnd);
  const objection = objectionTo(route, payload, view.retain);
  if (objection === null) return view;
  const { refusals } = connection.core;
  const { schema, reason } = objection;
  const fix = `make the payload fit schema ${schema}: ${reason}`;
  const fields = { ...connection.describe(), topic: route.topic, schema, fix };
  if (objection.outcome === "flag") {
    refusals.refuse("unfit-flagged", "a message that does not fit its topic's schema was taken with a mark", fields);
    const properties = marked(propertiesOf(view), objection);
    const frame = frameOf({ topic: route.topic, payload, qos: view.qos, retain: view.retain, properties });
    frame.packetId = view.packetId;
    return frame;
  }
  if (objection.outcome === "keep-aside") {
    refusals.refuse("unfit-kept-aside", "a message that does not fit its topic's schema is a dead letter", fields);
    keepAside(connection, route, view, objection);
    return null;
  }
  refusals.refuse("unfit-refused", "a message that does not fit its topic's schema was refused", fields);
  if (connection.version === 5 && view.qos !== 0) {
    explainRefusal(connection, view.packetId, `schema ${schema}: ${reason}`);
    refuseOne(connection, view, REASON.payloadFormatInvalid);
  } else acknowledge(connection, view, connection.core.lastOffset); // 3.1.1 has no word for it, and would send it for ever
  return null;
}

/** Acknowledged once it is on disk, as what was taken. */
function keepAside(connection: Connection, route: Route, view: PublishView, objection: Objection): void {
  const { core } = connection;
  try {
    const offset = core.journal.appendMessage(keptAside(messageOf(connection, route, view), objection));
    core.lastOffset = offset;
    core.backlog.add(view.end - view.start);
    acknowledge(connection, view, offset);
    if (core.backlog.crowded) core.backlog.hold(connection);
  } catch (error) {
    refuseForJournal(connection, view, error);
  }
}

function acknowledge(connection: Connection, view: PublishView, offset: number): void {
  if (view.qos === 1) {
    connection.unacknowledged++;
    connection.core.acknowledgements.push(connection, view.packetId, REASON.success, offset);
  } else if (view.qos === 2) receivedOnce(connection, view.packetId, offset);
  connection.core.planTurnEnd();
}

/** Takes the message into the journal; -1 where it was refused and the client knows. */
function append(connection: Connection, route: Route, view: PublishView): number {
  const { core } = connection;
  try {
    const identified = view.qos === 2 && connection.session!.persistent;
    const offset = core.journal.append(route.topic, view, connection.publisher, connection.receivedAt, identified);
    core.lastOffset = offset;
    core.backlog.add(view.end - view.start);
    core.planTurnEnd();
    if (core.backlog.crowded) core.backlog.hold(connection);
    return offset;
  } catch (error) {
    refuseForJournal(connection, view, error);
    return -1;
  }
}

function messageOf(connection: Connection, route: Route, view: PublishView): Message {
  const { clientId, thing } = connection.publisher;
  const { qos, retain } = view;
  const payload = copyOf(view.buffer, view.payloadStart, view.payloadEnd);
  const properties = propertiesOf(view);
  return { topic: route.topic, payload, qos, retain, clientId, thing, receivedAt: connection.receivedAt, properties };
}

/** Resolves the alias (section 3.3.2.3.4) into a packet with its topic and without the alias, so that nothing else meets one. */
function withoutAlias(connection: Connection, view: PublishView): PublishView {
  const { limits } = connection.core;
  if (view.topicAlias > limits.topicAliasMax) {
    // [MQTT-3.3.2-9]; all up to there are taken [MQTT-3.3.2-12]
    connection.core.reached.count("topicAliasMax");
    throw new PacketError(REASON.topicAliasInvalid, `topic alias ${view.topicAlias} is above ${limits.topicAliasMax}`);
  }
  const aliases = (connection.aliases ??= []);
  if (view.topicEnd > view.topicStart) {
    connection.core.routes.of(view); // throws where the topic is not valid
    aliases[view.topicAlias] = copyOf(view.buffer, view.topicStart, view.topicEnd);
  }
  const bytes = aliases[view.topicAlias];
  if (bytes === undefined)
    throw new PacketError(REASON.protocolError, `topic alias ${view.topicAlias} was never given`);
  const { qos, retain, payloadStart, payloadEnd } = view;
  const payload = view.buffer.subarray(payloadStart, payloadEnd);
  const frame = frameOf({ topic: utf8.decode(bytes), payload, qos, retain, properties: propertiesOf(view) });
  frame.packetId = view.packetId;
  return frame;
}

/**
 * [MQTT-3.3.4-7]: more unacknowledged publishes than our Receive Maximum end an MQTT 5.0 connection. 3.1.1 knows no such
 * number, so its clients are merely not read from until the disk has caught up.
 */
function mayHaveOneMore(connection: Connection): boolean {
  const { inflightMax } = connection.core.limits;
  if (connection.unacknowledged < inflightMax) return true;
  if (connection.version === 4) {
    if (!connection.isHeld("acknowledgements")) connection.core.reached.count("inflightMax");
    connection.holdRead("acknowledgements");
    return true;
  }
  connection.core.reached.count("inflightMax");
  const detail = `more than ${inflightMax} publishes wait for an acknowledgement`;
  connection.refuse("receive-maximum", REASON.receiveMaximumExceeded, "CLIENT_ERROR", detail);
  return false;
}

function refusePublish(connection: Connection, route: Route, view: PublishView): void {
  const { core } = connection;
  const action = view.retain ? "iot:Publish and iot:RetainPublish" : "iot:Publish";
  const fix = isClosed(core, route.topic, view.retain)
    ? "publish elsewhere: this topic is the platform's own, and no policy opens it"
    : `allow ${action} on the topic in the client's policy`;
  const fields = { topic: route.topic, retain: view.retain, fix };
  if (connection.version === 5 && view.qos !== 0) {
    core.refusals.refuse("publish-forbidden", "a publish was refused by policy", {
      ...connection.describe(),
      ...fields,
    });
    refuseOne(connection, view, REASON.notAuthorized);
    return;
  }
  // Nothing else can tell this client, so it is disconnected [MQTT311-3.3.5-2], as AWS IoT does.
  const detail = "not authorized to publish to this topic";
  connection.refuse("publish-forbidden", REASON.notAuthorized, "FORBIDDEN_ACCESS", detail, fields);
}

/** A PUBACK or PUBREC with a refusal, in its turn behind those that wait for the disk [MQTT-4.6.0-2]. */
function refuseOne(connection: Connection, view: PublishView, reasonCode: number): void {
  if (view.qos === 2) {
    refuseMessage(connection, view.packetId, reasonCode);
    return;
  }
  connection.unacknowledged++;
  connection.core.acknowledgements.push(connection, view.packetId, reasonCode, connection.core.lastOffset);
  connection.core.planTurnEnd();
}

function refuseForJournal(connection: Connection, view: PublishView, error: unknown): void {
  const { core } = connection;
  const full = isTidewireError(error) && error.entry.mqtt === REASON.quotaExceeded;
  const kind = full ? "journal-full" : "journal-failed";
  const fields = { ...connection.describe(), error: reasonOf(error) };
  if (full && view.qos === 0) core.refusals.refuse(kind, "a QoS 0 message was not taken: the log is full", fields);
  else if (full && connection.version === 5) {
    core.refusals.refuse(kind, "a publish was refused: the log is full", fields);
    refuseOne(connection, view, REASON.quotaExceeded);
  } else {
    // Never acknowledged: the client keeps the message and sends it again [MQTT311-4.8.0-2].
    const code = isTidewireError(error) ? error.entry.mqtt : undefined;
    connection.refuse(
      kind,
      code ?? REASON.implementationSpecificError,
      "SERVER_ERROR",
      "the platform cannot store messages now",
      {
        error: reasonOf(error),
      },
    );
  }
}

function retainFrom(connection: Connection, route: Route, view: PublishView, offset: number): void {
  const { core } = connection;
  retain(core, route, view, offset, connection.publisher.clientId, connection.receivedAt);
  if (!core.retained.crowded) return;
  core.saving.progressSoon();
  const limit = core.retained.limitReached;
  if (limit === null) return;
  core.reached.count(limit);
  core.retained.hold(connection);
}

/**
 * Keeps the message as its topic's retained one; an empty payload removes it [MQTT-3.3.1-5], [MQTT-3.3.1-6],
 * [MQTT-3.3.1-7]. Whether there is room for it is known once it is saved.
 */
export function retain(
  core: Core,
  { topic }: Route,
  view: PublishView,
  offset: number,
  clientId: string,
  receivedAt: number,
): void {
  if (view.payloadStart === view.payloadEnd) {
    core.retained.change({ topic, frame: null, offset, clientId, receivedAt, expiresAt: null });
    return;
  }
  const payload = view.buffer.subarray(view.payloadStart, view.payloadEnd);
  const frame = frameOf({ topic, payload, qos: view.qos, retain: true, properties: propertiesOf(view) }).buffer;
  const seconds = expiryLeft(view, 0, 0);
  const expiresAt = seconds === null ? null : receivedAt + seconds * 1000;
  core.retained.change({ topic, frame, offset, clientId, receivedAt, expiresAt });
}
