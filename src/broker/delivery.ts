/** From one accepted message to its subscribers; what cannot leave at once goes through their outboxes (`pump.ts`). */
import { reasonOf } from "../base/mod.ts";
import type { EpochMs, Message, QoS } from "../base/mod.ts";
import type { PublishView } from "../wire/mqtt/mod.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import { MANY } from "./publish-forms.ts";
import { pump } from "./pump.ts";
import { NOWHERE } from "./recent-frames.ts";
import type { Route, Target } from "./routes.ts";
import type { Session } from "./session.ts";
import type { SharedGroup } from "./shared-group.ts";
import { fullOutput, receiveForbidden, tooLarge, unclaimed } from "./undelivered.ts";

/** `place` of a message that no session has needed yet. */
export const NOT_KEPT_YET = -2;

/** The message that is being delivered is in `core.fanOut.forms`. */
let toMany = false;

/** The message that is being delivered has this place among the recent frames. Deliveries never interleave, but for `deliverToGroup`. */
let placeOfMessage = NOT_KEPT_YET;

/**
 * HOT: hands the message to everybody who subscribed [MQTT-4.5.0-1] with a filter that matches [MQTT-3.3.2-3], in the order
 * in which publishes come [MQTT-4.6.0-5], [MQTT-4.6.0-6].
 * `from` is the publisher's session, for No Local.
 */
export function deliver(
  core: Core,
  route: Route,
  view: PublishView,
  offset: number,
  receivedAt: EpochMs,
  from: Session | null,
): void {
  core.fanOut.settle();
  placeOfMessage = NOT_KEPT_YET;
  const { targets, groups } = route;
  toMany = targets.length >= MANY;
  if (toMany) core.fanOut.begin(view);
  for (let i = 0; i < targets.length; i++) {
    let target = targets[i]!;
    if (target.session === from) {
      if (target.own === null) continue; // [MQTT-3.8.3-3]
      target = target.own;
    }
    // The lower of the two [MQTT-3.8.4-8].
    if (view.qos === 0 || target.qos === 0) deliverOnce(core, target, route, view);
    else if (view.qos === 2 && target.qos === 2) deliverExactlyOnce(core, target, route, view, offset, receivedAt);
    else deliverAtLeastOnce(core, target, route, view, offset, receivedAt);
  }
  toMany = false;
  if (groups.length > 0) deliverShared(core, groups, route, view, offset, receivedAt);
}

/** What shared subscriptions are told of the message at hand; one object for all, because nobody keeps it. */
const offered = { qos: 0 as QoS, bytes: 0, replayed: null };

/** To one member of each group, whatever else that client has subscribed to: a copy of its own (section 4.8.2), [MQTT-3.3.4-5]. */
function deliverShared(
  core: Core,
  groups: readonly SharedGroup[],
  route: Route,
  view: PublishView,
  offset: number,
  receivedAt: EpochMs,
): void {
  offered.qos = view.qos;
  offered.bytes = view.end - view.start;
  for (const group of groups) {
    const target = group.choose(core, route, offered);
    if (target === null) {
      if (view.qos > 0 || group.hasPresent) unclaimed(core, route, group);
    } else if (view.qos === 0 || target.qos === 0) deliverOnce(core, target, route, view); // [MQTT-4.8.2-3]
    else if (view.qos === 2 && target.qos === 2) deliverExactlyOnce(core, target, route, view, offset, receivedAt);
    else deliverAtLeastOnce(core, target, route, view, offset, receivedAt);
  }
}

/** A message that waited for somebody. */
export interface Waited {
  readonly view: PublishView;
  readonly offset: number;
  readonly receivedAt: EpochMs;
  /** Among the recent frames, or `NOT_KEPT_YET`. */
  readonly place: number;
}

/**
 * To a member of the group, for another one that it waited for; returns whose queue it is in now, and who is to be pumped.
 * Null where it is in none. It may come in the middle of another delivery, whose message this one is not.
 */
