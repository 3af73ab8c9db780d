/** The platform's configuration: flags of `tidewire up`, a YAML file with the same keys, and the defaults. */
import { z } from "zod";

const Port = z.int().min(0).max(65_535);
const HttpUrl = z.url({ protocol: /^https?$/, error: "must be an http:// or https:// URL" });

/** Keys are those of the YAML file; `docs/reference/configuration.md` is generated from the descriptions. */
export const PlatformConfigSchema = z.strictObject({
  data: z.string().min(1).default("tidewire-data").describe("Folder that holds everything: keys, log, databases."),
  bind: z
    .string()
    .min(1)
    .default("::")
    .describe("Address of the MQTT and HTTPS listeners. Plain HTTP is always on 127.0.0.1."),
  mqttsPort: Port.default(8883).describe(
    "Port for MQTT over TLS with client certificates; 0 takes a free one. The same number as `httpsPort` (443, say): one port for all.",
  ),
  httpPort: Port.default(8080).describe("Port for the dashboard and API on this machine (127.0.0.1 only)."),
  httpsPort: Port.default(8443).describe(
    "Port for the dashboard and API over TLS, and for MQTT over WebSocket (`/mqtt`).",
  ),
  hosts: z
    .array(z.string().min(1))
    .default([])
    .describe("More names or addresses that the server certificate shall carry."),
  listen: z
    .array(z.string())
    .default([])
    .describe(
      "Further listeners: `mqtts://ADDRESS:PORT`, `wss://ADDRESS:PORT`; behind a proxy with `?proxy=v2&from=10.0.0.0/8` (or `v1`). For tests and benchmarks `mqtt://127.0.0.1:PORT?auth=none` and `ws://127.0.0.1:PORT?auth=none`: no encryption, no login, loopback unless `&exposed=yes-without-encryption`.",
    ),
  clientCas: z
    .array(z.string().min(1))
    .default([])
    .describe(
      "PEM files with further CAs whose client certificates may connect, once they are registered. Read again when they change, and on SIGHUP.",
    ),
  webhooks: z.array(HttpUrl).default([]).describe("Every alert is POSTed here (Standard Webhooks)."),
  slackWebhooks: z.array(HttpUrl).default([]).describe("Every alert is sent to this Slack incoming webhook."),
  verbose: z.boolean().default(false).describe("Print the log to the terminal too."),
});

export type PlatformConfig = z.infer<typeof PlatformConfigSchema>;
