/** POST of the SELECT's result as JSON (raw bytes where it is `*` of a payload that is not JSON), one per match. Standard Webhooks 1.0.0. */
import { kib, seconds } from "../../base/mod.ts";
import type { EpochMs, JsonObject } from "../../base/mod.ts";
import type { Notification } from "../alerts/notification.ts";
import type { Parcel } from "../delivery/sender.ts";
import { verdictOfHttp } from "../delivery/verdict.ts";
import type { HmacSha256 } from "../ports.ts";
import { headers, httpUrl, invalid, only, optionalText, present } from "./checks.ts";
import type { ActionKind, Carrier, HttpPost, Match, SendPlan } from "./kind.ts";
import { encode, jsonBody } from "./rendering.ts";

export interface WebhookBody {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Standard Webhooks: `whsec_` and base64 of 24 to 64 bytes. Each request is signed with it. */
  readonly secret?: string;
}

export const webhookCarrier: Carrier = {
  name: "webhook",
  batchMax: 1,
  batchBytesMax: kib(64),
  linger: 0,
  concurrency: 16,
  timeout: seconds(15),
  ordered: false,
  http: { request: signedPost, verdict: verdictOfHttp },
};

export const webhook: ActionKind<WebhookBody> = {
  name: "webhook",
  carrier: webhookCarrier,
  validate(given, at) {
    only(given, at, ["url", "headers", "secret"]);
    const secret = optionalText(given["secret"], `${at}.secret`, 256);
    if (secret !== undefined && secretBytes(secret) === null) {
      throw invalid(`${at}.secret`, "it must be whsec_ and base64 of 24 to 64 bytes");
    }
    const named = given["headers"] === undefined ? undefined : headers(given["headers"], `${at}.headers`);
    return present({ url: httpUrl(given["url"], `${at}.url`), headers: named, secret });
  },
  mapSecrets(body, change) {
    const named = Object.entries(body.headers ?? {}).map(([name, value]) => [name, change(value, "***", name)]);
    return present({
      url: body.url,
      headers: body.headers === undefined ? undefined : (Object.fromEntries(named) as Record<string, string>),
      secret: body.secret === undefined ? undefined : change(body.secret, "***", "secret"),
    });
  },
  plan: (body) => webhookPlan(body, (match) => contentType(match)),
  isProgram: true,
  announce(_, notification) {
    return { body: jsonBody(eventOf(notification)).body, fields: { "content-type": "application/json" } };
  },
};

/** One alert is told as itself, several as the notification that a person gets. */
function eventOf(notification: Notification): object {
  const { kind, alerts, at } = notification;
  const alone = alerts.length === 1 ? alerts[0]! : null;
  if (alone === null) return { type: `alerts.${kind}`, timestamp: new Date(at).toISOString(), data: notification };
  const raised = alone.state === "active";
  const told = new Date(raised ? alone.raisedAt : (alone.resolvedAt ?? alone.lastSeenAt)).toISOString();
  const type = kind === "firing" ? "raised" : kind;
  return { type: `alert.${type}`, timestamp: told, data: alone };
}

/** `fields`: the headers that follow from the message. */
export function webhookPlan(body: WebhookBody, fields: (match: Match) => Readonly<Record<string, string>>): SendPlan {
  return {
    settings: webhookSettings(body),
    label: new URL(body.url).origin,
    render: (match) => ({ body: match.bytes, fields: fields(match) }),
  };
}

export function webhookSettings({ url, headers: named, secret }: WebhookBody): JsonObject {
  const lower = Object.entries(named ?? {}).map(([name, value]) => [name.toLowerCase(), value] as const);
  return { url, headers: Object.fromEntries(lower), ...(secret === undefined ? {} : { secret }) };
}

export function contentType({ value }: Match): Readonly<Record<string, string>> {
  return value instanceof Uint8Array ? RAW : JSON_TEXT;
}

const RAW = { "content-type": "application/octet-stream" };
const JSON_TEXT = { "content-type": "application/json" };

/** `webhook-id` stays, `webhook-timestamp` is the attempt's second, and the signature covers `id.timestamp.body`. */
export function signedPost(
  settings: JsonObject,
  [parcel]: readonly Parcel[],
  now: EpochMs,
  hmac: HmacSha256,
): HttpPost {
  const { id, fields, body } = parcel!;
  const timestamp = String(Math.floor(now / 1000));
  const own = settings["headers"] as Readonly<Record<string, string>>;
  const named = { ...fields, ...own, "webhook-id": id, "webhook-timestamp": timestamp };
  const { url, secret } = settings as { url: string; secret?: string };
  const key = secret === undefined ? null : secretBytes(secret);
  if (key === null) return { url, headers: named, body };
  const prefix = encode(`${id}.${timestamp}.`);
  const signed = new Uint8Array(prefix.length + body.length);
  signed.set(prefix);
  signed.set(body, prefix.length);
  const signature = btoa(String.fromCharCode(...hmac(key, signed)));
  return { url, headers: { ...named, "webhook-signature": `v1,${signature}` }, body };
}

/** The key of a Standard Webhooks secret; null where it is not one. */
export function secretBytes(secret: string): Uint8Array | null {
  if (!/^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/.test(secret)) return null;
  try {
    const bytes = Uint8Array.from(atob(secret.slice("whsec_".length)), (c) => c.charCodeAt(0));
    return bytes.length >= 24 && bytes.length <= 64 ? bytes : null;
  } catch {
    return null;
  }
}
