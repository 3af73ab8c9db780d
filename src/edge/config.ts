/** `agent.yaml`: what the agent is, where it reports to, what it reads, how much it keeps. */
import { dirname, resolve } from "node:path";
import { readYamlFile } from "../adapters/yaml-file.ts";
import type { Bytes, Millis } from "../base/mod.ts";
import { LIMITS, gib, seconds } from "../base/mod.ts";
import { Checker } from "./checker.ts";
import type { Found } from "./checker.ts";

export interface SystemSourceConfig {
  readonly type: "system";
  readonly every: Millis;
  /** A path on the file system whose use is reported. */
  readonly disk: string;
}

export type SourceConfig = SystemSourceConfig;

export interface AgentConfig {
  /** The file it came from, for messages. */
  readonly file: string;
  readonly thing: string;
  readonly broker: { readonly host: string; readonly port: number; readonly url: string };
  /** Where a new certificate is asked for: the platform's HTTPS. */
  readonly renewal: { readonly host: string; readonly port: number };
  /** Absolute paths. */
  readonly certificate: string;
  readonly privateKey: string;
  readonly ca: string;
  readonly data: string;
  readonly sources: readonly SourceConfig[];
  readonly outbox: { readonly messages: number; readonly bytes: Bytes };
}

export interface AgentOverrides {
  /** Instead of the file's. */
  readonly broker?: string;
  readonly renewal?: string;
  /** Relative to the working directory, as command line arguments are. */
  readonly data?: string;
}

const KEYS = ["thing", "broker", "renewal", "certificate", "privateKey", "ca", "data", "sources", "outbox"] as const;

/** Paths in the file are relative to it. Throws CONFIG_FILE_UNREADABLE, CONFIG_KEY_UNKNOWN or CONFIG_VALUE_INVALID. */
export async function loadAgentConfig(path: string, overrides: AgentOverrides = {}): Promise<AgentConfig> {
  const file = resolve(path);
  const root = await readYamlFile(file, LIMITS.edge.configBytesMax);
  return agentConfigOf(root, file, overrides);
}

/** The same from a value that was parsed already. */
export function agentConfigOf(root: unknown, file: string, overrides: AgentOverrides = {}): AgentConfig {
  const check = new Checker(file);
  const fields = check.mapping({ value: root, key: "" }, KEYS);
  const inFolder = (name: string): string => resolve(dirname(file), name);
  const thing = thingOf(check, check.text(fields.thing, "thing"));
  const broker = brokerOf(check, overrides.broker ?? check.text(fields.broker, "broker"));
  const renewal = overrides.renewal ?? (fields.renewal === undefined ? null : check.text(fields.renewal, "renewal"));
  return {
    file,
    thing,
    broker,
    renewal: renewal === null ? besideBroker(broker) : addressOf(check, "renewal", "https", renewal, 443),
    certificate: inFolder(check.text(fields.certificate, "certificate")),
    privateKey: inFolder(check.text(fields.privateKey, "privateKey")),
    ca: inFolder(check.text(fields.ca, "ca")),
    data:
      overrides.data === undefined
        ? inFolder(fields.data === undefined ? "data" : check.text(fields.data, "data"))
        : resolve(overrides.data),
    sources: sourcesOf(check, fields.sources),
    outbox: outboxOf(check, fields.outbox),
  };
}

/** AWS IoT's rule for thing names; the name is a level of the topic and the client identifier. */
function thingOf(check: Checker, name: string): string {
  if (/^[a-zA-Z0-9:_-]{1,128}$/.test(name)) return name;
  throw check.wrong("thing", "a thing's name has 1 to 128 letters, digits, ':', '_' and '-'");
}

function brokerOf(check: Checker, text: string): AgentConfig["broker"] {
  const { host, port } = addressOf(check, "broker", "mqtts", text, 8883);
  return { host, port, url: `mqtts://${host.includes(":") ? `[${host}]` : host}:${port}` };
}

/** Where the platform's HTTPS is unless somebody has moved it; with one port for all, there. */
function besideBroker({ host, port }: AgentConfig["broker"]): AgentConfig["renewal"] {
  return { host, port: port === 443 ? 443 : 8443 };
}

function addressOf(
  check: Checker,
  key: string,
  wanted: string,
  text: string,
  usual: number,
): { readonly host: string; readonly port: number } {
  const match = /^([a-z]+):\/\/(\[[0-9a-fA-F:.]+\]|[^\s:/?#[\]@]+)(?::(\d{1,5}))?\/?$/.exec(text);
  if (match === null) throw check.wrong(key, `it must be an address like ${wanted}://example.org:${usual}`);
  const [, scheme, name, digits] = match;
  if (scheme !== wanted) throw check.wrong(key, `readings travel encrypted only: ${wanted}://…, not ${scheme}://…`);
  const port = digits === undefined ? usual : Number(digits);
  if (port < 1 || port > 65_535) throw check.wrong(key, `there is no port ${digits}`);
  return { host: name!.replace(/^\[|\]$/g, ""), port };
}

function sourcesOf(check: Checker, found: Found | undefined): readonly SourceConfig[] {
  if (found === undefined) return [{ type: "system", every: seconds(1), disk: "/" }];
  return check.list(found, { min: 1, max: LIMITS.edge.sourcesMax }).map((entry) => {
    const fields = check.mapping(entry, ["type", "every", "disk"]);
    const type = check.text(fields.type, `${entry.key}.type`);
    if (type !== "system") throw check.wrong(`${entry.key}.type`, `there is no source '${type}', only 'system'`);
    const bounds = { min: LIMITS.edge.sourcePeriodMin, max: LIMITS.edge.sourcePeriodMax };
    return {
      type,
      every: fields.every === undefined ? seconds(1) : check.span(fields.every, bounds),
      disk: fields.disk === undefined ? "/" : check.text(fields.disk, `${entry.key}.disk`),
    };
  });
}

function outboxOf(check: Checker, found: Found | undefined): AgentConfig["outbox"] {
  const fields = found === undefined ? {} : check.mapping(found, ["messages", "bytes"]);
  const messages = { min: LIMITS.edge.outboxInflightMax, max: 100_000_000 };
  const bytes = { min: LIMITS.edge.outboxInflightBytesMax, max: gib(1024) };
  return {
    messages: fields.messages === undefined ? LIMITS.edge.outboxMessagesMax : check.count(fields.messages, messages),
    bytes: fields.bytes === undefined ? LIMITS.edge.outboxBytesMax : check.bytes(fields.bytes, bytes),
  };
}
