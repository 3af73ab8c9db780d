/** From an admission to a session and its CONNACK (MQTT 5.0 sections 3.1.4 and 3.2). */
import type { MqttLimits } from "../base/mod.ts";
import { PacketWriter, REASON } from "../wire/mqtt/mod.ts";
import type { ConnackPacket, ConnectPacket } from "../wire/mqtt/mod.ts";
import { encodePublisher } from "../wire/record/mod.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import { resumeExchanges } from "./deliver-once.ts";
import { pump } from "./pump.ts";
import { endsAt } from "./expiries.ts";
import { hex } from "./hex.ts";
import { back, endSession, tellPresence } from "./lifecycle.ts";
import { WINDOW_MAX } from "./outbox.ts";
import { OutgoingAliases } from "./outgoing-aliases.ts";
import type { Admission, Authorizer } from "./ports.ts";
import { occupy, quotaRefusal } from "./quotas.ts";
import { refuseConnect } from "./refuse-connect.ts";
import type { ConnectRefusal } from "./refuse-connect.ts";
import { mayPublish } from "./reserved-topics.ts";
import { Session } from "./session.ts";

/** What a client assumes that is told nothing (section 3.2.2.3.3). */
const RECEIVE_MAXIMUM_DEFAULT = 65_535;

type Admitted = Admission & { readonly admitted: true };

/** The gatekeeper has answered; `authenticationData` is its last word to a client that named a method. */
export function welcome(
  connection: Connection,
  packet: ConnectPacket,
  admission: Admission,
  authenticationData: Uint8Array | null,
): void {
  const { core } = connection;
  if (!admission.admitted) {
    const { why } = admission;
    const fields = { clientId: packet.clientId, ...(why === undefined ? {} : { why }) };
    refuseConnect(connection, admission.reasonCode, "connect-refused", admission.reason, fields);
    return;
  }
  const { authorizer, thing } = admission;
  const connack = connackOf(connection, packet, authorizer, authenticationData);
  const refusal = refusalOfAdmitted(core, packet, admission) ?? refusalOfSize(connection, connack);
  if (refusal !== null) {
    const fields = { clientId: packet.clientId, thing, ...refusal.fields };
    refuseConnect(connection, refusal.code, refusal.kind, refusal.detail, fields);
    return;
  }
  settle(connection, packet, admission);
  const { session, present } = enter(connection, packet);
  noteShortened(core, packet, connection.keepAliveSeconds);
  const expirySeconds = Math.min(packet.sessionExpirySeconds, core.limits.sessionExpirySecondsMax);
  const changed = !present || session.expirySeconds !== expirySeconds || connection.will !== null;
  const promised = changed || core.saving.isBehind(session);
  session.expirySeconds = expirySeconds;
  if (present) dropRevoked(connection, session);
  // Saved in any case: a store that takes the client for absent would let the session expire after a crash [MQTT-4.1.0-1].
  core.saving.changed(session, promised ? connection : null);
  if (!session.persistent) core.saving.awaited(session, connection); // else a crash brings back what was discarded [MQTT-3.1.2-4]
  core.meters.controlSent.value++;
  connection.out().connack({ ...connack, sessionPresent: present }); // [MQTT-3.2.2-2], [MQTT-3.2.2-3]
  tellPresence(connection, "connected", null);
  resumeExchanges(connection, session);
  pump(core, session);
}

/** What may have changed while the gatekeeper thought, and what the client's rights decide. */
function refusalOfAdmitted(core: Core, packet: ConnectPacket, { authorizer, thing }: Admitted): ConnectRefusal {
  if (core.closing) {
    const elsewhere = core.options.serverReference !== undefined;
    const code = elsewhere ? REASON.useAnotherServer : REASON.serverUnavailable;
    return { kind: "connect-refused", code, detail: "the server is shutting down" };
  }
  const { will } = packet;
  if (will !== null && !mayPublish(core, authorizer, will.topic, will.retain)) {
    const fields = { topic: will.topic, fix: "allow iot:Publish on the will's topic" };
    const detail = "not authorized to publish the will";
    return { kind: "will-refused", code: REASON.notAuthorized, detail, fields };
  }
  return quotaRefusal(core, packet, thing);
}

/** Who could not even be told that it is in cannot be served [MQTT-3.1.2-24]. */
function refusalOfSize({ version, maximumPacketSize }: Connection, connack: ConnackPacket): ConnectRefusal {
  if (maximumPacketSize === Infinity) return null;
  const writer = new PacketWriter(version);
  writer.connack(connack);
  if (writer.length <= maximumPacketSize) return null;
  const detail = `the CONNACK has ${writer.length} bytes, and the client takes ${maximumPacketSize}`;
  return { kind: "answer-too-large", code: REASON.packetTooLarge, detail };
}

