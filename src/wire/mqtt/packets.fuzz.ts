/**
 * Breaks good packets in ways that keep most of their structure, and holds the reader to its promises, and to what
 * mqtt-packet makes of the same bytes. By hand: `npm run fuzz`; the unit test runs a short one.
 */
import assert from "node:assert/strict";
import mqttPacket from "mqtt-packet";
import { SimRandom } from "../../../sim/world.ts";
import { PacketError } from "./fault.ts";
import { MALFORMED_CASES } from "./malformed.cases.ts";
import { PACKET_CASES } from "./packets.cases.ts";
import { newReader, openReader, packetBytes, recording } from "./packets.fixture.ts";
import type { PacketValue, ReaderUnderTest } from "./packets.fixture.ts";
import { PacketReader } from "./reader.ts";
import type { ProtocolVersion, PublishView, Role } from "./types.ts";
import { PacketWriter } from "./writer.ts";
import { LIMITS } from "../../base/mod.ts";

/** Bytes at which decoders stumble: lengths, flags, identifiers, starts of multi-byte characters. */
const TELLING = [0x00, 0x01, 0x02, 0x7f, 0x80, 0xff, 0x0b, 0x23, 0x26, 0x30, 0x3d, 0x10, 0xc0, 0xed, 0xf4];

export interface FuzzResult {
  readonly rounds: number;
  readonly delivered: number;
  readonly refused: number;
}

interface Outcome {
  readonly values: readonly PacketValue[];
  readonly reasonCode: number | null;
}

/** Runs until `more(rounds)` says no. Throws where a promise is broken; the message says how to replay it. */
export function fuzz(seed: number, more: (rounds: number) => boolean): FuzzResult {
  const random = new SimRandom(seed);
  let rounds = 0;
  let delivered = 0;
  let refused = 0;
  for (; more(rounds); rounds++) {
    // Packets that belong together, mostly: others are refused at their first byte.
    const first = random.chance(0.7) ? random.pick(PACKET_CASES) : random.pick(MALFORMED_CASES);
    const role = random.chance(0.95) ? first.to : random.pick<Role>(["server", "client"]);
    const version = random.chance(0.95) ? first.version : random.pick<ProtocolVersion>([4, 5]);
    const fresh = first.opening === true;
    const fitting = PACKET_CASES.filter((p) => p.to === role && p.version === version && p.opening !== true);
    const parts = [first, ...Array.from({ length: random.below(3) }, () => random.pick(fitting))];
    const bytes = Uint8Array.from(parts.flatMap((part) => Array.from(mutated(part.bytes, random))));
    try {
      const whole = run(fresh ? newReader(role, version) : openReader(role, version), [bytes]);
      const split = run(fresh ? newReader(role, version) : openReader(role, version), pieces(bytes, random));
      assert.deepEqual(split, whole, "the packets depend on how the network cut them");
      checkViews(bytes, role, version, fresh);
      checkRoundTrip(whole.values, role, version, fresh);
      if (rounds % THEM_EVERY === 0) checkWithThem(bytes, whole, version);
      delivered += whole.values.length;
      if (whole.reasonCode !== null) refused++;
    } catch (error) {
      const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
      throw new Error(`seed ${seed}, round ${rounds}, ${role} ${version}${fresh ? ", fresh" : ""}: ${hex}`, {
        cause: error,
      });
    }
  }
  return { rounds, delivered, refused };
}

function run({ reader, values }: ReaderUnderTest, chunks: readonly Uint8Array[]): Outcome {
  let pushed = 0;
  try {
    for (const chunk of chunks) {
      reader.push(chunk);
      pushed += chunk.length;
      assert.ok(reader.keptBytes <= Math.max(256, 2 * pushed), `${reader.keptBytes} bytes kept of ${pushed}`);
    }
  } catch (error) {
    if (!(error instanceof PacketError)) throw error;
    assert.ok(error.reasonCode >= 0x80 && error.reasonCode <= 0xa2);
    assert.equal(reader.keptBytes, 0);
    return { values, reasonCode: error.reasonCode };
  }
  return { values, reasonCode: null };
}

