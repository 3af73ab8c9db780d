/** Devices for scenario tests: provisioned by the real command line, spoken for by clients that we did not write. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { connect as tlsConnect } from "node:tls";
import type { TLSSocket } from "node:tls";
import { connect, connectAsync } from "mqtt";
import type { IClientOptions, MqttClient } from "mqtt";
import { runCli } from "./platform-process.ts";
import type { PlatformProcess } from "./platform-process.ts";

export interface Device {
  readonly thing: string;
  readonly folder: string;
  readonly certificateId: string;
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

/** `tidewire things add`, as a user does it. */
export async function addDevice(
  platform: PlatformProcess,
  folder: string,
  thing: string,
  broker?: string,
): Promise<Device> {
  const out = join(folder, thing);
  const { dataDir } = platform.ready;
  const args = ["things", "add", thing, "--out", out, "--data", dataDir, "--json"];
  const { code, stdout, stderr } = await runCli(
    [...args, ...(broker === undefined ? [] : ["--broker", broker])],
    folder,
  );
  if (code !== 0) throw new Error(`things add ended with ${code}: ${stderr}`);
  const { certificateId } = JSON.parse(stdout) as { certificateId: string };
  const read = (name: string): string => readFileSync(join(out, name), "utf8");
  return {
    thing,
    folder: out,
    certificateId,
    key: read("private-key.pem"),
    cert: read("certificate.pem"),
    ca: read("ca.pem"),
  };
}

/** An MQTT.js client with the device's certificate. */
export function connectDevice(
  platform: PlatformProcess,
  device: Device,
  options: IClientOptions = {},
): Promise<MqttClient> {
  return connectAsync(optionsOf(platform, device, options));
}

/** The same, not connected yet: for messages that a kept session sends right behind its CONNACK. */
export function openDevice(platform: PlatformProcess, device: Device, options: IClientOptions = {}): MqttClient {
  return connect(optionsOf(platform, device, options));
}

function optionsOf(platform: PlatformProcess, device: Device, options: IClientOptions): IClientOptions {
  return {
    protocol: "mqtts",
    host: "127.0.0.1",
    port: platform.mqttsPort,
    protocolVersion: 5,
    clientId: device.thing,
    reconnectPeriod: 0,
    connectTimeout: 5000,
    key: device.key,
    cert: device.cert,
    ca: device.ca,
    ...options,
  };
}

/** A bare TLS connection with the device's certificate, to send what no client would. */
export function rawConnection(
  platform: PlatformProcess,
  identity: Partial<Pick<Device, "key" | "cert" | "ca">>,
): TLSSocket {
  return tlsConnect({ host: "127.0.0.1", port: platform.mqttsPort, rejectUnauthorized: false, ...identity });
}
