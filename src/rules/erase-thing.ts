/** A device leaves: nothing of it stays with the rules, or nothing but what was told of it. */
import { thingOfTopic } from "../base/mod.ts";
import type { Alerting } from "./alerts/alerting.ts";
import type { AskingRules } from "./asking/asking.ts";
import type { Deliveries } from "./delivery/deliveries.ts";
import { unsaved } from "./move-errors.ts";
import type { RuleMoves } from "./moves.ts";
import type { RuleSaves } from "./saves.ts";
import type { ForgottenState, RulesStore } from "./store.ts";
import type { WindowedRules } from "./windows/windowed-rules.ts";

export interface KeepersOfThings {
  readonly saves: RuleSaves;
  readonly alerts: Alerting;
  readonly windows: WindowedRules;
  readonly asking: AskingRules;
  readonly deliveries: Deliveries;
  readonly moves: RuleMoves;
  readonly store: Pick<RulesStore, "forgetThing">;
}

/** Requests that are on their way are not called back. Throws STORE_UNAVAILABLE. */
export function eraseThing(
  thing: string,
  { saves, alerts, windows, asking, deliveries, moves, store }: KeepersOfThings,
): ForgottenState {
  if (!saves.save("durably")) throw unsaved();
  alerts.forget(thing);
  windows.forget(thing);
  asking.forget((input) => input.thing === thing || thingOfTopic(input.topic) === thing);
  moves.forget(thing);
  const forgotten = store.forgetThing(thing);
  deliveries.forgetThing(thing, forgotten.deliveries);
  // A rule whose state is not saved has the thing on disk still.
  if (!saves.save("durably") || windows.refused.size > 0) throw unsaved();
  return forgotten;
}

/**
 * It says no more, so nothing is waited for: its windows and what is asked about it go, its alerts are over, and people are told so.
 * What was told, and what is on its way, stays. How many alerts ended. Throws STORE_UNAVAILABLE.
 */
export function dismissThing(
  thing: string,
  offset: number,
  { saves, alerts, windows, asking, moves }: Omit<KeepersOfThings, "deliveries" | "store">,
): number {
  if (!saves.save("durably")) throw unsaved();
  windows.forget(thing);
  asking.forget((input) => input.thing === thing || thingOfTopic(input.topic) === thing);
  moves.forget(thing); // what left with a rule and comes back with it would be active for ever
  const ended = alerts.resolveThing(thing, offset);
  if (!saves.save("durably") || windows.refused.size > 0) throw unsaved();
  return ended;
}
