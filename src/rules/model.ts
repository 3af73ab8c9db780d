/** Rules, what they do, and the alerts they raise, as plain values. */
import type { EpochMs, Limits } from "../base/mod.ts";

export type RulesLimits = { readonly [K in keyof Limits["rules"]]: number };

/** POST of the SELECT's result as JSON (raw bytes where it is `*` of a payload that is not JSON), one per match. */
export interface WebhookAction {
  readonly webhook: {
    readonly url: string;
    readonly headers?: Readonly<Record<string, string>>;
    /** Standard Webhooks: `whsec_` and base64 of 24 to 64 bytes. Each request is signed with it. */
    readonly secret?: string;
  };
}

/** AWS IoT's own way to say it; the same request as a webhook's, without a signature. */
export interface HttpAction {
  readonly http: {
    readonly url: string;
    /** AWS asks there before it sends; whoever writes the rule here answers for the address. Kept only. */
    readonly confirmationUrl?: string;
    readonly headers?: readonly { readonly key: string; readonly value: string }[];
  };
}

export interface SlackAction {
  readonly slack: {
    /** An incoming webhook; the URL is the secret. */
    readonly url: string;
    /** Template with `${expression}`, `${thing}`, `${rule}`. Without it: rule, thing and the SELECT's result. */
    readonly text?: string;
  };
}

/** Stores the SELECT's fields as time series. The store process executes it; here it is validated and skipped. */
export interface TelemetryAction {
  readonly telemetry: {
    /** Name of the measurement; without it, it follows from the topic. */
    readonly measurement?: string;
  };
}

/** Raises one alert per thing while WHERE is true. */
export interface AlertAction {
  readonly alert: {
    readonly severity: Severity;
    /** Template with `${expression}`, `${thing}`, `${rule}`. */
    readonly summary: string;
    /** How long WHERE must be false, by readings, before the alert is resolved. Default 15. */
    readonly clearAfterSeconds?: number;
  };
}

export type RuleAction = WebhookAction | HttpAction | SlackAction | TelemetryAction | AlertAction;
export type ActionKind = "webhook" | "slack" | "telemetry" | "alert";

/** Where raised and resolved alerts are sent, beside the dashboard. */
export type NotifyTarget = WebhookAction | SlackAction;

/** What a user writes. */
export interface RuleDraft {
  readonly ruleName: string;
  readonly sql: string;
  readonly description?: string;
  readonly ruleDisabled: boolean;
  readonly actions: readonly RuleAction[];
  /** Kept for whoever wrote it; what fails is retried and then a dead letter, whatever it says. */
  readonly errorAction?: RuleAction;
}

export interface RuleDocument extends RuleDraft {
  readonly createdAt: EpochMs;
  /** It sees messages from this log offset on. */
  readonly fromOffset: number;
}

export const SEVERITIES = ["info", "warning", "critical"] as const;
export type Severity = (typeof SEVERITIES)[number];

/** The same fields as in `cloud/api/contract.ts`. */
export interface Alert {
  /** Rule, thing and the log offset of the reading that raised it: the same again after a replay. */
  readonly id: string;
  readonly rule: string;
  readonly thing: string;
  readonly severity: Severity;
  readonly state: "active" | "resolved";
  /** One sentence with the values that raised it. */
  readonly summary: string;
  readonly raisedAt: EpochMs;
  /** Last reading that confirmed it. */
  readonly lastSeenAt: EpochMs;
  readonly resolvedAt: EpochMs | null;
  readonly acknowledgedAt: EpochMs | null;
  /** How many readings confirmed it. */
  readonly count: number;
}

export function kindOf(action: RuleAction): ActionKind {
  if ("webhook" in action || "http" in action) return "webhook";
  if ("slack" in action) return "slack";
  return "telemetry" in action ? "telemetry" : "alert";
}

/** As the webhook that it is. */
export function webhookOf({ http: { url, headers = [] } }: HttpAction): WebhookAction {
  return { webhook: { url, headers: Object.fromEntries(headers.map(({ key, value }) => [key, value])) } };
}

/** A copy that may be shown: secrets, header values and Slack's paths are replaced by `***`. */
export function redactRule(rule: RuleDocument): RuleDocument {
  const { actions, errorAction } = rule;
  const shown = { ...rule, actions: actions.map(redactAction) };
  return errorAction === undefined ? shown : { ...shown, errorAction: redactAction(errorAction) };
}

function redactAction(action: RuleAction): RuleAction {
  if ("slack" in action) return { slack: { ...action.slack, url: `${new URL(action.slack.url).origin}/***` } };
  if ("http" in action) {
    const { headers } = action.http;
    const hidden = headers?.map(({ key }) => ({ key, value: "***" }));
    return { http: { ...action.http, ...(hidden === undefined ? {} : { headers: hidden }) } };
  }
  if (!("webhook" in action)) return action;
  const { url, headers, secret } = action.webhook;
  return {
    webhook: {
      url,
      ...(headers === undefined ? {} : { headers: Object.fromEntries(Object.keys(headers).map((k) => [k, "***"])) }),
      ...(secret === undefined ? {} : { secret: "***" }),
    },
  };
}
