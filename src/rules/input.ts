import { LIMITS, PlainJson, UNREAD } from "../base/mod.ts";
import type { EpochMs, JsonLimits, Message, MessageProperties } from "../base/mod.ts";
import { memberOf, parsePayload } from "../sql/mod.ts";
import type { ParsedPayload, SqlEnvironment, SqlValue, StateValue } from "../sql/mod.ts";
import type { StateInput } from "./windows/state-input.ts";

/** What a message is asked about with. */
export interface Asking {
  readonly environment: SqlEnvironment;
  readonly answers: Map<object, SqlValue>;
  /** Told why an answer is Undefined. */
  readonly note: (reason: string) => void;
}

/** Of the message that was looked at last: rules see one message after the other. */
const plain = new PlainJson();
/** Whoever asks for more members has the payload parsed. */
const LOOKS_MAX = 8;

/** A message as the SQL sees it; the payload is parsed at most once, and only if some rule asks. */
export class MessageInput implements StateInput {
  readonly message: Message;
  /** Of the rule with state that looks at the message now. */
  slots: readonly StateValue[] | undefined = undefined;
  readonly environment?: SqlEnvironment;
  readonly #asking: Asking | null;
  readonly #limits: JsonLimits;
  #parsed: ParsedPayload | null = null;
  #written: ParsedPayload | null = null;
  /** Members that were asked for without parsing; from `LOOKS_MAX` on, no more are. */
  #looks = 0;

  constructor(
    message: Message,
    limits: JsonLimits = LIMITS.rules,
    environment?: SqlEnvironment,
    asking: Asking | null = null,
  ) {
    this.message = message;
    this.#limits = limits;
    this.#asking = asking;
    if (environment !== undefined) this.environment = environment;
  }

  /** Of external functions, where the rule asks any. */
  get answers(): Map<object, SqlValue> | undefined {
    return this.#asking?.answers;
  }
  note(reason: string): void {
    this.#asking?.note(reason);
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
  /** Alerts belong to a thing; a publisher without one stands for itself. */
  get thing(): string {
    return this.message.thing ?? this.message.clientId;
  }

  /** With bytes of its own, for whoever keeps it: to be asked about, where `asking` is given. */
  copy(asking: Asking | null = null): MessageInput {
    const message = { ...this.message, payload: this.message.payload.slice() };
    return new MessageInput(message, this.#limits, asking?.environment ?? this.environment, asking);
  }

  /** With bytes of its own, and the answers that it has. */
  kept(): MessageInput {
    return this.copy(this.#asking);
  }

  get properties(): MessageProperties | null {
    return this.message.properties;
  }
  get exact(): boolean {
    return (this.#parsed?.exact ?? false) || (this.#written?.exact ?? false);
  }

  json(): SqlValue {
    this.#parsed ??= parsePayload(this.message.payload, this.#limits);
    return this.#parsed.json;
  }

  top(key: string): SqlValue {
    if (this.#parsed === null && this.#isPlain()) {
      const value = plain.member(key);
      if (value !== UNREAD) return value;
    }
    return memberOf(this.json(), key);
  }

  /** The payload's bytes where they are a JSON object that whoever gets it may read as it is; null where that is not known. */
  plainBytes(): Uint8Array | null {
    return this.#isPlain() ? plain.whole : null;
  }

  #isPlain(): boolean {
    if (++this.#looks === 1) {
      if (plain.scan(this.message.payload, this.#limits, this)) return true;
      this.#looks = LOOKS_MAX;
    }
    return this.#looks <= LOOKS_MAX && plain.owner === this;
  }

  written(): SqlValue {
    this.#written ??= parsePayload(this.message.payload, this.#limits, "2015-10-08");
    return this.#written.json;
  }
}
