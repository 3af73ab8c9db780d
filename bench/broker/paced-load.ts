/**
 * Publishes at a fixed rate, open loop: a message is due by the clock, whatever became of those before it, and carries the time
 * when it was due, so that a late sender counts as latency. MQTT 3.1.1, QoS 1, publishers and one subscriber in one process.
 * `node bench/broker/paced-load.ts FILE` with a `PacedRequest` in it; prints `Latencies`.
 */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { connectPacket, packet, text } from "../mqtt-packets.ts";
import type { Latencies, PacedRequest } from "./half-load.ts";

const { host, port, publishers, rate, seconds, payload } = JSON.parse(
  readFileSync(process.argv[2]!, "utf8"),
) as PacedRequest;
const TICK_MS = 1;
const WARM_UP_SECONDS = 5;
/** Counts per hundredth of a millisecond, up to ten seconds. */
const STEP_MS = 0.01;
const counts = new Uint32Array(10_000 / STEP_MS);
const TOPIC = `paced-${String(process.pid).padStart(7, "0")}/`;

function opened(clientId: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true }, () => socket.write(connectPacket(clientId)));
    socket.once("error", reject);
    socket.once("data", () => resolve(socket));
  });
}

/** All of one length; packet identifier and time are filled in. */
const frames = Array.from({ length: publishers }, (_, i) =>
  packet(0x32, text(TOPIC + String(i).padStart(5, "0")), Buffer.from([0, 1]), Buffer.alloc(payload)),
);
const frameBytes = frames[0]!.length;
const idAt = frameBytes - payload - 2;
const timeAt = frameBytes - payload;

const seen = { received: 0 };
let slowest = 0;
let warm = false;

function take(frame: Buffer, at: number, answers: Buffer, n: number): void {
  if ((frame[at]! & 0xf0) !== 0x30) throw new Error(`not a PUBLISH: ${frame[at]}`);
  seen.received++;
  const latency = performance.now() - frame.readDoubleLE(at + timeAt);
  if (warm) {
    slowest = Math.max(slowest, latency);
    counts[Math.min(counts.length - 1, Math.max(0, Math.floor(latency / STEP_MS)))]!++;
  }
  answers.writeUInt32BE((0x4002 * 65_536 + frame.readUInt16BE(at + idAt)) >>> 0, n * 4);
}

async function subscribe(): Promise<void> {
  const socket = await opened("paced-subscriber");
  socket.write(packet(0x82, Buffer.from([0, 1]), text(`${TOPIC}+`), Buffer.from([1])));
  await new Promise((resolve) => {
    socket.once("data", resolve);
  });
  let rest: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const answers = Buffer.allocUnsafe(Math.floor(bytes.length / frameBytes) * 4);
    let n = 0;
    for (; (n + 1) * frameBytes <= bytes.length; n++) take(bytes, n * frameBytes, answers, n);
    rest = Buffer.from(bytes.subarray(n * frameBytes));
    if (n > 0) socket.write(answers);
  });
}

function quantile(part: number, total: number): number {
  let passed = 0;
  for (let i = 0; i < counts.length; i++) {
    passed += counts[i]!;
    if (passed >= part * total) return i * STEP_MS;
  }
  return Infinity;
}

await subscribe();
const sockets: Socket[] = [];
for (let i = 0; i < publishers; i++) sockets.push(await opened(`paced-${i}`));
for (const socket of sockets) socket.resume();
const startsAt = performance.now() + 100;
const total = rate * (seconds + WARM_UP_SECONDS);
let sent = 0;
await new Promise<void>((resolve) => {
  const timer = setInterval(() => {
    const due = Math.min(total, Math.floor(((performance.now() - startsAt) * rate) / 1000));
    warm = sent > rate * WARM_UP_SECONDS;
    // Each publisher sends its share of what is due in one write, as a device that has several readings does.
    const each = Math.ceil((due - sent) / publishers);
    for (let p = 0; p < publishers && sent < due; p++) {
      const now = Math.min(each, due - sent);
      const batch = Buffer.allocUnsafe(now * frameBytes);
      for (let i = 0; i < now; i++, sent++) {
        frames[p]!.copy(batch, i * frameBytes);
        batch.writeUInt16BE((sent % 65_535) + 1, i * frameBytes + idAt);
        batch.writeDoubleLE(startsAt + ((sent + 1) * 1000) / rate, i * frameBytes + timeAt);
      }
      sockets[p]!.write(batch);
    }
    if (sent < total) return;
    clearInterval(timer);
    resolve();
  }, TICK_MS);
});
for (let waited = 0; waited < 100; waited++) {
  if (seen.received === total) break;
  await new Promise((resolve) => {
    setTimeout(resolve, 100);
  });
}
const messages = counts.reduce((sum, count) => sum + count, 0);
const found: Latencies = {
  messages,
  lost: total - seen.received,
  p50: quantile(0.5, messages),
  p99: quantile(0.99, messages),
  p999: quantile(0.999, messages),
  max: slowest,
};
process.stdout.write(`${JSON.stringify(found)}\n`);
process.exit(0);
