/** A rule made ready to run, and what it makes of a match. Plain functions: `hot-rules.ts` has the state. */
import { reasonOf, stampOf, thingOfTopic } from "../base/mod.ts";
import type { Clock, Counter, EpochMs, Logger, Metrics, Millis, Random, Scheduler } from "../base/mod.ts";
import { Externals } from "../sql/mod.ts";
import type { CompiledSql, SqlEnvironment } from "../sql/mod.ts";
import { idPart } from "./alerts/model.ts";
import type { AskingRule } from "./asking/asking.ts";
import type { Line } from "./asking/line.ts";
import { compileAlert } from "./alerts/rule-alert.ts";
import type { RuleAlert } from "./alerts/rule-alert.ts";
import type { AlertAction, RuleAction } from "./actions/registry.ts";
import type { KeyedHash } from "./delivery/receivers.ts";
import type { Senders } from "./delivery/sender.ts";
import type { AlertPictures } from "./conversing.ts";
import type { MessageInput } from "./input.ts";
import { Latencies } from "./delivery/latencies.ts";
import { placeOf } from "./model.ts";
import type { RuleDocument, RuleDraft, RulesLimits } from "./model.ts";
import type { RuleActivity } from "./rule-activity.ts";
import type { RuleAlertsOptions } from "./rule-alerts.ts";
import type { CompiledRule } from "./rule-set.ts";
import { asScope, errorSendOf, sendsOf } from "./sends.ts";
import type { Occasion, Send } from "./sends.ts";
import { SeenMessages } from "./seen-messages.ts";
import { statementOf } from "./statement.ts";
import type { RulesStore, StoredState } from "./store.ts";
import type { RuleState, StateLimits } from "./windows/rule-state.ts";
import type { ClosingLimits } from "./windows/closings.ts";
import type { SliceLimits } from "./windows/sliced-saves.ts";

export interface HotRulesOptions {
  readonly store: RulesStore;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly senders: Senders;
  readonly keyedHash: KeyedHash;
  /** Where raised and resolved alerts are sent: actions that `validateNotify` has let through. */
  readonly notify?: readonly RuleAction[];
  /** Or by routes: instead of `notify`. */
  readonly alerts?: RuleAlertsOptions["config"];
  readonly zones?: RuleAlertsOptions["zones"];
  readonly cron?: RuleAlertsOptions["cron"];
  /** Pictures that notifications carry. */
  readonly pictures?: AlertPictures;
  readonly aboutThing?: RuleAlertsOptions["aboutThing"];
  readonly unitOfAlert?: RuleAlertsOptions["unitOfAlert"];
  /** Put in place where the store is empty, and never again: a user may delete them. */
  readonly defaults?: readonly RuleDraft[];
  /** What functions of the SQL need of the machine; without it they are Undefined. */
  readonly environment?: SqlEnvironment;
  readonly limits?: RulesLimits;
  readonly windowLimits?: StateLimits & SliceLimits & ClosingLimits;
}

export interface HotRule extends CompiledRule {
  /** One per action; null for those that send nothing. */
  readonly sends: readonly (Send | null)[];
  readonly hasSends: boolean;
  readonly error: Send | null;
  readonly alert: RuleAlert | null;
  /** Windows and what is kept per key; null where a message says it all. */
  readonly state: RuleState | null;
  readonly activity: RuleActivity;
  /** Its messages that wait for answers; null where it asks nothing. */
  readonly line: Line | null;
  /** Where it came from another runtime: what it has seen there. Its line, where it has one, looks at it by itself. */
  readonly expects: SeenMessages | null;
}

export interface HotRuleParts {
  readonly keyedHash: KeyedHash;
  readonly clearAfter: Millis;
  readonly state: RuleState | null;
  readonly activity: RuleActivity;
  readonly lineOf: (rule: AskingRule) => Line | null;
}

