/** The platform's configuration: flags of `tidewire up`, a YAML file with the same keys, and the defaults. */
import { z } from "zod";
import { TidewireError } from "../base/mod.ts";
import { LIMIT_PRESETS } from "./limits.ts";
import { parseScramVerifier, preparedPassword } from "../identity/mod.ts";

const Port = z.int().min(0).max(65_535);
const HttpUrl = z.url({ protocol: /^https?$/, error: "must be an http:// or https:// URL" });

const User = z.strictObject({
  name: z.string().refine((name) => preparedPassword(name) === name, "must be in its normal form, without controls"),
  verifier: z
    .string()
    .refine((text) => parseScramVerifier(text) !== null, "must be `SCRAM-SHA-256$<iterations>:<salt>$<key>:<key>`"),
  policies: z.array(z.string().min(1)).min(1),
});

/** Keys are those of the YAML file; `docs/reference/configuration.md` is generated from the descriptions. */
export const PlatformConfigSchema = z.strictObject({
  data: z.string().min(1).default("tidewire-data").describe("Folder that holds everything: keys, log, databases."),
  bind: z
    .string()
    .min(1)
    .default("::")
    .describe("Address of the MQTT and HTTPS listeners. Plain HTTP is always on 127.0.0.1."),
  mqttsPort: Port.default(8883).describe("Port for MQTT over TLS with client certificates; 0 takes a free one."),
  httpPort: Port.default(8080).describe("Port for the dashboard and API on this machine (127.0.0.1 only)."),
  httpsPort: Port.default(8443).describe("Port for the dashboard and API over TLS."),
  hosts: z
    .array(z.string().min(1))
    .default([])
    .describe("More names or addresses that the server certificate shall carry."),
  listen: z
    .array(z.string())
    .default([])
    .describe(
      "Further listeners, for benchmarks only: `mqtt://127.0.0.1:PORT?auth=none` (loopback, no encryption, no login).",
    ),
  limits: z
    .enum(LIMIT_PRESETS)
    .default("default")
    .describe("`protocol` lifts the limits of MQTT to what the protocol itself allows, and turns rates off."),
  limit: z
    .record(z.string(), z.union([z.number(), z.string()]))
    .default({})
    .describe("Single limits by name, e.g. `mqtt.packetBytesMax: 4MiB`; `--limit mqtt.packetBytesMax=4MiB` as a flag."),
  webhooks: z.array(HttpUrl).default([]).describe("Every alert is POSTed here (Standard Webhooks)."),
  slackWebhooks: z.array(HttpUrl).default([]).describe("Every alert is sent to this Slack incoming webhook."),
  users: z
    .array(User)
    .default([])
    .describe(
      "Who may log in with SCRAM-SHA-256 (MQTT 5.0): `name`, `verifier` as `tidewire verifier` prints it, and `policies` of the registry by name.",
    ),
  serverReference: z
    .string()
    .min(1)
    .optional()
    .describe("Where MQTT 5.0 clients are sent when this server stops, e.g. `other.example:8883`."),
  sysSeconds: z
    .int()
    .min(0)
    .max(3600)
    .default(10)
    .describe("How often `$SYS/broker/…` is published, for those whose policy names `$SYS/`; 0: never."),
  verbose: z.boolean().default(false).describe("Print the log to the terminal too."),
});

export type PlatformConfig = z.infer<typeof PlatformConfigSchema>;

export interface PlainListener {
  readonly host: string;
  readonly port: number;
}

/** Reads `mqtt://127.0.0.1:1883?auth=none`. Anything that is not loopback, or does not say `auth=none`, is refused. */
export function plainListenerOf(text: string): PlainListener {
  const wrong = (reason: string): TidewireError =>
    new TidewireError("CONFIG_VALUE_INVALID", {
      file: "the command line",
      key: `listen ${text}`,
      reason,
      command: "up",
    });
  if (!URL.canParse(text)) throw wrong("it is not a URL");
  const url = new URL(text);
  if (url.protocol !== "mqtt:") throw wrong("only mqtt:// listeners can be added");
  if (url.searchParams.get("auth") !== "none") throw wrong("a listener without certificates must say ?auth=none");
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (host !== "127.0.0.1" && host !== "::1")
    throw wrong("a listener without certificates may only be on 127.0.0.1 or [::1]");
  if (url.port === "") throw wrong("it names no port");
  return { host, port: Number(url.port) };
}
