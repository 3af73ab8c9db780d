/**
 * The same load for a NATS server, in its own protocol and with nothing else: core NATS for QoS 0; for QoS 1 each publish
 * carries a reply subject and JetStream acknowledges it, at most `window` outstanding. Subscribers take from core NATS in
 * both, which costs the server less than a consumer would.
 * `node bench/broker/nats-load.ts FILE` with a `LoadRequest` in it; prints one JSON line (`Load`).
 */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import type { Socket } from "node:net";
import type { LoadRequest } from "./load.ts";
import { counted, measured } from "./load-meter.ts";

const request = JSON.parse(readFileSync(process.argv[2]!, "utf8")) as LoadRequest;
const { qos, window, payload, topology, publishers, subscribers } = request;
const RUN = String(process.pid).padStart(7, "0");
const subject = (publisher: number): string => `bench.${RUN}.${String(publisher).padStart(5, "0")}`;
const STREAM = `BENCH${RUN}`;

function opened(): Promise<Socket> {
  const { host, port } = request.publishAt;
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true });
    socket.once("error", reject);
    socket.once("data", () => {
      socket.write('CONNECT {"verbose":false,"pedantic":false,"headers":true}\r\nPING\r\n');
      socket.once("data", (pong: Buffer) => {
        if (pong.toString().startsWith("PONG")) resolve(socket);
        else reject(new Error(`NATS said ${pong.toString()}`));
      });
    });
  });
}

/** Counts messages without looking for their ends: every MSG of a subscription has one length, as have acknowledgements. */
function countMessages(socket: Socket, messageBytes: number, each: (count: number) => void): void {
  let odd = 0;
  socket.on("data", (chunk: Buffer) => {
    if (odd === 0 && chunk[0] === 0x50 /* PING */) {
      socket.write("PONG\r\n");
      chunk = chunk.subarray(6);
    }
    odd += chunk.length;
    const whole = Math.floor(odd / messageBytes);
    odd -= whole * messageBytes;
    if (whole > 0) each(whole);
  });
}

async function subscriber(filter: string): Promise<void> {
  const socket = await opened();
  socket.write(`SUB ${filter} 1\r\nPING\r\n`);
  await new Promise((resolve) => {
    socket.once("data", resolve);
  });
  // MSG subject sid [reply] bytes
  const reply = qos === 0 ? "" : `inbox.${RUN}.00000 `;
  const bytes = `MSG ${subject(0)} 1 ${reply}${payload}\r\n`.length + payload + 2;
  countMessages(socket, bytes, (count) => (counted.received += count));
}

function flood(socket: Socket, publisher: number): void {
  const frame = `PUB ${subject(publisher)} ${payload}\r\n${"x".repeat(payload)}\r\n`;
  const batch = Buffer.from(frame.repeat(window));
  const more = (): void => {
    counted.sent += window;
    socket.write(batch, more);
  };
  socket.on("data", (chunk: Buffer) => {
    if (chunk.includes("PING")) socket.write("PONG\r\n");
  });
  more();
}

/** The stream's sequence is part of an acknowledgement, so those have no fixed length: they are found by their verb. */
function pipeline(socket: Socket, publisher: number): void {
  const inbox = `inbox.${RUN}.${String(publisher).padStart(5, "0")}`;
  const frame = Buffer.from(`PUB ${subject(publisher)} ${inbox} ${payload}\r\n${"x".repeat(payload)}\r\n`);
  const batch = Buffer.concat(Array.from({ length: window }, () => frame));
  const send = (count: number): void => {
    counted.sent += count;
    socket.write(batch.subarray(0, count * frame.length));
  };
  let tail = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    const bytes = tail.length === 0 ? chunk : Buffer.concat([tail, chunk]);
    let found = 0;
    let at = 0;
    for (;;) {
      const end = bytes.indexOf('"}\r\n', at);
      const dup = bytes.indexOf("}\r\n", at);
      const next = end === -1 ? dup : Math.min(end, dup);
      if (next === -1) break;
      at = bytes.indexOf("\n", next) + 1;
      found++;
    }
    tail = Buffer.from(bytes.subarray(at));
    if (tail.includes("PING\r\n")) socket.write("PONG\r\n");
    if (tail.toString().includes("error")) throw new Error(tail.toString());
    counted.acknowledged += found;
    if (found > 0) send(found);
  });
  socket.write(`SUB ${inbox} 1\r\n`);
  send(window);
}

/** A stream on files for all subjects of this run. */
async function createStream(): Promise<void> {
  const socket = await opened();
  const config = { name: STREAM, subjects: [`bench.${RUN}.>`], storage: "file", retention: "limits", num_replicas: 1 };
  const body = JSON.stringify({ ...config, max_bytes: 2 ** 31, discard: "old" });
  const answer = new Promise<string>((resolve) => {
    socket.once("data", (bytes: Buffer) => resolve(bytes.toString()));
  });
  const create = `PUB $JS.API.STREAM.CREATE.${STREAM} inbox.create ${body.length}\r\n${body}\r\n`;
  socket.write(`SUB inbox.create 1\r\n${create}`);
  if (!(await answer).includes("stream_create_response")) throw new Error(await answer);
}

if (qos === 1) await createStream();
for (let i = 0; i < subscribers; i++) await subscriber(topology === "pairs" ? subject(i) : `bench.${RUN}.*`);
const sockets: Socket[] = [];
for (let i = 0; i < publishers; i++) sockets.push(await opened());
for (const [i, socket] of sockets.entries()) (qos === 0 ? flood : pipeline)(socket, i);
process.stdout.write(`${JSON.stringify(await measured(request.seconds))}\n`);
process.exit(0);