export function deliverToGroup(core: Core, group: SharedGroup, route: Route, waited: Waited): Session | null {
  const { view, offset, receivedAt } = waited;
  const target = group.choose(core, route, { qos: view.qos, bytes: view.end - view.start, replayed: null });
  if (target === null) {
    unclaimed(core, route, group);
    return null;
  }
  const before = { placeOfMessage, toMany };
  toMany = false;
  placeOfMessage = waited.place;
  const atMostOnce = target.qos === 0;
  if (atMostOnce) deliverOnce(core, target, route, view);
  const isQueued = !atMostOnce && enqueue(core, target.session, target, route, view, offset, receivedAt);
  ({ placeOfMessage, toMany } = before);
  return isQueued ? target.session : null;
}

/** Services inside the platform; a failing one harms nobody else. */
export function deliverLocally(core: Core, message: Message, route: Route): void {
  for (const local of route.locals) {
    try {
      local.handler(message);
    } catch (error) {
      const fields = { topic: message.topic, filter: local.filter, error: reasonOf(error) };
      core.refusals.drop("handler-failed", "a service failed on a message", fields);
    }
  }
}

function deliverOnce(core: Core, target: Target, route: Route, view: PublishView): void {
  const { connection } = target.session;
  if (connection === null) return; // QoS 0 is for those who are there
  if (!mayReceive(target, connection, route, core)) return;
  if (!connection.hasRoom) {
    fullOutput(core, connection, route.topic);
    return;
  }
  const retain = view.retain && target.retainAsPublished; // [MQTT-3.3.1-12], [MQTT-3.3.1-13]
  const { identifiers } = target;
  if (identifiers === null && connection.maximumPacketSize === Infinity) forward(core, connection, view, 0, retain, 0);
  else {
    core.fanOut.isPlain = false;
    const sent = connection.send(view, route.topic, { qos: 0, retain, packetId: 0, identifiers });
    if (!sent) tooLarge(core, connection, route.topic);
  }
}

/** HOT. Messages at QoS 0 in forms, to those who were sent, or were to be sent, the one before them. */
export function handOut(
  core: Core,
  route: Route,
  targets: readonly Target[],
  from: Session | null,
  { messages, payloadBytes }: { readonly messages: number; readonly payloadBytes: number },
): void {
  const { forms } = core.fanOut;
  for (let i = 0; i < targets.length; i++) {
    let target = targets[i]!;
    if (target.session === from) {
      if (target.own === null) continue; // [MQTT-3.8.3-3]
      target = target.own;
    }
    const { connection } = target.session;
    if (connection === null) continue;
    if (!mayReceive(target, connection, route, core)) {
      for (let left = messages - 1; left > 0; left--) receiveForbidden(core, connection, route.topic);
      continue;
    }
    const form = forms.asked(connection.version, 0, false);
    if (form === null || !connection.hasRoom) {
      for (let left = messages; left > 0; left--) fullOutput(core, connection, route.topic);
      continue;
    }
    if (!connection.share(form.block, form.start, form.end)) connection.out().append(form.bytes, 0, 0);
    connection.countSent(payloadBytes, messages);
  }
}

function deliverAtLeastOnce(
  core: Core,
  target: Target,
  route: Route,
  view: PublishView,
  offset: number,
  receivedAt: EpochMs,
): void {
  const { session } = target;
  const { connection, outbox } = session;
  if (connection === null) {
    if (session.persistent) enqueue(core, session, target, route, view, offset, receivedAt);
    return;
  }
  if (!mayReceive(target, connection, route, core)) return;
  const behind = outbox.waiting > 0 || outbox.inFlight >= connection.window || !connection.hasRoom;
  if (behind || target.identifiers !== null || connection.maximumPacketSize !== Infinity) {
    if (enqueue(core, session, target, route, view, offset, receivedAt) && !behind) pump(core, session);
    return;
  }
  const retain = view.retain && target.retainAsPublished;
  const sequence = outbox.push(offset, view.end - view.start, retain, NOWHERE, null, false, target.mark);
  outbox.markSent();
  forward(core, connection, view, 1, retain, outbox.packetId(sequence));
}

