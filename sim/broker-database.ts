/** The broker's state file as its process and its disk see it: what was not written through may be lost in a power cut. */
import type { Progress, RetainedTotals, SavedRetained, SessionChange, StateStore } from "../src/broker/mod.ts";
import type { Scheduler } from "../src/base/mod.ts";
import { SimState } from "./broker-ports.ts";
import type { Life } from "./life.ts";
import type { SimRandom } from "./world.ts";

type Write = (state: SimState) => Promise<unknown>;

export class SimBrokerDatabase {
  readonly #random: SimRandom;
  /** Told of changes of sessions in the moment in which they are on disk. */
  onSaved: (changes: readonly SessionChange[]) => void = () => {};
  /** On disk for certain. */
  #durable = new SimState();
  /** What was written since, in order. */
  #unsynced: Write[] = [];
  /** Both together: what the process sees. */
  #seen = new SimState();
  /** Done once the latest power cut has taken what it takes. */
  #cut = Promise.resolve();

  constructor(random: SimRandom) {
    this.#random = random;
  }

  /** As one life of the process sees it. */
  open(life: Life, scheduler: Scheduler): StateStore {
    let earlier: Promise<unknown> = Promise.resolve();
    const slowly = async <T>(work: () => Promise<T>): Promise<T> => {
      const mine = earlier.then(() => life.wait(scheduler, this.#random.below(15))).then(work);
      earlier = mine.catch(() => {});
      const result = await mine;
      await life.wait(scheduler, this.#random.below(15));
      return result;
    };
    const write = async <T>(change: (state: SimState) => Promise<T>): Promise<T> => {
      this.#unsynced.push(change);
      return change(this.#seen);
    };
    return {
      load: async () => {
        await this.#cut;
        return this.#seen.load();
      },
      queued: (clientId, from, max) => slowly(() => this.#seen.queued(clientId, from, max)),
      // A sync of the write-ahead log covers what was written before.
      saveSessions: (changes) =>
        slowly(async () => {
          await write((state) => state.saveSessions(changes));
          await this.#sync();
          this.onSaved(changes);
        }),
      saveProgress: (progress) => {
        const copy = copied(progress); // the broker may go on with what it handed over
        return slowly(() => write((state) => state.saveProgress(copy)));
      },
      retained: {
        save: (changes: readonly SavedRetained[], room: RetainedTotals) =>
          slowly(() => write((state) => state.retained.save(changes, room))),
        page: (filter, after, max) => slowly(() => this.#seen.retained.page(filter, after, max)),
        at: (offset) => slowly(() => this.#seen.retained.at(offset)),
        expire: (now, max) => slowly(() => write((state) => state.retained.expire(now, max))),
        forgetFrom: (offset) => slowly(() => write((state) => state.retained.forgetFrom(offset))),
      },
    };
  }

  /** Only the latest calls can be lost, each as a whole. */
  powerCut(): void {
    this.#unsynced.length = this.#random.below(this.#unsynced.length + 1);
    this.#cut = this.#startAnew();
  }

  async #startAnew(): Promise<void> {
    await this.#sync();
    this.#seen = this.#durable.copy();
  }

  async #sync(): Promise<void> {
    for (const write of this.#unsynced.splice(0)) await write(this.#durable);
  }
}

function copied({ appliedOffset, outboxes, exchanges }: Progress): Progress {
  return {
    appliedOffset,
    outboxes: outboxes.map((outbox) => ({
      ...outbox,
      chunks: outbox.chunks.map((chunk) => ({ ...chunk, slots: chunk.slots.slice() })),
    })),
    exchanges: structuredClone(exchanges),
  };
}
