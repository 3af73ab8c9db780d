/** The API's part for people who look at rules, try them and mend what they could not deliver; `contract.ts` lists the routes. */
import type { EpochMs, JsonObject, JsonValue, Millis } from "../../base/mod.ts";

/** An action in words: its kind, and what may be shown of where it goes; null where it stays on the platform. */
export interface RuleActionView {
  readonly kind: string;
  readonly receiver: string | null;
}

export interface RuleMishap {
  readonly at: EpochMs;
  readonly reason: string;
}

/** Since the platform's start. */
export interface RuleActivityView {
  readonly matched: number;
  readonly lastMatchAt: EpochMs | null;
  /** Messages on which the rule failed. */
  readonly failed: number;
  readonly failure: RuleMishap | null;
  /** Deliveries of its actions: taken, tried again, given up. */
  readonly delivered: number;
  readonly retried: number;
  readonly dead: number;
  readonly deliveryFailure: RuleMishap | null;
}

export interface RuleSummary {
  readonly name: string;
  readonly description: string | null;
  readonly sql: string;
  readonly disabled: boolean;
  readonly actions: readonly RuleActionView[];
  readonly errorAction: RuleActionView | null;
  /** Null where it is disabled, and where it only stores: the store process does not count by rule. */
  readonly activity: RuleActivityView | null;
}

export interface RulePage {
  /** By name. */
  readonly rules: readonly RuleSummary[];
  readonly total: number;
  /** Pass it as `after` for the next page; null at the end. */
  readonly next: string | null;
}

export interface RuleReceiver {
  /** As the dead letters name it. */
  readonly key: string;
  readonly kind: string;
  readonly label: string;
  /** Deliveries of all rules. */
  readonly waiting: number;
  /** Nothing is sent to it for so long; 0 where it is not held back. */
  readonly blockedFor: Millis;
  /** Rounds of failure since the last success. */
  readonly failures: number;
  readonly lastFailure: RuleMishap | null;
  readonly lastSuccessAt: EpochMs | null;
}

/** How far behind the log somebody is. */
export interface LogLag {
  /** Of the log, whatever their topic. */
  readonly messages: number;
  /** Of the oldest of them; 0 where there is none, null where it cannot be read any more. */
  readonly age: Millis | null;
}

export interface RuleDetail extends RuleSummary {
  /** What it has not looked at; null where it is disabled. Deliveries that wait are the receivers'. */
  readonly behind: LogLag | null;
  readonly createdAt: EpochMs;
  readonly receivers: readonly RuleReceiver[];
}

/** To be changed and sent back: secrets are `***`, which stands for the one that is there. */
export interface RuleDocumentView {
  readonly document: JsonObject;
  /** Of the whole configuration: `If-Match` of `PUT /api/configuration`. */
  readonly revision: string;
}

/** A statement, a rule that runs, or a document as it would be kept, with the hidden secrets of the rule of that name. */
export type RuleInput = string | { readonly name: string; readonly document?: JsonObject };

export interface RuleFault {
  /** Path of the key, such as `sql` or `actions[0].webhook.url`; empty: the whole document. */
  readonly at: string;
  readonly reason: string;
  readonly hint: string | null;
  /** Of the statement; from 1, and an index into it. Null where it is not about a place in it. */
  readonly line: number | null;
  readonly column: number | null;
  readonly position: number | null;
}

export interface RuleCheck {
  /** Null: it may be saved. */
  readonly fault: RuleFault | null;
  /** Topic filter of FROM; null where there is a fault. */
  readonly filter: string | null;
  /** It keeps state over messages: windows, keyed functions, FOR, patterns. */
  readonly stateful: boolean;
}

export interface ExplainRequest {
  readonly rule: RuleInput;
  readonly limit?: number;
}

/** `depends`: on the messages before. */
export type RuleVerdict = "matched" | "unmatched" | "undecided" | "depends";

export interface ExplainedPart {
  readonly text: string;
  /** Index into the statement, in UTF-16 units. */
  readonly at: number;
  readonly depth: number;
  /** As JSON; null where it is Undefined or depends on the messages before. */
  readonly value: string | null;
  /** It depends on the messages before. */
  readonly unknown: boolean;
  /** Why it is Undefined, where it begins to be. */
  readonly reason: string | null;
}

export interface ExplainedMessage {
  readonly offset: number;
  readonly time: EpochMs;
  readonly topic: string;
  readonly thing: string;
  /** Its beginning, where it is long. */
  readonly payload: string;
  readonly payloadBytes: number;
  readonly verdict: RuleVerdict;
  /** From the outside in. */
  readonly where: readonly ExplainedPart[];
  /** What its actions would be handed, as JSON; null where it does not match, or where that is a window's. */
  readonly selected: string | null;
}

