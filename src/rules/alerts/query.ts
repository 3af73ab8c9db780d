/** Which alerts a list shows, and in which order. */
import type { EpochMs } from "../../base/mod.ts";
import { glob } from "./matchers.ts";
import type { Alert, AlertPhase, Severity } from "./model.ts";

export interface AlertQuery {
  /** `pending` ones are shown only where `phase` asks for them. */
  readonly state: "active" | "all";
  readonly limit: number;
  readonly phase?: AlertPhase | undefined;
  /** Only those of this thing. */
  readonly thing?: string | undefined;
  readonly rule?: string | undefined;
  readonly severity?: Severity | undefined;
  readonly assignee?: string | undefined;
  /** Stands in the summary, the thing or the rule; capitals do not matter. */
  readonly text?: string | undefined;
  /** Id of the last alert of the page before. */
  readonly after?: string | undefined;
}

export function isWanted(alert: Alert, query: AlertQuery): boolean {
  const { state, phase, thing, rule, severity, assignee, text } = query;
  if (phase === undefined ? alert.state === "pending" : alert.phase !== phase) return false;
  if (state === "active" && alert.state === "resolved") return false;
  if (thing !== undefined && alert.thing !== thing) return false;
  if (rule !== undefined && !glob(rule, alert.rule)) return false;
  if (severity !== undefined && alert.severity !== severity) return false;
  if (assignee !== undefined && alert.assignee !== assignee) return false;
  if (text === undefined || text === "") return true;
  const wanted = text.toLowerCase();
  return [alert.summary, alert.thing, alert.rule].some((part) => part.toLowerCase().includes(wanted));
}

/** Those that are not over first, newest first; then the others, what ended last first. */
export function byNewest(a: Alert, b: Alert): number {
  const over = Number(a.state === "resolved") - Number(b.state === "resolved");
  if (over !== 0) return over;
  return timeOf(b) - timeOf(a) || (a.id < b.id ? -1 : Number(a.id > b.id));
}

function timeOf(alert: Alert): EpochMs {
  return alert.resolvedAt ?? alert.raisedAt;
}
