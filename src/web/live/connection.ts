/**
 * The life of the live connection as a pure state machine: `step(state, input, now, random) → { state, effects }`.
 * Times are the browser's clock in milliseconds.
 */
import { seconds } from "../../base/mod.ts";
import type { EpochMs, Millis } from "../../base/mod.ts";

export type ConnectionState =
  | { readonly kind: "stopped" }
  | { readonly kind: "connecting"; readonly attempt: number; readonly since: EpochMs }
  | {
      readonly kind: "open";
      readonly attempt: number;
      readonly since: EpochMs;
      readonly heardAt: EpochMs;
      /** When a ping was sent that nothing has answered yet. */
      readonly pingedAt: EpochMs | null;
    }
  | { readonly kind: "waiting"; readonly attempt: number; readonly retryAt: EpochMs }
  /** The browser says that it has no network. */
  | { readonly kind: "offline"; readonly attempt: number };

export type ConnectionInput =
  | { readonly type: "start" }
  | { readonly type: "stop" }
  | { readonly type: "opened" }
  /** Anything arrived. */
  | { readonly type: "heard" }
  | { readonly type: "lost" }
  | { readonly type: "tick" }
  | { readonly type: "retry-now" }
  | { readonly type: "network-up" }
  | { readonly type: "network-down" };

export type ConnectionEffect =
  | { readonly type: "connect" }
  | { readonly type: "close" }
  | { readonly type: "ping" }
  /** The connection failed: perhaps the session is over. */
  | { readonly type: "check-session" };

export interface Step {
  readonly state: ConnectionState;
  readonly effects: readonly ConnectionEffect[];
}

export const CONNECTION = {
  connectTimeout: seconds(10),
  /** Nothing heard for so long: ask whether the other side is still there. */
  silenceMax: seconds(15),
  /** No answer for so long: it is not. */
  answerTimeout: seconds(8),
  retryDelayMin: seconds(1),
  retryDelayMax: seconds(30),
  /** A connection that lived so long was a good one: the next retry starts from the shortest delay. */
  goodAfter: seconds(5),
} as const;

const stopped: ConnectionState = { kind: "stopped" };

export function step(state: ConnectionState, input: ConnectionInput, now: EpochMs, random: number): Step {
  switch (input.type) {
    case "stop":
      return state.kind === "stopped" ? keep(state) : { state: stopped, effects: [{ type: "close" }] };
    case "start":
      return state.kind === "stopped" ? connect(0, now) : keep(state);
    case "opened":
      if (state.kind !== "connecting") return keep(state);
      return { state: { kind: "open", attempt: state.attempt, since: now, heardAt: now, pingedAt: null }, effects: [] };
    case "heard":
      return state.kind === "open" ? keep({ ...state, heardAt: now, pingedAt: null }) : keep(state);
    case "lost":
      return lost(state, now, random);
    case "retry-now":
      return state.kind === "waiting" || state.kind === "offline" ? connect(state.attempt, now) : keep(state);
    case "network-up":
      return state.kind === "waiting" || state.kind === "offline" ? connect(0, now) : keep(state);
    case "network-down":
      if (state.kind === "stopped" || state.kind === "offline") return keep(state);
      return { state: { kind: "offline", attempt: 0 }, effects: [{ type: "close" }] };
    case "tick":
      break;
  }
  return tick(state, now, random);
}

function lost(state: ConnectionState, now: EpochMs, random: number): Step {
  if (state.kind === "connecting") return wait(state.attempt + 1, now, random);
  if (state.kind !== "open") return keep(state);
  const good = now - state.since >= CONNECTION.goodAfter;
  return wait(good ? 1 : state.attempt + 1, now, random);
}

function tick(state: ConnectionState, now: EpochMs, random: number): Step {
  if (state.kind === "waiting" && now >= state.retryAt) return connect(state.attempt, now);
  if (state.kind === "connecting" && now - state.since > CONNECTION.connectTimeout) {
    return closeFirst(lost(state, now, random));
  }
  if (state.kind !== "open") return keep(state);
  if (state.pingedAt !== null) {
    return now - state.pingedAt > CONNECTION.answerTimeout ? closeFirst(lost(state, now, random)) : keep(state);
  }
  if (now - state.heardAt <= CONNECTION.silenceMax) return keep(state);
  return { state: { ...state, pingedAt: now }, effects: [{ type: "ping" }] };
}

function connect(attempt: number, now: EpochMs): Step {
  return { state: { kind: "connecting", attempt, since: now }, effects: [{ type: "connect" }] };
}

function wait(attempt: number, now: EpochMs, random: number): Step {
  const retryAt = now + retryDelay(attempt, random);
  return { state: { kind: "waiting", attempt, retryAt }, effects: [{ type: "check-session" }] };
}

/** Doubles from the shortest to the longest delay; half of it is random, so that many browsers do not come at once. */
export function retryDelay(attempt: number, random: number): Millis {
  const full = Math.min(CONNECTION.retryDelayMax, CONNECTION.retryDelayMin * 2 ** Math.min(10, attempt - 1));
  return full / 2 + (full / 2) * random;
}

function closeFirst({ state, effects }: Step): Step {
  return { state, effects: [{ type: "close" }, ...effects] };
}

function keep(state: ConnectionState): Step {
  return { state, effects: [] };
}
