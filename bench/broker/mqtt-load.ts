/**
 * MQTT load from one process: publishers and subscribers over TCP or TLS, MQTT 3.1.1, with packets made beforehand, so
 * that the broker and not its clients is measured. Prints one JSON line (`Load`).
 * `node bench/broker/mqtt-load.ts FILE` with a `LoadRequest` in it.
 */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { receiveOnce, releaseOnce } from "./exactly-once-load.ts";
import type { Address, LoadRequest } from "./load.ts";
import { Frames, counted, measured } from "./load-meter.ts";
import { connectPacket, packet, text } from "../mqtt-packets.ts";

const request = JSON.parse(readFileSync(process.argv[2]!, "utf8")) as LoadRequest;
const { qos, window, payload } = request;
/** Of this process alone: what an earlier run left in the kernel's buffers must not be counted. All of one length. */
const RUN = String(process.pid).padStart(7, "0");
const number = (n: number): string => String(n).padStart(5, "0");

function publishFrame(topic: string, packetId: number): Buffer {
  const id = qos === 0 ? Buffer.alloc(0) : Buffer.from([packetId >> 8, packetId & 255]);
  return packet(0x30 | (qos << 1), text(topic), id, Buffer.alloc(payload, 0x78));
}

/** A device's own topic where it has a certificate: its policy allows no other. */
function topicOf(address: Address, publisher: number): string {
  const device = address.devices?.[publisher];
  return device === undefined ? `bench-${RUN}/${number(publisher)}` : `telemetry/${device.thing}/b${RUN}`;
}

function opened(address: Address, clientId: string, index: number): Promise<Socket> {
  const device = address.devices?.[index];
  const id = device?.thing ?? `${clientId}-${RUN}-${index}`;
  const hello = connectPacket(id, { clean: qos !== 2 });
  return new Promise((resolve, reject) => {
    const { host, port } = address;
    const ready = (): void => void socket.write(hello);
    const socket: Socket =
      device === undefined
        ? connect({ host, port, noDelay: true }, ready)
        : connectTls({ host, port, key: device.key, cert: device.cert, ca: device.ca, servername: "localhost" }, ready);
    socket.setNoDelay(true);
    socket.once("error", reject);
    socket.once("close", () => {
      process.stderr.write(`the broker closed the connection of ${id}\n`);
      process.exit(1);
    });
    socket.once("data", (connack: Buffer) => {
      if (connack[0] !== 0x20 || connack[3] !== 0) reject(new Error(`CONNACK ${connack.toString("hex")}`));
      else resolve(socket);
    });
  });
}

async function subscriber(index: number, filter: string, topic: string): Promise<void> {
  const socket = await opened(request.subscribeAt, "subscriber", index);
  socket.write(packet(0x82, Buffer.from([0, 1]), text(filter), Buffer.from([qos])));
  await new Promise((resolve) => {
    socket.once("data", resolve);
  });
  const bytes = publishFrame(topic, 1).length;
  if (qos === 2) return receiveOnce(socket, bytes, bytes - payload - 2);
  const frames = new Frames(bytes, qos === 0 ? -1 : bytes - payload - 2);
  socket.on("data", (chunk: Buffer) => {
    const acknowledgements = frames.take(chunk);
    if (acknowledgements !== null) socket.write(acknowledgements);
  });
}

/** QoS 0: as fast as the connection takes it. */
function flood(socket: Socket, topic: string): void {
  const batch = Buffer.concat(Array.from({ length: window }, () => publishFrame(topic, 0)));
  const more = (): void => {
    counted.sent += window;
    socket.write(batch, more);
  };
  more();
}

/** QoS 1 and 2: at most `window` publishes under way; answers come in order, four bytes each. */
function pipeline(socket: Socket, topic: string): void {
  const frames = Buffer.concat(Array.from({ length: window }, (_, i) => publishFrame(topic, i + 1)));
  const frameBytes = frames.length / window;
  let next = 0;
  let odd = 0;
  const send = (count: number): void => {
    counted.sent += count;
    while (count > 0) {
      const now = Math.min(count, window - next);
      socket.write(frames.subarray(next * frameBytes, (next + now) * frameBytes));
      next = (next + now) % window;
      count -= now;
    }
  };
  const completed = (count: number): void => {
    counted.acknowledged += count;
    if (count > 0) send(count);
  };
  if (qos === 2) releaseOnce(socket, completed);
  else
    socket.on("data", (chunk: Buffer) => {
      odd += chunk.length;
      const acknowledged = odd >> 2;
      odd &= 3;
      completed(acknowledged);
    });
  send(window);
}

const { publishAt, publishers, subscribers } = request;
const topics = Array.from({ length: publishers }, (_, i) => topicOf(publishAt, i));
const all = publishAt.devices === undefined ? `bench-${RUN}/+` : `telemetry/+/b${RUN}`;
for (let i = 0; i < subscribers; i++) {
  // Pairs: each subscriber has a publisher of its own.
  await subscriber(i, request.topology === "pairs" ? topics[i]! : all, topics[0]!);
}
const sockets: Socket[] = [];
for (let i = 0; i < publishers; i++) sockets.push(await opened(publishAt, "publisher", i));
for (const [i, socket] of sockets.entries()) (qos === 0 ? flood : pipeline)(socket, topics[i]!);
process.stdout.write(`${JSON.stringify(await measured(request.seconds))}\n`);
process.exit(0);
