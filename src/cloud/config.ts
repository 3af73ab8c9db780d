/** The platform's configuration: flags of `tidewire up`, a YAML file with the same keys, and the defaults. */
import { z } from "zod";
import { LIMITS, reasonOf } from "../base/mod.ts";
import { AlertsConfigSchema } from "./alerts-config.ts";
import { FunctionsConfigSchema, SecretsConfigSchema, TablesConfigSchema } from "./answers/config.ts";
import { ArchiveConfigSchema } from "./archive-config.ts";
import { BucketsConfigSchema } from "./buckets.ts";
import { LIMIT_PRESETS } from "./limits.ts";
import { BackupConfigSchema, ExportsConfigSchema, ScrubConfigSchema } from "./schedule/mod.ts";
import { parseDiskRoom, parseRetention } from "../telemetry/mod.ts";
import { parseScramVerifier, preparedPassword } from "../identity/mod.ts";

/** Those whose keys are public: a secret that two sides share would let each device make tokens for all. */
const TOKEN_ALGORITHMS = [
  "ES256",
  "ES384",
  "ES512",
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "EdDSA",
  "Ed25519",
] as const;

const Port = z.int().min(0).max(65_535);
const HttpUrl = z.url({ protocol: /^https?$/, error: "must be an http:// or https:// URL" });

/** A text that `parse` takes; what it throws is told. */
function parsed(parse: (text: string) => unknown): z.ZodString {
  return z.string().superRefine((text, context) => {
    try {
      parse(text);
    } catch (error) {
      context.addIssue({ code: "custom", message: reasonOf(error) });
    }
  });
}

const User = z.strictObject({
  name: z.string().refine((name) => preparedPassword(name) === name, "must be in its normal form, without controls"),
  verifier: z
    .string()
    .refine((text) => parseScramVerifier(text) !== null, "must be `SCRAM-SHA-256$<iterations>:<salt>$<key>:<key>`"),
  policies: z.array(z.string().min(1)).min(1),
});

const TokenIssuer = z.strictObject({
  issuer: z.string().min(1).max(1024),
  audience: z.union([z.string().min(1), z.array(z.string().min(1)).min(1).max(10)]),
  keys: z
    .string()
    .min(1)
    .refine((text) => !/^[a-z][a-z0-9+.-]*:/i.test(text) || /^https:/i.test(text), "must be a file or an https:// URL"),
  algorithms: z.array(z.enum(TOKEN_ALGORITHMS)).min(1).default(["ES256", "RS256", "PS256", "EdDSA"]),
  thing: z.string().min(1).nullable().default("sub"),
  clientId: z.string().min(1).nullable().default(null),
  policies: z.array(z.string().min(1)).max(10).default([]),
  policiesClaim: z.string().min(1).nullable().default(null),
  policiesAllowed: z.array(z.string().min(1)).max(100).default([]),
});

export type TokenIssuerSettings = z.infer<typeof TokenIssuer>;

