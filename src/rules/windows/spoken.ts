/** What a rule with state found, as the message that its actions and alerts speak of. */
import type { JsonLimits, Message } from "../../base/mod.ts";
import { encodeUtf8 } from "../../base/mod.ts";
import type { SqlEnvironment } from "../../sql/mod.ts";
import { idPart } from "../alerts/model.ts";
import { MessageInput } from "../input.ts";
import { placeOf } from "../model.ts";
import type { RuleDocument } from "../model.ts";
import type { Occasion } from "../sends.ts";
import type { Outcome } from "./rule-state.ts";
import type { StateInput } from "./state-input.ts";

/**
 * A window has no payload: templates see the fields of its result. A key that fell silent, or whose condition has held, has
 * its last message. Where a key has messages of several things, the key itself stands for them.
 */
export function spokenOf(
  outcome: Outcome,
  input: StateInput,
  limits: JsonLimits,
  environment?: SqlEnvironment,
): MessageInput {
  const { key, topic, thing, value, time } = outcome;
  const result = value instanceof Uint8Array ? value : encodeUtf8(JSON.stringify(value));
  const message: Message = {
    topic,
    payload: input.payload.length > 0 ? input.payload : result,
    qos: 1,
    retain: false,
    clientId: input.clientId === "" ? (thing ?? "") : input.clientId,
    thing: thing ?? shown(key),
    receivedAt: outcome.due ?? time,
    properties: null,
  };
  return new MessageInput(message, limits, environment);
}

/** The same for the same window, so that a receiver recognises what it gets twice. */
export function occasionOf(outcome: Outcome, occasion: Occasion, rule: RuleDocument): Occasion {
  const place = outcome.due === null ? placeOf(rule) : "";
  return {
    ...occasion,
    event: place + idPart(shown(outcome.id)),
    things: outcome.thing === null ? [] : occasion.things,
  };
}

/** Names of keys that are not one text have a mark before them. */
function shown(name: string): string {
  return name.replaceAll("\u0000", "");
}
