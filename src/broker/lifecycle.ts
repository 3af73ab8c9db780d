/** How connections leave, and how sessions and wills live on without them (MQTT 5.0 sections 3.1.2.5 and 4.1). */
import { isTidewireError, reasonOf, sharedFilterOf } from "../base/mod.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import type { DisconnectCause } from "./presence.ts";
import { publishMessage } from "./publish.ts";
import { disown, vacate } from "./quotas.ts";
import { dropAnswers } from "./services.ts";
import type { Session, StandingWill } from "./session.ts";

/** Version numbers kept for clients that left no session. */
const VERSION_NUMBERS_KEPT = 20_000;
/** Sessions whose end or will is looked after in one turn. */
const DUE_AT_ONCE = 500;

/** Parts the connection from its session. Harmless when that has happened already. */
export function detach(connection: Connection, cause: DisconnectCause, withWill: boolean): void {
  const { core, session } = connection;
  if (session === null || session.connection !== connection) return;
  session.connection = null;
  vacate(connection);
  dropAnswers(session);
  core.waitingForDisk.delete(session);
  if (withWill) session.will = connection.will; // [MQTT-3.1.2-8], [MQTT-3.1.2-10]
  connection.will = null;
  tellPresence(connection, "disconnected", cause);
  if (session.expirySeconds === 0 && !(core.closing && session.will !== null)) {
    endSession(core, session);
    return;
  }
  const now = core.now();
  session.outbox.rewind(); // [MQTT-3.1.2-23]: all the rest stays as it is
  if (session.outbox.exchanges?.idle === true) session.outbox.exchanges = null;
  if (session.received?.size === 0) session.received = null;
  session.expiresAt = now + session.expirySeconds * 1000;
  session.disconnectedAt = core.clock.now();
  if (session.will !== null) {
    session.willAt = now + session.will.will.delaySeconds * 1000;
    // A server that stops keeps wills for its next start (section 3.1.2.5): the client may come back to that one.
    if (session.will.will.delaySeconds === 0 && !core.closing) publishWill(core, session);
  }
  away(core, session);
  core.saving.touched(session);
  core.saving.changed(session);
}

/** The session is without a connection: time may end it, or make its will due, and what it owes is counted apart. */
export function away(core: Core, session: Session): void {
  core.deadlines.set(session, Math.min(session.expiresAt ?? Infinity, session.willAt ?? Infinity));
  countAbsent(core, session);
  if (session.will !== null) core.absentWithWill.add(session);
  else core.absentWithWill.delete(session);
  if (session.saved) session.outbox.leave(session.savedTail);
}

/** It has a connection again, or is over. */
export function back(core: Core, session: Session): void {
  core.deadlines.delete(session);
  core.absentWithWill.delete(session);
  core.queuedAbsent -= session.queuedCounted;
  core.queuedBytesAbsent -= session.queuedBytesCounted;
  session.queuedCounted = session.queuedBytesCounted = 0;
}

/** What it owes without a connection has changed. */
function countAbsent(core: Core, session: Session): void {
  const { size, bytes } = session.outbox;
  core.queuedAbsent += size - session.queuedCounted;
  core.queuedBytesAbsent += bytes - session.queuedBytesCounted;
  session.queuedCounted = size;
  session.queuedBytesCounted = bytes;
}

/**
 * The session is over: its will is due now (section 3.1.3.2.2), and nothing of it remains. What its client had retained is no
 * part of it [MQTT311-3.1.2-7].
 */
export function endSession(core: Core, session: Session): void {
  if (session.ended) return;
  session.ended = true;
  const subscriptions = session.subscriptions.list();
  const wasMember = session.leftGroup || subscriptions.some(({ filter }) => sharedFilterOf(filter) !== null);
  for (const subscription of subscriptions) core.tree.remove(subscription.filter, subscription);
  session.subscriptions.clear();
  session.retainedWanted = null;
  back(core, session);
  core.waitingForDisk.delete(session);
  if (core.sessions.get(session.clientId) === session) core.sessions.delete(session.clientId);
  rememberVersion(core, session);
  disown(core, session);
  if (session.will !== null) publishWill(core, session);
  if (!core.handOver.take(session, wasMember)) core.saving.ended(session);
}

function rememberVersion(core: Core, session: Session): void {
  const { versionNumbers } = core;
  versionNumbers.delete(session.clientId);
  versionNumbers.set(session.clientId, session.versionNumber);
  if (versionNumbers.size <= VERSION_NUMBERS_KEPT) return;
  for (const oldest of versionNumbers.keys()) {
    versionNumbers.delete(oldest);
    return;
  }
}

function publishWill(core: Core, session: Session): void {
  const standing = session.will!;
  session.will = null;
  session.willAt = null;
  if (!mayStillPublish(core, standing)) {
    const fields = { clientId: session.clientId, thing: standing.thing, topic: standing.will.topic };
    core.refusals.refuse(
      "will-refused",
      "a will was not published: its client may no longer publish to the topic",
      fields,
    );
    return;
  }
  const { topic, payload, qos, retain, properties } = standing.will;
  const { clientId } = session;
  const receivedAt = core.clock.now();
  try {
    // Retained or not as the client asked [MQTT-3.1.2-14], [MQTT-3.1.2-15].
    session.willOffset = publishMessage(core, {
      topic,
      payload,
      qos,
      retain,
      clientId,
      thing: standing.thing,
      receivedAt,
      properties,
    });
  } catch (error) {
    const unfit = isTidewireError(error) && error.code === "PAYLOAD_UNFIT";
    const why = unfit ? "it does not fit its topic's schema" : "the log does not take it";
    core.refusals.refuse(unfit ? "unfit-refused" : "journal-failed", `a will was lost: ${why}`, {
      clientId,
      topic,
      error: reasonOf(error),
    });
  }
}

/** By the policies as they are now, also where the client was connected to an earlier run. */
function mayStillPublish({ options }: Core, { will: { topic, retain }, authorizer, owner }: StandingWill): boolean {
  if (authorizer !== null) return authorizer.publish(topic, retain);
  return owner === null || options.gatekeeper.mayPublishKept?.(owner, topic, retain) !== false;
}

/** Ends sessions whose time is over, and publishes wills; some hundred in one turn: many that came at the same time leave at the same time. */
export function sweepAbsent(core: Core): void {
  const now = core.now();
  for (let i = 0; i < DUE_AT_ONCE; i++) {
    const session = core.deadlines.take(now);
    if (session === null) return;
    if (session.expiresAt !== null && now >= session.expiresAt) {
      core.sessionsExpired++;
      endSession(core, session); // [MQTT-4.1.0-2]
    } else {
      if (session.willAt !== null && now >= session.willAt) publishWill(core, session);
      away(core, session);
      core.saving.changed(session);
    }
  }
  core.options.scheduler.defer(() => {
    if (!core.closing) sweepAbsent(core);
  });
}

export function tellPresence(
  connection: Connection,
  type: "connected" | "disconnected",
  reason: DisconnectCause | null,
): void {
  const { core, publisher, peer, sessionIdentifier } = connection;
  const { clientId, thing } = publisher;
  const { certificateId, remoteAddress } = peer;
  const { versionNumber } = connection.session!;
  const at = core.clock.now();
  const level = type === "connected" || reason === "CLIENT_INITIATED_DISCONNECT" ? "debug" : "info";
  core.logger[level](`a client ${type}`, { clientId, thing, remoteAddress, reason });
  core.tellPresence({
    type,
    clientId,
    thing,
    certificateId,
    principal: connection.principal,
    at,
    remoteAddress,
    reason,
    sessionIdentifier,
    versionNumber,
  });
}
