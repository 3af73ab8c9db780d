/**
 * Handshakes to CONNACK per second of the server's processor time (all of its threads and processes), ours and Mosquitto's
 * in turns: the same server certificate, clients, CA and ciphers, TLS 1.3, no client comes back by a ticket.
 */
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import type { DetailedPeerCertificate } from "node:tls";
import { freePort } from "../free-port.ts";
import { SERVER_CORE, cpuSeconds, pause, start, startPlatform, stop, tell, withFolder } from "../processes.ts";
import { figure, median } from "../report.ts";
import type { Row } from "../report.ts";
import { DeviceClients } from "./clients.ts";
import { enroll } from "./enroll.ts";

interface Offer {
  readonly name: string;
  readonly groups: string;
}

const LIKE: Offer = { name: "X25519", groups: "X25519" };
/** What our agent and current OpenSSL offer first, and Mosquitto with OpenSSL 3.0 does not know. */
const OURS: Offer = { name: "X25519MLKEM768", groups: "X25519MLKEM768:X25519" };

const DEVICES = 200;
/** Until V8 has compiled what a connection runs through: after 2,000 each run was still quicker than the one before. A fleet is as many. */
const WARM_UP = 10_000;

interface Server {
  readonly name: string;
  readonly pid: number;
  readonly port: number;
}

export async function handshakes(runs: number, count: number): Promise<Row[]> {
  return withFolder(async (folder) => {
    const platform = await startPlatform(join(folder, "data"), { core: SERVER_CORE });
    const { caPem } = await platform.api<{ caPem: string }>("GET", "/api/connection");
    const paths = { devices: join(folder, "devices.json"), ca: join(folder, "ca.pem") };
    writeFileSync(paths.devices, JSON.stringify(await enroll(platform, DEVICES)));
    writeFileSync(paths.ca, caPem);
    const ours: Server = { name: "ours", pid: platform.pid, port: Number(platform.mqtts.split(":").at(-1)) };
    const mosquitto = await startSecureMosquitto(folder, platform.dataDir, caPem, await chainOf(ours.port));
    const theirs: Server = { name: "mosquitto", pid: mosquitto.pid!, port: mosquitto.port };
    const syncs = async (): Promise<number> => {
      const headers = { authorization: `Bearer ${platform.adminToken}` };
      const text = await (await fetch(`${platform.http}/metrics`, { headers })).text();
      return Number(/^tidewire_log_syncs_total(?:\{.*\})? (\S+)/m.exec(text)?.[1]);
    };
    const run = async (server: Server, offer: Offer, handshakesOfRun: number): Promise<number> => {
      const syncsBefore = await syncs();
      const before = cpuSeconds(server.pid);
      const request = { port: server.port, ...paths, groups: offer.groups, count: handshakesOfRun, atOnce: 32 };
      const clients = new DeviceClients({ ...request, mode: "handshakes" });
      const { ms, protocol, cipher, cpu } = await clients.ready();
      await pause(500);
      const perSecond = handshakesOfRun / (cpuSeconds(server.pid) - before);
      const synced = server === ours ? `, ${figure((await syncs()) - syncsBefore)} syncs of the log` : "";
      await clients.end();
      tell(
        `${server.name}, ${offer.name} (${protocol}, ${cipher}): ${figure(perSecond)} per processor second, ` +
          `${figure(handshakesOfRun / (ms / 1000))}/s by the clock, clients' own ${figure(cpu)} s${synced}`,
      );
      return perSecond;
    };
    for (const [server, offer] of [
      [ours, LIKE],
      [ours, OURS],
      [theirs, LIKE],
    ] as const)
      await run(server, offer, WARM_UP);
    const measured = { theirs: [] as number[], like: [] as number[], hybrid: [] as number[] };
    for (let n = 0; n < runs; n++) {
      measured.theirs.push(await run(theirs, LIKE, count));
      measured.like.push(await run(ours, LIKE, count));
      measured.hybrid.push(await run(ours, OURS, count));
    }
    await stop(mosquitto.child);
    await stop(platform.child);
    const peer = `Mosquitto ${figure(median(measured.theirs))} (${figure(Math.min(...measured.theirs))}–${figure(Math.max(...measured.theirs))})`;
    const ratio = (of: readonly number[]): number[] => of.map((rate, n) => rate / measured.theirs[n]!);
    const unit = "per processor second";
    return [
      {
        claim: "mTLS handshakes to CONNACK, X25519, TLS 1.3, ECDSA P-256",
        unit,
        must: null,
        runs: measured.like,
        peer,
      },
      { claim: "… of Mosquitto's, pair by pair", unit: "×", must: { atLeast: 1 }, runs: ratio(measured.like), peer },
      { claim: "… with X25519MLKEM768, our default", unit, must: null, runs: measured.hybrid, peer: `${peer}, X25519` },
      {
        claim: "… of Mosquitto's with X25519, pair by pair",
        unit: "×",
        must: null,
        runs: ratio(measured.hybrid),
        peer: "",
      },
    ];
  });
}

/** The server's certificate and the CAs above it but the root, as it shows them to clients. */
async function chainOf(port: number): Promise<string[]> {
  const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, maxVersion: "TLSv1.2" });
  socket.on("error", () => {}); // it has no certificate to show
  await once(socket, "secureConnect").catch(() => {});
  const chain: string[] = [];
  let at: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (at !== undefined && chain.length < 4) {
    const { subject, issuer } = at;
    if (subject.CN !== issuer.CN) chain.push(new X509Certificate(at.raw).toString());
    at = at.issuerCertificate === at ? undefined : at.issuerCertificate;
  }
  socket.destroy();
  return chain;
}

/** With our server's certificate and key, and clients of our CA. */
async function startSecureMosquitto(folder: string, data: string, caPem: string, chain: readonly string[]) {
  const port = await freePort();
  const own = join(folder, "mosquitto");
  mkdirSync(own);
  const path = (name: string): string => join(own, name);
  writeFileSync(path("ca.pem"), [caPem, ...chain.slice(1)].join("\n"));
  writeFileSync(path("server.crt"), chain.join(""));
  writeFileSync(path("server.key"), readFileSync(join(data, "secrets/server.key")));
  const lines = [
    "user root", // else it becomes a user who may not read our key
    "allow_anonymous true",
    "persistence false",
    "log_dest none",
    "set_tcp_nodelay true",
    `listener ${port} 127.0.0.1`,
    `cafile ${path("ca.pem")}`,
    `certfile ${path("server.crt")}`,
    `keyfile ${path("server.key")}`,
    "require_certificate true",
    "use_identity_as_username true",
    "",
  ];
  writeFileSync(path("mosquitto.conf"), lines.join("\n"));
  const env = { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin` };
  const child = start(["mosquitto", "-c", path("mosquitto.conf")], { core: SERVER_CORE, stdout: "ignore", env });
  await pause(500);
  if (child.exitCode !== null) throw new Error("mosquitto did not start");
  return { child, port, pid: child.pid };
}