export function hotRule(
  rule: RuleDocument,
  sql: CompiledSql,
  { keyedHash, clearAfter, state, activity, lineOf }: HotRuleParts,
): HotRule {
  const calls = new Externals();
  const sends = sendsOf(rule, asScope(sql, calls), keyedHash);
  const raised = rule.actions.find((action): action is AlertAction => "alert" in action);
  const alert = raised === undefined ? null : compileAlert(raised.alert, sql, clearAfter);
  const hasSends = sends.some((send) => send !== null);
  const error = errorSendOf(rule, sql, keyedHash);
  const templates = calls.calls.length > 0 ? calls : null;
  const expecting = rule.move?.phase === "arrived" ? rule.move.expecting : undefined;
  const expects = expecting === undefined ? null : new SeenMessages(expecting);
  const line = state === null ? lineOf({ ruleName: rule.ruleName, sql, templates, expects }) : null;
  return { rule, sql, sends, hasSends, error, alert, state, activity, line, expects };
}

/** Whether the rule, or a template of its actions, asks the world around it. Throws SqlError. */
export function asksAnything(rule: RuleDocument, keyedHash: KeyedHash): boolean {
  const sql = statementOf(rule);
  const calls = new Externals();
  sendsOf(rule, asScope(sql, calls), keyedHash);
  return sql.asked.length > 0 || calls.calls.length > 0;
}

export interface RuleCounters {
  readonly matched: Counter;
  readonly failed: Counter;
  readonly saveFailures: Counter;
  /** From a message's acceptance until what it sends is made: the disk, the way from the log, the rule. */
  readonly reached: Latencies;
}

export function ruleCounters(metrics: Metrics): RuleCounters {
  return {
    matched: metrics.counter({
      name: "tidewire_rule_matches_total",
      help: "Messages that matched a rule with a hot action",
    }),
    failed: metrics.counter({
      name: "tidewire_rule_errors_total",
      help: "Messages on which a rule failed unexpectedly",
    }),
    saveFailures: metrics.counter({
      name: "tidewire_rules_save_failures_total",
      help: "Times that the rules' state could not be saved",
    }),
    reached: new Latencies(metrics, {
      name: "tidewire_rule_delay_seconds",
      help: "From the acceptance of a message that matched until its deliveries are made, which waits for the disk",
    }),
  };
}

export function noteMatch({ activity }: HotRule, counters: RuleCounters, at: EpochMs): void {
  counters.matched.value++;
  activity.matched++;
  activity.lastMatchAt = at;
}

/** Returns the reason. */
export function noteFailure({ activity }: HotRule, counters: RuleCounters, at: EpochMs, error: unknown): string {
  counters.failed.value++;
  activity.failed++;
  const reason = reasonOf(error);
  activity.failure = { at, reason };
  return reason;
}

/** Offsets of a log that is gone say nothing about the new one, and would make the rules deaf until it is as long. */
export function rebased(state: StoredState, logNext: number): StoredState {
  if (state.checkpoint === null || state.checkpoint <= logNext) return state;
  return {
    ...state,
    checkpoint: logNext,
    rules: state.rules.map((rule) => ({ ...rule, fromOffset: Math.min(rule.fromOffset, logNext) })),
    alerts: state.alerts.map((stored) => ({ ...stored, lastOffset: Math.min(stored.lastOffset, logNext - 1) })),
    alertRows: state.alertRows.map((row) =>
      row.kind === "life" || row.kind === "watch" ? { ...row, document: null } : row,
    ),
    savedOffsetMax: -1,
    newestCreatedAt: null,
    windows: [], // their offsets are those of the log that is gone, and so is what they counted
    toldUntil: null,
    owed: [],
  };
}

export function raisesAlerts(rule: RuleDocument): boolean {
  return !rule.ruleDisabled && rule.actions.some((action) => "alert" in action);
}

export function filterOf(rule: RuleDocument): string {
  try {
    return statementOf(rule).filter;
  } catch {
    return ""; // a rule of another version that does not compile here: it sees nothing
  }
}

/** The event is the reading's own where it carries a stamp, so that a reading sent twice is recognised by the receiver. */
export function occasionOfMessage(
  offset: number,
  input: MessageInput,
  { rule, error }: HotRule,
  now: EpochMs,
): Occasion {
  const stamp = stampOf(input.message.properties);
  const event =
    stamp === null ? `${placeOf(rule)}${offset}` : `${idPart(input.thing)}-${stamp.outbox}-${stamp.sequence}`;
  const named = thingOfTopic(input.topic);
  const things = named === null || named === input.thing ? [input.thing] : [input.thing, named];
  const payload = error === null ? null : input.payload.slice();
  return { event, rule: rule.ruleName, things, offset, createdAt: now, payload };
}
