/**
 * QoS 2 from a client (MQTT 5.0 section 4.3.3, the receiver): PUBREC once the message is on disk, PUBCOMP once its release
 * is. In a kept session both survive a crash of ours (docs/decisions/0004). [MQTT311-4.3.3-2]
 */
import { REASON } from "../wire/mqtt/mod.ts";
import { ANSWER } from "./acknowledgements.ts";
import { refuseInWords } from "./answers.ts";
import type { Connection } from "./connection.ts";
import { sendPubrel } from "./deliver-once.ts";
import { IdentifierSet } from "./identifier-set.ts";
import type { Session } from "./session.ts";

/**
 * Whether the PUBLISH is a new message. One that we have is answered with PUBREC again, and nothing else happens
 * [MQTT-4.3.3-10]. DUP says nothing about it: only the identifier counts.
 */
export function isNewMessage(connection: Connection, packetId: number): boolean {
  const { core } = connection;
  const session = connection.session!;
  if (!mayOpenOneMore(connection, session, packetId)) return false;
  // Its release is on its way to the disk: the note has to stand before the message that uses the identifier again.
  if (session.note?.released.includes(packetId) === true && !core.notes.write(session)) {
    const detail = "the platform cannot store messages now";
    connection.refuse("journal-failed", REASON.implementationSpecificError, "SERVER_ERROR", detail);
    return false;
  }
  if (session.received === null || !session.received.has(packetId)) return true;
  countOpen(connection, packetId);
  answerLater(connection, packetId, ANSWER.pubrec, core.lastOffset);
  return false;
}

/** The message is in the log, at `offset`. PUBREC leaves once it is on disk [MQTT-4.3.3-8]. */
export function received(connection: Connection, packetId: number, offset: number): void {
  const { core } = connection;
  const session = connection.session!;
  session.received ??= new IdentifierSet();
  session.received.add(packetId);
  core.saving.exchanged(session);
  countOpen(connection, packetId);
  answerLater(connection, packetId, ANSWER.pubrec, offset);
}

/** PUBREC with a refusal: the message is not ours, and its identifier is free [MQTT-4.3.3-9]. */
export function refuseMessage(connection: Connection, packetId: number, reasonCode: number): void {
  answerLater(connection, packetId, ANSWER.pubrec + reasonCode, connection.core.lastOffset);
}

/**
 * [MQTT-3.3.4-7]: QoS 2 counts from PUBLISH to PUBCOMP, or to a PUBREC with a refusal. 3.1.1 knows no such number; its
 * clients, and those whose identifiers are left over from earlier connections, meet the limit of the session.
 */
function mayOpenOneMore(connection: Connection, session: Session, packetId: number): boolean {
  const { limits } = connection.core;
  const open = connection.exchanges?.has(packetId) === true;
  if (connection.version === 5 && !open && connection.unacknowledged >= limits.inflightMax) {
    connection.core.reached.count("inflightMax");
    const detail = `more than ${limits.inflightMax} publishes wait for an acknowledgement`;
    connection.refuse("receive-maximum", REASON.receiveMaximumExceeded, "CLIENT_ERROR", detail);
    return false;
  }
  if (session.received === null || session.received.size < limits.identifiersUnreleasedMax) return true;
  if (session.received.has(packetId)) return true;
  connection.core.reached.count("identifiersUnreleasedMax");
  const detail = `${session.received.size} QoS 2 messages were never released; send PUBREL, or connect with a clean start`;
  connection.refuse("receive-maximum", REASON.receiveMaximumExceeded, "CLIENT_ERROR", detail);
  return false;
}

function countOpen(connection: Connection, packetId: number): void {
  if (connection.version !== 5) return;
  connection.exchanges ??= new IdentifierSet();
  if (connection.exchanges.add(packetId)) connection.unacknowledged++;
}

/**
 * Not known to us: 0x92, but not to a client that resumed its session, whose PUBCOMP may have been lost with the connection
 * or with our last process. "This is not an error during recovery" (MQTT 5.0 table 3.9), and clients such as MQTT.js
 * report any code but 0 as a message that failed.
 */
function unknownCode({ resumed }: Connection): number {
  return resumed ? REASON.success : REASON.packetIdentifierNotFound;
}

/**
 * PUBREL: the next PUBLISH under that identifier is a new message [MQTT-4.3.3-12]; PUBCOMP says so [MQTT-4.3.3-11], whatever
 * became of the message meanwhile [MQTT-4.3.3-13].
 */
export function acceptPubrel(connection: Connection, packetId: number): void {
  const { core } = connection;
  const session = connection.session!;
  const known = session.received !== null && session.received.delete(packetId);
  const code = ANSWER.pubcomp + (known ? REASON.success : unknownCode(connection));
  const note = core.notes.of(session);
  if (known && session.persistent) {
    note.released.push(packetId);
    core.saving.exchanged(session);
  }
  // Also where the identifier is not known: it may be known to the disk, for as long as a note is on its way there.
  if (note.answersTo !== connection) note.answers.length = 0;
  note.answersTo = connection;
  note.answers.push(packetId, code);
  holdWhileMuchWaits(connection);
}

/** In the order of the messages [MQTT-4.6.0-3]. */
function answerLater(connection: Connection, packetId: number, code: number, offset: number): void {
  const { core } = connection;
  core.acknowledgements.push(connection, packetId, code, offset);
  core.planTurnEnd();
  holdWhileMuchWaits(connection);
}

/** Answers wait for the disk; a client that asks for more and more of them is not read from meanwhile. */
function holdWhileMuchWaits(connection: Connection): void {
  connection.answering++;
  if (connection.answering >= connection.core.limits.inflightMax) connection.holdRead("acknowledgements");
}

/**
 * What the answer waited for is on disk. User properties are never sent, so they make no packet too large [MQTT-3.5.2-3],
 * [MQTT-3.6.2-3], [MQTT-3.7.2-3]; nor are reasons in words [MQTT-3.5.2-2], [MQTT-3.6.2-2], [MQTT-3.7.2-2].
 */
export function sendAnswer(connection: Connection, packetId: number, code: number): void {
  const { core } = connection;
  const reasonCode = code & 0xff;
  const kind = code - reasonCode;
  if (kind === ANSWER.pubrel) {
    if (!connection.isOver) sendPubrel(connection, packetId);
    return;
  }
  connection.answering--;
  if (connection.isOver) return;
  if (kind === ANSWER.pubrec) {
    core.meters.acknowledged.value++;
    if (reasonCode === REASON.success || !connection.wantsReasons) {
      connection.out().acknowledge("pubrec", packetId, reasonCode);
    } else refuseInWords(connection, "pubrec", packetId, reasonCode);
  } else {
    if (connection.exchanges?.delete(packetId) === true) connection.unacknowledged--;
    core.meters.controlSent.value++;
    connection.out().acknowledge("pubcomp", packetId, reasonCode);
  }
  if (connection.answering < core.limits.inflightMax / 2) connection.releaseRead("acknowledgements");
}
