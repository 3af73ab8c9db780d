/**
 * How fast the codec is, beside mqtt-packet (what MQTT.js and Aedes use). `node src/wire/mqtt/codec.bench.ts [rounds]`
 * Each figure is the median of the rounds, ours and theirs taking turns, on one core.
 */
import mqttPacket from "mqtt-packet";
import { LIMITS } from "../../base/mod.ts";
import type { PacketHandler, ProtocolVersion, PublishView } from "./types.ts";
import { connectPacket } from "./connect-packet.ts";
import { BufferPool } from "./output.ts";
import { PacketReader } from "./reader.ts";
import { PacketWriter } from "./writer.ts";

const ROUNDS = Number(process.argv[2] ?? 5);
const ROUND_MS = 500;
/** What a busy TCP socket hands over at once. */
const CHUNK_BYTES = 64 * 1024;
const TOPIC = "telemetry/pump-17/system";
const PAYLOAD = new Uint8Array(100).fill(0x61);

function nothing(): void {}

function handler(publish: (view: PublishView) => void): PacketHandler {
  return {
    connect: nothing,
    connack: nothing,
    publish,
    acknowledge: nothing,
    subscribe: nothing,
    suback: nothing,
    unsubscribe: nothing,
    unsuback: nothing,
    pingreq: nothing,
    pingresp: nothing,
    disconnect: nothing,
    auth: nothing,
  };
}

function connectBytes(version: ProtocolVersion): Uint8Array {
  const writer = new PacketWriter(version);
  writer.connect(connectPacket({ version, clientId: "bench" }));
  return writer.take();
}

interface Stream {
  /** Whole packets and, at both ends, halves: chunks as the network cuts them. */
  readonly chunks: readonly Uint8Array[];
  readonly packets: number;
}

function stream(version: ProtocolVersion, qos: 0 | 1, stamped: boolean): Stream {
  const writer = new PacketWriter(version);
  const packets = 4000;
  const properties = stamped
    ? { userProperties: [["tw-outbox", "f3a1c9d2"] as const, ["tw-seq", "123456"] as const] }
    : null;
  for (let i = 0; i < packets; i++) {
    writer.publish({
      topic: TOPIC,
      payload: PAYLOAD,
      qos,
      retain: false,
      dup: false,
      packetId: 1 + (i % 65_535),
      properties,
    });
  }
  const bytes = writer.take();
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) chunks.push(bytes.slice(at, at + CHUNK_BYTES));
  return { chunks, packets };
}

/** Millions per second of what `turn` says it has done. */
function rate(turn: () => number): number {
  const start = performance.now();
  let done = 0;
  let spent: number;
  do {
    done += turn();
    spent = performance.now() - start;
  } while (spent < ROUND_MS);
  return done / spent / 1000;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

interface Contest {
  readonly title: string;
  readonly ours: () => number;
  readonly theirs: (() => number) | null;
}

function decode(title: string, version: ProtocolVersion, qos: 0 | 1, stamped: boolean): Contest {
  const { chunks, packets } = stream(version, qos, stamped);
  let payloadBytes = 0;
  const reader = new PacketReader(
    handler((view) => {
      payloadBytes += view.payloadEnd - view.payloadStart;
    }),
    { role: "server", limits: LIMITS.mqtt },
  );
  reader.push(connectBytes(version));
  const buffers = chunks.map((chunk) => Buffer.from(chunk));
  const parser = mqttPacket.parser({ protocolVersion: version });
  parser.on("packet", (packet) => {
    payloadBytes += packet.cmd === "publish" ? packet.payload.length : 0;
  });
  const check = (before: number): number => {
    if (payloadBytes - before !== packets * PAYLOAD.length) throw new Error("not every packet was delivered");
    return packets;
  };
  return {
    title,
    ours: () => {
      const before = payloadBytes;
      for (const chunk of chunks) reader.push(chunk);
      return check(before);
    },
    theirs: () => {
      const before = payloadBytes;
      for (const buffer of buffers) parser.parse(buffer);
      return check(before);
    },
  };
}

/** From a received PUBLISH straight to another connection's output. */
function forward(title: string, from: ProtocolVersion, to: ProtocolVersion, stamped: boolean): Contest {
  const { chunks, packets } = stream(from, 1, stamped);
  const writer = new PacketWriter(to, { pool: new BufferPool({ bufferBytes: 256 * 1024 }) });
  const fields = { qos: 1 as const, retain: false, packetId: 0 };
  const reader = new PacketReader(
    handler((view) => {
      fields.packetId = (fields.packetId % 65_535) + 1;
      writer.forward(view, fields);
    }),
    { role: "server", limits: LIMITS.mqtt },
  );
  reader.push(connectBytes(from));
  return {
    title,
    ours: () => {
      for (const chunk of chunks) {
        reader.push(chunk);
        writer.giveBack(writer.take());
      }
      return packets;
    },
    theirs: null,
  };
}

function encode(title: string, version: ProtocolVersion): Contest {
  const writer = new PacketWriter(version, { pool: new BufferPool({ bufferBytes: 256 * 1024 }) });
  const packet = {
    topic: TOPIC,
    payload: PAYLOAD,
    qos: 1,
    retain: false,
    dup: false,
    packetId: 7,
    properties: null,
  } as const;
  const theirs = {
    cmd: "publish",
    topic: TOPIC,
    payload: Buffer.from(PAYLOAD),
    qos: 1,
    retain: false,
    dup: false,
    messageId: 7,
  } as const;
  return {
    title,
    ours: () => {
      for (let i = 0; i < 1000; i++) writer.publish(packet);
      writer.giveBack(writer.take());
      return 1000;
    },
    theirs: () => {
      let bytes = 0;
      for (let i = 0; i < 1000; i++) bytes += mqttPacket.generate(theirs, { protocolVersion: version }).length;
      return bytes > 0 ? 1000 : 0;
    },
  };
}

function acknowledge(title: string): Contest {
  const writer = new PacketWriter(5, { pool: new BufferPool({ bufferBytes: 256 * 1024 }) });
  return {
    title,
    ours: () => {
      for (let i = 1; i <= 10_000; i++) writer.acknowledge("puback", i);
      writer.giveBack(writer.take());
      return 10_000;
    },
    theirs: null,
  };
}

const contests = [
  decode("decode 3.1.1 QoS 0", 4, 0, false),
  decode("decode 3.1.1 QoS 1", 4, 1, false),
  decode("decode 5.0 QoS 1", 5, 1, false),
  decode("decode 5.0 QoS 1, two user properties", 5, 1, true),
  forward("decode and forward 3.1.1 to 3.1.1", 4, 4, false),
  forward("decode and forward 5.0 to 5.0, two user properties", 5, 5, true),
  forward("decode and forward 5.0 to 3.1.1, two user properties", 5, 4, true),
  encode("encode 3.1.1 QoS 1", 4),
  encode("encode 5.0 QoS 1", 5),
  acknowledge("encode PUBACK"),
];

process.stdout.write(`${PAYLOAD.length}-byte payloads, topic of ${TOPIC.length} bytes; million packets a second\n`);
for (const { title, ours, theirs } of contests) {
  const mine: number[] = [];
  const peer: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const a = rate(ours);
    const b = theirs === null ? 0 : rate(theirs);
    if (round === 0) continue; // warm-up
    mine.push(a);
    peer.push(b);
  }
  const against = theirs === null ? "" : `   mqtt-packet ${median(peer).toFixed(2).padStart(6)}`;
  process.stdout.write(`${title.padEnd(54)} ${median(mine).toFixed(2).padStart(6)}${against}\n`);
}
