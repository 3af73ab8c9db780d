/** What an alert says, before a channel gives it its form. */
import type { EpochMs } from "../../base/mod.ts";
import type { Alert, Severity } from "../model.ts";

export interface AlertText {
  readonly raised: boolean;
  readonly severity: Severity;
  /** `Critical`, or `Resolved`. */
  readonly word: string;
  readonly summary: string;
  readonly thing: string;
  readonly rule: string;
  /** How long it lasted; null while it is active. */
  readonly lasted: string | null;
  /** When this came to be. */
  readonly at: EpochMs;
}

export function alertText(alert: Alert, now: EpochMs): AlertText {
  const { severity, summary, thing, rule } = alert;
  const raised = alert.state === "active";
  return {
    raised,
    severity,
    word: raised ? capital(severity) : "Resolved",
    summary,
    thing,
    rule,
    lasted: raised ? null : duration((alert.resolvedAt ?? alert.lastSeenAt) - alert.raisedAt),
    at: raised ? alert.raisedAt : (alert.resolvedAt ?? now),
  };
}

/** Two lines without any formatting, for channels that need no more. */
export function plainAlert(text: AlertText): string {
  return `${ALERT_SIGNS[signOf(text)]} ${text.word}: ${text.summary}\n${originLine(text)}`;
}

export function originLine({ thing, rule, lasted }: AlertText): string {
  return `${thing} · rule ${rule}${lasted === null ? "" : ` · lasted ${lasted}`}`;
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

function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
