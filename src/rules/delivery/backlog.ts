/** What waits in the store: reading what is due, by a wall clock that never goes back. */
import type { Clock, EpochMs, Logger, Millis, Random } from "../../base/mod.ts";
import type { RulesLimits } from "../model.ts";
import { StoreTrouble } from "../store-trouble.ts";
import type { RulesStore, StoredState } from "../store.ts";
import { keyOf } from "./delivery.ts";
import type { DeliveryKey } from "./delivery.ts";
import type { Target } from "./target.ts";

export interface BacklogOptions {
  readonly store: Pick<RulesStore, "due" | "nextDue" | "has">;
  readonly clock: Clock;
  readonly random: Pick<Random, "next">;
  readonly logger: Logger;
  readonly limits: RulesLimits;
  /** Saves what changed, if anything did; false where the store failed. */
  readonly save: () => boolean;
}

/** Rows read from the store at a time. */
const PAGE_ROWS = 256;
/** Where only what is on the way is due. */
const LOOK_AGAIN = 50;

export class Backlog {
  readonly #o: BacklogOptions;
  readonly #trouble: StoreTrouble;
  /** The highest that "wall clock minus monotonic clock" has been. */
  #wallOrigin = -Infinity;

  constructor(options: BacklogOptions) {
    this.#o = options;
    this.#trouble = new StoreTrouble({
      ...options,
      begins: "Waiting deliveries cannot be read; it is tried until they can",
      ends: "Waiting deliveries are read again",
    });
  }

  start(state: StoredState): void {
    this.wall(); // from here on a step back is seen
    this.#noticeStepBack(state);
  }

  /**
   * The wall clock, but never set back while this process lives: an operator who corrects the clock by an hour must not
   * make a delivery that was due in a second wait for an hour and a second.
   */
  wall(): EpochMs {
    const { clock } = this.#o;
    this.#wallOrigin = Math.max(this.#wallOrigin, clock.now() - clock.monotonic());
    return Math.round(this.#wallOrigin + clock.monotonic());
  }

  /** Whether this is a replay of what was saved. Where the store cannot tell, rather twice than never. */
  knows(key: DeliveryKey): boolean {
    try {
      return this.#o.store.has(key);
    } catch (error) {
      this.#trouble.failed(error);
      return false;
    }
  }

  /** Fills the target's page with what is due, or notes when to look again. */
  read(target: Target, now: Millis): void {
    const { store, limits } = this.#o;
    const { key } = target.receiver;
    if (this.#trouble.rests || !this.#o.save()) {
      target.backlogAt = now + limits.savePeriod;
      return;
    }
    try {
      const wall = this.wall();
      const rows = store.due(key, wall, Math.max(PAGE_ROWS, target.carrier.batchMax) + target.owned.size);
      this.#trouble.worked();
      target.page = rows.filter((row) => !target.owned.has(keyOf(row)));
      if (target.page.length > 0) return;
      const next = store.nextDue(key);
      // Where only what is on the way is due, the first of it to finish asks again.
      target.backlogAt = next === null ? Infinity : now + Math.max(next - wall, target.owned.size > 0 ? LOOK_AGAIN : 1);
    } catch (error) {
      target.backlogAt = now + limits.savePeriod;
      this.#trouble.failed(error);
    }
  }

  /**
   * Nobody watched the clock between two processes: it is at least as late as when the newest of what waits was made, and the
   * first of it is due now, whatever its time says.
   */
  #noticeStepBack({ receivers, newestCreatedAt }: StoredState): void {
    if (newestCreatedAt === null) return;
    const dueAt = receivers.map(({ key }) => this.#o.store.nextDue(key)).filter((due) => due !== null);
    const latest = Math.max(newestCreatedAt, Math.min(...dueAt));
    this.#wallOrigin = Math.max(this.#wallOrigin, latest - this.#o.clock.monotonic());
  }
}
