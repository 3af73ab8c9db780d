import { LIMITS, parseJson } from "../base/mod.ts";
import type { EpochMs, JsonLimits, JsonValue, Message } from "../base/mod.ts";
import type { StateValue } from "../sql/mod.ts";
import type { StateInput } from "./windows/state-input.ts";

const UNPARSED = Symbol("unparsed");

/** A message as the SQL sees it; the payload is parsed at most once, and only if some rule asks. */
export class MessageInput implements StateInput {
  readonly message: Message;
  /** Of the rule with state that looks at the message now. */
  slots: readonly StateValue[] | undefined = undefined;
  readonly #limits: JsonLimits;
  #json: JsonValue | undefined | typeof UNPARSED = UNPARSED;

  constructor(message: Message, limits: JsonLimits = LIMITS.rules) {
    this.message = message;
    this.#limits = limits;
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

  /** With bytes of its own, for whoever keeps it. */
  copy(): MessageInput {
    return new MessageInput({ ...this.message, payload: this.message.payload.slice() }, this.#limits);
  }

  json(): JsonValue | undefined {
    if (this.#json === UNPARSED) {
      const result = parseJson(this.message.payload, this.#limits);
      this.#json = result.ok ? result.value : undefined;
    }
    return this.#json;
  }
}