function Database(embedded: string) {
  const text = `must be \`${embedded}\` or a URL that begins with postgres://`;
  return z
    .string()
    .refine((value) => value === embedded || /^postgres(?:ql)?:\/\//.test(value), text)
    .default(embedded);
}

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
      "Further listeners: `mqtts://ADDRESS:PORT`, `wss://ADDRESS:PORT`; with `?auth=password` or `?auth=jwt` for devices that hold no certificate; behind a proxy with `?proxy=v2&from=10.0.0.0/8` (or `v1`). For tests and benchmarks `mqtt://127.0.0.1:PORT?auth=none` and `ws://127.0.0.1:PORT?auth=none`: no encryption, no login, loopback unless `&exposed=yes-without-encryption`.",
    ),
  mqttSessionTickets: z
    .boolean()
    .default(false)
    .describe(
      "TLS session tickets on ports for MQTT alone, for fleets whose devices come back by one: that takes half of a handshake. Few do, and every other handshake gets a tenth dearer. Where browsers come there always are tickets. Only in the file.",
    ),
  clientCas: z
    .array(z.string().min(1))
    .default([])
    .describe(
      "PEM files with further CAs whose client certificates may connect, once they are registered. Read again when they change, and on SIGHUP.",
    ),
  caPassphraseFile: z
    .string()
    .min(1)
    .optional()
    .describe(
      "File with the passphrase (one line), or 32 random bytes, that the CA's keys are encrypted with. Without it `TIDEWIRE_CA_PASSPHRASE` and systemd's credential `tidewire-ca-passphrase` are looked for; without any the keys are protected by their file modes alone.",
    ),
  caToken: z
    .string()
    .startsWith("pkcs11:", "must be a PKCS#11 URI (RFC 7512)")
    .optional()
    .describe(
      "Key on a token (HSM) that new issuing CAs have: `pkcs11:token=NAME;object=KEY?module-path=/path/module.so&pin-source=/path/pin`, on P-256. Takes effect with `tidewire ca rollover intermediate`. Needs `npm install pkcs11js` beside Tidewire.",
    ),
  deviceCertificateDays: z
    .int()
    .min(1)
    .max(LIMITS.identity.deviceCertificateDaysMax)
    .default(LIMITS.identity.deviceCertificateDays)
    .describe("Life of a device's certificate. The agent replaces its own when a third of it is left."),
  renewalGraceDays: z
    .int()
    .min(0)
    .max(3650)
    .default(90)
    .describe(
      "How long after its expiry a certificate may still be renewed by who has its key, unless it was revoked; later `tidewire certs readmit` allows it once.",
    ),
  replacedCertificateHours: z
    .int()
    .min(1)
    .max(8760)
    .default(24)
    .describe(
      "A certificate that was renewed is deactivated so long after its device has come with the new one, and deleted a week later.",
    ),
  limits: z
    .enum(LIMIT_PRESETS)
    .default("default")
    .describe("`protocol` lifts the limits of MQTT to what the protocol itself allows, and turns rates off."),
  limit: z
    .record(z.string(), z.union([z.number(), z.string()]))
    .default({})
    .describe("Single limits by name, e.g. `mqtt.packetBytesMax: 4MiB`; `--limit mqtt.packetBytesMax=4MiB` as a flag."),
  archive: ArchiveConfigSchema.prefault({}).describe(
    "The event archive: every accepted message as Parquet files by day in `DIR/archive`. `enabled`; `every` (15min: a file after so long at the latest), `keep` (1y, or `forever`), `size` (8GiB on this machine, or `unlimited`; above it the oldest goes); cold tier, to which files move after `warm` (30d): `folder` (an absolute path) or `s3` (`endpoint`, `bucket`, `region`, `prefix`, `credentials` (a file as `~/.aws/credentials`; else from the environment), `ca`); `cache` (1GiB for what is fetched back). `docs/internals/archive.md`. As a flag only `--no-archive`.",
  ),
  backup: BackupConfigSchema.optional().describe(
    "Backups on schedule, beside the running platform, in a process of its own: `to` (an absolute path, best on another disk), `every` (6h) or `at` (02:00, UTC; the default), `keep` (14: so many of the newest stay), `verify` (true: each is read back). What was slept through is taken once, at once. Health is degraded while it fails or is overdue; `tidewire_backup_last_success_timestamp_seconds`, `tidewire_backup_age_seconds`. `tidewire restore` brings one back. Only in the file.",
  ),
  scrubEvery: ScrubConfigSchema.describe(
    "How often all state files are verified, politely and in a process of its own: databases page by page, the log, the audit log, secrets, manifests; `12h`, or `never`. What is damaged makes health red, with the file, the place and what to do; `tidewire_scrub_findings`. `tidewire scrub` does it at once. Only in the file.",
  ),
  exports: ExportsConfigSchema.default([]).describe(
    "Files on schedule: each `name`, `of` (telemetry, rollups_1m, rollups_1h, rollups_1d, events), `format` (parquet, csv, ndjson), `every` (1d: the range of a file, UTC), `after` (1h: late points are waited for so long), `things` and `measurements` (names, `*` for any part), `since` (2026-11-01: the first range; default: the present one), `keep` (newest files that stay), and where to: `folder` (an absolute path) or `s3` (as in `archive`). Each range is one file, `NAME-2026-11-22.parquet`, once, visible when it is whole; what was slept through is made up for. Health is degraded while one fails. Only in the file.",
  ),
  buckets: BucketsConfigSchema.default({}).describe(
    "What the `s3` action of rules writes to, and AWS IoT's bulk registration (`StartThingRegistrationTask`) reads from, by name: `folder` (an absolute path, which must be there), or a bucket as in `archive`: `endpoint`, `bucket` (default: the name), `region`, `prefix`, `credentials`, `ca`. Only in the file.",
  ),
  webhooks: z.array(HttpUrl).default([]).describe("Every alert is POSTed here (Standard Webhooks)."),
  slackWebhooks: z.array(HttpUrl).default([]).describe("Every alert is sent to this Slack incoming webhook."),
  alerts: AlertsConfigSchema.optional().describe(
    "Who is told of alerts, and when, instead of `webhooks` and `slackWebhooks`: `contacts` (each a `name` and one of `slack` (`url`, or `token` and `channel` of a bot), `webhook`, `email`, `telegram`, `discord`, `teams`, `pagerduty`, as in a rule's action; `perMinute`: 10, what is above goes as one message), `route` (`contacts`, `groupBy` (rule), `groupWait` (30s), `groupInterval` (5min), `repeatInterval` (4h), `escalate` (`after`, `contacts`), `mute` and `only` (names of `times`), `continue`, and below `routes` the same with `match`: `severity=critical`, `thing=pump-*`, `attributes.site=ulm|bonn`), `times` (`name`, `days`, `from`, `to`, `zone`), `inhibit` (`source`, `target`, `equal`), `maintenance` (`name`, `match`, and `from` and `to`, or `cron`, `for` and `zone`), `link` (the dashboard's address: for links, and for pictures in Slack, Teams and PagerDuty, which must be able to reach it), `zone` (UTC; of all times that say no other, and of those in pictures). What changes is edited in place where the channel can (Telegram, Discord, Slack with a bot); Telegram, Discord and e-mail carry the chart itself. Only in the file; a document of the kind `alerts` (docs/files.md) holds instead, and without a restart.",
  ),
  secrets: SecretsConfigSchema.default({}).describe(
    "What `get_secret(NAME, …)` of rules gives: by name a `file` (which others must not read: mode 640 or less) or `env`, a variable. A changed file counts after a minute. Only in the file.",
  ),
  tables: TablesConfigSchema.default({}).describe(
    "What `lookup(NAME, key)` and `get_dynamodb(NAME, …)` of rules look up: by name a `file` (CSV whose first line names the columns, or JSON: an array of objects, or an object of them by key; read again when it changes) or `postgres` (a URL as for `telemetry`) and `table`; `key`: the column that a row is found by; `sort`: a second one, for get_dynamodb. Only in the file.",
  ),
  functions: FunctionsConfigSchema.default({}).describe(
    'What `function(NAME, …)` and `aws_lambda(NAME, …)` of rules call: by name a `url`, which is POSTed the JSON and answers with JSON (`headers`: more of them), or a `program` of the folder `programs` in `data` (`arguments`), which runs on and answers lines `{"id":1,"input":…}` with `{"id":1,"output":…}`. Only in the file.',
  ),
  protobuf: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Folder with the descriptors of `decode(…, 'proto', BUCKET, KEY, FILE, MESSAGE)` of rules: `BUCKET/KEY` or `KEY` below it, a descriptor set (`protoc --include_imports --descriptor_set_out`) or a `.proto` file. Needs the optional package protobufjs. Only in the file.",
    ),
  users: z
    .array(User)
    .default([])
    .describe(
      "Who may log in with SCRAM-SHA-256 (MQTT 5.0): `name`, `verifier` as `tidewire verifier` prints it, and `policies` of the registry by name.",
    ),
  tokens: z
    .array(TokenIssuer)
    .max(10)
    .default([])
    .refine((all) => new Set(all.map(({ issuer }) => issuer)).size === all.length, "each issuer may stand there once")
    .describe(
      "Whose tokens (JWT) devices may log in with, as the password on a listener with `?auth=jwt`: `issuer`, `audience`, `keys` (a JWKS file or https:// URL); `algorithms`; which claims say what: `thing` (sub), `clientId` (none); `policies` of the registry by name, and `policiesClaim` with what it may add, `policiesAllowed`. The policies of the thing's groups count as well. Only in the file.",
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
  lifeCycleEvents: z
    .enum(["all", "presence", "none"])
    .default("all")
    .describe(
      "What the platform publishes below `$aws/events/` by itself: `presence` (who connects and leaves), or also who subscribes and unsubscribes (`all`).",
    ),
  telemetryRetention: parsed(parseRetention)
    .default("raw 30d, 1m 90d, 1h 2y, 1d 10y")
    .describe(
      "How long telemetry is kept: points as they came (`raw`) and rollups of one minute, hour and day; `h`, `d`, `w`, `y` or `forever`. A level that is not named keeps its default.",
    ),
  telemetryRoom: parsed(parseDiskRoom)
    .default("50%")
    .describe(
      "What telemetry files may take, as bytes (`20GiB`) or of the disk (`50%`); beyond it the oldest points go first, and the log says so. Not with PostgreSQL.",
    ),
  telemetry: Database("duckdb").describe(
    "Where points are stored: `duckdb` (in `data`), or `postgres://user@host:5432/database?passwordfile=/path` (see below).",
  ),
  registry: Database("sqlite").describe(
    "Where things, certificates, policies, users, keys, codes and renewals are: `sqlite` (in `data`), or a PostgreSQL URL; several platforms may share one.",
  ),
  verbose: z.boolean().default(false).describe("Print the log to the terminal too."),
});

export type PlatformConfig = z.infer<typeof PlatformConfigSchema>;
