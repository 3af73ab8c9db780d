/**
 * How a device replaces its own certificate: a new key, a certificate for it, a connection with it, and only then the old
 * ones go. Pure: every state is on disk before what follows from it happens, so a crash anywhere is a pause.
 */
import { days, hours, minutes } from "../base/mod.ts";
import type { EpochMs, Millis } from "../base/mod.ts";

/** A key with the certificate that was issued for it. */
export interface Identity {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  readonly notBefore: EpochMs;
  readonly notAfter: EpochMs;
}

export type RenewalState =
  | { readonly name: "settled"; readonly current: Identity }
  /** A new key is on disk; the platform is asked for its certificate, with the same key however often. */
  | { readonly name: "keyed"; readonly current: Identity; readonly nextKeyPem: string }
  /** It is there, and nobody has been let in with it yet. */
  | { readonly name: "issued"; readonly current: Identity; readonly next: Identity };

/** What is forgotten at a restart. */
export interface RenewalPatience {
  /** Nothing is asked before. */
  readonly notBefore: EpochMs;
  readonly failures: number;
  /** Connections with the new certificate that failed in a row, and whether the old one is to be tried now. */
  readonly turnedAway: number;
}

export type RenewalInput =
  | { readonly type: "time" }
  | { readonly type: "key"; readonly privateKeyPem: string }
  | { readonly type: "granted"; readonly next: Identity }
  /** `unreachable`: nobody answered, or not sensibly; `refused`: the platform said no. */
  | { readonly type: "denied"; readonly kind: "unreachable" | "refused" }
  /** The platform has let in a connection with this certificate. */
  | { readonly type: "accepted"; readonly certificatePem: string }
  /** An attempt with this certificate came to nothing. */
  | { readonly type: "failed"; readonly certificatePem: string };

export type RenewalEffect =
  | { readonly type: "makeKey" }
  | { readonly type: "ask"; readonly as: Identity; readonly nextKeyPem: string }
  /** Come back with the certificate that `identityOf` names, unless it is in use or tried already. */
  | { readonly type: "reconnect" };

export interface RenewalStep {
  readonly state: RenewalState;
  readonly patience: RenewalPatience;
  readonly effects: readonly RenewalEffect[];
}

export const PATIENT: RenewalPatience = { notBefore: 0, failures: 0, turnedAway: 0 };

/** Attempts with the new certificate before the old one is tried as well; a network that is away fails some, too. */
const TRIES_BEFORE_OLD = 3;
const RETRY_MIN = minutes(1);
const RETRY_MAX = hours(1);
/** A platform that says no says it again; but somebody may have allowed it meanwhile. */
const RETRY_REFUSED = hours(1);

/** `jitter`: 0 to 1, the same as long as the process lives, so that a fleet made on one day does not renew in one hour. */
export function renewalDue({ notBefore, notAfter }: Identity, jitter: number): EpochMs {
  const life: Millis = notAfter - notBefore;
  return notBefore + (life * 2) / 3 + jitter * Math.min(life / 12, days(7));
}

/** Which certificate the next connection shows. */
export function identityOf(state: RenewalState, { turnedAway }: RenewalPatience, now: EpochMs): Identity {
  if (state.name !== "issued") return state.current;
  const oldToo = turnedAway >= TRIES_BEFORE_OLD && turnedAway % 2 === 1;
  return oldToo && state.current.notAfter > now ? state.current : state.next;
}

export function step(
  state: RenewalState,
  patience: RenewalPatience,
  input: RenewalInput,
  { now, jitter }: { readonly now: EpochMs; readonly jitter: number },
): RenewalStep {
  const stay = (effects: readonly RenewalEffect[] = []): RenewalStep => ({ state, patience, effects });
  switch (input.type) {
    case "time":
      return onTime(state, patience, now, jitter);
    case "key": {
      if (state.name !== "settled") return stay();
      const { current } = state;
      const { privateKeyPem: nextKeyPem } = input;
      const effects = [{ type: "ask", as: current, nextKeyPem }] as const;
      return { state: { name: "keyed", current, nextKeyPem }, patience, effects };
    }
    case "granted": {
      if (state.name !== "keyed" || input.next.privateKeyPem !== state.nextKeyPem) return stay();
      const issued: RenewalState = { name: "issued", current: state.current, next: input.next };
      return { state: issued, patience: PATIENT, effects: [{ type: "reconnect" }] };
    }
    case "denied":
      return { state, patience: delayed(patience, input.kind, now, jitter), effects: [] };
    case "accepted":
      return onAccepted(state, patience, input.certificatePem, now);
    case "failed": {
      if (state.name !== "issued") return stay();
      return { state, patience: { ...patience, turnedAway: patience.turnedAway + 1 }, effects: [] };
    }
  }
}

function onTime(state: RenewalState, patience: RenewalPatience, now: EpochMs, jitter: number): RenewalStep {
  const stay: RenewalStep = { state, patience, effects: [] };
  if (now < patience.notBefore) return stay;
  switch (state.name) {
    case "settled":
      return now < renewalDue(state.current, jitter) ? stay : { ...stay, effects: [{ type: "makeKey" }] };
    case "keyed": {
      // Once more if no answer comes to this one.
      const { current: as, nextKeyPem } = state;
      return {
        ...stay,
        patience: delayed(patience, "unreachable", now, jitter),
        effects: [{ type: "ask", as, nextKeyPem }],
      };
    }
    case "issued":
      // Slept until the new one expired as well: it is what the platform has seen last.
      if (now < state.next.notAfter) return { ...stay, effects: [{ type: "reconnect" }] };
      return { state: { name: "settled", current: state.next }, patience: PATIENT, effects: [] };
  }
}

function onAccepted(state: RenewalState, patience: RenewalPatience, pem: string, now: EpochMs): RenewalStep {
  if (state.name !== "issued") return { state, patience, effects: [] };
  if (pem === state.next.certificatePem) {
    return { state: { name: "settled", current: state.next }, patience: PATIENT, effects: [] };
  }
  // The platform knows the old one and not the new one: it was restored from a backup, say. Another is asked for later.
  const later = { ...PATIENT, notBefore: now + RETRY_REFUSED };
  return { state: { name: "settled", current: state.current }, patience: later, effects: [] };
}

function delayed(
  patience: RenewalPatience,
  kind: "unreachable" | "refused",
  now: EpochMs,
  jitter: number,
): RenewalPatience {
  const failures = patience.failures + 1;
  const wait = kind === "refused" ? RETRY_REFUSED : Math.min(RETRY_MIN * 2 ** Math.min(failures - 1, 10), RETRY_MAX);
  return { ...patience, failures, notBefore: now + wait * (0.75 + jitter / 2) };
}
