/**
 * One key's life as a pure function: readings and time in, events out. All times are the log's, so a replay of the log
 * tells the same story. Fires when WHERE has held long or often enough, resolves when the opposite has; between two
 * thresholds everything stays as it is.
 */
import type { EpochMs, Millis } from "../../base/mod.ts";

export interface Policy {
  /** WHERE must have held for so long. */
  readonly fireFor: Millis;
  /** In so many of the last so many readings (at most 30). */
  readonly fireNeeded: number;
  readonly fireOf: number;
  /** The opposite must have held for so long, by readings. */
  readonly clearAfter: Millis;
  readonly clearNeeded: number;
  readonly clearOf: number;
  /** Who said that all is well and then nothing is believed after so long. */
  readonly clearHeld: Millis;
  /** `clearAfter` is multiplied by it for every raise that is remembered, up to `clearAfterMax`. */
  readonly growth: number;
  readonly clearAfterMax: Millis;
  /** How long a raise is remembered. */
  readonly memory: Millis;
  /** So many raises within `memory` are flapping; 0: never. */
  readonly flapRaises: number;
  /** Then it is over when it has been well for so long. */
  readonly flapCalm: Millis;
}

export type Phase =
  | { readonly type: "calm" }
  | { readonly type: "pending"; readonly since: EpochMs }
  | { readonly type: "firing"; readonly clearSince: EpochMs | null };

export interface Life {
  readonly phase: Phase;
  /** Last readings as bits, newest lowest: those that breach; while it fires, those that are well. */
  readonly streak: number;
  /** When it was raised lately, oldest first; at most `RAISES_MAX`. */
  readonly raises: readonly EpochMs[];
  readonly flapping: boolean;
}

export type LifeInput =
  /** `between`: neither as bad as it must be to fire nor as good as it must be to resolve. */
  | { readonly type: "reading"; readonly verdict: "breach" | "between" | "well"; readonly at: EpochMs }
  | { readonly type: "time"; readonly at: EpochMs }
  /** Nothing is to be said of it any more: its rule or thing is gone, or a person has ended it. */
  | { readonly type: "end"; readonly at: EpochMs };

export type LifeEvent =
  | { readonly type: "pending"; readonly at: EpochMs }
  /** It did not last: nobody needs to know. */
  | { readonly type: "dropped"; readonly at: EpochMs }
  | { readonly type: "raised"; readonly at: EpochMs; readonly since: EpochMs; readonly flapping: boolean }
  | { readonly type: "confirmed"; readonly at: EpochMs }
  | { readonly type: "resolved"; readonly at: EpochMs; readonly flapping: boolean };

export interface LifeStep {
  readonly life: Life;
  readonly events: readonly LifeEvent[];
}

export const CALM: Life = { phase: { type: "calm" }, streak: 0, raises: [], flapping: false };

/** More raises than this are flapping by any policy. */
export const RAISES_MAX = 20;
export const STREAK_READINGS_MAX = 30;
const NOTHING: readonly LifeEvent[] = [];

export function step(life: Life, input: LifeInput, policy: Policy): LifeStep {
  if (input.type === "end") return end(life, input.at);
  const passed = pass(life, input.at, policy);
  if (input.type === "time") return passed;
  const read = reading(passed.life, input.verdict, input.at, policy);
  return passed.events.length === 0 ? read : { life: read.life, events: [...passed.events, ...read.events] };
}

/** When time alone changes something; null where it never does. */
export function deadlineOf({ phase, raises, flapping }: Life, policy: Policy): EpochMs | null {
  if (phase.type === "pending") return phase.since + policy.fireFor;
  if (phase.type === "calm" || phase.clearSince === null) return null;
  return phase.clearSince + Math.max(clearDelay(raises, flapping, policy), policy.clearHeld);
}

/** When there is nothing left to remember; null while it is pending or fires, or a streak is under way. */
export function forgottenAt({ phase, streak, raises }: Life, policy: Policy): EpochMs | null {
  if (phase.type !== "calm" || streak !== 0) return null;
  return (raises.at(-1) ?? -Infinity) + policy.memory;
}

/** How long it must be well: longer every time that it comes back. */
export function clearDelay(raises: readonly EpochMs[], flapping: boolean, policy: Policy): Millis {
  const again = Math.max(0, raises.length - 1);
  const grown = policy.clearAfter * policy.growth ** again;
  const delay = Math.max(policy.clearAfter, Math.min(grown, policy.clearAfterMax));
  return flapping ? Math.max(delay, policy.flapCalm) : delay;
}

