/** What an expression sees beside the message: variables of SET, the item of a nested SELECT, and how much it may do. */
import type { EpochMs, MessageProperties } from "../base/mod.ts";
import { LIMITS, encodeUtf8 } from "../base/mod.ts";
import type { Externals } from "./answers.ts";
import type { SqlEnvironment, SqlInput } from "./input.ts";
import type { SqlValue } from "./value.ts";
import type { SqlVersion } from "./version.ts";

export type Evaluate = (input: SqlInput) => SqlValue;

export interface CompileContext {
  readonly version: SqlVersion;
  readonly variables: Variables;
  readonly budget: Budget;
  /** Inside of a nested SELECT, where everything is done once per item. */
  readonly inRows: boolean;
  readonly externals: Externals;
  /** What is selected leaves the SQL with doubles only, not with numbers that print with all their digits. */
  readonly doubles: boolean;
}

const UNSET = Symbol("unset");

/**
 * The variables of one statement. Each is computed at most once per message, when it is first asked for: WHERE, SELECT
 * and the actions' templates see the same `rand()`.
 */
export class Variables {
  readonly #slots = new Map<string, Evaluate>();
  /** Bounded by the messages that are being worked on: an entry goes with its message. */
  readonly #values = new WeakMap<SqlInput, Map<string, SqlValue | typeof UNSET>>();

  get names(): string[] {
    return [...this.#slots.keys()];
  }

  add(name: string, evaluate: Evaluate): void {
    this.#slots.set(name, evaluate);
  }

  reader(name: string): Evaluate {
    const evaluate = this.#slots.get(name)!;
    return (input) => {
      const message = messageOf(input);
      let values = this.#values.get(message);
      if (values === undefined) this.#values.set(message, (values = new Map()));
      const known = values.has(name) ? values.get(name)! : UNSET;
      if (known !== UNSET) return known;
      const value = evaluate(message);
      values.set(name, value);
      return value;
    };
  }
}

/**
 * How much the nested SELECTs of one evaluation may do, in items and characters. An item of theirs costs little, but
 * `(SELECT VALUE upper(@text) FROM items)` costs items times text, and both come from whoever sent the message.
 */
export class Budget {
  #left: number = LIMITS.rules.sqlNestedWorkMax;
  /** Whether anything spends it; a statement without nested SELECT need not refill it. */
  used = false;

  refill(): void {
    this.#left = LIMITS.rules.sqlNestedWorkMax;
  }

  /** False where it is used up, from then on until it is refilled. */
  spend(amount: number): boolean {
    this.#left -= amount;
    return this.#left >= 0;
  }
}

/** One item of the array that a nested SELECT reads, in the place of the payload. Functions are given the message. */
export class RowInput implements SqlInput {
  readonly message: SqlInput;
  item: SqlValue = undefined;

  constructor(message: SqlInput) {
    this.message = message;
  }

  get topic(): string {
    return this.message.topic;
  }
  get clientId(): string {
    return this.message.clientId;
  }
  get thing(): string {
    return this.message.thing ?? this.message.clientId;
  }
  get receivedAt(): EpochMs {
    return this.message.receivedAt;
  }
  get payload(): Uint8Array {
    return encodeUtf8(JSON.stringify(this.item ?? null));
  }
  json(): SqlValue {
    return this.item;
  }
}

/** A message with the answers that its external functions wait for. */
export class AnsweredInput implements SqlInput {
  readonly message: SqlInput;
  readonly answers = new Map<object, SqlValue>();

  constructor(message: SqlInput) {
    this.message = message;
  }

  get topic(): string {
    return this.message.topic;
  }
  get clientId(): string {
    return this.message.clientId;
  }
  get receivedAt(): EpochMs {
    return this.message.receivedAt;
  }
  get payload(): Uint8Array {
    return this.message.payload;
  }
  get exact(): boolean {
    return this.message.exact === true;
  }
  get principal(): string | null {
    return this.message.principal ?? null;
  }
  get traceId(): string | null {
    return this.message.traceId ?? null;
  }
  get sourceIp(): string | null {
    return this.message.sourceIp ?? null;
  }
  get properties(): MessageProperties | null {
    return this.message.properties ?? null;
  }
  // An absent environment stays absent: functions ask for it with ?.
  get environment(): SqlEnvironment {
    return this.message.environment!;
  }
  json(): SqlValue {
    return this.message.json();
  }
  written(): SqlValue {
    return this.message.written === undefined ? this.message.json() : this.message.written();
  }
  note(reason: string): void {
    this.message.note?.(reason);
  }
}

export function messageOf(input: SqlInput): SqlInput {
  return input instanceof RowInput ? input.message : input;
}
