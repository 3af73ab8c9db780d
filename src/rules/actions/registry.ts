/** All kinds of actions: one line each. */
import { closestWord } from "../../base/mod.ts";
import { alert } from "./alert.ts";
import { amqp } from "./amqp.ts";
import { discord } from "./discord.ts";
import { email } from "./email.ts";
import { http } from "./http.ts";
import { influxdb } from "./influxdb.ts";
import { nats } from "./nats.ts";
import { pagerduty } from "./pagerduty.ts";
import { postgresql } from "./postgresql.ts";
import { program } from "./program.ts";
import { redis } from "./redis.ts";
import { republish } from "./republish.ts";
import { s3 } from "./s3.ts";
import { slack } from "./slack.ts";
import { spool } from "./spool.ts";
import { teams } from "./teams.ts";
import { telegram } from "./telegram.ts";
import { telemetry } from "./telemetry.ts";
import { webhook } from "./webhook.ts";
import { invalid, record } from "./checks.ts";
import type { ActionKind, Carrier, SecretChange } from "./kind.ts";

const KINDS = {
  webhook,
  http,
  slack,
  telegram,
  discord,
  teams,
  pagerduty,
  email,
  influxdb,
  postgresql,
  nats,
  amqp,
  redis,
  spool,
  s3,
  program,
  republish,
  telemetry,
  alert,
} as const;

type Kinds = typeof KINDS;
export type KindName = keyof Kinds;
type BodyOf<K extends KindName> = Kinds[K] extends ActionKind<infer B> ? B : never;
type ActionOf<K extends KindName> = { readonly [P in K]: BodyOf<K> };

/** An object with exactly one key: the kind. */
export type RuleAction = { [K in KindName]: ActionOf<K> }[KindName];
export type AlertAction = ActionOf<"alert">;

const BY_NAME: ReadonlyMap<string, ActionKind> = new Map(Object.entries<ActionKind>(KINDS));

/** By the name that stands in a saved receiver. */
export const CARRIERS: ReadonlyMap<string, Carrier> = new Map(
  [...BY_NAME.values()].flatMap(({ carrier }) => (carrier === null ? [] : [[carrier.name, carrier] as const])),
);

/** Of a saved receiver; what this version does not know is left to its sender to refuse. */
export function carrierOf(name: string): Carrier {
  return CARRIERS.get(name) ?? webhook.carrier!;
}

/** AWS's actions that are none here, and what does the same. */
const INSTEAD: Readonly<Record<string, string>> = {
  cloudwatchAlarm: "alert (raises and resolves by itself)",
  cloudwatchLogs: "spool (files of JSON lines), or webhook",
  cloudwatchMetric: "telemetry (series with charts and queries)",
  dynamoDB: "postgresql",
  dynamoDBv2: "postgresql (each key of the result is a column)",
  elasticsearch: "http (the server's own API)",
  firehose: "s3 or spool; the archive keeps every message as Parquet without any action",
  influxDB: "influxdb (url, org, bucket, token, measurement, tags)",
  iotAnalytics: "telemetry",
  iotEvents: "alert, or a rule with a window (GROUP BY, FOR, ABSENT FOR)",
  iotSiteWise: "telemetry",
  kafka: "nats, amqp or redis",
  kinesis: "nats, amqp or redis",
  lambda: "program (your code beside the platform, JSON lines on its input), or webhook (your code behind HTTP)",
  location: "telemetry, or webhook",
  openSearch: "http (the server's own API)",
  salesforce: "webhook",
  sns: "email, slack, telegram, discord, teams, or webhook",
  sqs: "amqp, redis or nats",
  stepFunctions: "webhook, or program",
  timestream: "telemetry, influxdb or postgresql",
};

export function kindNameOf(action: RuleAction): KindName {
  return Object.keys(action)[0] as KindName;
}

export function kindOf(action: RuleAction): { readonly kind: ActionKind; readonly body: object } {
  const name = kindNameOf(action);
  return { kind: BY_NAME.get(name)!, body: (action as Readonly<Record<string, object>>)[name]! };
}

/** Kinds that send or raise something in the hot path. */
export const HOT_KINDS: readonly KindName[] = (Object.keys(KINDS) as KindName[]).filter((name) => name !== "telemetry");

export function validateAction(input: unknown, where: string): RuleAction {
  const given = record(input, where);
  const names = Object.keys(given);
  const known = listOf(BY_NAME.keys());
  if (names.length !== 1) throw invalid(where, `it must have exactly one key: ${known}`);
  const name = names[0]!;
  const at = `${where}.${name.slice(0, 60)}`;
  const kind = BY_NAME.get(name);
  if (kind === undefined) throw invalid(at, unknownAction(name, known));
  return { [name]: kind.validate(record(given[name], at), at) } as RuleAction;
}

/** A target of alerts. */
export function validateNotify(input: unknown, where: string): RuleAction {
  const action = validateAction(input, where);
  if (kindOf(action).kind.announce !== undefined) return action;
  const able = [...BY_NAME.values()].filter((kind) => kind.announce !== undefined);
  throw invalid(where, `it must be one of ${listOf(able.map(({ name }) => name))}`);
}

function unknownAction(name: string, known: string): string {
  const instead = Object.hasOwn(INSTEAD, name) ? INSTEAD[name] : undefined;
  if (instead !== undefined) return `AWS's ${name} is no action here; use ${instead}`;
  const close = closestWord(name, [...BY_NAME.keys()]);
  return `this action is not known; there are ${known}${close === null ? "" : `. Did you mean ${close}?`}`;
}

function listOf(names: Iterable<string>): string {
  const all = [...names];
  return `${all.slice(0, -1).join(", ")} and ${all.at(-1)}`;
}

export function mapSecrets(action: RuleAction, change: SecretChange): RuleAction {
  const { kind, body } = kindOf(action);
  const mapped = kind.mapSecrets?.(body, change);
  return mapped === undefined ? action : ({ [kind.name]: mapped } as RuleAction);
}
