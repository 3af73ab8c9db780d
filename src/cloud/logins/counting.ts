/**
 * Failed log-ins are counted in a database that may be away. Whoever were told then whether a password was right would guess
 * uncounted, so nobody is told anything: neither that it was wrong nor, by being let in, that it was right.
 */
import { isTidewireError, reasonOf } from "../../base/mod.ts";
import type { Counter, Logger, Metrics } from "../../base/mod.ts";

export class Counting {
  readonly #logger: Logger;
  readonly #uncounted: Counter;
  #isAway = false;

  constructor({ logger, metrics }: { readonly logger: Logger; readonly metrics: Metrics }) {
    this.#logger = logger;
    this.#uncounted = metrics.counter({
      name: "tidewire_device_logins_uncounted_total",
      help: "Log-ins of devices with a password that were refused, right or wrong, because the database that counts failures was away",
    });
  }

  /** `away`: it is not counted, and to be refused. */
  count<T>(what: "attempt" | "outcome", step: () => T): T | "away" {
    try {
      const result = step();
      if (what === "attempt") return result; // the rest of it may find it away again
      if (this.#isAway) this.#logger.info("Devices may log in with a password again: failures are counted");
      this.#isAway = false;
      return result;
    } catch (error) {
      if (!isTidewireError(error)) throw error;
      this.#uncounted.value++;
      if (!this.#isAway) {
        const fields = { reason: reasonOf(error) };
        this.#logger.error("Devices cannot log in with a password: failures cannot be counted", fields);
      }
      this.#isAway = true;
      return "away";
    }
  }
}
