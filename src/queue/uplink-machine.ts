/**
 * The life of the connection to the platform as a pure function: no socket, no clock, no randomness of its own.
 * All times are monotonic milliseconds. Which readings travel is the courier's business; here is only when to connect,
 * greet, ping, give up and try again.
 */
import type { Limits, Millis } from "../base/mod.ts";
import type { CloseCause, Loss } from "./losses.ts";
import { deservesPatience } from "./losses.ts";

export type UplinkState =
  | { readonly name: "stopped" }
  /** Between two attempts. `attempt`: failures in a row so far. */
  | { readonly name: "waiting"; readonly until: Millis; readonly attempt: number }
  /** Name resolution, TCP and TLS. */
  | { readonly name: "opening"; readonly deadline: Millis; readonly attempt: number }
  /** CONNECT sent, CONNACK awaited. */
  | { readonly name: "greeting"; readonly deadline: Millis; readonly attempt: number }
  | {
      readonly name: "online";
      readonly since: Millis;
      readonly attempt: number;
      /** 0: the broker asked for none. */
      readonly keepAlive: Millis;
      readonly lastSent: Millis;
      /** When PINGRESP is overdue; null where none is awaited. */
      readonly pingDeadline: Millis | null;
    }
  /** Asked to stop, with readings on the way. */
  | { readonly name: "draining"; readonly deadline: Millis };

export type UplinkInput =
  | { readonly type: "start" }
  | { readonly type: "stop"; readonly inflight: number }
  | { readonly type: "opened" }
  | { readonly type: "accepted"; readonly keepAlive: Millis }
  | { readonly type: "refused"; readonly reasonCode: number }
  /** Some packet has left. */
  | { readonly type: "sent" }
  | { readonly type: "pong" }
  /** The platform sent DISCONNECT. */
  | { readonly type: "dismissed"; readonly reasonCode: number }
  /** The platform broke the protocol. */
  | { readonly type: "fault"; readonly reasonCode: number; readonly detail: string }
  | { readonly type: "closed"; readonly cause: CloseCause }
  /** Nothing is on the way any more. */
  | { readonly type: "settled" }
  | { readonly type: "time"; readonly unacknowledgedSince: Millis | null };

export type UplinkEffect =
  | { readonly type: "open" }
  | { readonly type: "greet" }
  /** Online: publish what there is. */
  | { readonly type: "serve" }
  | { readonly type: "ping" }
  /** Send DISCONNECT with this reason, then close. */
  | { readonly type: "farewell"; readonly reasonCode: number }
  /** Close at once. */
  | { readonly type: "drop" }
  /** Offline from now on; try again after `delay`. */
  | { readonly type: "lost"; readonly loss: Loss; readonly attempt: number; readonly delay: Millis }
  /** At rest: everything unacknowledged is unsent again. */
  | { readonly type: "stopped" };

export interface UplinkContext {
  readonly now: Millis;
  /** Uniform in [0, 1): spreads the reconnects of a fleet. */
  readonly jitter: number;
  readonly limits: Limits["edge"];
}

export interface UplinkStep {
  readonly state: UplinkState;
  readonly effects: readonly UplinkEffect[];
}

/** DISCONNECT 0x00, normal disconnection. */
const NORMAL = 0x00;
/** A ping leaves after this part of the keep-alive, so that it arrives within it [MQTT-3.1.2-20]. */
const PING_AFTER = 0.8;

export function step(state: UplinkState, input: UplinkInput, context: UplinkContext): UplinkStep {
  switch (state.name) {
    case "stopped":
      return input.type === "start" ? open(0, context) : stay(state);
    case "waiting":
      return inWaiting(state, input, context);
    case "opening":
    case "greeting":
      return inAttempt(state, input, context);
    case "online":
      return inOnline(state, input, context);
    case "draining":
    default:
      return inDraining(state, input, context);
  }
}

/** When `time` has to be put in next; null: never. */
export function deadlineOf(
  state: UplinkState,
  unacknowledgedSince: Millis | null,
  limits: Limits["edge"],
): Millis | null {
  switch (state.name) {
    case "stopped":
      return null;
    case "waiting":
      return state.until;
    case "opening":
    case "greeting":
    case "draining":
      return state.deadline;
    case "online":
    default: {
      const acknowledge = unacknowledgedSince === null ? Infinity : unacknowledgedSince + limits.acknowledgeTimeout;
      const deadline = Math.min(acknowledge, state.pingDeadline ?? pingAt(state));
      return deadline === Infinity ? null : deadline;
    }
  }
}

type StateNamed<Name extends UplinkState["name"]> = Extract<UplinkState, { name: Name }>;

function inWaiting(state: StateNamed<"waiting">, input: UplinkInput, context: UplinkContext): UplinkStep {
  if (input.type === "stop") return rest([]);
  if (input.type === "time" && context.now >= state.until) return open(state.attempt, context);
  return stay(state);
}

