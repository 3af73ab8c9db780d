/** From a session's outbox to its client, and retained messages past it where nothing waits. */
import { reasonOf } from "../base/mod.ts";
import type { EpochMs, QoS } from "../base/mod.ts";
import { propertiesOf } from "../wire/mqtt/mod.ts";
import type { PublishView } from "../wire/mqtt/mod.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import { giveUp, mayLeave } from "./deliver-once.ts";
import { FrameView, frameOf } from "./frame.ts";
import { NOWHERE } from "./recent-frames.ts";
import type { Retained } from "./retained.ts";
import type { RetainedWanted, Session } from "./session.ts";
import { receiveForbidden, tooLarge } from "./undelivered.ts";

/** Messages read from the journal at once for one session, and where to stop before that. */
const READ_AHEAD = 64;
const READ_AHEAD_BYTES = 256 * 1024;
/** Entries of a session's outbox that are brought back from the state store at once: some milliseconds. */
const STORED_AT_ONCE = 2000;

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
    if (!core.handOver.pass(session, sequence, view, receivedAt)) receiveForbidden(core, connection, topic);
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
