/** What a hostile client sends: packets that are right, or nearly, in an order that may make sense or not. */
import type { SimRandom } from "../../sim/world.ts";
import type { MessageProperties, QoS } from "../../src/base/mod.ts";
import { PacketWriter, REASON, connectPacket } from "../../src/wire/mqtt/mod.ts";
import type { AcknowledgeKind, ProtocolVersion, Will } from "../../src/wire/mqtt/mod.ts";
import { MALFORMED_CASES } from "../../src/wire/mqtt/malformed.cases.ts";
import { PACKET_CASES } from "../../src/wire/mqtt/packets.cases.ts";
import { mutated } from "../../src/wire/mqtt/packets.fuzz.ts";

const FILTERS = [
  "#",
  "+",
  "a",
  "a/+",
  "a/#",
  "+/b",
  "$SYS/#",
  "$share/g/#",
  "$share/g/a/+",
  "$share/x",
  "a/#/b",
  "",
  "good/#",
];
/** Topics that a broker takes from them. */
export const HOSTILE_TOPICS = ["a", "a/b", "b", "$x", "a/b/c/d/e/f", "\u00e4", "a/will", "$SYS/x"];
const TOPICS = [...HOSTILE_TOPICS, "good/sent", "#", "", "/".repeat(70)];
const CLIENT_IDS = ["hostile-1", "hostile-2", "hostile-3", "", "good-publisher", "#", "+"];
const ACKNOWLEDGEMENTS: readonly AcknowledgeKind[] = ["puback", "pubrec", "pubrel", "pubcomp"];
const encoder = new TextEncoder();

/** The bytes of one packet, sometimes broken. */
export function hostilePacket(random: SimRandom, version: ProtocolVersion, opening: boolean): Uint8Array {
  const bytes = random.chance(0.04) ? anyCase(random, version) : written(random, version, opening);
  return random.chance(0.06) ? mutated(bytes, random) : bytes;
}

function anyCase(random: SimRandom, version: ProtocolVersion): Uint8Array {
  const table = random.chance(0.5) ? PACKET_CASES : MALFORMED_CASES;
  return random.pick(table.filter((one) => one.version === version)).bytes;
}

function written(random: SimRandom, version: ProtocolVersion, opening: boolean): Uint8Array {
  const writer = new PacketWriter(version);
  if (opening) connect(random, writer);
  else later(random, writer);
  return writer.take().slice();
}

function connect(random: SimRandom, writer: PacketWriter): void {
  const { version } = writer;
  const five = version === 5;
  writer.connect(
    connectPacket({
      version,
      clientId: random.chance(0.8) ? random.pick(CLIENT_IDS.slice(0, 3)) : random.pick(CLIENT_IDS),
      cleanStart: random.chance(0.4),
      keepAliveSeconds: random.pick([0, 1, 10, 65_535]),
      will: random.chance(0.4) ? will(random, version) : null,
      ...(five
        ? {
            sessionExpirySeconds: random.pick([0, 3, 0xffff_ffff]),
            receiveMaximum: random.pick([1, 2, 65_535]),
            maximumPacketSize: random.pick([0xffff_ffff, 1, 20, 60, 300]),
            topicAliasMaximum: random.pick([0, 1, 5, 65_535]),
            requestProblemInformation: random.chance(0.5),
            requestResponseInformation: random.chance(0.2),
            authenticationMethod: random.chance(0.05) ? "m" : null,
          }
        : {}),
    }),
  );
}

function will(random: SimRandom, version: ProtocolVersion): Will {
  return {
    topic: random.pick(["a", "a/will", "b"]),
    payload: encoder.encode("gone"),
    qos: random.below(3) as QoS,
    retain: random.chance(0.3),
    delaySeconds: version === 5 ? random.pick([0, 2, 30]) : 0,
    properties: version === 5 ? properties(random) : null,
  };
}

function properties(random: SimRandom): MessageProperties | null {
  if (random.chance(0.6)) return null;
  return {
    ...(random.chance(0.5) ? { messageExpirySeconds: random.pick([0, 1, 30]) } : {}),
    ...(random.chance(0.3) ? { responseTopic: "a/answer", correlationData: random.bytes(3) } : {}),
    ...(random.chance(0.3) ? { userProperties: [["k", "v"]] as const } : {}),
  };
}

function later(random: SimRandom, writer: PacketWriter): void {
  const five = writer.version === 5;
  const packetId = 1 + random.below(random.chance(0.8) ? 6 : 65_535);
  switch (random.below(11)) {
    case 0:
    case 1:
    case 2:
    case 3:
      publish(random, writer, packetId);
      return;
    case 4:
    case 5:
      writer.subscribe({
        packetId,
        requests: Array.from({ length: 1 + random.below(3) }, () => ({
          filter: random.pick(FILTERS),
          qos: random.below(3) as QoS,
          noLocal: five && random.chance(0.3),
          retainAsPublished: five && random.chance(0.3),
          retainHandling: five ? (random.below(3) as 0 | 1 | 2) : 0,
        })),
        subscriptionIdentifier: five && random.chance(0.3) ? 1 + random.below(200) : 0,
      });
      return;
    case 6:
      writer.unsubscribe({ packetId, filters: [random.pick(FILTERS), random.pick(FILTERS)] });
      return;
    case 7:
    case 8: {
      const reasonCode =
        five && random.chance(0.3) ? random.pick([REASON.quotaExceeded, REASON.packetIdentifierNotFound]) : 0;
      writer.acknowledge(random.pick(ACKNOWLEDGEMENTS), packetId, reasonCode);
      return;
    }
    case 9:
      writer.pingreq();
      return;
    default:
      if (random.chance(0.5)) writer.pingreq();
      else if (five && random.chance(0.3)) {
        writer.auth({ reasonCode: 0x19, authenticationMethod: "m", authenticationData: null });
      } else
        writer.disconnect({
          reasonCode: random.pick([0, 4, 0x80]),
          sessionExpirySeconds: five ? random.pick([0, 2, 0xffff_ffff]) : null,
        });
  }
}

function publish(random: SimRandom, writer: PacketWriter, packetId: number): void {
  const five = writer.version === 5;
  const topicAlias = five && random.chance(0.3) ? random.pick([1, 2, 16, 17]) : 0;
  const payload = random.chance(0.2) ? "" : "x".repeat(random.below(random.chance(0.1) ? 3_000 : 20));
  writer.publish({
    topic:
      topicAlias !== 0 && random.chance(0.5)
        ? ""
        : random.chance(0.8)
          ? random.pick(TOPICS.slice(0, 4))
          : random.pick(TOPICS),
    payload: encoder.encode(payload),
    qos: random.below(3) as QoS,
    retain: random.chance(0.3),
    dup: random.chance(0.1),
    packetId,
    properties: five ? properties(random) : null,
    topicAlias,
  });
}
