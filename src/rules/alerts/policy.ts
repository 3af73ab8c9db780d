/** What an alert action asks for → how an alert lives. */
import { hours, minutes } from "../../base/mod.ts";
import type { Millis } from "../../base/mod.ts";
import type { Policy } from "./life-cycle.ts";

/** The part of an alert action that says when; all spans in seconds. */
export interface AlertTiming {
  /** How long WHERE must have held before the alert is raised. Default 0: at once. */
  readonly forSeconds?: number;
  /** Raised when WHERE was true in so many of the last `of` readings. */
  readonly breaches?: { readonly needed: number; readonly of: number };
  /** How long it must be well, by readings, before the alert is resolved. Default 15. */
  readonly clearAfterSeconds?: number;
  readonly clears?: { readonly needed: number; readonly of: number };
  /** Each time that it comes back within an hour, it must be well for longer: by this factor (default 1.5; 1: never), up to `maxSeconds` (default 3600). */
  readonly recovery?: { readonly factor: number; readonly maxSeconds?: number };
  /** So many raises within an hour are flapping (default 6); then it is over after `calmSeconds` (default 900) without a breach. False: never. */
  readonly flapping?: false | { readonly raises: number; readonly calmSeconds?: number };
}

/** A thing that said that all is well and then nothing is believed after so long, or `clearAfter` where that is longer. */
const CLEAR_HELD = minutes(5);
const MEMORY = hours(1);

/** `clearAfter`: where the action does not say. Whoever asks for 0 means events (a door): each is told, none is flapping. */
export function policyOf(timing: AlertTiming, clearAfter: Millis): Policy {
  const { breaches, clears, recovery, flapping } = timing;
  const clear = timing.clearAfterSeconds === undefined ? clearAfter : timing.clearAfterSeconds * 1000;
  const flaps: false | FlappingGiven = flapping ?? (clear === 0 ? false : {});
  const { raises = 6, calmSeconds = 900 }: FlappingGiven = flaps === false ? { raises: 0 } : flaps;
  return {
    fireFor: (timing.forSeconds ?? 0) * 1000,
    fireNeeded: breaches?.needed ?? 1,
    fireOf: breaches?.of ?? 1,
    clearAfter: clear,
    clearNeeded: clears?.needed ?? 1,
    clearOf: clears?.of ?? 1,
    clearHeld: CLEAR_HELD,
    growth: recovery?.factor ?? 1.5,
    clearAfterMax: (recovery?.maxSeconds ?? 3600) * 1000,
    memory: MEMORY,
    flapRaises: raises,
    flapCalm: calmSeconds * 1000,
  };
}

interface FlappingGiven {
  readonly raises?: number;
  readonly calmSeconds?: number;
}

/** Of alerts that were raised through the API: they are there until somebody ends them. */
export const MANUAL_POLICY: Policy = policyOf({ clearAfterSeconds: 0 }, 0);
