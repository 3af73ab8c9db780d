/** What the first byte of a packet may be (section 2.1), by role, version and whether the connection is open. */
import { PacketError } from "./fault.ts";
import { REASON } from "./reason.ts";
import type { ProtocolVersion, Role } from "./types.ts";

export const PACKET = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
  auth: 15,
} as const;

const NAMES = [
  "reserved type 0",
  "CONNECT",
  "CONNACK",
  "PUBLISH",
  "PUBACK",
  "PUBREC",
  "PUBREL",
  "PUBCOMP",
  "SUBSCRIBE",
  "SUBACK",
  "UNSUBSCRIBE",
  "UNSUBACK",
  "PINGREQ",
  "PINGRESP",
  "DISCONNECT",
  "AUTH",
];

const FROM_CLIENT: readonly number[] = [1, 3, 4, 5, 6, 7, 8, 10, 12, 14, 15];
const FROM_SERVER: readonly number[] = [2, 3, 4, 5, 6, 7, 9, 11, 13, 14, 15];

/** `authenticating`: between a CONNECT with an authentication method and its CONNACK. */
export type Stage = "closed" | "authenticating" | "open";
const STAGES: readonly Stage[] = ["closed", "authenticating", "open"];

/** Reason code by first byte; 0 where it is fine. */
export type FirstByteTable = Uint8Array;

function faultOf(first: number, role: Role, version: ProtocolVersion, stage: Stage): number {
  const type = first >> 4;
  if (type === 0 || (type === PACKET.auth && version === 4)) return REASON.malformedPacket; // table 2-1: reserved
  if (!flagsAllowed(type, first & 15)) return REASON.malformedPacket;
  if (!(role === "server" ? FROM_CLIENT : FROM_SERVER).includes(type)) return REASON.protocolError;
  if (role === "client" && version === 4 && type === PACKET.disconnect) return REASON.protocolError; // 3.1.1 section 3.14
  const opens = type === (role === "server" ? PACKET.connect : PACKET.connack);
  // [MQTT-3.1.0-1], [MQTT-3.1.0-2]; [MQTT-3.2.0-1], [MQTT-3.2.0-2]
  if (opens) return stage === "closed" ? REASON.success : REASON.protocolError;
  if (stage === "open") return REASON.success;
  if (stage === "authenticating") {
    return type === PACKET.auth || type === PACKET.disconnect ? REASON.success : REASON.protocolError; // [MQTT-3.1.2-30]
  }
  // Before CONNACK a server may only ask on (AUTH); the text of section 4.12 knows nothing else.
  return role === "client" && type === PACKET.auth ? REASON.success : REASON.protocolError;
}

/** [MQTT-2.1.3-1], [MQTT311-2.2.2-2] */
function flagsAllowed(type: number, flags: number): boolean {
  if (type === PACKET.publish) {
    const qos = (flags >> 1) & 3;
    const dup = (flags & 8) !== 0;
    return qos !== 3 && !(dup && qos === 0); // [MQTT-3.3.1-4], [MQTT-3.3.1-2]
  }
  const twos = type === PACKET.pubrel || type === PACKET.subscribe || type === PACKET.unsubscribe;
  return flags === (twos ? 2 : 0); // [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1], [MQTT-3.14.1-1], [MQTT-3.15.1-1]
}

const tables = new Map<string, FirstByteTable>();
for (const role of ["server", "client"] as const) {
  for (const version of [4, 5] as const) {
    for (const stage of STAGES) {
      tables.set(
        `${role} ${version} ${stage}`,
        Uint8Array.from({ length: 256 }, (_, first) => faultOf(first, role, version, stage)),
      );
    }
  }
}

export function firstByteTable(role: Role, version: ProtocolVersion, stage: Stage): FirstByteTable {
  return tables.get(`${role} ${version} ${stage}`)!;
}

/** Says in words what a table refuses. */
export function firstByteError(first: number, reasonCode: number, role: Role, stage: Stage): PacketError {
  if (stage === "closed" && role === "server") {
    // The usual mix-ups of an operator; worth a sentence that names them.
    if (first === 0x16) return new PacketError(reasonCode, "the client speaks TLS, but this listener is a plain one");
    if (first >= 0x41 && first <= 0x5a) {
      return new PacketError(reasonCode, "the first byte is a letter: this may be HTTP, it is not MQTT");
    }
    if (first >> 4 !== PACKET.connect)
      return new PacketError(reasonCode, `the first packet is ${name(first)}, not CONNECT`);
  }
  if (!flagsAllowed(first >> 4, first & 15)) {
    return new PacketError(
      reasonCode,
      `${name(first)} has the fixed header flags ${(first & 15).toString(2).padStart(4, "0")}`,
    );
  }
  return new PacketError(reasonCode, `${name(first)} is not allowed ${stage === "open" ? "here" : "before CONNACK"}`);
}

function name(first: number): string {
  return NAMES[first >> 4]!;
}
