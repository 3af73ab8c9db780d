/** Deliveries as HTTP requests: bodies, headers and signatures. */
import type { EpochMs, JsonValue } from "../base/mod.ts";
import type { Alert, NotifyTarget, SlackAction, WebhookAction } from "./model.ts";
import type { HmacSha256 } from "./ports.ts";
import type { Delivery } from "./store.ts";
import { secretBytes } from "./validate.ts";

const utf8 = new TextEncoder();

/** Slack refuses a section's text beyond 3000 characters. */
const SLACK_TEXT_CHARS_MAX = 3000;

export interface Occasion {
  readonly id: string;
  readonly rule: string | null;
  readonly things: readonly string[];
  readonly offset: number;
  readonly createdAt: EpochMs;
}

export function webhookDelivery(action: WebhookAction, occasion: Occasion, value: JsonValue | Uint8Array): Delivery {
  const raw = value instanceof Uint8Array;
  const { url, headers, secret } = action.webhook;
  return {
    ...occasion,
    kind: "webhook",
    target: `webhook ${url}`,
    url,
    headers: { "content-type": raw ? "application/octet-stream" : "application/json", ...lowerCase(headers ?? {}) },
    secret: secret ?? null,
    body: raw ? value.slice() : utf8.encode(JSON.stringify(value)),
  };
}

/** `text` is Slack's mrkdwn; values in it must have gone through `escapeSlack`. */
export function slackDelivery(action: SlackAction, occasion: Occasion, text: string): Delivery {
  const { url } = action.slack;
  const cut = text.length > SLACK_TEXT_CHARS_MAX ? `${text.slice(0, SLACK_TEXT_CHARS_MAX - 1)}…` : text;
  const body = { text: cut, blocks: [{ type: "section", text: { type: "mrkdwn", text: cut } }] };
  return {
    ...occasion,
    kind: "slack",
    target: `slack ${url}`,
    url,
    headers: { "content-type": "application/json" },
    secret: null,
    body: utf8.encode(JSON.stringify(body)),
  };
}

/** The three characters that Slack gives a meaning. */
export function escapeSlack(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** A raised or resolved alert for one of the `notify` targets. */
export function alertDelivery(target: NotifyTarget, alert: Alert, offset: number, now: EpochMs): Delivery {
  const raised = alert.state === "active";
  const occasion = {
    id: `${alert.id}.${raised ? "raised" : "resolved"}`,
    rule: null,
    things: [alert.thing],
    offset,
    createdAt: now,
  };
  if ("slack" in target) return slackDelivery(target, occasion, slackAlert(alert));
  const at = new Date(raised ? alert.raisedAt : (alert.resolvedAt ?? now)).toISOString();
  const type = raised ? "alert.raised" : "alert.resolved";
  return webhookDelivery(target, occasion, { type, timestamp: at, data: { ...alert } });
}

const SLACK_ICONS = { info: ":information_source:", warning: ":warning:", critical: ":rotating_light:" } as const;

function slackAlert(alert: Alert): string {
  const summary = escapeSlack(alert.summary);
  const from = `${escapeSlack(alert.thing)} · rule \`${alert.rule}\``;
  if (alert.state === "active") {
    return `${SLACK_ICONS[alert.severity]} *${capital(alert.severity)}*: ${summary}\n${from}`;
  }
  const lasted = duration((alert.resolvedAt ?? alert.lastSeenAt) - alert.raisedAt);
  return `:white_check_mark: *Resolved*: ${summary}\n${from} · lasted ${lasted}`;
}

function capital(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1);
}

function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function lowerCase(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

/**
 * Headers of one attempt (Standard Webhooks 1.0.0): `webhook-id` stays, `webhook-timestamp` is the attempt's second, and
 * the signature covers `id.timestamp.body`. Slack gets none of them.
 */
export function attemptHeaders(delivery: Delivery, now: EpochMs, hmac: HmacSha256): Record<string, string> {
  if (delivery.kind === "slack") return { ...delivery.headers };
  const timestamp = String(Math.floor(now / 1000));
  const headers = { ...delivery.headers, "webhook-id": delivery.id, "webhook-timestamp": timestamp };
  const key = delivery.secret === null ? null : secretBytes(delivery.secret);
  if (key === null) return headers;
  const prefix = utf8.encode(`${delivery.id}.${timestamp}.`);
  const signed = new Uint8Array(prefix.length + delivery.body.length);
  signed.set(prefix);
  signed.set(delivery.body, prefix.length);
  const signature = btoa(String.fromCharCode(...hmac(key, signed)));
  return { ...headers, "webhook-signature": `v1,${signature}` };
}
