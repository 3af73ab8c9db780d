/** The server's time on this machine: charts and ages follow the server's clock, whatever the viewer's clock says. */
import type { EpochMs, Millis } from "../../base/mod.ts";

const SAMPLES_MAX = 8;

/**
 * Each message that carries the server's time arrives after it was stamped, so `stamp - arrival` is the true difference
 * minus the delay of the way. The largest of the recent samples had the shortest way and is the best estimate.
 */
export class ServerClock {
  #samples: Millis[] = [];

  /** `stamp`: the server's time in the message; `arrivedAt`: this machine's time when it came. */
  sample(stamp: EpochMs, arrivedAt: EpochMs): void {
    const difference = stamp - arrivedAt;
    const previous = this.#samples.at(-1);
    // One of the two clocks was set: what was measured before says nothing now.
    if (previous !== undefined && Math.abs(previous - difference) > 60_000) this.#samples = [];
    this.#samples.push(difference);
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
  }

  /** Server's clock minus this machine's clock; 0 until something was measured. */
  get difference(): Millis {
    return this.#samples.length === 0 ? 0 : Math.max(...this.#samples);
  }

  now(local: EpochMs): EpochMs {
    return local + this.difference;
  }
}
