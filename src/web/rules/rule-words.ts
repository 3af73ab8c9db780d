/** What a rule does, in words. */
import type { JsonObject, JsonValue } from "../../base/mod.ts";
import type { LogLag, RuleActivityView, RuleSummary, RuleVerdict } from "../../cloud/api/contract.ts";
import { plural } from "../format/labels.ts";
import { formatDuration } from "../format/units.ts";

/** The statement's beginning, on one line. */
export function firstLine(sql: string): string {
  return sql.replaceAll(/\s+/g, " ").trim();
}

/** `alert`, `webhook to https://hooks.example`. */
export function actionWords({ kind, receiver }: RuleSummary["actions"][number]): string {
  if (receiver === null) return WITHOUT_RECEIVER[kind] ?? kind;
  return kind === "republish" ? "republish here" : `${kind} to ${receiver.replace(new RegExp(`^${kind}[ /]`), "")}`;
}

const WITHOUT_RECEIVER: Readonly<Record<string, string>> = {
  telemetry: "store as time series",
  alert: "raise an alert",
};

export interface DescribedAction {
  readonly kind: string;
  /** The settings, one by one, as they may be shown. */
  readonly settings: readonly { readonly name: string; readonly value: string }[];
}

/** Of a document as the platform shows it: its secrets are stars already. */
export function describedActions(document: JsonObject): readonly DescribedAction[] {
  const { actions, errorAction } = document;
  const listed: readonly JsonValue[] = Array.isArray(actions) ? (actions as readonly JsonValue[]) : [];
  const told = listed.flatMap((action) => described(action, ""));
  return errorAction === undefined ? told : [...told, ...described(errorAction, "on failure: ")];
}

function described(action: JsonValue, prefix: string): DescribedAction[] {
  if (!isRecord(action)) return [];
  return Object.entries(action).map(([kind, body]) => ({
    kind: `${prefix}${WITHOUT_RECEIVER[kind] ?? kind}`,
    settings: isRecord(body) ? Object.entries(body).map(([name, value]) => ({ name, value: shown(value) })) : [],
  }));
}

function isRecord(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What stands in an address behind `?` is often as good as a password. */
function shown(value: JsonValue): string {
  if (typeof value !== "string") return JSON.stringify(value);
  return /^https?:/.test(value) ? value.replace(/\?.*$/s, "?…") : value;
}

/** Who published: messages of programs come from nobody that is known. */
export function thingWords(thing: string): string {
  return thing === "" ? "no device" : thing;
}

/** `12 matched, 3 delivered, 1 given up`. */
export function activityWords(activity: RuleActivityView): string {
  const { matched, delivered, retried, dead, failed } = activity;
  const words = [plural(matched, "match", "matches")];
  if (delivered > 0) words.push(`${count(delivered)} delivered`);
  if (retried > 0) words.push(`${count(retried)} tried again`);
  if (dead > 0) words.push(`${count(dead)} given up`);
  if (failed > 0) words.push(`failed on ${count(failed)}`);
  return words.join(", ");
}

/** Shorter, and it is how things work: a message is on disk before a rule has it. */
const BEHIND_SHOWN = 10_000;

/** Null where it is not worth a word. */
export function behindWords({ messages, age }: LogLag): string | null {
  if (messages === 0 || (age !== null && age < BEHIND_SHOWN)) return null;
  const since = age === null ? "" : `: it looks at what came ${formatDuration(age)} ago`;
  return `It is ${plural(messages, "message", "messages")} of the log behind${since}. Nothing is lost.`;
}

/** What somebody should look at; null where all is well. */
export function troubleOf({ activity }: RuleSummary): string | null {
  if (activity === null) return null;
  const { failure, deliveryFailure, delivered, retried, dead } = activity;
  if (failure !== null) return failure.reason;
  if (deliveryFailure === null || (dead === 0 && retried < delivered)) return null;
  return deliveryFailure.reason;
}

export const VERDICT_WORDS: Readonly<Record<RuleVerdict, string>> = {
  matched: "Matches",
  unmatched: "Does not match",
  undecided: "Undecided",
  depends: "Depends on the messages before",
};

function count(value: number): string {
  return value.toLocaleString("en");
}
