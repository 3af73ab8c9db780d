/** The receivers that are known now. */
import { carrierOf } from "../actions/registry.ts";
import type { RulesLimits } from "../model.ts";
import type { Receiver } from "./sender.ts";
import { Target, closeSender } from "./target.ts";

/** Receivers that are known at once before those without work are forgotten. */
const TARGETS_KEPT = 1000;

export class Targets {
  readonly #byKey = new Map<string, Target>();
  readonly #limits: RulesLimits;
  readonly #onForgotten: (target: Target) => void;

  constructor(limits: RulesLimits, onForgotten: (target: Target) => void) {
    this.#limits = limits;
    this.#onForgotten = onForgotten;
  }

  /** `stored`: its settings are in the store. */
  of(receiver: Receiver, stored: boolean): Target {
    let target = this.#byKey.get(receiver.key);
    if (target === undefined) {
      if (this.#byKey.size >= TARGETS_KEPT) this.#forgetIdle();
      target = new Target(receiver, carrierOf(receiver.carrier), this.#limits, stored);
      this.#byKey.set(receiver.key, target);
    } else if (stored) target.receiverStored = true;
    return target;
  }

  get(key: string): Target | undefined {
    return this.#byKey.get(key);
  }

  [Symbol.iterator](): IterableIterator<Target> {
    return this.#byKey.values();
  }

  #forgetIdle(): void {
    for (const target of this.#byKey.values()) {
      if (!target.idle || target.failures > 0) continue;
      target.wake?.cancel();
      closeSender(target);
      this.#byKey.delete(target.receiver.key);
      this.#onForgotten(target);
    }
  }
}
