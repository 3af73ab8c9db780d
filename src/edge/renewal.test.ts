import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SIM_EPOCH, SimRandom } from "../../sim/world.ts";
import { days, hours, minutes } from "../base/mod.ts";
import type { EpochMs, Random } from "../base/mod.ts";
import { PATIENT, identityOf, renewalDue, step } from "./renewal.ts";
import type { Identity, RenewalInput, RenewalPatience, RenewalState } from "./renewal.ts";

const T0 = SIM_EPOCH;

function identity(name: string, from: EpochMs = T0, life = days(30)): Identity {
  return { certificatePem: `cert ${name}`, privateKeyPem: `key ${name}`, notBefore: from, notAfter: from + life };
}

const A = identity("A");
const B = identity("B", T0 + days(21));
const STATES: Readonly<Record<RenewalState["name"], RenewalState>> = {
  settled: { name: "settled", current: A },
  keyed: { name: "keyed", current: A, nextKeyPem: B.privateKeyPem },
  issued: { name: "issued", current: A, next: B },
};
const INPUTS = {
  "time, not due": { input: { type: "time" }, at: days(19) },
  "time, due": { input: { type: "time" }, at: days(21) },
  "time, the new one ended": { input: { type: "time" }, at: days(60) },
  key: { input: { type: "key", privateKeyPem: B.privateKeyPem }, at: days(21) },
  granted: { input: { type: "granted", next: B }, at: days(21) },
  "granted for another key": { input: { type: "granted", next: identity("C") }, at: days(21) },
  unreachable: { input: { type: "denied", kind: "unreachable" }, at: days(21) },
  refused: { input: { type: "denied", kind: "refused" }, at: days(21) },
  "accepted with A": { input: { type: "accepted", certificatePem: A.certificatePem }, at: days(21) },
  "accepted with B": { input: { type: "accepted", certificatePem: B.certificatePem }, at: days(21) },
  failed: { input: { type: "failed", certificatePem: B.certificatePem }, at: days(21) },
} as const satisfies Record<string, { readonly input: RenewalInput; readonly at: number }>;

/** State after and effects, of every pair that does something; all others leave everything as it is. */
const TABLE: Readonly<Record<string, string>> = {
  "settled + time, due": "settled(A) makeKey",
  "settled + time, the new one ended": "settled(A) makeKey",
  "settled + key": "keyed(A) ask",
  "keyed + time, not due": "keyed(A) ask",
  "keyed + time, due": "keyed(A) ask",
  "keyed + time, the new one ended": "keyed(A) ask",
  "keyed + granted": "issued(A, B) reconnect",
  "issued + time, not due": "issued(A, B) reconnect",
  "issued + time, due": "issued(A, B) reconnect",
  "issued + time, the new one ended": "settled(B)",
  "issued + accepted with A": "settled(A)",
  "issued + accepted with B": "settled(B)",
};

describe("every state meets every input", () => {
  for (const [stateName, state] of Object.entries(STATES)) {
    for (const [inputName, { input, at }] of Object.entries(INPUTS)) {
      test(`${stateName} + ${inputName}`, () => {
        const after = step(state, PATIENT, input, { now: T0 + at, jitter: 0 });
        const shown = [describeState(after.state), ...after.effects.map(({ type }) => type)].join(" ");
        assert.equal(shown, TABLE[`${stateName} + ${inputName}`] ?? describeState(state));
      });
    }
  }
});

function describeState(state: RenewalState): string {
  const name = ({ certificatePem }: Identity): string => certificatePem.slice(5);
  return state.name === "issued"
    ? `issued(${name(state.current)}, ${name(state.next)})`
    : `${state.name}(${name(state.current)})`;
}

test("renewal is due at two thirds of the life, spread over a twelfth of it", () => {
  assert.equal(renewalDue(A, 0), T0 + days(20));
  assert.equal(renewalDue(A, 1), T0 + days(22.5));
  assert.equal(renewalDue(identity("long", T0, days(3650)), 1), T0 + (days(3650) * 2) / 3 + days(7));
});

