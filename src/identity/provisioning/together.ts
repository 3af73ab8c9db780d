/**
 * Changes that wait for the same disk are made in one transaction: whatever was asked for in one turn of the event loop. A
 * fleet that is switched on at once waits for the disk once per turn, not once per device.
 */
import type { Scheduler } from "../../base/mod.ts";

interface Waiting {
  readonly run: () => void;
  /** Resolves or rejects for whoever asked. */
  readonly settle: (error: unknown) => void;
}

const DONE = Symbol("done");

export class Together {
  readonly #atomically: (work: () => void) => void;
  readonly #scheduler: Pick<Scheduler, "defer">;
  /** Bounded by who asks: each waits for the answer. */
  #waiting: Waiting[] = [];

  /** `atomically`: all of it or nothing, on disk when it returns. */
  constructor(atomically: (work: () => void) => void, scheduler: Pick<Scheduler, "defer">) {
    this.#atomically = atomically;
    this.#scheduler = scheduler;
  }

  /** `change` may be made twice, the first time undone; it must have no other effect. Rejects with what it throws. */
  make<T>(change: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      let result: T;
      this.#waiting.push({
        run: () => (result = change()),
        settle: (error) => {
          if (error === DONE) resolve(result);
          else reject(error);
        },
      });
      if (this.#waiting.length === 1) this.#scheduler.defer(() => this.#makeAll());
    });
  }

  /** One that fails takes nobody along: then each has a transaction of its own. */
  #makeAll(): void {
    const all = this.#waiting;
    this.#waiting = [];
    const error = this.#attempt(all);
    for (const one of all) one.settle(error === DONE || all.length === 1 ? error : this.#attempt([one]));
  }

  #attempt(changes: readonly Waiting[]): unknown {
    try {
      this.#atomically(() => {
        for (const { run } of changes) run();
      });
      return DONE;
    } catch (error) {
      return error;
    }
  }
}
