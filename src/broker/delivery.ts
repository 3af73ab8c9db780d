/** From one accepted message to its subscribers, and from a session's outbox to its client. */
import { reasonOf } from "../base/mod.ts";
import type { EpochMs, Message, QoS } from "../base/mod.ts";
import { propertiesOf } from "../wire/mqtt/mod.ts";
import type { PublishView } from "../wire/mqtt/mod.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import { giveUp, mayLeave } from "./deliver-once.ts";
import { FrameView, frameOf } from "./frame.ts";
import { PublishForms } from "./publish-forms.ts";
import { NOWHERE } from "./recent-frames.ts";
import type { Route, Target } from "./routes.ts";
import type { Retained } from "./retained.ts";
import type { RetainedWanted, Session } from "./session.ts";
import type { SharedGroup } from "./shared-group.ts";

/** Messages read from the journal at once for one session, and where to stop before that. */
const READ_AHEAD = 64;
const READ_AHEAD_BYTES = 256 * 1024;
/** Entries of a session's outbox that are brought back from the state store at once: some milliseconds. */
const STORED_AT_ONCE = 2000;
/** `place` of a message that no session has needed yet. */
const NOT_KEPT_YET = -2;

/** From so many subscribers on a message is encoded ahead and then copied to each: one copy more, and cheaper ones. */
const MANY = 4;
const forms = new PublishForms();
/** The message that is being delivered is in `forms`. */
let toMany = false;

/** The message that is being delivered has this place among the recent frames. Deliveries never interleave. */
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
  placeOfMessage = NOT_KEPT_YET;
  const { targets, groups } = route;
  toMany = targets.length >= MANY;
  if (toMany) forms.begin(view);
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

/** A message that was owed to a member whose session ended, to another one. */
export function deliverToGroup(
  core: Core,
  group: SharedGroup,
  route: Route,
  view: PublishView,
  offset: number,
  receivedAt: EpochMs,
): void {
  placeOfMessage = NOT_KEPT_YET;
  offered.qos = view.qos;
  offered.bytes = view.end - view.start;
  const target = group.choose(core, route, offered);
  if (target === null) unclaimed(core, route, group);
  else if (target.qos === 0) deliverOnce(core, target, route, view);
  else if (enqueue(core, target.session, target, route, view, offset, receivedAt)) pump(core, target.session);
}

function unclaimed(core: Core, route: Route, group: SharedGroup): void {
  const fields = { topic: route.topic, filter: group.written, members: group.size };
  core.refusals.drop("share-unclaimed", "a message was dropped: no member of the shared subscription takes it", fields);
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
    core.countFullOutput();
    const fields = { ...connection.describe(), topic: route.topic };
    core.refusals.drop("slow-subscriber", "a QoS 0 message was dropped: the subscriber does not keep up", fields);
    return;
  }
  const retain = view.retain && target.retainAsPublished; // [MQTT-3.3.1-12], [MQTT-3.3.1-13]
  const { identifiers } = target;
  if (identifiers === null && connection.maximumPacketSize === Infinity) forward(connection, view, 0, retain, 0);
  else if (!connection.send(view, route.topic, { qos: 0, retain, packetId: 0, identifiers })) {
    tooLarge(core, connection, route.topic);
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
  forward(connection, view, 1, retain, outbox.packetId(sequence));
}

