/** CONNECT and CONNACK (MQTT 5.0 sections 3.1 and 3.2). */
import { topicNameFault } from "../base/mod.ts";
import type { LogFields, MqttLimits } from "../base/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import type { ConnackPacket, ConnectPacket } from "../wire/mqtt/mod.ts";
import { encodePublisher } from "../wire/record/mod.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import { resumeExchanges } from "./deliver-once.ts";
import { pump } from "./delivery.ts";
import { endSession, tellPresence } from "./lifecycle.ts";
import { WINDOW_MAX } from "./outbox.ts";
import type { Authorizer } from "./ports.ts";
import type { RefusalKind } from "./refusals.ts";
import { Session } from "./session.ts";

/** Why a CONNECT is refused; `null` where it is not. */
type Refusal = {
  readonly kind: RefusalKind;
  readonly code: number;
  readonly detail: string;
  readonly fields?: LogFields;
} | null;

/** Validates and answers CONNECT [MQTT-3.1.4-1], [MQTT-3.1.4-2]. */
export function acceptConnect(connection: Connection, received: ConnectPacket): void {
  const { core } = connection;
  connection.version = received.version;
  const assigned = received.clientId === "" ? assignedClientId(core) : null;
  const packet = assigned === null ? received : { ...received, clientId: assigned };
  const refusal = refusalOf(core, received);
  if (refusal !== null) {
    refuseConnect(connection, refusal.code, refusal.kind, refusal.detail, { clientId: packet.clientId });
    return;
  }
  const admission = core.options.gatekeeper.admit(connection.peer, packet);
  if (!admission.admitted) {
    const fields = { clientId: packet.clientId };
    refuseConnect(connection, admission.reasonCode, "connect-refused", admission.reason, fields);
    return;
  }
  const { authorizer, thing } = admission;
  const { will } = packet;
  if (will !== null && !authorizer.publish(will.topic, will.retain)) {
    const fields = {
      clientId: packet.clientId,
      thing,
      topic: will.topic,
      fix: "allow iot:Publish on the will's topic",
    };
    refuseConnect(connection, REASON.notAuthorized, "will-refused", "not authorized to publish the will", fields);
    return;
  }
  if (leavesOneTooMany(core, packet)) {
    const detail = `at most ${core.limits.sessionsMax} sessions are kept here; connect without session expiry`;
    refuseConnect(connection, REASON.quotaExceeded, "sessions-full", detail, { clientId: packet.clientId, thing });
    return;
  }
  settle(connection, packet, authorizer, thing);
  const { session, present } = enter(connection, packet);
  const expirySeconds = Math.min(packet.sessionExpirySeconds, core.limits.sessionExpirySecondsMax);
  const promised = !present || session.expirySeconds !== expirySeconds || connection.will !== null;
  session.expirySeconds = expirySeconds;
  if (present) dropRevoked(connection, session);
  // Saved in any case: a store that takes the client for absent would let the session expire after a crash [MQTT-4.1.0-1].
  core.saving.changed(session, promised ? connection : null);
  greet(connection, packet, present, assigned);
  tellPresence(connection, "connected", null);
  resumeExchanges(connection, session);
  pump(core, session);
}

/** What can be said without asking anybody. */
function refusalOf(core: Core, packet: ConnectPacket): Refusal {
  if (core.closing)
    return { kind: "connect-refused", code: REASON.serverUnavailable, detail: "the server is shutting down" };
  if (packet.authenticationMethod !== null) {
    const detail = "enhanced authentication is not available; use a client certificate"; // [MQTT-4.12.0-1]
    return { kind: "connect-refused", code: REASON.badAuthenticationMethod, detail };
  }
  if (packet.clientId === "" && packet.version === 4 && !packet.cleanStart) {
    // [MQTT-3.1.3-8] of 3.1.1
    const detail = "a session that is to be kept needs a client identifier";
    return { kind: "client-id", code: REASON.clientIdentifierNotValid, detail };
  }
  if (packet.will === null) return null;
  const fault = topicNameFault(packet.will.topic, core.limits);
  if (fault === null) return null;
  return { kind: "will-refused", code: REASON.topicNameInvalid, detail: `the will's topic is not valid: ${fault}` };
}

/** A session that outlives its connection costs memory and disk for as long as its client likes. */
function leavesOneTooMany(core: Core, { clientId, sessionExpirySeconds }: ConnectPacket): boolean {
  return sessionExpirySeconds > 0 && core.sessions.size >= core.limits.sessionsMax && !core.sessions.has(clientId);
}

/** CONNACK with a refusal, then the end [MQTT-3.2.2-7]; nothing that follows CONNECT is looked at [MQTT-3.1.4-6]. */
export function refuseConnect(
  connection: Connection,
  code: number,
  kind: RefusalKind,
  detail: string,
  fields: LogFields = {},
): void {
  if (connection.isOver) return;
  const message = `a connection was refused: ${detail}`;
  connection.core.refusals.refuse(kind, message, { ...connection.describe(), ...fields });
  const intelligible = connection.version === 5 || kind !== "malformed-packet";
  // Who began with anything but a whole CONNECT of 3.1.1 is closed without a word [MQTT-3.1.0-1], [MQTT-3.1.4-1].
  if (!intelligible && code !== REASON.unsupportedProtocolVersion) {
    connection.end();
    return;
  }
  // The writer maps the code for 3.1.1, where a client that is not authorized gets 5.
  connection.out().connack({ sessionPresent: false, reasonCode: code, reasonString: detail }); // [MQTT-3.2.2-6]
  connection.end();
}

