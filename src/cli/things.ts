/** `tidewire things`: devices, each with its own key and certificate. */
import { resolve } from "node:path";
import { Command } from "commander";
import { isDeviceFolder, writeDeviceFolder } from "../adapters/device-folder.ts";
import { TidewireError } from "../base/mod.ts";
import type { ConnectionInfo, FleetPage } from "../cloud/api/contract.ts";
import type { PlatformClient } from "./client.ts";
import { clientOf, withConnection } from "./connection.ts";
import { table } from "./output.ts";
import type { Output } from "./output.ts";

interface AddOptions {
  readonly out?: string;
  readonly broker?: string;
  readonly type?: string;
  readonly attribute: readonly string[];
  readonly json?: boolean;
  readonly data: string;
}

export function thingsCommand(output: Output): Command {
  const things = new Command("things").description("devices: add and list them");
  things.addCommand(
    withConnection(new Command("add"))
      .description("register a device and write its key, certificate and configuration into a folder")
      .argument("<name>", "thing name: 1 to 128 of a-z A-Z 0-9 : _ -")
      .option("--out <folder>", "folder to write (default: the name)")
      .option("--broker <url>", "address under which the device reaches the platform")
      .option("--attribute <key=value...>", "attributes of the thing", [])
      .option("--json", "print the result as JSON")
      .action((name: string, options: AddOptions) => add(name, options, output)),
  );
  things.addCommand(
    withConnection(new Command("list"))
      .description("list all devices with their presence")
      .option("--json", "print the result as JSON")
      .action((options: AddOptions) => list(options, output)),
  );
  return things;
}

async function add(name: string, options: AddOptions, output: Output): Promise<void> {
  const folder = resolve(options.out ?? name);
  if (isDeviceFolder(folder)) throw new TidewireError("DEVICE_FOLDER_EXISTS", { path: folder });
  const client = clientOf(options);
  await refuseKnownName(client, name);
  const connection = await client.get<ConnectionInfo>("/api/connection");
  const broker = options.broker ?? connection.mqtts;
  const certificateId = await register(client, name, {
    ...connection,
    broker,
    folder,
    attributes: attributesOf(options),
  });
  if (options.json === true) {
    output.result(JSON.stringify({ thing: name, folder, broker, certificateId }));
    return;
  }
  output.result(`Added ${name}. Its key, certificate and configuration are in ${folder}.`);
  output.result(`On the device, run: tidewire agent --config agent.yaml`);
  if (options.broker === undefined && connection.addresses.length > 0) {
    output.result(`agent.yaml names ${broker}. From another machine, use one of: ${connection.addresses.join(", ")}`);
  }
}

interface NewDevice {
  readonly folder: string;
  readonly broker: string;
  readonly httpsPort: number;
  readonly caPem: string;
  readonly defaultPolicy: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** All of it or nothing: a thing without its key would keep the name from the next attempt. Returns the certificate's id. */
async function register(client: PlatformClient, name: string, device: NewDevice): Promise<string> {
  const { createKeyAndCsr } = await import("../adapters/pki/mod.ts");
  // The private key is made here and never leaves this machine: the platform sees the signing request only.
  const { privateKeyPem, csrPem } = await createKeyAndCsr(name);
  const path = `/things/${encodeURIComponent(name)}`;
  const undo: (() => Promise<unknown>)[] = [];
  try {
    await client.call("POST", path, { attributePayload: { attributes: device.attributes } });
    undo.push(() => client.call("DELETE", path));
    const { certificateArn, certificatePem, certificateId } = await client.call<{
      certificateArn: string;
      certificatePem: string;
      certificateId: string;
    }>("POST", "/certificates?setAsActive=true", { certificateSigningRequest: csrPem });
    undo.push(() => client.call("DELETE", `/certificates/${certificateId}?forceDelete=true`));
    undo.push(() => client.call("PUT", `/certificates/${certificateId}?newStatus=REVOKED`));
    const principal = { "x-amzn-principal": certificateArn };
    await client.call("PUT", `${path}/principals`, undefined, principal);
    undo.push(() => client.call("DELETE", `${path}/principals`, undefined, principal));
    const { defaultPolicy, folder, broker, httpsPort, caPem } = device;
    const renewal = `https://${new URL(broker.replace(/^mqtts:/, "https:")).hostname}:${httpsPort}`;
    await client.call("PUT", `/target-policies/${defaultPolicy}`, { target: certificateArn });
    writeDeviceFolder({ path: folder, thing: name, broker, renewal, certificatePem, privateKeyPem, caPem });
    return certificateId;
  } catch (error) {
    for (const step of undo.toReversed()) await step().catch(() => {}); // the first error is the one to tell
    throw error;
  }
}

/** AWS's CreateThing takes the same name again; here it would give a second device the first one's identity. */
async function refuseKnownName(client: PlatformClient, name: string): Promise<void> {
  try {
    await client.get(`/things/${encodeURIComponent(name)}`);
  } catch (error) {
    if (error instanceof TidewireError && error.code === "NOT_FOUND") return;
    throw error;
  }
  throw new TidewireError("ALREADY_EXISTS", { kind: "thing", name });
}

function attributesOf({ attribute }: AddOptions): Record<string, string> {
  return Object.fromEntries(
    attribute.map((pair) => {
      const [key, ...value] = pair.split("=");
      if (key === undefined || key === "" || value.length === 0) {
        throw new TidewireError("REQUEST_INVALID", { reason: `--attribute takes key=value, not '${pair}'` });
      }
      return [key, value.join("=")];
    }),
  );
}

async function list(options: AddOptions, output: Output): Promise<void> {
  const client = clientOf(options);
  const things = [];
  let cursor: string | null = null;
  do {
    const query: string = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page: FleetPage = await client.get<FleetPage>(`/api/fleet?limit=250${query}`);
    things.push(...page.things);
    cursor = page.cursor;
  } while (cursor !== null);
  if (options.json === true) {
    for (const thing of things) output.result(JSON.stringify(thing));
    return;
  }
  const rows = things.map(({ thingName, presence, activeAlerts }) => [
    thingName,
    presence.state,
    presence.lastSeenAt === null ? "never" : new Date(presence.lastSeenAt).toISOString(),
    String(activeAlerts),
  ]);
  output.result(table([["THING", "STATE", "LAST SEEN", "ALERTS"], ...rows]));
}