function settle(connection: Connection, packet: ConnectPacket, admission: Admitted): void {
  const { core } = connection;
  const { authorizer, thing } = admission;
  connection.principal = admission.principal ?? connection.peer.certificateId;
  endsAt(connection, admission.expiresAt);
  const { limits } = core;
  connection.enters(authorizer);
  const { clientId } = packet;
  connection.publisher = { clientId, thing, encoded: encodePublisher({ clientId, thing }) };
  // [MQTT-3.1.2-7]
  connection.will = packet.will === null ? null : { will: packet.will, thing, authorizer, owner: null };
  connection.connectedAt = core.clock.now();
  connection.sessionIdentifier = hex(core.options.random.bytes(16));
  connection.keepAliveSeconds = grantedKeepAlive(packet, limits);
  connection.cleanStart = packet.cleanStart;
  connection.window = Math.min(packet.receiveMaximum, limits.deliveriesInflightMax, WINDOW_MAX); // [MQTT-3.3.4-9], [MQTT-4.9.0-1]
  connection.wantsReasons = packet.version === 5 && packet.requestProblemInformation; // [MQTT-3.1.2-29]
  const aliases = Math.min(packet.topicAliasMaximum, limits.topicAliasesGivenMax);
  if (aliases > 0) connection.outgoingAliases = new OutgoingAliases(aliases); // else none at all [MQTT-3.1.2-27]
}

/** A client that asked for more than it is granted is told in its CONNACK; how often that happens is counted. */
function noteShortened(core: Core, packet: ConnectPacket, keepAliveSeconds: number): void {
  if (packet.sessionExpirySeconds > core.limits.sessionExpirySecondsMax) core.reached.count("sessionExpirySecondsMax");
  if (keepAliveSeconds !== packet.keepAliveSeconds) core.reached.count("keepAliveSecondsMax");
}

/** 0 turns keep-alive off, which MQTT 5.0 servers may overrule; a 3.1.1 client cannot be told and gets what it asked for. */
function grantedKeepAlive(packet: ConnectPacket, limits: MqttLimits): number {
  const { keepAliveSeconds } = packet;
  if (packet.version === 4) return keepAliveSeconds;
  return keepAliveSeconds === 0 ? limits.keepAliveSecondsMax : Math.min(keepAliveSeconds, limits.keepAliveSecondsMax);
}

/** Gives the connection its client id's session [MQTT-3.1.3-2], [MQTT-3.1.4-4]: the one that is there [MQTT-3.1.2-5], or a new one [MQTT-3.1.2-6]. Whoever had it is sent away. */
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
  back(core, session);
  session.will = null; // [MQTT-3.1.3-9]
  session.willAt = null;
  session.expiresAt = null;
  session.disconnectedAt = null;
  session.versionNumber = version === undefined ? 0 : version + 1;
  session.connection = connection;
  connection.session = session;
  connection.resumed = kept !== undefined;
  core.tree.connected(session);
  occupy(connection, session);
  return { session, present: kept !== undefined };
}

/** A resumed session keeps only what its client may still subscribe to. */
export function dropRevoked(connection: Connection, session: Session): void {
  const { core, authorizer } = connection;
  for (const subscription of session.subscriptions.list()) {
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

/** What the client has to know; whatever is as the specification assumes is left out. */
function connackOf(
  connection: Connection,
  packet: ConnectPacket,
  authorizer: Authorizer,
  authenticationData: Uint8Array | null,
): ConnackPacket {
  const { core, assignedClientId: assigned } = connection;
  const { limits } = core;
  const keepAlive = grantedKeepAlive(packet, limits);
  const capped = packet.sessionExpirySeconds > limits.sessionExpirySecondsMax;
  const responses = packet.requestResponseInformation ? responseTopicOf(packet.clientId, authorizer) : null; // [MQTT-3.1.2-28]
  const method = packet.authenticationMethod;
  return {
    sessionPresent: false,
    reasonCode: REASON.success, // [MQTT-3.1.4-5]
    ...(limits.inflightMax < RECEIVE_MAXIMUM_DEFAULT ? { receiveMaximum: limits.inflightMax } : {}),
    maximumPacketSize: limits.packetBytesMax,
    ...(limits.topicAliasMax === 0 ? {} : { topicAliasMaximum: limits.topicAliasMax }),
    ...(capped ? { sessionExpirySeconds: limits.sessionExpirySecondsMax } : {}),
    ...(keepAlive === packet.keepAliveSeconds ? {} : { serverKeepAliveSeconds: keepAlive }), // [MQTT-3.1.2-21], [MQTT-3.2.2-22]
    ...(assigned === null ? {} : { assignedClientId: assigned }), // [MQTT-3.2.2-16]
    ...(responses === null ? {} : { responseInformation: responses }),
    ...(method === null ? {} : { authenticationMethod: method }), // [MQTT-4.12.0-5], [MQTT-4.12.0-6]
    ...(authenticationData === null ? {} : { authenticationData }),
  };
}

/** Where the client may listen for answers to its requests: our convention is `responses/<client id>/…`, policy decides. */
function responseTopicOf(clientId: string, authorizer: Authorizer): string | null {
  if (/[/+#]/.test(clientId)) return null; // it would name somebody else's topics, or none
  const prefix = `responses/${clientId}`;
  return authorizer.subscribe(`${prefix}/#`) ? prefix : null;
}
