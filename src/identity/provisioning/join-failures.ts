/** Wrong join codes of the running minute: who guesses is not answered any more, and neither is a crowd that guesses. */
import { LIMITS, minutes } from "../../base/mod.ts";
import type { Clock } from "../../base/mod.ts";

/** The same, of several platforms together. Throws REGISTRY_UNAVAILABLE. */
export interface SharedJoinFailures {
  mayTry(address: string): boolean;
  failed(address: string): void;
}

export class JoinFailures implements SharedJoinFailures {
  readonly #clock: Clock;
  /** By address; at most `joinFailuresMax` of them, because beyond nobody is answered. */
  readonly #byAddress = new Map<string, number>();
  #total = 0;
  #since: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.monotonic();
  }

  mayTry(address: string): boolean {
    const now = this.#clock.monotonic();
    if (now - this.#since >= minutes(1)) {
      this.#since = now;
      this.#total = 0;
      this.#byAddress.clear();
    }
    const { joinFailuresMax, joinFailuresPerAddressMax } = LIMITS.provisioning;
    return this.#total < joinFailuresMax && (this.#byAddress.get(address) ?? 0) < joinFailuresPerAddressMax;
  }

  failed(address: string): void {
    this.#total++;
    this.#byAddress.set(address, (this.#byAddress.get(address) ?? 0) + 1);
  }
}
