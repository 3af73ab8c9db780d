/**
 * QoS 2 to a client (MQTT 5.0 section 4.3.3, the sender): PUBLISH once the disk knows which message its identifier stands
 * for [MQTT-4.3.3-2], PUBREL once it knows that the client has it. Without a kept session, only the message itself has to be
 * on disk. Both are owed until they are answered [MQTT-4.3.3-3], [MQTT-4.3.3-5], [MQTT311-4.3.3-1].
 */
import { REASON } from "../wire/mqtt/mod.ts";
import { ANSWER } from "./acknowledgements.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import { Exchanges } from "./exchanges.ts";
import type { Session } from "./session.ts";

/**
 * Whether the QoS 2 entry at `sequence`, the next to be sent, may leave: its message is on disk, and in a kept session the
 * note that says which identifier stands for it. Names it and those behind it first, as far as the window goes.
 */
export function mayLeave(core: Core, session: Session, connection: Connection, sequence: number): boolean {
  const { outbox } = session;
  const exchanges = (outbox.exchanges ??= new Exchanges());
  const end = Math.min(outbox.tail, outbox.head + connection.window - exchanges.released.size);
  for (let at = Math.max(sequence, exchanges.namedUpTo); at < end && !outbox.isStored(at); at++) {
    exchanges.namedUpTo = at + 1;
    if (!outbox.isExactlyOnce(at) || outbox.isDone(at) || exchanges.identifier(at) !== undefined) continue;
    const note = core.notes.of(session);
    const packetId = exchanges.name(at);
    note.sent.push(packetId, outbox.offset(at), outbox.origin(at));
    if (outbox.mark(at) !== 0) note.shared.push(packetId, outbox.offset(at), outbox.origin(at));
    core.saving.exchanged(session);
  }
  if (exchanges.mayLeave(sequence, core.journal.durable)) return true;
  core.waitingForDisk.add(session);
  return false;
}

/**
 * PUBREC. The message is the client's now, or refused by it, and is not sent again either way [MQTT-4.3.3-6],
 * [MQTT-4.4.0-2]. PUBREL waits for the note of it: the client forgets the identifier on PUBREL, we must not forget before.
 * True where another message may be sent for it.
 */
export function acceptPubrec(connection: Connection, packetId: number, reasonCode: number): boolean {
  const { core } = connection;
  const session = connection.session!;
  const { outbox } = session;
  const { exchanges } = outbox;
  const sequence = exchanges?.place(packetId);
  if (exchanges === null || sequence === undefined || sequence >= outbox.sentBefore) {
    // Not known: the client may forget it too. Known from before: its PUBREL was sent on this connection, or is on its way
    // there; nothing is made to wait for the disk again and again because a client asks again and again.
    if (exchanges?.released.has(packetId) !== true) {
      core.meters.controlSent.value++;
      connection.out().acknowledge("pubrel", packetId, REASON.packetIdentifierNotFound);
    } else if (session.note?.received.includes(packetId) !== true && core.lastOffset < core.journal.durable) {
      sendPubrel(connection, packetId);
    }
    return false;
  }
  core.saving.exchanged(session);
  const refused = reasonCode >= REASON.unspecifiedError;
  if (refused) exchanges.forget(sequence);
  else release(core, session, sequence);
  outbox.finish(sequence);
  return refused;
}

/** The message will not be sent again; the identifier is released once that is on disk. */
function release(core: Core, session: Session, sequence: number): void {
  const packetId = session.outbox.exchanges!.release(sequence);
  if (session.persistent) core.notes.of(session).received.push(packetId);
  else if (session.connection !== null) sendPubrel(session.connection, packetId); // [MQTT-4.3.3-4]
}

/** Nothing for an identifier that the client has completed in the meantime. */
export function sendPubrel(connection: Connection, packetId: number): void {
  const exchanges = connection.session!.outbox.exchanges;
  if (exchanges?.released.has(packetId) !== true) return;
  connection.core.meters.controlSent.value++;
  connection.out().acknowledge("pubrel", packetId);
}

/** PUBCOMP, whatever its reason code says: the identifier is free again. True where another message may be sent for it. */
export function acceptPubcomp(connection: Connection, packetId: number): boolean {
  const session = connection.session!;
  const { exchanges } = session.outbox;
  if (exchanges === null || !exchanges.released.delete(packetId)) return false;
  connection.core.saving.exchanged(session);
  return true;
}

/** PUBRELs that no PUBCOMP has answered are sent again, in their order [MQTT-4.3.3-5], [MQTT-4.4.0-1], [MQTT-4.6.0-4]. */
export function resumeExchanges(connection: Connection, session: Session): void {
  const { core } = connection;
  const { exchanges } = session.outbox;
  if (exchanges === null || exchanges.released.size === 0) return;
  core.notes.write(session);
  for (const packetId of exchanges.released) {
    if (session.note?.received.includes(packetId) === true) continue; // leaves once the log takes the note
    core.acknowledgements.push(connection, packetId, ANSWER.pubrel, core.lastOffset);
  }
  core.planTurnEnd();
}

/**
 * The QoS 2 entry at `sequence` will not be sent: it expired, is too large, or not allowed any more. Where an earlier
 * connection may have carried it, the client may hold its identifier, and is told to let go of it. Where none did, that is
 * noted: after a crash, the note of its name would have it sent after all.
 */
export function giveUp(core: Core, session: Session, sequence: number): void {
  const { exchanges, sentBefore } = session.outbox;
  const identifier = exchanges?.identifier(sequence);
  if (exchanges === null || identifier === undefined) return;
  core.saving.exchanged(session);
  if (sequence >= sentBefore) {
    exchanges.forget(sequence);
    if (session.persistent && !core.restoring) core.notes.of(session).received.push(identifier);
  } else if (core.restoring) exchanges.release(sequence);
  else release(core, session, sequence);
}