/** The clock on the wall was set; spans stay as long as they are. */
export function shifted(life: Life, by: Millis): Life {
  const { phase } = life;
  const raises = life.raises.map((at) => at + by);
  if (phase.type === "pending") return { ...life, raises, phase: { type: "pending", since: phase.since + by } };
  if (phase.type === "calm" || phase.clearSince === null) return { ...life, raises };
  return { ...life, raises, phase: { type: "firing", clearSince: phase.clearSince + by } };
}

/** What began later than now was told by another clock: it has begun now. */
export function begunBy(life: Life, now: EpochMs): Life {
  const { phase } = life;
  const raises = life.raises.map((at) => Math.min(at, now));
  if (phase.type === "pending") return { ...life, raises, phase: { ...phase, since: Math.min(phase.since, now) } };
  if (phase.type === "calm" || phase.clearSince === null) return { ...life, raises };
  return { ...life, raises, phase: { ...phase, clearSince: Math.min(phase.clearSince, now) } };
}

function pass(life: Life, at: EpochMs, policy: Policy): LifeStep {
  const deadline = deadlineOf(life, policy);
  if (deadline === null || deadline > at) return { life, events: NOTHING };
  return life.phase.type === "pending" ? raise(life, deadline, life.phase.since, policy) : resolve(life, deadline);
}

function reading(life: Life, verdict: "breach" | "between" | "well", at: EpochMs, policy: Policy): LifeStep {
  const { phase } = life;
  if (phase.type === "firing") return whileFiring({ ...life, phase }, verdict, at, policy);
  const streak = pushed(life.streak, verdict === "breach", policy.fireOf);
  const breaching = ones(streak) >= policy.fireNeeded;
  if (phase.type === "calm") {
    if (!breaching) return { life: { ...life, streak }, events: NOTHING };
    if (policy.fireFor === 0) return raise({ ...life, streak }, at, at, policy);
    return { life: { ...life, streak, phase: { type: "pending", since: at } }, events: [{ type: "pending", at }] };
  }
  if (!breaching) return { life: { ...life, streak, phase: { type: "calm" } }, events: [{ type: "dropped", at }] };
  // A clock that was set back must not make it wait for longer than it has to.
  const since = Math.min(phase.since, at);
  return { life: { ...life, streak, phase: { type: "pending", since } }, events: [{ type: "confirmed", at }] };
}

function whileFiring(
  life: Life & { readonly phase: { readonly type: "firing" } },
  verdict: "breach" | "between" | "well",
  at: EpochMs,
  policy: Policy,
): LifeStep {
  const streak = pushed(life.streak, verdict === "well", policy.clearOf);
  const confirmed: readonly LifeEvent[] = verdict === "breach" ? [{ type: "confirmed", at }] : NOTHING;
  if (ones(streak) < policy.clearNeeded) {
    return { life: { ...life, streak, phase: { type: "firing", clearSince: null } }, events: confirmed };
  }
  const clearSince = Math.min(life.phase.clearSince ?? at, at);
  const cleared: Life = { ...life, streak, phase: { type: "firing", clearSince } };
  if (verdict === "well" && at - clearSince >= clearDelay(life.raises, life.flapping, policy)) {
    return resolve(cleared, at);
  }
  return { life: cleared, events: confirmed };
}

function raise(life: Life, at: EpochMs, since: EpochMs, policy: Policy): LifeStep {
  const remembered = life.raises.filter((earlier) => at - earlier < policy.memory).slice(1 - RAISES_MAX);
  const raises = [...remembered, at];
  const flapping = policy.flapRaises > 0 && raises.length >= policy.flapRaises;
  return {
    life: { phase: { type: "firing", clearSince: null }, streak: 0, raises, flapping },
    events: [{ type: "raised", at, since, flapping }],
  };
}

function resolve(life: Life, at: EpochMs): LifeStep {
  return {
    life: { ...life, phase: { type: "calm" }, streak: 0, flapping: false },
    events: [{ type: "resolved", at, flapping: life.flapping }],
  };
}

function end(life: Life, at: EpochMs): LifeStep {
  if (life.phase.type === "firing") return resolve(life, at);
  const events: readonly LifeEvent[] = life.phase.type === "pending" ? [{ type: "dropped", at }] : NOTHING;
  return { life: { ...life, phase: { type: "calm" }, streak: 0 }, events };
}

function pushed(streak: number, bit: boolean, of: number): number {
  return ((streak << 1) | Number(bit)) & ((1 << of) - 1);
}

function ones(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++;
  return count;
}
