/** The broker's state file as its process and its disk see it: what was not written through may be lost in a power cut. */
import type { Progress, SavedState, SessionChange, StateStore } from "../src/broker/mod.ts";
import type { Scheduler } from "../src/base/mod.ts";
import { SimState } from "./broker-ports.ts";
import type { Life } from "./life.ts";
import type { SimRandom } from "./world.ts";

export class SimBrokerDatabase {
  readonly #random: SimRandom;
  readonly #durable = new SimState();
  /** Written, in order, and not on disk for certain. */
  #unsynced: Progress[] = [];

  constructor(random: SimRandom) {
    this.#random = random;
  }

  /** As one life of the process sees it. */
  open(life: Life, scheduler: Scheduler): StateStore {
    const slowly = async (work: () => Promise<void>): Promise<void> => {
      await life.wait(scheduler, this.#random.below(15));
      await work();
      await life.wait(scheduler, this.#random.below(15));
    };
    return {
      load: () => this.#load(),
      saveSessions: (changes) => slowly(() => this.#saveSessions(changes)),
      saveProgress: (progress) =>
        slowly(() => {
          this.#unsynced.push(copied(progress));
          return Promise.resolve();
        }),
    };
  }

  /** Only the latest calls can be lost, each as a whole. */
  async powerCut(): Promise<void> {
    this.#unsynced.length = this.#random.below(this.#unsynced.length + 1);
    await this.#sync();
  }

  async #load(): Promise<SavedState> {
    await this.#sync();
    return this.#durable.load();
  }

  /** A sync of the write-ahead log covers what was written before. */
  async #saveSessions(changes: readonly SessionChange[]): Promise<void> {
    await this.#sync();
    await this.#durable.saveSessions(changes);
  }

  async #sync(): Promise<void> {
    for (const progress of this.#unsynced.splice(0)) await this.#durable.saveProgress(progress);
  }
}

/** The broker may go on with what it handed over. */
function copied({ appliedOffset, outboxes, exchanges, retained }: Progress): Progress {
  return {
    appliedOffset,
    outboxes: outboxes.map((outbox) => ({
      ...outbox,
      chunks: outbox.chunks.map((chunk) => ({ ...chunk, slots: chunk.slots.slice() })),
    })),
    exchanges: structuredClone(exchanges),
    retained: retained.map((entry) => ({ ...entry, frame: entry.frame?.slice() ?? null })),
  };
}
