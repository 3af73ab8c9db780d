/**
 * MQTT clients with a certificate each; the other side of `revocation.ts` and `handshakes.ts`. Reads one JSON request, prints
 * one JSON line per event, and ends when its standard input does.
 */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { connect as connectTls, createSecureContext } from "node:tls";
import type { SecureContext } from "node:tls";
import type { Device } from "./enroll.ts";

export interface ClientsRequest {
  readonly port: number;
  /** JSON files with a list of devices, and the CA's PEM. */
  readonly devices: string;
  readonly ca: string;
  /** Groups that the clients offer, in OpenSSL's words. */
  readonly groups: string;
  readonly maxVersion?: "TLSv1.2" | "TLSv1.3";
  /** `hold`: each connects once and stays. `handshakes`: they come and go, `count` times in all. */
  readonly mode: "hold" | "handshakes";
  readonly count: number;
  readonly atOnce: number;
}

/** Nanoseconds of the monotonic clock that all processes share. */
export type ClientsEvent =
  | {
      readonly event: "ready";
      readonly ms: number;
      readonly protocol: string | null;
      readonly cipher: string;
      /** The client's own processor time. */
      readonly cpu: number;
    }
  | { readonly event: "closed"; readonly clients: readonly (readonly [index: number, at: string])[] };

const lines = createInterface(process.stdin);
const [first] = (await new Promise<string[]>((resolve) => lines.once("line", (line) => resolve([line])))) as [string];
const request = JSON.parse(first) as ClientsRequest;
const devices = JSON.parse(readFileSync(request.devices, "utf8")) as Device[];
const ca = readFileSync(request.ca, "utf8");
const say = (event: ClientsEvent): boolean => process.stdout.write(`${JSON.stringify(event)}\n`);

const contexts = devices.map(({ key, cert }) =>
  createSecureContext({ key, cert, ca, ecdhCurve: request.groups, maxVersion: request.maxVersion ?? "TLSv1.3" }),
);
let begun = 0;
let done = 0;
let ready = false;
const startedAt = performance.now();
const cpuAt = process.cpuUsage();
let closed: [index: number, at: string][] = [];

function more(): void {
  while (begun - done < request.atOnce && begun < request.count) open(begun++);
}

function open(n: number): void {
  const index = n % devices.length;
  // The platform limits connections per address.
  const below = connect({ host: "127.0.0.1", port: request.port, localAddress: `127.0.1.${1 + (n % 100)}` });
  const secureContext: SecureContext = contexts[index]!;
  const socket = connectTls({ socket: below, secureContext, checkServerIdentity: () => undefined });
  let inside = false;
  let fault = "";
  below.on("error", () => {});
  socket.on("error", (error) => {
    fault = error.message;
  });
  socket.write(connectPacket(devices[index]!.clientId));
  socket.on("data", (bytes) => {
    if (inside) return;
    if (bytes[0] !== 0x20 || bytes[3] !== 0) throw new Error(`device ${index} was refused: ${bytes.toString("hex")}`);
    inside = true;
    shown ??= { protocol: socket.getProtocol(), cipher: socket.getCipher().standardName };
    if (request.mode === "handshakes") socket.end(Buffer.of(0xe0, 0));
    else succeeded();
  });
  socket.on("close", () => {
    if (request.mode === "handshakes") {
      if (!inside) throw new Error(`device ${index} did not get in: ${fault}`);
      succeeded();
    } else if (inside) left(index);
    else throw new Error(`device ${index} did not get in: ${fault}`);
  });
}

let shown: { protocol: string | null; cipher: string } | null = null;

function succeeded(): void {
  done++;
  if (done < request.count) return more();
  ready = true;
  const { user, system } = process.cpuUsage(cpuAt);
  const cpu = (user + system) / 1e6;
  say({ event: "ready", ms: performance.now() - startedAt, cpu, ...(shown ?? { protocol: null, cipher: "?" }) });
}

function left(index: number): void {
  if (!ready) throw new Error(`device ${index} was disconnected before all were in`);
  if (closed.length === 0) {
    setImmediate(() => {
      say({ event: "closed", clients: closed });
      closed = [];
    });
  }
  closed.push([index, String(process.hrtime.bigint())]);
}

function connectPacket(clientId: string): Buffer {
  const id = Buffer.from(clientId);
  const body = [Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0x0e, 0x10]), Buffer.of(0, id.length), id];
  const length = body.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([Buffer.of(0x10, length), ...body]);
}

lines.on("close", () => process.exit(0));
more();
