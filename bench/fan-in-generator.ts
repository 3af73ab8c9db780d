/**
 * The far side of the fan-in benchmark, one process: many publishers and one subscriber over plain TCP, MQTT 3.1.1, with
 * buffers made beforehand. Prints one JSON line with what was received and acknowledged per second; CPU and waiting in percent of the time.
 * `node bench/fan-in-generator.ts HOST PORT QOS PUBLISHERS SECONDS WINDOW PAYLOAD SUBSCRIBER_QOS`
 */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import type { Socket } from "node:net";

const [host = "127.0.0.1", ...numbers] = process.argv.slice(2);
const [port = 1883, qos = 0, publishers = 100, seconds = 5, window = 128, payload = 100, subscriberQos = qos] =
  numbers.map(Number);
const WARM_UP_MS = 1_000;
/** Of this process alone: what an earlier run left in the kernel's buffers must not be counted. */
const PREFIX = `bench-${String(process.pid).padStart(7, "0")}`;
const TOPIC = `${PREFIX}/00000`;

const counted = { received: 0, acknowledged: 0, sent: 0 };

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
}

/** At QoS 2 sessions are kept: that is where exactly once has to survive a crash, and costs most. */
function connectPacket(name: string): Buffer {
  const cleanSession = qos === 2 ? 0 : 2;
  const body = Buffer.concat([text("MQTT"), Buffer.from([4, cleanSession, 0, 0]), text(`${PREFIX}-${name}`)]);
  return Buffer.concat([Buffer.from([0x10, body.length]), body]);
}

/** Remaining lengths above 127 take two bytes; a frame of ours is never longer. */
function publishFrame(topic: string, quality: number, packetId: number): Buffer {
  const id = quality === 0 ? Buffer.alloc(0) : Buffer.from([packetId >> 8, packetId & 255]);
  const body = Buffer.concat([text(topic), id, Buffer.alloc(payload, 0x78)]);
  const length = body.length < 128 ? [body.length] : [(body.length & 127) | 128, body.length >> 7];
  return Buffer.concat([Buffer.from([0x30 | (quality << 1), ...length]), body]);
}

function opened(clientId: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true }, () => socket.write(connectPacket(clientId)));
    socket.once("error", reject);
    socket.once("data", (connack: Buffer) => {
      if (connack[0] !== 0x20 || connack[3] !== 0) reject(new Error(`CONNACK ${connack.toString("hex")}`));
      else resolve(socket);
    });
  });
}

async function subscribe(): Promise<void> {
  const socket = await opened("subscriber");
  const body = Buffer.concat([Buffer.from([0, 1]), text(`${PREFIX}/+`), Buffer.from([subscriberQos])]);
  socket.write(Buffer.concat([Buffer.from([0x82, body.length]), body]));
  await new Promise((resolve) => {
    socket.once("data", resolve);
  });
  const quality = Math.min(qos, subscriberQos);
  const frameBytes = publishFrame(TOPIC, quality, 1).length;
  const idAt = frameBytes - payload - 2;
  if (quality === 2) {
    receiveOnce(socket, frameBytes, idAt);
    return;
  }
  const carry = Buffer.alloc(frameBytes);
  let kept = 0;
  const acknowledgement = (frame: Buffer, at: number, into: Buffer, n: number): void => {
    into[n] = 0x40;
    into[n + 1] = 2;
    into[n + 2] = frame[at + idAt]!;
    into[n + 3] = frame[at + idAt + 1]!;
  };
  socket.on("data", (chunk: Buffer) => {
    const acknowledgements = quality === 0 ? null : Buffer.allocUnsafe((Math.floor(chunk.length / frameBytes) + 2) * 4);
    let filled = 0;
    let at = 0;
    if (kept > 0) {
      const missing = Math.min(frameBytes - kept, chunk.length);
      chunk.copy(carry, kept, 0, missing);
      kept += missing;
      at = missing;
      if (kept < frameBytes) return;
      kept = 0;
      counted.received++;
      if (acknowledgements !== null) acknowledgement(carry, 0, acknowledgements, filled++ * 4);
    }
    for (; at + frameBytes <= chunk.length; at += frameBytes) {
      // Every message is looked at: a frame out of step would show here.
      if ((chunk[at]! & 0xf0) !== 0x30) throw new Error(`not a PUBLISH: ${chunk[at]}`);
      counted.received++;
      if (acknowledgements !== null) acknowledgement(chunk, at, acknowledgements, filled++ * 4);
    }
    kept = chunk.length - at;
    if (kept > 0) chunk.copy(carry, 0, at);
    if (acknowledgements !== null && filled > 0) socket.write(acknowledgements.subarray(0, filled * 4));
  });
}

