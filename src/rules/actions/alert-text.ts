/** What a notification says, before a channel gives it its form. */
import type { EpochMs } from "../../base/mod.ts";
import type { Severity } from "../alerts/model.ts";
import type { Notification, NotificationKind } from "../alerts/notification.ts";

export interface AlertText {
  readonly raised: boolean;
  readonly severity: Severity;
  /** `Critical`, or `Resolved`. */
  readonly word: string;
  readonly summary: string;
  /** Of many alerts, some. */
  readonly lines: readonly string[];
  readonly thing: string | null;
  readonly rule: string | null;
  /** `95 (threshold 90)`; null where the rule does not say. */
  readonly measured: string | null;
  /** How long it lasted; null while it is active. */
  readonly lasted: string | null;
  /** When this came to be. */
  readonly at: EpochMs;
  readonly since: EpochMs;
  readonly links: Notification["links"];
}

const SUFFIXES: Readonly<Record<NotificationKind, string>> = {
  firing: "",
  resolved: "",
  update: ", update",
  repeat: ", still",
  escalation: ", not acknowledged",
  digest: ", summary",
  test: ", test",
};

export function alertText(notification: Notification): AlertText {
  const { kind, severity, title, lines, device, value, threshold, duration, since, at, alerts, links } = notification;
  const raised = kind !== "resolved";
  const rules = new Set(alerts.map(({ rule }) => rule));
  const limit = threshold === null ? "" : ` (threshold ${threshold})`;
  return {
    raised,
    severity,
    word: raised ? `${capital(severity)}${SUFFIXES[kind]}` : "Resolved",
    summary: title,
    lines,
    thing: device,
    rule: rules.size === 1 ? alerts[0]!.rule : null,
    measured: value === null ? null : `${value}${limit}`,
    lasted: duration === null ? null : durationText(duration),
    at,
    since,
    links,
  };
}

/** As it is, or one line where it stands below what it is about. */
export function plainNotice(notification: Notification): string {
  const text = alertText(notification);
  return notification.form === "reply" ? replyLine(text) : plainAlert(text);
}

/** What is to be heard, below a message that says the rest. */
export function replyLine(text: AlertText): string {
  const { word, summary, lasted } = text;
  return `${ALERT_SIGNS[signOf(text)]} ${word}${lasted === null ? "" : ` after ${lasted}`}: ${summary}`;
}

/** Lines without any formatting, for channels that need no more. */
export function plainAlert(text: AlertText): string {
  const links = linkLines(text);
  return [`${ALERT_SIGNS[signOf(text)]} ${text.word}: ${text.summary}`, ...text.lines, originLine(text), ...links].join(
    "\n",
  );
}

/** What, where, how much, since when. */
export function originLine({ thing, rule, measured, lasted, since }: AlertText, code = ""): string {
  const parts = [
    thing,
    rule === null ? null : `rule ${code}${rule}${code}`,
    measured,
    lasted === null ? `since ${timeText(since)}` : `lasted ${lasted}`,
  ];
  return parts.filter((part) => part !== null).join(" · ");
}

export function linkLines({ links, raised }: AlertText): string[] {
  if (links === null) return [];
  const { alert, chart, silence } = links;
  const found = [`Alert: ${alert}`, ...(chart === null ? [] : [`Chart: ${chart}`])];
  return raised ? [...found, `Silence: ${silence}`] : found;
}

/** `2026-11-22 08:00 UTC`. */
function timeText(at: EpochMs): string {
  return `${new Date(at).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

export const ALERT_SIGNS = { info: "ℹ️", warning: "⚠️", critical: "🚨", resolved: "✅" } as const;
/** 0xRRGGBB. */
export const ALERT_COLOURS = { info: 0x2f81f7, warning: 0xd29922, critical: 0xda3633, resolved: 0x2da44e } as const;

export function signOf({ raised, severity }: AlertText): keyof typeof ALERT_SIGNS {
  return raised ? severity : "resolved";
}

function capital(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1);
}

function durationText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
