/**
 * Opens many MQTT connections and holds them; the other side of `connections.ts`. Prints one JSON line when all are open,
 * and one whenever all are back after they were lost. Ends when its standard input does.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls, createSecureContext } from "node:tls";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    port: { type: "string" },
    count: { type: "string" },
    /** The first client's number. */
    from: { type: "string", default: "0" },
    /** How many are on their way at once. */
    at: { type: "string", default: "64" },
    /** JSON file with key, cert and ca; without it, plain TCP. */
    identity: { type: "string" },
    /** Ask for a session that stays. */
    kept: { type: "boolean", default: false },
    /** Come back after a loss. */
    again: { type: "boolean", default: false },
    websocket: { type: "boolean", default: false },
  },
});
const [port, count] = [Number(values.port), Number(values.count)];
const identity =
  values.identity === undefined
    ? null
    : (JSON.parse(readFileSync(values.identity, "utf8")) as { key: string; cert: string; ca: string });
/** Made once: a context for each would be what is measured. */
const secureContext = identity === null ? null : createSecureContext(identity);

const RETRY_MS = 200;
const waiting: number[] = Array.from({ length: count }, (_, i) => Number(values.from) + i);
let underWay = 0;
let open = 0;
let present = 0;
let startedAt = performance.now();

function more(): void {
  while (underWay < Number(values.at) && waiting.length > 0) {
    underWay++;
    begin(waiting.shift()!);
  }
}

function begin(index: number): void {
  // The platform limits connections per address.
  const to = { host: "127.0.0.1", port, localAddress: `127.0.1.${1 + (index % 50)}` };
  const below = connect(to);
  const socket: Socket =
    secureContext === null ? below : connectTls({ socket: below, secureContext, checkServerIdentity: () => undefined });
  let inside = false;
  let upgraded = !values.websocket;
  socket.on("error", () => {});
  below.on("error", () => {});
  socket.write(upgraded ? connectPacket(index) : upgrade());
  socket.on("data", (bytes) => {
    if (!upgraded) {
      upgraded = true;
      socket.write(masked(connectPacket(index)));
      return;
    }
    const at = values.websocket ? 2 : 0;
    if (inside || bytes[at] !== 0x20) return;
    if (bytes[at + 3] !== 0) throw new Error(`refused with ${bytes[at + 3]}`);
    inside = true;
    underWay--;
    open++;
    if (((bytes[at + 2] ?? 0) & 1) === 1) present++;
    if (open === count) report();
    more();
  });
  socket.on("close", () => {
    if (open === count) {
      startedAt = performance.now();
      present = 0;
    }
    if (inside) open--;
    else underWay--;
    if (!values.again) return;
    setTimeout(() => {
      waiting.push(index);
      more();
    }, RETRY_MS);
  });
}

function report(): void {
  process.stdout.write(`${JSON.stringify({ open, sessions: present, ms: performance.now() - startedAt })}\n`);
}

function connectPacket(index: number): Buffer {
  const id = `client-${index}`;
  const properties = values.kept ? Buffer.of(5, 0x11, 0, 0, 0x0e, 0x10) : Buffer.of(0);
  const body = [
    Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 5, values.kept ? 0 : 2, 0x0e, 0x10]),
    properties,
    Buffer.of(0, id.length),
    Buffer.from(id),
  ];
  const length = body.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([Buffer.of(0x10, length), ...body]);
}

function upgrade(): string {
  const key = createHash("md5").update("x").digest("base64");
  return `GET /mqtt HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n`;
}

/** With a mask of zeros, which hides nothing. */
function masked(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.of(0x82, 0x80 | bytes.length, 0, 0, 0, 0), bytes]);
}

process.stdin.on("end", () => process.exit(0)).resume();
more();