export interface ExplainAnswer {
  /** The newest that the rule's FROM lets through, newest first. */
  readonly messages: readonly ExplainedMessage[];
  /** Records of the log that were looked at. */
  readonly looked: number;
  /** Functions that were asked: the answers are today's, not those of then. */
  readonly askedToday: readonly string[];
}

export interface BackTestRequest {
  readonly rule: RuleInput;
  /** A second one over the same messages. */
  readonly against?: RuleInput;
  /** Epoch milliseconds. */
  readonly since: EpochMs;
  /** The present where it is left out. */
  readonly until?: EpochMs;
  /** Only what this thing published. */
  readonly thing?: string;
  /** Firings that are shown at each end. */
  readonly examples?: number;
}

/** One line of the answer; the last one is a result or an error. */
export type BackTestLine =
  | { readonly progress: BackTestProgress }
  | { readonly result: BackTestResult }
  | { readonly error: { readonly code: string; readonly message: string; readonly fix: string } };

export interface BackTestCounts {
  /** Records of the log that were looked at. */
  readonly log: number;
  /** Rows that came out of the archive's files. */
  readonly archive: number;
  readonly forgotten: number;
  readonly unreadable: number;
}

export interface BackTestProgress {
  readonly offset: number;
  readonly counts: BackTestCounts;
  /** When the newest message was accepted that a rule has seen. */
  readonly at: EpochMs | null;
}

export interface BackTestExample {
  readonly offset: number;
  readonly time: EpochMs;
  readonly topic: string;
  readonly thing: string;
  readonly value: JsonValue;
  /** What the actions would have sent. */
  readonly actions: readonly { readonly kind: string; readonly body: string }[];
}

export interface BackTestFindings {
  readonly fired: number;
  readonly histogram: { readonly from: EpochMs; readonly step: Millis; readonly counts: readonly number[] };
  readonly things: readonly { readonly thing: string; readonly fired: number }[];
  readonly thingsCounted: number;
  readonly thingsUncounted: number;
  readonly actions: readonly { readonly kind: string; readonly times: number }[];
  readonly first: readonly BackTestExample[];
  readonly last: readonly BackTestExample[];
}

export interface BackTestOfRule {
  readonly ruleName: string;
  readonly filter: string;
  readonly counts: {
    readonly evaluated: number;
    readonly fired: number;
    readonly unmatched: number;
    readonly undecided: number;
    readonly failed: number;
  };
  readonly failure: string | null;
  /** What windows did not take; null where the rule has none. */
  readonly windows: {
    readonly late: number;
    readonly crowded: number;
    readonly keyless: number;
    readonly evicted: number;
  } | null;
  /** Functions that cannot be asked about the past. */
  readonly unasked: readonly string[];
  /** Those that were asked: the answers are today's, not those of then. */
  readonly askedToday: readonly string[];
  readonly findings: BackTestFindings;
}

interface OnlyOne {
  readonly count: number;
  readonly first: readonly {
    readonly offset: number;
    readonly time: EpochMs;
    readonly topic: string;
    readonly thing: string;
  }[];
}

export interface BackTestResult {
  readonly from: EpochMs;
  readonly to: EpochMs;
  readonly took: Millis;
  /** False where the time was up. */
  readonly complete: boolean;
  readonly messages: BackTestCounts;
  /** What is not there, and what is left out. */
  readonly notes: readonly string[];
  readonly rule: BackTestOfRule;
  readonly against: BackTestOfRule | null;
  readonly comparison: {
    readonly both: number;
    readonly onlyThis: OnlyOne;
    readonly onlyOther: OnlyOne;
    readonly settledEarly: number;
  } | null;
}

export interface DeadLetterHead {
  readonly number: number;
  /** The idempotency key that its receiver sees. */
  readonly id: string;
  /** Null for notifications of alerts. */
  readonly rule: string | null;
  readonly kind: string;
  readonly label: string;
  readonly receiver: string;
  readonly things: readonly string[];
  readonly attempts: number;
  readonly lastError: string;
  readonly createdAt: EpochMs;
  readonly diedAt: EpochMs;
  readonly bodyBytes: number;
  /** The beginning of the body; null where it is no text. */
  readonly preview: string | null;
}

export interface DeadLetterPage {
  /** Newest first. */
  readonly letters: readonly DeadLetterHead[];
  /** Pass it as `before` for the next page; null at the end. */
  readonly next: number | null;
}

export interface DeadLetterView extends DeadLetterHead {
  readonly offset: number;
  readonly fields: Readonly<Record<string, string>>;
  /** One of the two: bytes that are no text come in base64. */
  readonly body?: string;
  readonly bodyBase64?: string;
}

export interface DeadLetterReceivers {
  /** Those with the newest letters first. */
  readonly receivers: readonly {
    readonly receiver: string;
    readonly kind: string;
    readonly label: string;
    readonly count: number;
  }[];
}
