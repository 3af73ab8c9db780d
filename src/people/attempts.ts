/** How often a name or an address may fail to log in. Each failure beyond a few doubles the wait; time forgets them. */
import { LIMITS, networkOf } from "../base/mod.ts";
import type { Clock, Counter, Metrics, Millis } from "../base/mod.ts";

const { loginDelayMin, loginForgetAfter, loginSourcesMax } = LIMITS.people;

interface Failures {
  count: number;
  last: Millis;
}

export interface AttemptRule {
  /** Failures before anybody has to wait. */
  readonly free: number;
  readonly delayMax: Millis;
}

class Book {
  readonly #rule: AttemptRule;
  /** The least recent first; `loginSourcesMax` at most. */
  readonly #failures = new Map<string, Failures>();

  constructor(rule: AttemptRule) {
    this.#rule = rule;
  }

  get size(): number {
    return this.#failures.size;
  }

  wait(source: string, now: Millis): Millis {
    const failures = this.#failures.get(source);
    if (failures === undefined || now - failures.last > loginForgetAfter) return 0;
    const beyond = failures.count - this.#rule.free;
    if (beyond < 0) return 0;
    const delay = Math.min(loginDelayMin * 2 ** Math.min(beyond, 30), this.#rule.delayMax);
    return Math.max(0, failures.last + delay - now);
  }

  add(source: string, now: Millis): void {
    const before = this.#failures.get(source);
    const count = before === undefined || now - before.last > loginForgetAfter ? 0 : before.count;
    this.#failures.delete(source);
    this.#failures.set(source, { count: count + 1, last: now });
    if (this.#failures.size <= loginSourcesMax) return;
    for (const oldest of this.#failures.keys()) {
      this.#failures.delete(oldest);
      return;
    }
  }

  /** One failure that was none after all. */
  take(source: string): void {
    const failures = this.#failures.get(source);
    if (failures !== undefined && --failures.count <= 0) this.#failures.delete(source);
  }

  clear(source: string): void {
    this.#failures.delete(source);
  }
}

export interface AttemptRules {
  /** An account's wait stays short: a stranger who guesses must not lock its owner out for long. */
  readonly perName: AttemptRule;
  readonly perAddress: AttemptRule;
  /**
   * Many right log-ins come from one address at once, as a site's devices do behind one router: an address is not charged
   * before one has failed. Whoever sets this bounds how many are under way.
   */
  readonly chargesAddressLate: boolean;
  /** Begins the names of metrics. */
  readonly metric: string;
}

/** Failures that several platforms count together. */
export interface SharedAttempts {
  /** As `Attempts.claim`. Throws REGISTRY_UNAVAILABLE. */
  claim(name: string, address: string): Millis;
  /** As `Attempts.succeeded`. */
  succeeded(name: string, address: string): void;
  abandoned(name: string, address: string): void;
  failed(address: string): void;
  /** Forgets what is old. */
  sweep(): void;
}

export const OF_PEOPLE: AttemptRules = {
  perName: { free: LIMITS.people.loginsFreePerName, delayMax: LIMITS.people.loginDelayMaxPerName },
  perAddress: { free: LIMITS.people.loginsFreePerAddress, delayMax: LIMITS.people.loginDelayMaxPerAddress },
  chargesAddressLate: false,
  metric: "tidewire_logins",
};

export const OF_DEVICES: AttemptRules = {
  perName: { free: LIMITS.logins.freePerName, delayMax: LIMITS.logins.delayMaxPerName },
  perAddress: { free: LIMITS.logins.freePerAddress, delayMax: LIMITS.logins.delayMaxPerAddress },
  chargesAddressLate: true,
  metric: "tidewire_device_logins",
};

export class Attempts {
  readonly #clock: Clock;
  readonly #names: Book;
  readonly #addresses: Book;
  readonly #late: boolean;
  readonly #held: Counter;
  /** Null: this platform counts by itself. */
  readonly #shared: SharedAttempts | null;

  constructor(clock: Clock, metrics: Metrics, rules: AttemptRules = OF_PEOPLE, shared: SharedAttempts | null = null) {
    this.#clock = clock;
    this.#shared = shared;
    this.#names = new Book(rules.perName);
    this.#addresses = new Book(rules.perAddress);
    this.#late = rules.chargesAddressLate;
    this.#held = metrics.counter({
      name: `${rules.metric}_held_total`,
      help: "Log-ins that were refused unseen, because too many had failed for the name or from the address",
    });
    metrics.observe(
      { name: `${rules.metric}_failing_sources`, help: "Names and addresses with failed log-ins in the last hour" },
      () => this.#names.size + this.#addresses.size,
    );
  }

  /**
   * How long to wait; 0: go on, and it counts as a failure until `succeeded`, so that a hundred at once are not free.
   */
  claim(name: string, address: string): Millis {
    const wait = this.#shared === null ? this.#claim(name, address) : this.#shared.claim(name, address);
    if (wait > 0) this.#held.value++;
    return wait;
  }

  #claim(name: string, address: string): Millis {
    const now = this.#clock.monotonic();
    const source = networkOf(address);
    const wait = Math.max(this.#names.wait(name, now), this.#addresses.wait(source, now));
    if (wait > 0) return wait;
    this.#names.add(name, now);
    if (!this.#late) this.#addresses.add(source, now);
    return 0;
  }

  /** Nothing was found out: it counts for nothing. */
  abandoned(name: string, address: string): void {
    if (this.#shared !== null) return this.#shared.abandoned(name, address);
    this.#names.take(name);
    if (!this.#late) this.#addresses.take(networkOf(address));
  }

  failed(address: string): void {
    if (this.#shared !== null) return this.#shared.failed(address);
    if (this.#late) this.#addresses.add(networkOf(address), this.#clock.monotonic());
  }

  /**
   * It was right, and known to be without a look at it: so many come so that it is not worth the shared database's time, where
   * failures fade by themselves.
   */
  remembered(name: string, address: string): void {
    if (this.#shared === null) this.succeeded(name, address);
  }

  /** The address keeps its other failures: whoever has one account must not guess at others for ever. */
  succeeded(name: string, address: string): void {
    if (this.#shared !== null) return this.#shared.succeeded(name, address);
    this.#names.clear(name);
    if (!this.#late) this.#addresses.take(networkOf(address));
  }
}
