/** What rules with state are evaluated against: a message, with the slots of its statement. */
import type { EpochMs, JsonValue } from "../../base/mod.ts";
import type { SqlInput, StateValue } from "../../sql/mod.ts";

export interface StateInput extends SqlInput {
  /** Who published it. */
  readonly thing: string;
  slots: readonly StateValue[] | undefined;
}

/** A message that is over: of a window, or of a key that is being waited for. One object, filled anew for each use. */
export class PastInput implements StateInput {
  topic = "";
  clientId = "";
  thing = "";
  receivedAt: EpochMs = 0;
  payload: Uint8Array = NOTHING;
  slots: readonly StateValue[] | undefined = undefined;
  readonly #parse: (payload: Uint8Array) => JsonValue | undefined;

  constructor(parse: (payload: Uint8Array) => JsonValue | undefined) {
    this.#parse = parse;
  }

  json(): JsonValue | undefined {
    return this.payload.length === 0 ? undefined : this.#parse(this.payload);
  }
}

export const NOTHING = new Uint8Array(0);