/** QoS 2: PUBREC for each PUBLISH, PUBCOMP for each PUBREL. */
function receiveOnce(socket: Socket, frameBytes: number, idAt: number): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const answers: number[] = [];
    let at = 0;
    for (;;) {
      const isPublish = (bytes[at]! & 0xf0) === 0x30;
      const length = isPublish ? frameBytes : 4;
      if (at + length > bytes.length) break;
      const id = at + (isPublish ? idAt : 2);
      if (isPublish) counted.received++;
      else if (bytes[at] !== 0x62) throw new Error(`neither PUBLISH nor PUBREL: ${bytes[at]}`);
      answers.push(isPublish ? 0x50 : 0x70, 2, bytes[id]!, bytes[id + 1]!);
      at += length;
    }
    rest = bytes.subarray(at);
    if (answers.length > 0) socket.write(Buffer.from(answers));
  });
}

/** QoS 0: as fast as the connection takes it. */
function flood(socket: Socket, topic: string): void {
  const batch = Buffer.concat(Array.from({ length: window }, () => publishFrame(topic, 0, 0)));
  const more = (): void => {
    counted.sent += window;
    socket.write(batch, more);
  };
  more();
}

/** QoS 1 and 2: at most `window` publishes under way; answers come in order, four bytes each, PUBRECs are answered. */
function pipeline(socket: Socket, topic: string): void {
  const frames = Buffer.concat(Array.from({ length: window }, (_, i) => publishFrame(topic, qos, i + 1)));
  const frameBytes = frames.length / window;
  let next = 0;
  let odd = 0;
  let rest: Buffer = Buffer.alloc(0);
  const send = (count: number): void => {
    counted.sent += count;
    while (count > 0) {
      const now = Math.min(count, window - next);
      socket.write(frames.subarray(next * frameBytes, (next + now) * frameBytes));
      next = (next + now) % window;
      count -= now;
    }
  };
  /** PUBRELs for the PUBRECs; how many PUBCOMPs there were. */
  const completed = (chunk: Buffer): number => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const releases: number[] = [];
    let count = 0;
    let at = 0;
    for (; at + 4 <= bytes.length; at += 4) {
      if (bytes[at] === 0x50) releases.push(0x62, 2, bytes[at + 2]!, bytes[at + 3]!);
      else if (bytes[at] === 0x70) count++;
      else throw new Error(`neither PUBREC nor PUBCOMP: ${bytes[at]}`);
    }
    rest = bytes.subarray(at);
    if (releases.length > 0) socket.write(Buffer.from(releases));
    return count;
  };
  socket.on("data", (chunk: Buffer) => {
    if (qos === 2) {
      const count = completed(chunk);
      counted.acknowledged += count;
      send(count);
      return;
    }
    odd += chunk.length;
    const acknowledged = odd >> 2;
    odd &= 3;
    counted.acknowledged += acknowledged;
    send(acknowledged);
  });
  send(window);
}

/** Seconds that this process stood ready while others had its core: what tells a disturbed run. */
function waitedSeconds(): number {
  return Number(readFileSync("/proc/self/schedstat", "utf8").split(" ")[1]) / 1e9;
}

await subscribe();
const sockets: Socket[] = [];
for (let i = 0; i < publishers; i++) sockets.push(await opened(`publisher-${i}`));
for (const [i, socket] of sockets.entries()) {
  const topic = `${PREFIX}/${String(i).padStart(5, "0")}`;
  if (qos === 0) flood(socket, topic);
  else pipeline(socket, topic);
}
await new Promise((resolve) => {
  setTimeout(resolve, WARM_UP_MS);
});
const from = { ...counted };
const startedAt = performance.now();
const cpuFrom = process.cpuUsage();
const waitedFrom = waitedSeconds();
await new Promise((resolve) => {
  setTimeout(resolve, seconds * 1000);
});
const span = (performance.now() - startedAt) / 1000;
const cpu = process.cpuUsage(cpuFrom);
const rate = (key: keyof typeof counted): number => Math.round((counted[key] - from[key]) / span);
const busy = Math.round((cpu.user + cpu.system) / 10_000 / span);
const result = {
  received: rate("received"),
  acknowledged: rate("acknowledged"),
  sent: rate("sent"),
  receivedInAll: counted.received,
  generatorCpu: busy,
  generatorWaited: Math.round(((waitedSeconds() - waitedFrom) / span) * 100),
};
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);
