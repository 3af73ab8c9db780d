/** The folder that a device gets: its key, its certificate, the CA, and an agent's configuration. */
import { closeSync, existsSync, fsyncSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { TidewireError, reasonOf } from "../base/mod.ts";
import { makeFolder } from "./make-folder.ts";

export interface DeviceFolder {
  readonly path: string;
  readonly thing: string;
  /** `mqtts://host:port` of the platform. */
  readonly broker: string;
  /** `https://host:port` of the platform, where the device renews its certificate. */
  readonly renewal?: string;
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  readonly caPem: string;
  /** What the provisioning template says for this device beyond that. */
  readonly deviceConfiguration?: Readonly<Record<string, string>>;
}

export function agentConfigPath(folder: string): string {
  return join(folder, "agent.yaml");
}

/** Whether a folder holds a device already; such a folder is never written over, it may hold the only copy of a key. */
export function isDeviceFolder(path: string): boolean {
  return existsSync(agentConfigPath(path)) || existsSync(join(path, "private-key.pem"));
}

/** Its key is there, but its configuration is not: somebody was interrupted while writing it. */
export function isUnfinishedDeviceFolder(path: string): boolean {
  return isDeviceFolder(path) && !existsSync(agentConfigPath(path));
}

/** Throws DEVICE_FOLDER_EXISTS or DATA_FOLDER_UNUSABLE. The configuration comes last: a folder that has it is whole. */
export function writeDeviceFolder(device: DeviceFolder): void {
  if (isDeviceFolder(device.path)) throw new TidewireError("DEVICE_FOLDER_EXISTS", { path: device.path });
  const written: string[] = [];
  const write = (name: string, text: string, mode: number): void => {
    const path = join(device.path, name);
    writeWhole(path, text, mode);
    written.push(path);
  };
  try {
    makeFolder(device.path);
    write("private-key.pem", device.privateKeyPem, 0o600);
    write("certificate.pem", device.certificatePem, 0o644);
    write("ca.pem", device.caPem, 0o644);
    const { deviceConfiguration = {} } = device;
    if (Object.keys(deviceConfiguration).length > 0)
      write("device-configuration.json", `${JSON.stringify(deviceConfiguration, null, 2)}\n`, 0o644);
    write("agent.yaml", agentYaml(device), 0o644);
  } catch (error) {
    // A key without its configuration would only look like a device.
    for (const path of written) rmSync(path, { force: true });
    throw new TidewireError("DATA_FOLDER_UNUSABLE", { path: device.path, reason: reasonOf(error) }, { cause: error });
  }
}

function writeWhole(path: string, text: string, mode: number): void {
  const file = openSync(path, "wx", mode);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function agentYaml({ thing, broker, renewal }: DeviceFolder): string {
  return `# Start with: tidewire agent --config agent.yaml
# Every key: docs/reference/configuration.md

thing: ${JSON.stringify(thing)}
# Where the platform listens, as seen from this device.
broker: ${JSON.stringify(broker)}
${renewal === undefined ? "" : `# Where it renews its certificate, long before it ends.\nrenewal: ${JSON.stringify(renewal)}\n`}
certificate: certificate.pem
privateKey: private-key.pem
ca: ca.pem

# Readings wait here until the platform has them on disk.
data: data

sources:
  - type: system
    every: 1s
`;
}