function inAttempt(
  state: StateNamed<"opening"> | StateNamed<"greeting">,
  input: UplinkInput,
  context: UplinkContext,
): UplinkStep {
  const phase = state.name;
  const { now, limits } = context;
  const fail = (loss: Loss, ...effects: UplinkEffect[]): UplinkStep => lose(loss, state.attempt, effects, context);
  switch (input.type) {
    case "opened":
      if (phase === "greeting") return stay(state);
      return {
        state: { name: "greeting", deadline: now + limits.greetingTimeout, attempt: state.attempt },
        effects: [{ type: "greet" }],
      };
    case "accepted":
      if (phase === "opening") return stay(state);
      return {
        state: {
          name: "online",
          since: now,
          attempt: state.attempt,
          keepAlive: input.keepAlive,
          lastSent: now,
          pingDeadline: null,
        },
        effects: [{ type: "serve" }],
      };
    case "refused":
      return fail({ kind: "refused", reasonCode: input.reasonCode }, { type: "drop" });
    case "dismissed":
      return fail({ kind: "dismissed", reasonCode: input.reasonCode }, { type: "drop" });
    case "fault":
      return fail(
        { kind: "fault", detail: input.detail },
        phase === "greeting" ? { type: "farewell", reasonCode: input.reasonCode } : { type: "drop" },
      );
    case "closed":
      return fail({ kind: "closed", cause: input.cause, phase });
    case "stop":
      return rest([{ type: "drop" }]);
    case "time":
      return now >= state.deadline ? fail({ kind: "timeout", of: phase }, { type: "drop" }) : stay(state);
    case "start":
    case "sent":
    case "pong":
    case "settled":
    default:
      return stay(state);
  }
}

function inOnline(state: StateNamed<"online">, input: UplinkInput, context: UplinkContext): UplinkStep {
  const { now, limits } = context;
  const attempt = now - state.since >= limits.reconnectResetAfter ? 0 : state.attempt;
  const fail = (loss: Loss, ...effects: UplinkEffect[]): UplinkStep => lose(loss, attempt, effects, context);
  switch (input.type) {
    case "sent":
      return stay({ ...state, lastSent: now });
    case "pong":
      return stay({ ...state, pingDeadline: null });
    // By a second connection, which has taken the place of the first.
    case "accepted": {
      const fresh = { since: now, attempt, keepAlive: input.keepAlive, lastSent: now, pingDeadline: null };
      return { state: { name: "online", ...fresh }, effects: [{ type: "serve" }] };
    }
    case "dismissed":
      return fail({ kind: "dismissed", reasonCode: input.reasonCode }, { type: "drop" });
    case "fault":
      return fail({ kind: "fault", detail: input.detail }, { type: "farewell", reasonCode: input.reasonCode });
    case "closed":
      return fail({ kind: "closed", cause: input.cause, phase: "online" });
    case "stop":
      if (input.inflight === 0) return rest([{ type: "farewell", reasonCode: NORMAL }]);
      return stay({ name: "draining", deadline: now + limits.drainTimeout });
    case "time":
      return onlineTime(state, input.unacknowledgedSince, fail, context);
    case "start":
    case "opened":
    case "refused":
    case "settled":
    default:
      return stay(state);
  }
}

function onlineTime(
  state: StateNamed<"online">,
  unacknowledgedSince: Millis | null,
  fail: (loss: Loss, ...effects: UplinkEffect[]) => UplinkStep,
  { now, limits }: UplinkContext,
): UplinkStep {
  // A connection that swallows bytes takes no DISCONNECT either: it is dropped, not taken leave of.
  if (unacknowledgedSince !== null && now >= unacknowledgedSince + limits.acknowledgeTimeout) {
    return fail({ kind: "timeout", of: "acknowledgement" }, { type: "drop" });
  }
  if (state.pingDeadline !== null) {
    return now >= state.pingDeadline ? fail({ kind: "timeout", of: "ping" }, { type: "drop" }) : stay(state);
  }
  if (now < pingAt(state)) return stay(state);
  return {
    state: { ...state, lastSent: now, pingDeadline: now + limits.pingTimeout },
    effects: [{ type: "ping" }],
  };
}

function inDraining(state: StateNamed<"draining">, input: UplinkInput, { now }: UplinkContext): UplinkStep {
  switch (input.type) {
    case "settled":
      return rest([{ type: "farewell", reasonCode: NORMAL }]);
    case "time":
      return now >= state.deadline ? rest([{ type: "farewell", reasonCode: NORMAL }]) : stay(state);
    case "dismissed":
    case "fault":
      return rest([{ type: "drop" }]);
    case "closed":
      return rest([]);
    case "start":
    case "stop":
    case "opened":
    case "accepted":
    case "refused":
    case "sent":
    case "pong":
    default:
      return stay(state);
  }
}

function stay(state: UplinkState): UplinkStep {
  return { state, effects: [] };
}

function rest(effects: readonly UplinkEffect[]): UplinkStep {
  return { state: { name: "stopped" }, effects: [...effects, { type: "stopped" }] };
}

function open(attempt: number, { now, limits }: UplinkContext): UplinkStep {
  return {
    state: { name: "opening", deadline: now + limits.connectTimeout, attempt },
    effects: [{ type: "open" }],
  };
}

function lose(loss: Loss, attempt: number, effects: readonly UplinkEffect[], context: UplinkContext): UplinkStep {
  const delay = reconnectDelay(attempt, loss, context);
  return {
    state: { name: "waiting", until: context.now + delay, attempt: attempt + 1 },
    effects: [...effects, { type: "lost", loss, attempt: attempt + 1, delay }],
  };
}

/**
 * Doubles with each failure; half of it is random, so that a fleet does not come back as one wave. Where only a human can
 * help, or another agent uses the same identity, it is the longest at once.
 */
export function reconnectDelay(attempt: number, loss: Loss, { jitter, limits }: UplinkContext): Millis {
  const { reconnectDelayMin: shortest, reconnectDelayMax: longest } = limits;
  const delay = deservesPatience(loss) ? longest : Math.min(longest, shortest * 2 ** Math.min(attempt, 30));
  return delay / 2 + (jitter * delay) / 2;
}

function pingAt(state: StateNamed<"online">): Millis {
  return state.keepAlive === 0 ? Infinity : state.lastSent + state.keepAlive * PING_AFTER;
}
