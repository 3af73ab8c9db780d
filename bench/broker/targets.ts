/** The brokers under measurement, each on the server's core, with what it promises for an acknowledged message. */
import type { ChildProcess } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { createKeyAndCsr } from "../../src/adapters/pki/mod.ts";
import type { ConnectionInfo } from "../../src/cloud/api/contract.ts";
import { freePort } from "../free-port.ts";
import { SERVER_CORE, firstLine, pause, start, startPlatform } from "../processes.ts";
import type { Platform } from "../processes.ts";
import type { Address, Device } from "./load.ts";

export type TargetName = "tidewire" | "broker alone" | "mosquitto" | "nats" | "aedes";

export interface Target {
  readonly name: TargetName;
  readonly protocol: "mqtt" | "nats";
  readonly address: Address;
  readonly process: ChildProcess;
}

/** What an acknowledgement means at QoS 1. */
export const DURABILITY: Readonly<Record<TargetName, string>> = {
  tidewire: "on disk (fdatasync per batch)",
  "broker alone": "on disk, in a bare file, without the rest of the platform",
  mosquitto: "in memory",
  nats: "written to a file, synced every 2 minutes (JetStream's default)",
  aedes: "in memory",
};

export interface OurTarget extends Target {
  readonly platform: Platform;
}

/** The real platform with all its processes and default rules. */
export async function startOurs(folder: string, flags: readonly string[] = []): Promise<OurTarget> {
  const listen = `mqtt://127.0.0.1:${await freePort()}?auth=none`;
  const platform = await startPlatform(join(folder, "platform"), {
    core: SERVER_CORE,
    flags: ["--listen", listen, ...flags],
  });
  const address = { host: "127.0.0.1", port: Number(new URL(platform.listen[0]!).port) };
  return { name: "tidewire", protocol: "mqtt", address, process: platform.child, platform };
}

/** With its limits lifted, so that it is measured and not its defaults; in memory: it cannot be durable per message. */
export async function startMosquitto(folder: string, core = SERVER_CORE): Promise<Target> {
  const port = await freePort();
  const lines = [
    "allow_anonymous true",
    `listener ${port} 127.0.0.1`,
    "max_inflight_messages 0",
    "max_queued_messages 0",
    "persistence false",
    "set_tcp_nodelay true",
    "log_dest none",
    "",
  ];
  const path = join(folder, "mosquitto.conf");
  await writeFile(path, lines.join("\n"));
  const env = { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin` };
  const child = start(["mosquitto", "-c", path], { core, stdout: "ignore", env });
  await listening(port);
  return { name: "mosquitto", protocol: "mqtt", address: { host: "127.0.0.1", port }, process: child };
}

export async function startNats(folder: string): Promise<Target> {
  const port = await freePort();
  const store = join(folder, "nats");
  await mkdir(store);
  const path = join(folder, "nats.conf");
  await writeFile(path, `port: ${port}\nhost: 127.0.0.1\njetstream { store_dir: "${store}" }\n`);
  const env = { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin` };
  const child = start(["nats-server", "-c", path], { core: SERVER_CORE, stdout: "ignore", stderr: "ignore", env });
  await listening(port);
  return { name: "nats", protocol: "nats", address: { host: "127.0.0.1", port }, process: child };
}

/** Our broker, a listener and a bare journal: what the rest of the platform costs. */
export async function startBrokerAlone(folder: string): Promise<Target> {
  const script = join(import.meta.dirname, "broker-alone.ts");
  const child = start([process.execPath, script, folder], { core: SERVER_CORE });
  const address = { host: "127.0.0.1", port: Number(await firstLine(child)) };
  return { name: "broker alone", protocol: "mqtt", address, process: child };
}

export async function startAedes(): Promise<Target> {
  const port = await freePort();
  const script = join(import.meta.dirname, "aedes-server.ts");
  const child = start([process.execPath, script, String(port)], { core: SERVER_CORE });
  await firstLine(child);
  return { name: "aedes", protocol: "mqtt", address: { host: "127.0.0.1", port }, process: child };
}

/** Things with certificates and the default policy: the way `tidewire things add` makes them. */
export async function addDevices(platform: Platform, count: number): Promise<Device[]> {
  const { caPem, defaultPolicy } = await platform.api<ConnectionInfo>("GET", "/api/connection");
  const devices: Device[] = [];
  for (let i = 0; i < count; i++) {
    const thing = `bench-device-${String(i).padStart(5, "0")}`;
    const { privateKeyPem, csrPem } = await createKeyAndCsr(thing);
    await platform.api("POST", `/things/${thing}`, {});
    const certificate = await platform.api<{ certificateArn: string; certificatePem: string }>(
      "POST",
      "/certificates?setAsActive=true",
      { certificateSigningRequest: csrPem },
    );
    const principal = { "x-amzn-principal": certificate.certificateArn };
    await platform.api("PUT", `/things/${thing}/principals`, undefined, principal);
    await platform.api("PUT", `/target-policies/${defaultPolicy}`, { target: certificate.certificateArn });
    devices.push({ thing, key: privateKeyPem, cert: certificate.certificatePem, ca: caPem });
  }
  return devices;
}

/** The address of the TLS listener, with an identity for each connection. */
export function secureAddress(platform: Platform, devices: readonly Device[]): Address {
  const { hostname, port } = new URL(platform.mqtts);
  return { host: hostname, port: Number(port), devices };
}

async function listening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    if (await takes(port)) return;
    await pause(50);
  }
  throw new Error(`nothing listens on port ${port}; is the program installed?`);
}

function takes(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
