/**
 * Devices that provision themselves by claim; the other side of `claims.ts`. Reads one JSON request, prints a JSON line when
 * all have their keys made, begins with the next line that it reads, and prints a JSON line when all are provisioned.
 */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { connect as connectTls, createSecureContext } from "node:tls";
import type { SecureContext } from "node:tls";
import { generate, parser } from "mqtt-packet";
import type { Packet } from "mqtt-packet";
import { createKeyAndCsr } from "../../src/adapters/pki/mod.ts";

export interface ClaimRequest {
  readonly port: number;
  /** JSON file: the CA's PEM, and the claims that the devices share. */
  readonly identities: string;
  readonly template: string;
  readonly form: "keys" | "csr";
  readonly count: number;
  /** The first device's number. */
  readonly from: number;
  readonly atOnce: number;
}

export interface Identities {
  readonly ca: string;
  readonly claims: readonly { readonly cert: string; readonly key: string }[];
}

export interface ClaimResult {
  readonly ms: number;
  /** Of one device, from its connection to its thing. */
  readonly p50: number;
  readonly p99: number;
  /** Requests that were told to come back. */
  readonly throttled: number;
  /** Devices of a sample that then connected as themselves. */
  readonly connected: number;
  /** The clients' own processor time, without the making of keys. */
  readonly cpu: number;
}

/** Every so many devices, one connects with what it was given. */
const SAMPLE = 100;
const BACK_OFF_MS = 500;

const lines = createInterface(process.stdin)[Symbol.asyncIterator]();
const request = JSON.parse((await lines.next()).value as string) as ClaimRequest;
const identities = JSON.parse(readFileSync(request.identities, "utf8")) as Identities;
const { ca } = identities;
const contexts = identities.claims.map(({ cert, key }) =>
  createSecureContext({ key, cert, ca, minVersion: "TLSv1.3" }),
);
const create = `$aws/certificates/create${request.form === "csr" ? "-from-csr" : ""}/json`;
const register = `$aws/provisioning-templates/${request.template}/provision/json`;

/** A device makes its own key on its own processor: not part of what is measured. */
const requests: { csrPem: string; key: string }[] = [];
for (let n = 0; request.form === "csr" && n < request.count; n++) {
  const { csrPem, privateKeyPem } = await createKeyAndCsr("a device");
  requests.push({ csrPem, key: privateKeyPem });
}
process.stdout.write(`{"event":"ready"}\n`);
await lines.next();

const took: number[] = [];
let throttled = 0;
let connected = 0;
const startedAt = performance.now();
const cpuAt = process.cpuUsage();
let next = 0;
await Promise.all(Array.from({ length: request.atOnce }, work));
const { user, system } = process.cpuUsage(cpuAt);
took.sort((a, b) => a - b);
const result: ClaimResult = {
  ms: performance.now() - startedAt,
  p50: took[took.length >> 1]!,
  p99: took[Math.floor(took.length * 0.99)]!,
  throttled,
  connected,
  cpu: (user + system) / 1e6,
};
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);

async function work(): Promise<void> {
  while (next < request.count) {
    const n = next++;
    const begunAt = performance.now();
    const { thing, cert, key } = await provision(n);
    took.push(performance.now() - begunAt);
    if (n % SAMPLE !== 0) continue;
    const itself = await open(createSecureContext({ cert, key, ca }), thing, n);
    itself.end();
    connected++;
  }
}

async function provision(n: number): Promise<{ readonly thing: string; readonly cert: string; readonly key: string }> {
  const device = await open(contexts[n % contexts.length]!, `factory-${request.from + n}`, n);
  const answers = [create, register].flatMap((topic) => [`${topic}/accepted`, `${topic}/rejected`]);
  await device.subscribe(answers);
  const asked = request.form === "csr" ? { certificateSigningRequest: requests[n]!.csrPem } : {};
  const created = await device.ask(create, asked);
  const parameters = { SerialNumber: String(request.from + n) };
  const { certificateOwnershipToken } = created;
  const { thingName } = await device.ask(register, { certificateOwnershipToken, parameters });
  device.end();
  const key = request.form === "csr" ? requests[n]!.key : String(created["privateKey"]);
  return { thing: String(thingName), cert: String(created["certificatePem"]), key };
}

interface Client {
  subscribe(filters: readonly string[]): Promise<void>;
  ask(topic: string, document: object): Promise<Record<string, unknown>>;
  end(): void;
}

/** MQTT 3.1.1 over TLS; resolves with its CONNACK. */
async function open(secureContext: SecureContext, clientId: string, n: number): Promise<Client> {
  // The platform limits connections per address.
  const below = connect({ host: "127.0.0.1", port: request.port, localAddress: `127.0.1.${1 + (n % 100)}` });
  const socket = connectTls({ socket: below, secureContext, checkServerIdentity: () => undefined });
  const packets = parser({ protocolVersion: 4 });
  let expected: { readonly take: (packet: Packet) => boolean; readonly lost: (error: Error) => void } | null = null;
  let fault = "it was cut off";
  below.on("error", () => {});
  socket.on("error", (error) => (fault = error.message));
  socket.on("close", () => expected?.lost(new Error(`${clientId}: ${fault}`)));
  socket.on("data", (bytes) => packets.parse(bytes));
  const send = (packet: Packet): boolean => socket.write(generate(packet));
  packets.on("packet", (packet) => {
    if (packet.cmd === "publish" && packet.qos === 1) send({ cmd: "puback", messageId: packet.messageId! });
    if (expected?.take(packet) === true) expected = null;
  });
  const until = <T>(pick: (packet: Packet) => T | null): Promise<T> =>
    new Promise((resolve, reject) => {
      const take = (packet: Packet): boolean => {
        const found = pick(packet);
        if (found !== null) resolve(found);
        return found !== null;
      };
      expected = { take, lost: reject };
    });
  send({ cmd: "connect", protocolId: "MQTT", protocolVersion: 4, clean: true, clientId, keepalive: 600 });
  const code = await until((packet) => (packet.cmd === "connack" ? packet.returnCode! : null));
  if (code !== 0) throw new Error(`${clientId} was refused with ${code}`);
  return {
    subscribe: async (filters) => {
      send({ cmd: "subscribe", messageId: 1, subscriptions: filters.map((topic) => ({ topic, qos: 1 })) });
      await until((packet) => (packet.cmd === "suback" ? true : null));
    },
    ask: async function ask(topic, document): Promise<Record<string, unknown>> {
      send({
        cmd: "publish",
        topic,
        payload: JSON.stringify(document),
        qos: 1,
        messageId: 2,
        dup: false,
        retain: false,
      });
      const { outcome, answer } = await until((packet) =>
        packet.cmd === "publish"
          ? {
              outcome: packet.topic.slice(topic.length + 1),
              answer: JSON.parse(packet.payload.toString()) as Record<string, unknown>,
            }
          : null,
      );
      if (outcome === "accepted") return answer;
      if (answer["errorCode"] !== "Throttling") throw new Error(`${clientId}: ${JSON.stringify(answer)}`);
      throttled++;
      await new Promise((resolve) => setTimeout(resolve, BACK_OFF_MS * (0.5 + Math.random())));
      return ask(topic, document);
    },
    end: () => void socket.end(generate({ cmd: "disconnect" })),
  };
}
