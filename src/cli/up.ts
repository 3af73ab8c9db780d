/** `tidewire up`: the platform in the foreground. */
import { resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import type { Platform, PlatformConfig } from "../cloud/mod.ts";
import { parsePostgresUrl } from "../adapters/postgres/server-url.ts";
import { systemScheduler } from "../adapters/system.ts";
import { TidewireError, seconds } from "../base/mod.ts";
import { optionFault } from "./option-fault.ts";
import { coloursFor } from "./output.ts";
import type { Output } from "./output.ts";
import { stopSignal } from "./stop-signal.ts";

interface Options {
  readonly config?: string;
  readonly firstDevice?: boolean;
  readonly readyJson?: boolean;
  readonly data?: string;
  readonly bind?: string;
  readonly mqttsPort?: number;
  readonly httpPort?: number;
  readonly httpsPort?: number;
  readonly host?: readonly string[];
  readonly listen?: readonly string[];
  readonly clientCa?: readonly string[];
  readonly caPassphraseFile?: string;
  readonly limits?: string;
  readonly limit?: readonly string[];
  readonly archive?: boolean;
  readonly webhook?: readonly string[];
  readonly slackWebhook?: readonly string[];
  readonly telemetry?: string;
  readonly registry?: string;
  readonly verbose?: boolean;
}

export function upCommand(output: Output): Command {
  return new Command("up")
    .description("start the platform and stay in the foreground")
    .option("--config <file>", "YAML file with the keys of docs/reference/configuration.md; flags win over it")
    .option("--data <folder>", "folder that holds everything (default: tidewire-data)")
    .option("--bind <address>", "address of the MQTT and HTTPS listeners (default: ::, every address)")
    .option("--mqtts-port <port>", "MQTT over TLS (default: 8883; 0 takes a free one)", portOf)
    .option("--http-port <port>", "dashboard and API on 127.0.0.1 (default: 8080)", portOf)
    .option("--https-port <port>", "dashboard and API over TLS (default: 8443)", portOf)
    .option("--host <name...>", "more names or addresses for the server certificate")
    .option("--no-archive", "keep no event archive (default: every message as Parquet in the data folder, for a year)")
    .option("--webhook <url...>", "POST every alert to this URL")
    .option("--slack-webhook <url...>", "send every alert to this Slack incoming webhook")
    .option("--first-device", "also run an agent for this machine, in a process of its own")
    .option(
      "--listen <url...>",
      "one more listener: mqtts:// or wss://ADDRESS:PORT, mqtt://127.0.0.1:PORT?auth=none, …",
    )
    .option("--client-ca <file...>", "PEM file with a further CA whose client certificates may connect")
    .option("--ca-passphrase-file <file>", "passphrase that the CA's keys are encrypted with, or 32 random bytes")
    .option("--limits <preset>", "`protocol` lifts the limits of MQTT to the protocol's own maxima (default: default)")
    .option("--limit <name=value...>", "set one limit of docs/reference/limits.md, e.g. mqtt.packetBytesMax=4MiB")
    .option(
      "--telemetry <url>",
      "store points in PostgreSQL: postgres://user@host/database (default: DuckDB in the folder)",
    )
    .option("--registry <url>", "keep things, certificates and policies in PostgreSQL (default: SQLite in the folder)")
    .option("--ready-json", "print one JSON line when ready, for programs")
    .option("--verbose", "print the log to the terminal too")
    .action((options: Options) => up(options, output));
}

async function up(options: Options, output: Output): Promise<void> {
  const crashed = crash();
  const { startPlatform } = await import("../cloud/mod.ts");
  const config = await configOf(options);
  const platform = await Promise.race([
    startPlatform(config, { firstDevice: options.firstDevice === true }),
    crashed.then((error) => Promise.reject(unexpected(error))),
  ]);
  // Only from here on: a Ctrl-C during the start ends the process as it is, and the log makes that harmless.
  const stop = stopSignal(() => void platform.reload());
  if (options.readyJson === true) output.result(JSON.stringify({ event: "ready", ...platform.ready() }));
  else greet(platform, options, output);
  const end = await Promise.race([stop, platform.failed, crashed.then((error) => new Crash(error))]);
  if (end instanceof Crash) {
    // What was acknowledged is on disk already; the rest gets a moment to be saved, by parts that may be broken now.
    platform.noteCrash(end.error);
    await Promise.race([platform.close(), new Promise<void>((resolve) => systemScheduler.after(CRASH_GRACE, resolve))]);
    throw unexpected(end.error);
  }
  if (options.readyJson !== true && !(end instanceof Error)) output.note("Stopping …");
  await platform.close();
  if (end instanceof Error) throw end;
}

const CRASH_GRACE = seconds(5);

/** Nobody caught it. Kept apart from an error that the platform itself reports. */
class Crash {
  readonly error: Error;

  constructor(error: Error) {
    this.error = error;
  }
}

/** Resolves with the first exception or rejection that nobody caught. */
function crash(): Promise<Error> {
  return new Promise((resolve) => {
    const take = (thrown: unknown): void => resolve(thrown instanceof Error ? thrown : new Error(String(thrown)));
    process.on("uncaughtException", take);
    process.on("unhandledRejection", take);
  });
}

function unexpected(error: Error): TidewireError {
  return new TidewireError("INTERNAL", { reason: error.message }, { cause: error });
}

async function configOf(options: Options): Promise<PlatformConfig> {
  const { PlatformConfigSchema } = await import("../cloud/mod.ts");
  const { readConfigFile } = await import("../adapters/config-file.ts");
  const fromFile: Partial<PlatformConfig> =
    options.config === undefined ? {} : readConfigFile(options.config, PlatformConfigSchema, "up");
  const flags = {
    data: options.data,
    bind: options.bind,
    mqttsPort: options.mqttsPort,
    httpPort: options.httpPort,
    httpsPort: options.httpsPort,
    hosts: options.host,
    listen: options.listen,
    clientCas: options.clientCa?.map((path) => resolve(path)),
    caPassphraseFile: options.caPassphraseFile === undefined ? undefined : resolve(options.caPassphraseFile),
    limits: options.limits,
    limit: options.limit === undefined ? undefined : { ...fromFile.limit, ...limitsFrom(options.limit) },
    // Commander says true where the flag is not given.
    archive: options.archive === false ? { ...fromFile.archive, enabled: false } : undefined,
    webhooks: options.webhook,
    slackWebhooks: options.slackWebhook,
    telemetry: withoutPassword("--telemetry", options.telemetry),
    registry: withoutPassword("--registry", options.registry),
    verbose: options.verbose,
  };
  const given = Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
  const parsed = PlatformConfigSchema.safeParse({ ...fromFile, ...given });
  if (!parsed.success) {
    const { path, message: reason } = parsed.error.issues[0]!;
    const key = FLAG_NAMES[String(path[0])] ?? path.join(".");
    throw optionFault("up", key, reason);
  }
  return { ...parsed.data, data: resolve(parsed.data.data) };
}

/** The command line of a process is everybody's to read. */
function withoutPassword(key: string, url: string | undefined): string | undefined {
  if (url === undefined || !url.includes("://") || parsePostgresUrl(url).password === null) return url;
  const reason = "every user of this machine can read it; use ?passwordfile=/path, PGPASSWORD or ~/.pgpass";
  throw optionFault("up", key, `it holds a password, which ${reason}`);
}

/** `name=value`, several times. */
function limitsFrom(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const [name, value] = text.split("=", 2);
      return [name!, value ?? ""];
    }),
  );
}