function forward(connection: Connection, view: PublishView, qos: QoS, retain: boolean, packetId: number): void {
  // Who takes topic aliases has bytes of its own.
  if (!toMany || connection.outgoingAliases !== null) {
    connection.forward(view, qos, retain, packetId);
    return;
  }
  const { bytes, packetIdAt, payloadBytes } = forms.get(connection.version, qos, retain);
  connection.out().append(bytes, packetIdAt, packetId);
  connection.countSent(payloadBytes);
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

function receiveForbidden(core: Core, connection: Connection, topic: string): void {
  const fields = { ...connection.describe(), topic, fix: "allow iot:Receive on the topic in the client's policy" };
  core.refusals.drop(
    "receive-forbidden",
    "a message was not delivered: the subscriber may not receive its topic",
    fields,
  );
}

function tooLarge(core: Core, connection: Connection, topic: string): void {
  const fields = { ...connection.describe(), topic, maximumPacketSize: connection.maximumPacketSize };
  core.refusals.drop(
    "too-large",
    "a message was not delivered: larger than the subscriber's Maximum Packet Size",
    fields,
  );
}

// ── from the outbox to the client ──────────────────────────────────────────────────────────────

/** Reused by `pump`, which never calls itself while it holds a frame. */
const recentView = new FrameView();

/** Sends what waits, in order, as far as the client's window and output allow. */
export function pump(core: Core, session: Session): void {
  const { connection, outbox } = session;
  if (connection === null || connection.state !== "connected" || session.reading) return;
  while (outbox.waiting > 0) {
    if (outbox.inFlight >= connection.window || !connection.hasRoom) return; // [MQTT-4.9.0-2]; nothing but messages waits for it [MQTT-3.3.4-10], [MQTT-4.9.0-3]
    const sequence = outbox.sent;
    if (outbox.isStored(sequence)) {
      void loadStored(core, session, connection);
      return;
    }
    if (outbox.isDone(sequence)) {
      skip(core, session);
      continue;
    }
    if (outbox.isExactlyOnce(sequence) && !mayLeave(core, session, connection, sequence)) return;
    if (core.recent.get(outbox.place(sequence), recentView)) {
      sendNext(core, session, connection, recentView, core.routes.of(recentView).topic, core.recent.receivedAt);
      continue;
    }
    if (outbox.offset(sequence) < core.journal.durable) {
      void readBack(core, session, connection);
      return;
    } else {
      core.waitingForDisk.add(session);
      return;
    }
  }
  if (session.retainedWanted !== null && connection.hasRoom) core.lookups.plan(session);
}

/** The first waiting entry is not sent. */
export function skip(core: Core, session: Session): void {
  const { outbox } = session;
  const sequence = outbox.sent;
  if (outbox.exchanges !== null) giveUp(core, session, sequence);
  outbox.markSent();
  outbox.finish(sequence);
}

/** Sends the first waiting entry, whose message is `view`; or finishes it where it may not or need not be sent. */
function sendNext(
  core: Core,
  session: Session,
  connection: Connection,
  view: PublishView,
  topic: string,
  receivedAt: EpochMs,
): void {
  const { outbox } = session;
  const sequence = outbox.sent;
  const dup = sequence < outbox.sentBefore; // [MQTT-3.3.1-1], [MQTT-4.3.3-2], [MQTT-4.3.3-3]
  if (!connection.authorizer.receive(topic)) {
    if (!core.handOver.pass(session, sequence)) receiveForbidden(core, connection, topic);
    skip(core, session);
    return;
  }
  const expirySeconds = expiryLeft(view, receivedAt, core.clock.now());
  const qos = outbox.isExactlyOnce(sequence) ? 2 : 1;
  // What was sent before does not expire any more [MQTT-4.3.3-7].
  const begun = sequence < (qos === 2 ? outbox.sentBefore : outbox.begunBefore);
  if (expirySeconds !== null && expirySeconds <= 0 && !begun) {
    if (outbox.head < sequence) core.saving.exchanged(session); // to be known for finished after a crash
    const fields = { clientId: session.clientId, topic };
    core.refusals.drop("expired", "a message was not delivered: it expired while it waited", fields); // [MQTT-3.3.2-5]
    skip(core, session);
    return;
  }
  const again = dup || expirySeconds !== null ? { dup, expirySeconds: atLeastZero(expirySeconds) } : null;
  const packetId = qos === 2 ? outbox.exchanges!.identifier(sequence)! : outbox.packetId(sequence);
  const identifiers = outbox.identifiers(sequence);
  const sent = connection.send(view, topic, { qos, retain: outbox.retain(sequence), packetId, identifiers }, again);
  if (sent) outbox.markSent();
  else {
    tooLarge(core, connection, topic);
    skip(core, session);
  }
}

function atLeastZero(seconds: number | null): number | null {
  return seconds === null ? null : Math.max(0, seconds);
}

/** Seconds that the message has left; null where it does not expire. */
export function expiryLeft(view: PublishView, receivedAt: EpochMs, now: EpochMs): number | null {
  const expiry = propertiesOf(view)?.messageExpirySeconds;
  if (expiry === undefined) return null;
  return expiry - Math.max(0, Math.floor((now - receivedAt) / 1000));
}

/** Brings the next entries of a session that was away back from the state store. */
async function loadStored(core: Core, session: Session, connection: Connection): Promise<void> {
  const { outbox, clientId } = session;
  const sequence = outbox.sent;
  session.reading = true;
  try {
    const chunks = await core.options.state.queued(clientId, sequence, STORED_AT_ONCE);
    if (session.connection === connection) {
      outbox.bringBack(chunks);
      if (outbox.isStored(sequence)) {
        const fields = { ...connection.describe(), lost: outbox.loseStored() };
        core.logger.error("queued messages of a session are not in the state store any more", fields);
      }
      if (!outbox.hasStored) core.saving.changed(session); // nothing keeps the store from forgetting one that ends now
    }
  } catch (error) {
    const fields = { ...connection.describe(), error: reasonOf(error) };
    core.logger.error("queued messages of a session cannot be read from the state store", fields);
    connection.refuse("state-failed", 0x83, "SERVER_ERROR", "the platform cannot read the session's queue");
  } finally {
    session.reading = false;
    pump(core, session); // somebody else may be here now, and has waited for this
  }
}

/** Reads the next waiting messages from the journal and sends them. Off the hot path: the session is behind. */
async function readBack(core: Core, session: Session, connection: Connection): Promise<void> {
  const { outbox } = session;
  const first = outbox.sent;
  const room = Math.min(READ_AHEAD, connection.window - outbox.inFlight, outbox.waiting);
  const reads: Promise<Kept | null>[] = [];
  let bytes = 0;
  for (let i = 0; i < room && bytes < READ_AHEAD_BYTES; i++) {
    if (outbox.isStored(first + i) || outbox.offset(first + i) >= core.journal.durable) break;
    bytes += outbox.sizeOf(first + i);
    reads.push(readKept(core, outbox.offset(first + i)));
  }
  session.reading = true;
  let messages: (Kept | null)[];
  try {
    messages = await Promise.all(reads);
  } catch (error) {
    session.reading = false;
    core.logger.error("messages of a session cannot be read from the log", {
      ...connection.describe(),
      error: reasonOf(error),
    });
    // Kept in the session: the client comes back and asks again.
    connection.refuse("journal-failed", 0x83, "SERVER_ERROR", "the platform cannot read its log");
    pump(core, session); // somebody else may be here now, and has waited for this
    return;
  }
  session.reading = false;
  if (session.connection !== connection) {
    pump(core, session); // somebody else is here now; it starts from the beginning
    return;
  }
  for (let i = 0; i < messages.length && outbox.sent === first + i; i++) {
    if (connection.isOver || outbox.inFlight >= connection.window || !connection.hasRoom) break;
    if (outbox.isDone(first + i)) skip(core, session);
    else if (outbox.isExactlyOnce(first + i) && !mayLeave(core, session, connection, first + i)) break;
    else sendReadBack(core, session, connection, messages[i]!);
  }
  pump(core, session);
}

/** A message that has left memory. */
interface Kept {
  readonly frame: PublishView;
  readonly topic: string;
  readonly receivedAt: EpochMs;
}

/** From the journal, or from the retained messages, which may be older than anything that the journal keeps. */
async function readKept(core: Core, offset: number): Promise<Kept | null> {
  const message = await core.journal.read(offset);
  if (message === null) return core.retained.at(offset);
  return { frame: frameOf(message), topic: message.topic, receivedAt: message.receivedAt };
}

function sendReadBack(core: Core, session: Session, connection: Connection, message: Kept | null): void {
  if (message !== null) {
    sendNext(core, session, connection, message.frame, message.topic, message.receivedAt);
    return;
  }
  const fields = { clientId: session.clientId, offset: session.outbox.offset(session.outbox.sent) };
  core.refusals.drop("no-longer-kept", "a message was not delivered: the log's retention has removed it", fields);
  skip(core, session);
}

// ── retained messages ──────────────────────────────────────────────────────────────────────────

/** Sends one message that was there before the subscription was. */
export function sendRetained(
  core: Core,
  session: Session,
  connection: Connection,
  retained: Retained,
  { subscription, before }: RetainedWanted,
): void {
  const { frame, topic } = retained;
  if (retained.offset >= before) return; // delivered as it came
  if (subscription.noLocal && retained.clientId === session.clientId) return;
  if (!connection.authorizer.receive(topic)) {
    receiveForbidden(core, connection, topic);
    return;
  }
  const expirySeconds = expiryLeft(frame, retained.receivedAt, core.clock.now());
  if (expirySeconds !== null && expirySeconds <= 0) return;
  const again = expirySeconds === null ? null : { dup: false, expirySeconds };
  const identifiers = subscription.identifier === 0 ? null : [subscription.identifier];
  const { outbox } = session;
  const qos = Math.min(frame.qos, subscription.qos) as QoS;
  if (qos === 2 || (qos === 1 && outbox.waiting > 0)) {
    // Those at QoS 2 wait for the disk, and the others behind them for their turn; `pump` finds them by their offset.
    outbox.push(retained.offset, frame.end - frame.start, true, NOWHERE, identifiers, qos === 2);
    return;
  }
  const packetId = qos === 0 ? 0 : outbox.packetId(outbox.tail);
  // A retained message is sent with RETAIN set, whatever the options say [MQTT311-3.3.1-8].
  if (!connection.send(frame, topic, { qos, retain: true, packetId, identifiers }, again)) {
    tooLarge(core, connection, topic);
  } else if (qos === 1) {
    outbox.push(retained.offset, frame.end - frame.start, true, NOWHERE, identifiers);
    outbox.markSent();
  }
}
