/** CONNECT (MQTT 5.0 section 3.1), up to the question who the client is. */
import { topicNameFault } from "../base/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import type { ConnectPacket } from "../wire/mqtt/mod.ts";
import { beginAuthentication } from "./authentication.ts";
import { CONNECT_RATE } from "./connect-rates.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import { hex } from "./hex.ts";
import { refuseConnect } from "./refuse-connect.ts";
import type { ConnectRefusal } from "./refuse-connect.ts";
import { welcome } from "./welcome.ts";

/** Validates and answers CONNECT [MQTT-3.1.4-1], [MQTT-3.1.4-2]. */
export function acceptConnect(connection: Connection, received: ConnectPacket): void {
  const { core } = connection;
  connection.version = received.version;
  core.greetings.delete(connection);
  if (core.connectRates.allows(connection.peer.remoteAddress)) {
    core.connectRates.enter(connection, () => answerConnect(connection, received));
    return;
  }
  core.reached.count("connectsPerSecondPerAddressMax");
  refuseConnect(connection, CONNECT_RATE.code, CONNECT_RATE.kind, CONNECT_RATE.detail, { clientId: received.clientId });
}

function answerConnect(connection: Connection, received: ConnectPacket): void {
  const { core } = connection;
  if (received.maximumPacketSize <= core.limits.packetBytesMax * 2) {
    connection.maximumPacketSize = received.maximumPacketSize; // [MQTT-3.1.2-24], of a refusal too
  }
  connection.assignedClientId = received.clientId === "" ? assignedClientId(core) : null;
  const packet =
    connection.assignedClientId === null ? received : { ...received, clientId: connection.assignedClientId };
  const refusal = refusalOf(core, received);
  if (refusal !== null) {
    refuseConnect(connection, refusal.code, refusal.kind, refusal.detail, { clientId: packet.clientId });
  } else if (packet.authenticationMethod !== null) {
    beginAuthentication(connection, packet);
  } else {
    const admission = core.options.gatekeeper.admit(connection.peer, packet);
    connection.intake.whenKnown(admission, (answer) => welcome(connection, packet, answer, null));
  }
}

/** What can be said without asking anybody. */
function refusalOf(core: Core, packet: ConnectPacket): ConnectRefusal {
  if (packet.clientId === "" && packet.version === 4 && !packet.cleanStart) {
    // [MQTT311-3.1.3-8]
    const detail = "a session that is to be kept needs a client identifier";
    return { kind: "client-id", code: REASON.clientIdentifierNotValid, detail };
  }
  if (packet.will === null) return null;
  const fault = topicNameFault(packet.will.topic, core.limits);
  if (fault === null) return null;
  return { kind: "will-refused", code: REASON.topicNameInvalid, detail: `the will's topic is not valid: ${fault}` };
}

/** [MQTT-3.1.3-6], [MQTT-3.1.3-7]: an identifier of our own for a client that brought none. */
function assignedClientId(core: Core): string {
  return `auto-${hex(core.options.random.bytes(12))}`;
}
