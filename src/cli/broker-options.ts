/** Options by which `pub` and `sub` find their broker, and say who they are. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Option } from "commander";
import type { Command } from "commander";
import { brokerAddress } from "../adapters/mqtt-client/mod.ts";
import type { BrokerAddress, BrokerCredentials } from "../adapters/mqtt-client/mod.ts";
import { systemRandom } from "../adapters/system.ts";
import { TidewireError, reasonOf } from "../base/mod.ts";
import { loadAgentConfig } from "../edge/mod.ts";
import { accessOf } from "./client.ts";
import { optionFault } from "./option-fault.ts";

export interface BrokerOptions {
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
  readonly device?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly username?: string;
  readonly passwordFile?: string;
  readonly clientId?: string;
  readonly protocol: "3.1.1" | "5";
}

/** Whom to connect to, and as whom. */
export interface Broker {
  readonly address: BrokerAddress;
  readonly credentials: BrokerCredentials;
  readonly clientId: string;
  readonly version: 4 | 5;
  readonly username: string | null;
  readonly password: Uint8Array | null;
  /** What to do where it cannot be reached, or does not let us in. */
  readonly hints: { readonly unreachable: string; readonly login: string };
}

export const BROKER_HELP = `
Without options: the platform of this machine (its --data folder), as its administrator. Else
  --device pump-7                          as that device, from the folder that \`tidewire things add\` has made
  --url https://host:8443 --token TOKEN    a platform elsewhere, by its API's address and a token or API key (TIDEWIRE_URL, TIDEWIRE_TOKEN)
  --url mqtts://host:8883 --ca ca.pem --cert c.pem --key k.pem
                                           any broker: mqtt://, mqtts://, ws://, wss://HOST[:PORT][/PATH]
A password is read from --password-file or TIDEWIRE_MQTT_PASSWORD, and never from the command line, which others can see.`;

export function withBroker(command: Command): Command {
  return command
    .option("--device <folder>", "speak as the device whose key and certificate are in this folder")
    .option("--url <url>", "address of a platform's API (https://…) or of any broker (mqtt, mqtts, ws, wss)")
    .option(
      "--token <token>",
      "token or API key of a platform (default, not for brokers: TIDEWIRE_TOKEN, else the data folder's)",
    )
    .option("--data <folder>", "data folder of a platform on this machine", "tidewire-data")
    .option("--ca <file>", "PEM file of the CA that the broker's certificate is from (default: the machine's list)")
    .option("--cert <file>", "PEM file of the client's certificate; --key goes with it")
    .option("--key <file>", "PEM file of the client's private key")
    .option("--username <name>", "user name to log in with")
    .option("--password-file <file>", "file whose first line is the password (or TIDEWIRE_MQTT_PASSWORD)")
    .option("--client-id <id>", "client id (default: a random one; with --device the thing's name)")
    .addOption(new Option("--protocol <version>", "version of MQTT").choices(["3.1.1", "5"]).default("5"));
}

/** Throws CONFIG_VALUE_INVALID, CONFIG_FILE_UNREADABLE, TOKEN_MISSING. */
export async function brokerOf(options: BrokerOptions, command: string): Promise<Broker> {
  const { url, device, username, cert, key } = options;
  const wrong = (name: string, reason: string): TidewireError => optionFault(command, name, reason);
  if ((cert === undefined) !== (key === undefined))
    throw wrong(cert === undefined ? "--key" : "--cert", "--cert and --key go together");
  const shared = {
    version: options.protocol === "5" ? 5 : 4,
    username: username ?? null,
    password: passwordOf(options),
  } as const;
  if (device !== undefined) {
    if (url !== undefined && brokerAddress(url)?.webSocket === undefined)
      throw wrong("--url", "with --device it is a broker's: mqtts://HOST:PORT");
    return { ...shared, ...(await deviceOf(device, options)) };
  }
  const files = credentialsOf(options);
  const clientId = options.clientId ?? `tidewire-${Buffer.from(systemRandom.bytes(8)).toString("hex")}`;
  const address = url === undefined ? null : brokerAddress(url);
  if (address !== null) {
    // TIDEWIRE_TOKEN is a platform's, and goes to no broker that may be another's.
    const bearer = address.webSocket && options.token !== undefined ? { bearer: options.token } : {};
    return { ...shared, address, clientId, credentials: { ...files, ...bearer }, hints: ELSEWHERE };
  }
  const access = accessOf(options);
  const platform = /^https?:\/\//i.test(access.url)
    ? brokerAddress(`${access.url.replace(/^http/i, "ws")}/mqtt`)
    : null;
  if (platform === null) throw wrong("--url", `'${access.url}' is no address of a platform or a broker`);
  const credentials = { ...files, bearer: access.token };
  return { ...shared, address: platform, clientId, credentials, hints: PLATFORM };
}

const PLATFORM: Broker["hints"] = {
  unreachable: "Start the platform with `tidewire up`, or name another broker with --url.",
  login:
    "Check --token and --url (the data folder has the administrator's in secrets/admin-token); client ids begin with tidewire-.",
};
const ELSEWHERE: Broker["hints"] = {
  unreachable: "Check --url and the network; a broker's own CA is named with --ca.",
  login: "Check --username and --password-file, or --cert and --key, and the client's policies.",
};
const DEVICE: Broker["hints"] = {
  unreachable:
    "Start the platform with `tidewire up`, or correct `broker` in the device's agent.yaml, or name it with --url.",
  login:
    "`tidewire refused` on the platform's machine says why, and the command that allows it; the client id is the thing's name.",
};

async function deviceOf(
  folder: string,
  options: BrokerOptions,
): Promise<Pick<Broker, "address" | "credentials" | "clientId" | "hints">> {
  const isFolder = statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== false;
  const config = await loadAgentConfig(isFolder ? join(folder, "agent.yaml") : folder);
  const credentials = credentialsOf({
    ca: options.ca ?? config.ca,
    cert: options.cert ?? config.certificate,
    key: options.key ?? config.privateKey,
  });
  const address = brokerAddress(options.url ?? config.broker.url)!;
  return { address, credentials, clientId: options.clientId ?? config.thing, hints: DEVICE };
}

function credentialsOf({ ca, cert, key }: Pick<BrokerOptions, "ca" | "cert" | "key">): BrokerCredentials {
  return {
    ...(ca === undefined ? {} : { ca: contentOf(ca) }),
    ...(cert === undefined ? {} : { certificate: contentOf(cert) }),
    ...(key === undefined ? {} : { privateKey: contentOf(key) }),
  };
}

function passwordOf({ passwordFile }: BrokerOptions): Uint8Array | null {
  const given = passwordFile === undefined ? process.env["TIDEWIRE_MQTT_PASSWORD"] : contentOf(passwordFile);
  return given === undefined ? null : Buffer.from(given.split(/\r?\n/, 1)[0]!);
}

export function contentOf(file: string): string {
  return bytesOf(file).toString("utf8");
}

/** Throws CONFIG_FILE_UNREADABLE. */
export function bytesOf(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new TidewireError("CONFIG_FILE_UNREADABLE", { file, reason: reasonOf(error) }, { cause: error });
  }
}
