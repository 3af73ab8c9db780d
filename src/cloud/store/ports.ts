/** What the store process needs of the log and the rules; `process.ts` connects it. */
import type { EpochMs, JsonValue, Message } from "../../base/mod.ts";
import type { SqlEnvironment, SqlValue } from "../../sql/mod.ts";

/** Records of the log as they were written together. */
export interface RecordBatch {
  /** Offset of the first record; the others follow without a gap. */
  readonly baseOffset: number;
  readonly count: number;
  /** Each record lies in `bytes[from, to)`, which are valid only during the call. */
  locate(take: (offset: number, bytes: Uint8Array, from: number, to: number) => void): void;
}

/** The log, read-only. */
export interface RecordSource {
  /** Offset of the oldest kept record. */
  first(): Promise<number>;
  /** Of this log and no other; null while there is none. */
  identity(): Promise<string | null>;
  /** All readable records in [from, below), in order; the first batch may begin before `from`. */
  readBatches(from: number, below: number): AsyncIterable<RecordBatch>;
  /** How many of the offsets in [from, below), which were read, the log left out on purpose: nothing was ever lost there. */
  leftOut(from: number, below: number): number;
}

/** What a rule looks at. */
export interface RuleInput {
  readonly topic: string;
  readonly clientId: string;
  readonly receivedAt: EpochMs;
  readonly payload: Uint8Array;
  json(): SqlValue;
  readonly exact: boolean;
  readonly environment: SqlEnvironment;
}

export type RuleOutcome =
  | { readonly matched: true; readonly value: JsonValue | Uint8Array }
  | { readonly matched: false };

/** One rule with a `telemetry` action. */
export interface TelemetryRule {
  readonly ruleName: string;
  /** The rule sees messages from this offset on. */
  readonly fromOffset: number;
  readonly measurement?: string;
  /** It takes every message as it is: `SELECT *` without a condition. */
  readonly takesAll: boolean;
  /** Never throws. */
  evaluate(input: RuleInput): RuleOutcome;
}

export interface TelemetryRules {
  /** The rules whose filter matches. Called for every message. */
  route(topic: string): readonly TelemetryRule[];
}

/** What can be said of the record in `bytes[from, to)` without decoding it. */
export interface RecordAccess {
  /** What belongs to its topic, made once for each that is seen, and again where there are very many. */
  topics<T>(
    make: (topic: string) => T,
    others: { readonly note: T; readonly unreadable: T },
  ): (bytes: Uint8Array, from: number, to: number) => T;
  /** Throws on anything malformed. */
  decode(bytes: Uint8Array): Message;
  /** Who has sent it. A copy. */
  senderOf(bytes: Uint8Array): Uint8Array;
  /** Where its properties' length stands; -1 where it is from another sender. */
  propertiesAt(bytes: Uint8Array, from: number, to: number, sender: Uint8Array): number;
  writtenAt(bytes: Uint8Array, from: number): EpochMs;
}