function settle(connection: Connection, packet: ConnectPacket, authorizer: Authorizer, thing: string | null): void {
  const { core } = connection;
  const { limits } = core;
  connection.state = "connected";
  connection.authorizer = authorizer;
  const { clientId } = packet;
  connection.publisher = { clientId, thing, encoded: encodePublisher({ clientId, thing }) };
  connection.will = packet.will === null ? null : { will: packet.will, thing, authorizer };
  connection.connectedAt = core.clock.now();
  connection.sessionIdentifier = hex(core.options.random.bytes(16));
  connection.keepAliveSeconds = grantedKeepAlive(packet, limits);
  connection.cleanStart = packet.cleanStart;
  connection.window = Math.min(packet.receiveMaximum, limits.deliveriesInflightMax, WINDOW_MAX); // [MQTT-3.3.4-9], [MQTT-4.9.0-1]
  if (packet.maximumPacketSize <= limits.packetBytesMax * 2) connection.maximumPacketSize = packet.maximumPacketSize;
}

/** 0 turns keep-alive off, which MQTT 5.0 servers may overrule; a 3.1.1 client cannot be told and gets what it asked for. */
function grantedKeepAlive(packet: ConnectPacket, limits: MqttLimits): number {
  const { keepAliveSeconds } = packet;
  if (packet.version === 4) return keepAliveSeconds;
  return keepAliveSeconds === 0 ? limits.keepAliveSecondsMax : Math.min(keepAliveSeconds, limits.keepAliveSecondsMax);
}

/** Gives the connection its session: the one that is there [MQTT-3.1.2-5], or a new one [MQTT-3.1.2-6]. Whoever had it is sent away. */
function enter(connection: Connection, packet: ConnectPacket): { session: Session; present: boolean } {
  const { core } = connection;
  const { clientId } = packet;
  const before = core.sessions.get(clientId);
  const version = before?.versionNumber ?? core.versionNumbers.get(clientId);
  if (before !== undefined && before.connection !== null) {
    // [MQTT-3.1.4-3]
    before.connection.disconnect(REASON.sessionTakenOver, "DUPLICATE_CLIENTID", "the same client id connected again");
  }
  if (before !== undefined && !before.persistent) before.will = null; // kept over a restart for its will alone: it is back
  if (before !== undefined && (packet.cleanStart || !before.persistent)) endSession(core, before); // [MQTT-3.1.2-4]
  const kept = core.sessions.get(clientId);
  const session = kept ?? new Session(clientId);
  if (kept === undefined) session.since = core.lastOffset + 1;
  core.sessions.set(clientId, session);
  core.absent.delete(session);
  session.will = null; // [MQTT-3.1.3-9]
  session.willAt = null;
  session.expiresAt = null;
  session.disconnectedAt = null;
  session.versionNumber = version === undefined ? 0 : version + 1;
  session.connection = connection;
  connection.session = session;
  core.tree.connected(session);
  return { session, present: kept !== undefined };
}

/** A resumed session keeps only what its client may still subscribe to. */
function dropRevoked(connection: Connection, session: Session): void {
  const { core, authorizer } = connection;
  for (const subscription of session.subscriptions.values()) {
    if (authorizer.subscribe(subscription.filter)) continue;
    session.subscriptions.delete(subscription.filter);
    core.tree.remove(subscription.filter, subscription);
    core.saving.unsubscribed(session, subscription.filter, connection);
    const fields = { ...connection.describe(), filter: subscription.filter };
    core.refusals.refuse(
      "subscription-revoked",
      "a kept subscription ended: the client's policy no longer allows it",
      fields,
    );
  }
}

function greet(connection: Connection, packet: ConnectPacket, sessionPresent: boolean, assigned: string | null): void {
  const { limits } = connection.core;
  const capped = packet.sessionExpirySeconds > limits.sessionExpirySecondsMax;
  const kept = connection.keepAliveSeconds === packet.keepAliveSeconds;
  const connack: ConnackPacket = {
    sessionPresent, // [MQTT-3.2.2-2], [MQTT-3.2.2-3]
    reasonCode: REASON.success, // [MQTT-3.1.4-5]
    receiveMaximum: limits.inflightMax,
    maximumPacketSize: limits.packetBytesMax,
    topicAliasMaximum: limits.topicAliasMax,
    ...(capped ? { sessionExpirySeconds: limits.sessionExpirySecondsMax } : {}),
    ...(kept ? {} : { serverKeepAliveSeconds: connection.keepAliveSeconds }), // [MQTT-3.1.2-21], [MQTT-3.2.2-22]
    ...(assigned === null ? {} : { assignedClientId: assigned }), // [MQTT-3.2.2-16]
  };
  connection.out().connack(connack);
}

/** [MQTT-3.1.3-6], [MQTT-3.1.3-7]: an identifier of our own for a client that brought none. */
function assignedClientId(core: Core): string {
  return `auto-${hex(core.options.random.bytes(12))}`;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