/** Flags whose names differ from the configuration's keys by more than their spelling. */
const FLAG_NAMES: Readonly<Record<string, string>> = {
  data: "--data",
  bind: "--bind",
  hosts: "--host",
  listen: "--listen",
  clientCas: "--client-ca",
  caPassphraseFile: "--ca-passphrase-file",
  limits: "--limits",
  limit: "--limit",
  webhooks: "--webhook",
  slackWebhooks: "--slack-webhook",
  telemetry: "--telemetry",
  registry: "--registry",
};

/** Three short lines: where to look, what to do next, how to stop. */
function greet(platform: Platform, options: Options, output: Output): void {
  const colour = coloursFor(process.stdout);
  const { http, dataDir } = platform.ready();
  const { newAdminToken } = platform;
  const inCheckout = process.env["npm_lifecycle_event"] === "start";
  const program = inCheckout ? "npm run tidewire --" : "tidewire";
  const data = options.data === undefined ? "" : ` --data ${options.data}`;
  if (newAdminToken !== null) {
    output.result(
      `  ${colour.dim("Token")}         ${newAdminToken}  ${colour.dim(`(shown once; kept in ${dataDir}/secrets/admin-token)`)}`,
    );
  }
  output.result(`  ${colour.bold("Dashboard")}     ${colour.cyan(`${http}/#code=${platform.loginCode()}`)}`);
  output.result(`  ${colour.bold("Add a device")}  ${program} things add my-device${data}`);
  output.result(`  ${colour.bold("Stop")}          Ctrl-C`);
}

function portOf(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError("a port is a number from 0 to 65535.");
  return port;
}