function forward(
  core: Core,
  connection: Connection,
  view: PublishView,
  qos: QoS,
  retain: boolean,
  packetId: number,
): void {
  if (!toMany) {
    connection.forward(view, qos, retain, packetId);
    return;
  }
  if (connection.outgoingAliases !== null) {
    core.fanOut.isPlain = false; // who takes topic aliases has bytes of its own
    connection.forward(view, qos, retain, packetId);
    return;
  }
  const form = core.fanOut.forms.get(connection.version, qos, retain);
  const isShared = qos === 0 && connection.share(form.block, form.start, form.end);
  if (!isShared) connection.out().append(form.bytes, form.packetIdAt, packetId);
  connection.countSent(view.payloadEnd - view.payloadStart);
}

/** Through the outbox in any case: it leaves once it is on disk, and its identifier with it. */
function deliverExactlyOnce(
  core: Core,
  target: Target,
  route: Route,
  view: PublishView,
  offset: number,
  receivedAt: EpochMs,
): void {
  const { session } = target;
  const { connection } = session;
  if (connection === null && !session.persistent) return;
  if (connection !== null && !mayReceive(target, connection, route, core)) return;
  if (enqueue(core, session, target, route, view, offset, receivedAt) && connection !== null) pump(core, session);
}

/** False where the session's queue is full: the newest message is the one that is dropped. */
function enqueue(
  core: Core,
  session: Session,
  target: Target,
  route: Route,
  view: PublishView,
  offset: number,
  receivedAt: EpochMs,
): boolean {
  const bytes = view.end - view.start;
  const { outbox, connection } = session;
  if (connection !== null && outbox.waiting > core.limits.queuedMessagesMax / 4) connection.askPatience();
  if (isFull(core, session, bytes)) {
    const fields = {
      clientId: session.clientId,
      topic: route.topic,
      waiting: outbox.waiting,
      connected: connection !== null,
    };
    core.refusals.drop("queue-full", "a message was dropped: the session's queue is full", fields);
    return false;
  }
  if (placeOfMessage === NOT_KEPT_YET) placeOfMessage = core.recent.put(view, receivedAt);
  const exactlyOnce = view.qos === 2 && target.qos === 2;
  const retain = view.retain && target.retainAsPublished;
  outbox.push(offset, bytes, retain, placeOfMessage, target.identifiers, exactlyOnce, target.mark);
  if (connection === null) {
    session.queuedCounted++;
    session.queuedBytesCounted += bytes;
    core.queuedAbsent++;
    core.queuedBytesAbsent += bytes;
    core.saving.touched(session);
  }
  return true;
}

export function isFull(core: Core, session: Session, bytes: number): boolean {
  const { queuedBytesMax, queuedMessagesMax } = core.limits;
  const { waiting } = session.outbox;
  if (waiting >= core.queuedMessagesMax) {
    core.reached.count(waiting >= queuedMessagesMax ? "queuedMessagesMax" : "queuedTotalMessagesMax");
    return true;
  }
  if (session.outbox.bytes + bytes <= queuedBytesMax) return false;
  core.reached.count("queuedBytesMax");
  return true;
}

/** Whether the subscriber may have the topic now; asked once per route and revision of its policy. */
function mayReceive(target: Target, connection: Connection, route: Route, core: Core): boolean {
  if (target.mark !== 0) return true; // asked when the member was chosen, because it is a target of many routes
  const { authorizer } = connection;
  if (target.authorizer !== authorizer || target.authorizerRevision !== authorizer.revision) {
    target.authorizer = authorizer;
    target.authorizerRevision = authorizer.revision;
    target.mayReceive = authorizer.receive(route.topic);
  }
  if (!target.mayReceive) receiveForbidden(core, connection, route.topic);
  return target.mayReceive;
}
