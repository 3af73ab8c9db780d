/** A message for another topic of this platform's broker, as AWS IoT's `republish`. Each hop is counted, so that a rule that feeds itself ends. */
import { LIMITS, mib, seconds } from "../../base/mod.ts";
import type { MessageProperties } from "../../base/mod.ts";
import { invalid, only, optionalTemplate, optionalText, present, record, template, text } from "./checks.ts";
import type { Given } from "./checks.ts";
import type { ActionKind, Carrier, Match } from "./kind.ts";
import { textOf } from "./rendering.ts";
import type { TextOf } from "./rendering.ts";

export interface RepublishBody {
  /** Template. AWS's `$$aws/…` is `$aws/…`. */
  readonly topic: string;
  /** 0, 1 or a template that gives one of them. Default 0. */
  readonly qos?: 0 | 1 | string;
  /** AWS's; kept only. */
  readonly roleArn?: string;
  readonly headers?: RepublishHeaders;
}

/** Templates; MQTT 5 properties. */
export interface RepublishHeaders {
  readonly payloadFormatIndicator?: string;
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlationData?: string;
  readonly messageExpiry?: string;
  readonly userProperties?: readonly { readonly key: string; readonly value: string }[];
  /** Ours: the broker retains it. AWS takes it from the message. */
  readonly retain?: string;
}

/** The user property that counts. A device that sets it only shortens its own way. */
export const HOPS_PROPERTY = "tw-hops";

const HEADERS = [
  "payloadFormatIndicator",
  "contentType",
  "responseTopic",
  "correlationData",
  "messageExpiry",
  "retain",
] as const;
const USER_PROPERTIES_MAX = 100;
/** Of one action; with more things that take turns, each message is prepared by itself. */
const ROUTES_KEPT = 1_000;

const carrier: Carrier = {
  name: "republish",
  batchMax: 2_000,
  batchBytesMax: mib(1),
  linger: 0,
  concurrency: 1,
  timeout: seconds(15),
  queuedMax: LIMITS.rules.republishesQueuedMax,
  ordered: true,
  http: null,
};

export const republish: ActionKind<RepublishBody> = {
  name: "republish",
  carrier,
  validate(given, at) {
    only(given, at, ["topic", "qos", "roleArn", "headers"]);
    return present({
      topic: template(given["topic"], `${at}.topic`),
      qos: qosOf(given["qos"], `${at}.qos`),
      roleArn: optionalText(given["roleArn"], `${at}.roleArn`, 2048),
      headers:
        given["headers"] === undefined
          ? undefined
          : headersOf(record(given["headers"], `${at}.headers`), `${at}.headers`),
    });
  },
  plan({ topic, qos = 0, headers = {} }, scope) {
    const topicOf = textOf(topic, scope);
    const qosText = textOf(String(qos), scope);
    const named = HEADERS.flatMap((name) =>
      headers[name] === undefined ? [] : [[name, textOf(headers[name], scope)] as const],
    );
    const users = (headers.userProperties ?? []).map(
      ({ key, value }) => [textOf(key, scope), textOf(value, scope)] as const,
    );
    const route = (match: Match): Route => ({
      topic: unescaped(topicOf(match)),
      qos: qosText(match),
      hops: String(hopsOf(match.input.message.properties) + 1),
      thing: match.input.thing,
    });
    const [settings, label] = [{}, "this broker"];
    if (named.length === 0 && users.length === 0) {
      const routes = new Routes();
      return {
        settings,
        label,
        render: (match) => ({ body: match.bytes, fields: routes.shared(route(match)) }),
      };
    }
    return {
      settings,
      label,
      render: (match) => ({
        body: match.bytes,
        fields: {
          ...route(match),
          ...renderedHeaders(named, match),
          ...(users.length === 0
            ? {}
            : { userProperties: JSON.stringify(users.map(([k, v]) => [k(match), v(match)])) }),
        },
      }),
    };
  },
};

/** AWS's `$$aws/…`. */
function unescaped(topic: string): string {
  return topic.startsWith("$$") ? topic.slice(1) : topic;
}

type Route = Readonly<Record<"topic" | "qos" | "hops" | "thing", string>>;

/** One object for all messages that go the same way: whoever publishes them prepares it once. */
class Routes {
  /** The latest of each thing. */
  readonly #byThing = new Map<string, Route>();

  shared(route: Route): Route {
    const known = this.#byThing.get(route.thing);
    if (known?.topic === route.topic && known.qos === route.qos && known.hops === route.hops) return known;
    if (this.#byThing.size >= ROUTES_KEPT) this.#byThing.clear();
    this.#byThing.set(route.thing, route);
    return route;
  }
}

function renderedHeaders(named: readonly (readonly [string, TextOf])[], match: Match): Record<string, string> {
  return Object.fromEntries(named.map(([name, of]) => [name, of(match)]).filter(([, value]) => value !== ""));
}

export function hopsOf(properties: MessageProperties | null): number {
  for (const [name, value] of properties?.userProperties ?? []) {
    if (name === HOPS_PROPERTY && /^[0-9]{1,6}$/.test(value)) return Number(value);
  }
  return 0;
}

function qosOf(input: unknown, at: string): 0 | 1 | string | undefined {
  if (input === undefined || input === 0 || input === 1) return input;
  if (typeof input === "string" && input.includes("${")) return template(input, at);
  throw invalid(at, "it must be 0, 1 or a template");
}

function headersOf(given: Given, at: string): RepublishHeaders {
  only(given, at, [...HEADERS, "userProperties"]);
  const named = HEADERS.map((name) => [name, optionalTemplate(given[name], `${at}.${name}`)] as const);
  const users = given["userProperties"];
  if (users !== undefined && (!Array.isArray(users) || users.length > USER_PROPERTIES_MAX)) {
    throw invalid(
      `${at}.userProperties`,
      `it must be a list of at most ${USER_PROPERTIES_MAX} objects with key and value`,
    );
  }
  const pairs = (users as readonly unknown[] | undefined)?.map((user, i) => {
    const where = `${at}.userProperties[${i}]`;
    const { key, value } = record(user, where);
    return { key: text(key, `${where}.key`, 1024), value: template(value, `${where}.value`) };
  });
  return present({ ...(Object.fromEntries(named) as RepublishHeaders), userProperties: pairs });
}