test("a platform that does not answer is asked a minute later, then ever more rarely, once an hour at last", () => {
  let patience: RenewalPatience = PATIENT;
  const waits: number[] = [];
  for (let i = 0; i < 9; i++) {
    ({ patience } = step(STATES.keyed, patience, { type: "denied", kind: "unreachable" }, { now: T0, jitter: 0.5 }));
    waits.push((patience.notBefore - T0) / minutes(1));
  }
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
  const early = step(STATES.keyed, patience, { type: "time" }, { now: T0 + minutes(59), jitter: 0.5 });
  assert.deepEqual(early.effects, []);
});

test("the new certificate is shown first; where it is turned away again and again, the old one every other time, while it lives", () => {
  const shown: string[] = [];
  for (let turnedAway = 0; turnedAway < 7; turnedAway++) {
    shown.push(identityOf(STATES.issued, { ...PATIENT, turnedAway }, T0 + days(21)).certificatePem.slice(5));
  }
  assert.deepEqual(shown, ["B", "B", "B", "A", "B", "A", "B"]);
  assert.equal(identityOf(STATES.issued, { ...PATIENT, turnedAway: 3 }, T0 + days(31)), B);
});

// ── storm ────────────────────────────────────────────────────────────────────────────────────

const GRACE = days(90);
const RETIRE_AFTER = days(1);
const LOOK = minutes(5);

/** The platform's side, as `cloud/renewals.ts` has it: what it has said is on its disk, what it answers may get lost. */
class Issuer {
  readonly #random: Random;
  readonly #valid = new Map<string, Identity>();
  /** By predecessor's certificate. */
  readonly #next = new Map<string, { readonly key: string; readonly issued: Identity; confirmedAt: EpochMs | null }>();
  #count = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  first(at: EpochMs): Identity {
    const made = identity(`${++this.#count}`, at);
    this.#valid.set(made.certificatePem, made);
    return made;
  }

  renew(as: Identity, key: string, now: EpochMs): Identity | "refused" {
    const known = this.#valid.get(as.certificatePem);
    if (known === undefined || now > known.notAfter + GRACE) return "refused";
    this.#seen(as, now);
    const before = this.#next.get(as.certificatePem);
    if (before !== undefined && before.key === key) return before.issued;
    if (before !== undefined) this.#valid.delete(before.issued.certificatePem);
    const made: Identity = { ...identity(`${++this.#count}`, now), privateKeyPem: key };
    this.#valid.set(made.certificatePem, made);
    this.#next.set(as.certificatePem, { key, issued: made, confirmedAt: null });
    return made;
  }

  admits(shown: Identity, now: EpochMs): boolean {
    const known = this.#valid.get(shown.certificatePem);
    if (known === undefined || known.privateKeyPem !== shown.privateKeyPem || now > known.notAfter) return false;
    this.#seen(shown, now);
    return true;
  }

  retire(now: EpochMs): void {
    for (const [old, { confirmedAt }] of this.#next) {
      if (confirmedAt === null || now < confirmedAt + RETIRE_AFTER) continue;
      this.#valid.delete(old);
      this.#next.delete(old);
    }
  }

  get valid(): number {
    return this.#valid.size;
  }

  flip(chance: number): boolean {
    return this.#random.next() < chance;
  }

  #seen(shown: Identity, now: EpochMs): void {
    for (const [old, next] of this.#next) {
      if (next.issued.certificatePem === shown.certificatePem) next.confirmedAt ??= now;
      if (old === shown.certificatePem) next.confirmedAt = null;
    }
  }
}

/** One device: its disk survives, its memory does not. */
class Device {
  disk: RenewalState;
  #patience = PATIENT;
  #jitter = 0;
  #keys = 0;
  #online: Identity | null = null;
  readonly #name: string;
  readonly #issuer: Issuer;
  readonly #random: Random;
  renewals = 0;
  crashes = 0;
  recorded = 0;
  delivered = 0;

  constructor(name: string, issuer: Issuer, random: Random) {
    this.#name = name;
    this.#issuer = issuer;
    this.#random = random;
    this.disk = { name: "settled", current: issuer.first(T0 + days(-15) * random.next()) };
    this.#jitter = random.next();
  }

  /** Records one reading, may crash at any moment, and delivers what it has where it is let in. */
  live(now: EpochMs, network: boolean): void {
    this.recorded++;
    try {
      this.#input({ type: "time" }, now, network);
      if (network) this.#connect(now);
      else this.#online = null;
    } catch (error) {
      if (error !== CRASH) throw error;
      this.crashes++;
      this.#patience = PATIENT;
      this.#jitter = this.#random.next();
      this.#online = null;
    }
  }