/** Every view that is handed out lies within its packet, and what is forwarded from it can be read by a client. */
function checkViews(bytes: Uint8Array, role: Role, version: ProtocolVersion, fresh: boolean): void {
  if (fresh || role !== "server") return;
  const writers = [new PacketWriter(4), new PacketWriter(5)];
  let forwarded = 0;
  const check = (view: PublishView): void => {
    const ends = [view.start, view.topicStart, view.topicEnd, view.propertiesStart, view.propertiesEnd];
    assert.deepEqual(
      [...ends, view.payloadStart, view.payloadEnd, view.end],
      [...ends, view.payloadStart, view.payloadEnd, view.end].toSorted((a, b) => a - b),
    );
    assert.ok(view.end <= view.buffer.length);
    assert.equal(view.qos === 0, view.packetId === 0);
    for (const writer of writers) {
      writer.forward(view, { qos: view.qos, retain: false, packetId: 1, topic: Uint8Array.of(0x61) });
    }
    forwarded++;
  };
  const reader = new PacketReader({ ...recording([]), publish: check }, { role, version, limits: LIMITS.mqtt });
  const opening = PACKET_CASES.find((packet) => packet.opening === true && packet.version === version)!;
  reader.push(opening.bytes);
  try {
    reader.push(bytes);
  } catch (error) {
    if (!(error instanceof PacketError)) throw error;
  }
  for (const writer of writers) {
    let read = 0;
    const counting = new PacketReader(
      { ...recording([]), publish: () => read++ },
      { role: "client", version: writer.version, limits: LIMITS.mqtt },
    );
    counting.push(Uint8Array.from(writer.version === 4 ? [0x20, 2, 0, 0] : [0x20, 3, 0, 0, 0]));
    counting.push(writer.take());
    assert.equal(read, forwarded, "what was forwarded cannot be read");
  }
}

/** What was read can be written, and is then read as the same. */
function checkRoundTrip(values: readonly PacketValue[], role: Role, version: ProtocolVersion, fresh: boolean): void {
  const { reader, values: again } = fresh ? newReader(role, version) : openReader(role, version);
  // The version of a connection that begins is what its CONNECT says.
  const spoken = values[0]?.type === "connect" ? values[0].packet.version : version;
  reader.push(packetBytes(spoken, ...values));
  assert.deepEqual(again, values, "what was read, written and read again");
}

/** mqtt-packet is slower than all the rest. */
const THEM_EVERY = 5;

/** What mqtt-packet refuses of what we take, in its words, and is wrong about: sections 3.1.2.9 and 3.15.2.1 of 5.0. */
const THEY_REFUSE = /Username is required to use password|Invalid auth reason code/;

/** Whatever we take whole, mqtt-packet takes too, as the same packets in the same number. It takes more than we do. */
function checkWithThem(bytes: Uint8Array, { values, reasonCode }: Outcome, version: ProtocolVersion): void {
  if (reasonCode !== null || values.length === 0) return;
  const theirs: string[] = [];
  let refused: Error | null = null;
  const parser = mqttPacket.parser({ protocolVersion: version });
  parser.on("packet", ({ cmd }) => theirs.push(cmd));
  parser.on("error", (error: Error) => (refused ??= error));
  // One after the other: of a packet that leaves things out, it reads what is not there from the next.
  for (const packet of wholePackets(bytes)) parser.parse(Buffer.from(packet));
  if (refused !== null) {
    assert.match((refused as Error).message, THEY_REFUSE);
    return;
  }
  const ours = values.map((value) => (value.type === "acknowledge" ? value.kind : value.type));
  assert.deepEqual(theirs, ours, "mqtt-packet reads other packets");
}

function wholePackets(bytes: Uint8Array): readonly Uint8Array[] {
  const packets: Uint8Array[] = [];
  for (let start = 0; start < bytes.length;) {
    let at = start + 1;
    let remaining = 0;
    for (let shift = 0, byte = 0x80; byte >= 0x80 && at < bytes.length; shift += 7) {
      byte = bytes[at++]!;
      remaining |= (byte & 0x7f) << shift;
    }
    if (at + remaining > bytes.length) break;
    packets.push(bytes.slice(start, at + remaining));
    start = at + remaining;
  }
  return packets;
}

function pieces(bytes: Uint8Array, random: SimRandom): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const size = 1 + random.below(random.chance(0.5) ? 3 : 20);
    chunks.push(bytes.slice(at, at + size));
    at += size;
  }
  return chunks;
}

export function mutated(from: Uint8Array, random: SimRandom): Uint8Array {
  const bytes = Array.from(from);
  // Much is left whole, or else nothing deep would ever be reached.
  for (let changes = Math.max(0, random.below(5) - 2); changes > 0; changes--) {
    const at = random.below(bytes.length);
    switch (random.below(6)) {
      case 0:
        bytes[at]! ^= 1 << random.below(8);
        break;
      case 1:
        bytes[at] = random.pick(TELLING);
        break;
      case 2:
        bytes.splice(at, 1 + random.below(4));
        break;
      case 3:
        bytes.splice(at, 0, random.pick(TELLING), random.below(256));
        break;
      case 4: // repeat a part, e.g. a property
        bytes.splice(at, 0, ...bytes.slice(at, at + 1 + random.below(8)));
        break;
      default:
        bytes.length = Math.max(1, at);
    }
    if (bytes.length === 0) return Uint8Array.of(0);
  }
  // A right length lets the change be seen as what it is, and not as a missing end.
  if (random.chance(0.7) && bytes.length >= 2 && bytes.length < 130) bytes[1] = bytes.length - 2;
  return Uint8Array.from(bytes);
}
