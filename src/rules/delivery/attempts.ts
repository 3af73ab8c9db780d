/** What people and metrics are told of attempts. */
import type { Clock, Millis } from "../../base/mod.ts";
import type { AttemptOutcome, DeliveryCounters } from "./counters.ts";
import type { Pending, Target } from "./target.ts";

export interface AttemptsOptions {
  readonly clock: Clock;
  readonly counters: DeliveryCounters;
  /** What became of so many attempts, and why they failed. */
  readonly onAttempt: (rule: string | null, outcome: AttemptOutcome, reason: string | null, count: number) => void;
}

export class Attempts {
  readonly #o: AttemptsOptions;

  constructor(options: AttemptsOptions) {
    this.#o = options;
  }

  /** `reason`: null where it went well. */
  note(target: Target, { delivery }: Pending, outcome: AttemptOutcome, reason: string | null): void {
    this.#o.counters.attempt(target.carrier.name, outcome).value++;
    target.note(this.#o.clock.now(), reason);
    this.#o.onAttempt(delivery.rule, outcome, reason, 1);
  }

  /** What has a first attempt from memory tells how long it was queued. */
  started(target: Target, batch: readonly Pending[], now: Millis): void {
    const queued = this.#o.counters.latency(target.carrier.name, "queued");
    for (const { stored, queuedAt } of batch) if (!stored) queued.add(now - queuedAt);
  }

  /** All of a batch were taken: told once per rule of those that stand together. `startedAt`: as monotonic time has it. */
  delivered(target: Target, batch: readonly Pending[], startedAt: Millis): void {
    const { counters, clock } = this.#o;
    counters.latency(target.carrier.name, "answered").add(clock.monotonic() - startedAt, batch.length);
    counters.attempt(target.carrier.name, "delivered").value += batch.length;
    target.note(this.#o.clock.now(), null);
    for (let from = 0; from < batch.length;) {
      const { rule } = batch[from]!.delivery;
      let to = from + 1;
      while (to < batch.length && batch[to]!.delivery.rule === rule) to++;
      this.#o.onAttempt(rule, "delivered", null, to - from);
      from = to;
    }
  }
}