  get shown(): Identity {
    return this.disk.current;
  }

  #connect(now: EpochMs): void {
    if (this.#online !== null && this.#online.notAfter <= now) this.#online = null;
    if (this.#online === null) {
      const shown = identityOf(this.disk, this.#patience, now);
      this.#mayCrash();
      if (!this.#issuer.admits(shown, now)) {
        this.#input({ type: "failed", certificatePem: shown.certificatePem }, now, true);
        return;
      }
      this.#mayCrash(); // the platform has let it in, and it does not know
      if (this.#random.next() < 0.1) return; // its answer was lost
      this.#online = shown;
      this.#input({ type: "accepted", certificatePem: shown.certificatePem }, now, true);
    }
    this.delivered = this.recorded;
  }

  #input(input: RenewalInput, now: EpochMs, network: boolean): void {
    const before = this.disk;
    const { state, patience, effects } = step(before, this.#patience, input, { now, jitter: this.#jitter });
    this.#mayCrash();
    this.disk = state;
    this.#mayCrash();
    this.#patience = patience;
    if (before.name === "issued" && state.name === "settled" && state.current === before.next) this.renewals++;
    for (const effect of effects) {
      if (effect.type === "makeKey") {
        const privateKeyPem = `key ${this.#name}.${++this.#keys}.${this.crashes}`;
        this.#input({ type: "key", privateKeyPem }, now, network);
      } else if (effect.type === "reconnect") this.#online = null;
      else this.#ask(effect.as, effect.nextKeyPem, now, network);
    }
  }

  #ask(as: Identity, key: string, now: EpochMs, network: boolean): void {
    if (!network) return this.#input({ type: "denied", kind: "unreachable" }, now, network);
    const answer = this.#issuer.renew(as, key, now);
    this.#mayCrash();
    if (this.#random.next() < 0.2) return this.#input({ type: "denied", kind: "unreachable" }, now, network);
    if (answer === "refused") return this.#input({ type: "denied", kind: "refused" }, now, network);
    this.#input({ type: "granted", next: answer }, now, network);
  }

  #mayCrash(): void {
    if (this.#random.next() < 0.01) throw CRASH;
  }
}

const CRASH = new Error("power cut");

for (const seed of [1, 2, 3]) {
  test(`1,000 devices renew for four months with random crashes, lost answers and outages, seed ${seed}: nobody is locked out, no reading is missed`, () => {
    const random = new SimRandom(seed);
    const issuer = new Issuer(random);
    const devices = Array.from({ length: 1_000 }, (_, i) => new Device(`d${i}`, issuer, random));
    const awayUntil = devices.map(() => 0);
    // Within the last third of a life things happen every few minutes; a day's step elsewhere would hide nothing.
    for (let now = T0; now < T0 + days(120); now += hours(6)) {
      issuer.retire(now);
      for (const [i, device] of devices.entries()) {
        // One in five sleeps for weeks once, some of them past the end of their certificate.
        if (i % 5 === 0 && awayUntil[i] === 0 && random.next() < 0.01)
          awayUntil[i] = now + days(10 + random.next() * 80);
        const network = now >= awayUntil[i]! && random.next() > 0.05;
        for (let turn = 0; turn < 3; turn++) device.live(now + turn * LOOK, network);
      }
    }
    const end = T0 + days(121);
    for (let turn = 0; turn < 30; turn++) for (const device of devices) device.live(end + turn * hours(2), true);
    // The last moments are quiet for who crashed in the very last one.
    for (const device of devices) {
      for (let turn = 0; turn < 50 && device.delivered !== device.recorded; turn++) device.live(end + days(3), true);
      assert.equal(device.delivered, device.recorded);
    }
    const sum = (of: (device: Device) => number): number => devices.reduce((total, device) => total + of(device), 0);
    assert.ok(sum(({ renewals }) => renewals) > 4_000, `${sum(({ renewals }) => renewals)} renewals`);
    assert.ok(sum(({ crashes }) => crashes) > 5_000, `${sum(({ crashes }) => crashes)} crashes`);
    issuer.retire(end + days(10));
    assert.ok(issuer.valid < 1_600, `${issuer.valid} certificates are still good: old ones are retired`);
  });
}
