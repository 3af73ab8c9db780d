/** `tidewire things`: devices, each with its own key and certificate. */
import { resolve } from "node:path";
import { Command } from "commander";
import { isDeviceFolder, writeDeviceFolder } from "../adapters/device-folder.ts";
import { TidewireError } from "../base/mod.ts";
import type { Millis } from "../base/mod.ts";
import type { ConnectionInfo, FleetPage } from "../cloud/api/contract.ts";
import type { PlatformClient } from "./client.ts";
import { clientOf, withConnection } from "./connection.ts";
import { optionFault } from "./option-fault.ts";
import { table } from "./output.ts";
import { passwordCommand } from "./things-password.ts";
import { retireCommand, retiredCommand } from "./things-retire.ts";
import type { Output } from "./output.ts";
import { durationOption } from "./time-options.ts";

interface AddOptions {
  readonly out?: string;
  readonly broker?: string;
  readonly type?: string;
  readonly attribute: readonly string[];
  readonly json?: boolean;
  readonly data: string;
}

interface ListOptions {
  readonly query?: string;
  readonly json?: boolean;
  readonly data: string;
}

const QUERY_HELP = `
Queries:
  thingName:pump*                                    names that begin with pump
  attributes.site:berlin AND NOT attributes.floor:3  attributes; AND may be left out
  attributes.weight:[75 TO 80]                       from 75 to 80; {75 TO 80} without the ends; also >, >=, <, <=
  thingGroupNames:(cellar OR roof)                   in one of these groups
  shadow.reported.battery<20                         what the device reports; shadow.name.NAME.… of a named shadow
  connectivity.connected:false                       also connectivity.timestamp, connectivity.disconnectReason
  attributes.serial:"a b"                            words one after the other`;

interface InviteOptions {
  readonly valid: Millis;
  readonly template?: string;
  readonly parameter: readonly string[];
  readonly uses: number;
  readonly json?: boolean;
  readonly data: string;
}

export function thingsCommand(output: Output): Command {
  const things = new Command("things").description("devices: add, list, invite and retire them");
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
      .description("list devices with their presence")
      .option(
        "--query <query>",
        "only those that AWS IoT's query language finds; plain words look into names and attributes",
      )
      .option("--json", "print the result as JSON")
      .addHelpText("after", QUERY_HELP)
      .action((options: ListOptions) => list(options, output)),
  );
  things.addCommand(
    withConnection(new Command("invite"))
      .description("make a code with which a new device joins by itself: `tidewire agent join URL CODE` on the device")
      .argument("[name]", "thing name; or none, with --template")
      .addOption(durationOption("--valid", "how long the code is good, e.g. 90s, 2h, 7d", "15m"))
      .option("--template <name>", "provisioning template that names and equips the device")
      .option("--parameter <key=value...>", "parameters of the template", [])
      .option("--uses <count>", "devices that may join by it (with --template)", Number, 1)
      .option("--json", "print the result as JSON")
      .action((name: string | undefined, options: InviteOptions) => invite(name, options, output)),
  );
  for (const verb of ["attach", "detach"] as const) {
    things.addCommand(
      withConnection(new Command(verb))
        .description(verb === "attach" ? "let a certificate stand for a thing" : "take a certificate from a thing")
        .argument("<name>", "thing name")
        .requiredOption("--certificate <id>", "the certificate's id")
        .action(async (name: string, options: AddOptions & { readonly certificate: string }) => {
          const client = clientOf(options);
          const of = `/certificates/${encodeURIComponent(options.certificate)}`;
          const { certificateDescription } = await client.get<{
            certificateDescription: { certificateArn: string };
          }>(of);
          const principal = { "x-amzn-principal": certificateDescription.certificateArn };
          const method = verb === "attach" ? "PUT" : "DELETE";
          await client.call(method, `/things/${encodeURIComponent(name)}/principals`, undefined, principal);
          output.result(`${verb === "attach" ? "Attached to" : "Detached from"} ${name}.`);
        }),
    );
  }
  things.addCommand(passwordCommand(output));
  things.addCommand(retireCommand(output));
  things.addCommand(retiredCommand(output));
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
  return pairsOf("things add", "--attribute", attribute);
}

function pairsOf(command: string, option: string, pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [key, ...value] = pair.split("=");
      if (key === undefined || key === "" || value.length === 0) {
        throw optionFault(command, option, `it takes key=value, not '${pair}'`);
      }
      return [key, value.join("=")];
    }),
  );
}

async function invite(name: string | undefined, options: InviteOptions, output: Output): Promise<void> {
  const client = clientOf(options);
  const { template, uses } = options;
  const parameters = pairsOf("things invite", "--parameter", options.parameter);
  const what =
    template === undefined ? { thing: name } : { template, parameters, ...(name === undefined ? {} : { thing: name }) };
  const body = { ...what, uses, validSeconds: options.valid / 1000 };
  const made = await client.call<{ code: string; expiresAt: number }>("POST", "/api/join-codes", body);
  const { addresses, httpsPort } = await client.get<ConnectionInfo>("/api/connection");
  const hosts = addresses.length > 0 ? addresses : ["mqtts://127.0.0.1:0"];
  const https = hosts.map((address) => `https://${address.replace(/^mqtts:\/\/|:\d+$/g, "")}:${httpsPort}`);
  if (options.json === true) {
    output.result(JSON.stringify(made));
    return;
  }
  output.result(made.code);
  output.note(
    `Good until ${new Date(made.expiresAt).toISOString()}, for ${uses} ${uses === 1 ? "device" : "devices"}. On the device, run:`,
  );
  output.note(`  tidewire agent join ${https[0]!} ${made.code}`);
  if (https.length > 1) output.note(`The platform is also at ${https.slice(1).join(", ")}.`);
}

async function list(options: ListOptions, output: Output): Promise<void> {
  const client = clientOf(options);
  const things = [];
  let cursor: string | null = null;
  do {
    const parameters = new URLSearchParams({ limit: "250" });
    if (options.query !== undefined) parameters.set("search", options.query);
    if (cursor !== null) parameters.set("cursor", cursor);
    const page: FleetPage = await client.get<FleetPage>(`/api/fleet?${parameters.toString()}`);
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
