/** Who reads the log as it grows: their list, and how far each is behind, by name. */
import type { Clock, Metrics } from "../base/mod.ts";
import type { Consumer } from "./consumer.ts";
import { observeConsumer } from "./metrics.ts";
import type { LogConsumer, LogStatus } from "./status.ts";

export class Consumers {
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  #all: readonly { readonly name: string; readonly consumer: Consumer }[] = [];
  /** Names of all that there ever were: the program's own. */
  readonly #observed = new Set<string>();

  constructor(metrics: Metrics, clock: Clock) {
    this.#metrics = metrics;
    this.#clock = clock;
  }

  get size(): number {
    return this.#all.length;
  }

  /** `gone`: told when it was taken out, before it has ended. */
  add(name: string, consumer: Consumer, gone: () => void): LogConsumer {
    const entry = { name, consumer };
    this.#all = [...this.#all, entry];
    this.#observe(name);
    return {
      get position() {
        return consumer.position;
      },
      close: async () => {
        this.#all = this.#all.filter((other) => other !== entry);
        gone();
        await consumer.close();
      },
    };
  }

  wake(): void {
    for (const { consumer } of this.#all) consumer.wake();
  }

  /** Ends all of them. */
  async close(): Promise<void> {
    await Promise.all(this.#all.map(({ consumer }) => consumer.close()));
    this.#all = [];
  }

  status(): LogStatus["consumers"] {
    return this.#all.map(({ name, consumer }) => ({ name, position: consumer.position }));
  }

  #observe(named: string): void {
    if (this.#observed.has(named)) return;
    this.#observed.add(named);
    const own = (): Consumer[] => this.#all.flatMap(({ name, consumer }) => (name === named ? [consumer] : []));
    observeConsumer(this.#metrics, named, () => own().map((consumer) => consumer.lag(this.#clock.now())));
  }
}
