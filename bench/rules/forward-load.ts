/**
 * Filter and forward under load: readings go in, every second one of them is to come out again. So many wait for each other that
 * the other side is never idle and nothing is dropped. Prints one JSON line (`Forwarded`). MQTT 3.1.1 at QoS 0, packets made beforehand.
 * `node bench/rules/forward-load.ts HOST PORT SECONDS`.
 */
import { connect } from "node:net";
import type { Socket } from "node:net";
import { connectPacket, packet, text } from "../mqtt-packets.ts";

export interface Forwarded {
  /** Readings per second that were looked at, after the warm-up; half of them were forwarded. */
  readonly rate: number;
  /** Likewise, with the warm-up. */
  readonly inAll: number;
}

export const IN = "bench/in";
export const OUT = "bench/out";
/** Readings above go on. */
export const LIMIT = 40;

const PUBLISHERS = 10;
/** Readings per write. */
const CHUNK = 32;
/** Readings under way at most: some tens of milliseconds' worth for the faster side. */
const WINDOW = 32_768;
const WARM_UP_MS = 3_000;
/** Nothing came out for so long: something was lost, and the window is stuck. */
const STALL_MS = 5_000;
const PAYLOAD_BYTES = 200;

/** As a machine reports itself; every second one is too hot. */
function reading(n: number): Buffer {
  const json = {
    n: n % 10,
    temperature: n % 2 === 0 ? LIMIT + 10 : LIMIT - 10,
    humidity: 40,
    pressure: 1013.25,
    battery: { percent: 80, volts: 3.71 },
    status: "running",
    firmware: "1.4.2",
  };
  return Buffer.from(JSON.stringify(json).padEnd(PAYLOAD_BYTES));
}

function opened(host: string, port: number, id: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const hello = connectPacket(id);
    const socket = connect({ host, port, noDelay: true }, () => void socket.write(hello));
    socket.once("error", reject);
    socket.once("close", () => fail(`the broker closed the connection of ${id}`));
    socket.once("data", (connack: Buffer) => {
      if (connack[0] === 0x20 && connack[3] === 0) resolve(socket);
      else reject(new Error(`CONNACK ${connack.toString("hex")}`));
    });
  });
}

function fail(reason: string): never {
  process.stderr.write(`${reason}\n`);
  process.exit(1);
}

/** Counts PUBLISH packets of any length in chunks of any. */
function counter(onMessages: (count: number) => void): (chunk: Buffer) => void {
  let carry = Buffer.alloc(0);
  return (chunk) => {
    const bytes = carry.length === 0 ? chunk : Buffer.concat([carry, chunk]);
    let at = 0;
    let count = 0;
    for (;;) {
      const whole = lengthAt(bytes, at);
      if (whole === null || at + whole > bytes.length) break;
      if (bytes[at]! >> 4 === 3) count++;
      at += whole;
    }
    carry = Buffer.from(bytes.subarray(at));
    if (count > 0) onMessages(count);
  };
}

/** Of the packet there; null where not even its length has come. */
function lengthAt(bytes: Buffer, at: number): number | null {
  let length = 0;
  for (let i = 1; i <= 4; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) return null;
    length |= (byte & 127) << (7 * (i - 1));
    if (byte < 128) return 1 + i + length;
  }
  return fail("a length of more than four bytes");
}

async function main(host: string, port: number, seconds: number): Promise<Forwarded> {
  let sent = 0;
  let received = 0;
  const idle: (() => void)[] = [];
  const subscriber = await opened(host, port, "bench-out");
  subscriber.write(packet(0x82, Buffer.from([0, 1]), text(OUT), Buffer.from([0])));
  await new Promise((resolve) => {
    subscriber.once("data", resolve);
  });
  subscriber.on(
    "data",
    counter((count) => {
      received += count;
      while (idle.length > 0 && hasRoom()) idle.shift()!();
    }),
  );
  const hasRoom = (): boolean => sent - 2 * received < WINDOW;
  for (let i = 0; i < PUBLISHERS; i++) {
    const socket = await opened(host, port, `bench-in-${i}`);
    const frames = Array.from({ length: CHUNK }, (_, n) => packet(0x30, text(`${IN}/${i}`), reading(n)));
    const chunk = Buffer.concat(frames);
    const more = (): void => {
      if (!hasRoom()) return void idle.push(more);
      sent += CHUNK;
      socket.write(chunk, more);
    };
    more();
  }
  const pause = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));
  let before = -1;
  const watch = setInterval(() => {
    if (received === before) fail(`nothing was forwarded for ${STALL_MS} ms: ${sent} sent, ${received} received`);
    before = received;
  }, STALL_MS);
  await pause(WARM_UP_MS);
  const [from, at] = [received, performance.now()];
  await pause(seconds * 1000);
  const rate = (2 * (received - from) * 1000) / (performance.now() - at);
  clearInterval(watch);
  return { rate, inAll: 2 * received };
}

if (import.meta.main) {
  const [host, port, seconds] = process.argv.slice(2);
  process.stdout.write(`${JSON.stringify(await main(host!, Number(port), Number(seconds)))}\n`);
  process.exit(0);
}
