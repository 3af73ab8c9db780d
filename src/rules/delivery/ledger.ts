/**
 * What is in memory and not on disk: the next save takes it, and until then the checkpoint may not pass it. Bounded by the
 * limits of what is queued (`#open`) and by the saves (`#unsaved`, `#done`, `#dead`).
 */
import type { Millis } from "../../base/mod.ts";
import { keyOf } from "./delivery.ts";
import type { DeadLetter, Delivery, DeliveryKey, SavedDelivery } from "./delivery.ts";
import { OpenLine } from "./open-line.ts";
import type { Pending } from "./target.ts";

export interface Changes {
  /** New or with another attempt counted. */
  readonly deliveries: readonly SavedDelivery[];
  /** Delivered ones that were saved before. */
  readonly done: readonly DeliveryKey[];
  /** Given up: leave the waiting ones. */
  readonly dead: readonly DeadLetter[];
}

export class Ledger {
  /** Oldest first; none stays for long, see `changes`. */
  readonly #open = new OpenLine<Pending>();
  readonly #openNotices = new Set<Pending>();
  /** `stored`: the store has an older state of it. */
  readonly #unsaved = new Map<DeliveryKey, { readonly delivery: SavedDelivery; readonly stored: boolean }>();
  #unsavedNew = 0;
  readonly #done = new Set<DeliveryKey>();
  readonly #dead = new Map<DeliveryKey, { readonly letter: DeadLetter; readonly stored: boolean }>();

  open(pending: Pending): void {
    this.#open.push(pending);
    if (pending.notice) this.#openNotices.add(pending);
  }

  leave(pending: Pending): void {
    this.#open.remove(pending);
    if (this.#openNotices.size > 0) this.#openNotices.delete(pending);
  }

  /** The next save takes all that is open: it is made of state that the same save is to contain. */
  hold(): void {
    for (const pending of this.#open) this.#openNotices.add(pending);
  }

  leaveAll(): void {
    this.#open.clear();
    this.#openNotices.clear();
  }

  /** Returns how many wait for the save now. */
  keep(delivery: SavedDelivery, key: DeliveryKey, stored: boolean): number {
    if (!stored && !this.#unsaved.has(key)) this.#unsavedNew++;
    this.#unsaved.set(key, { delivery, stored });
    return this.#unsaved.size;
  }

  done(key: DeliveryKey): void {
    this.#done.add(key);
  }

  /** Returns how many wait for the save now. */
  bury(letter: DeadLetter, key: DeliveryKey, stored: boolean): number {
    return this.#dead.set(key, { letter, stored }).size;
  }

  isUnsaved(delivery: Delivery): boolean {
    return this.#unsaved.size > 0 && this.#unsaved.has(keyOf(delivery));
  }

  /** Is to be removed from the waiting ones, or to become a dead letter. */
  isSettled(key: DeliveryKey): boolean {
    return this.#done.has(key) || this.#dead.has(key);
  }

  /** Deliveries of the next save that the store does not have. */
  get unsavedNew(): number {
    return this.#unsavedNew;
  }

  get changed(): boolean {
    return this.#unsaved.size + this.#done.size + this.#dead.size + this.#openNotices.size > 0;
  }

  /** The oldest log offset whose delivery is neither done nor saved; null where there is none. */
  oldest(): number | null {
    let oldest = this.#open.first?.delivery.offset ?? Infinity;
    for (const { delivery, stored } of this.#unsaved.values()) if (!stored) oldest = Math.min(oldest, delivery.offset);
    for (const { letter, stored } of this.#dead.values()) if (!stored) oldest = Math.min(oldest, letter.offset);
    return oldest === Infinity ? null : oldest;
  }

  /**
   * What the next save is to contain, and how far the checkpoint may go with it. Notices that are still on the way are saved
   * too: what caused them goes into the same transaction, so a replay would not cause them again. So is what came before
   * `longAgo` and is still on the way: a receiver that hangs must not hold the checkpoint, or after a crash all others get
   * again what they have.
   */
  changes(longAgo: Millis): Changes & { readonly checkpointMax: number } {
    for (const pending of this.#open) {
      if (pending.queuedAt > longAgo) break;
      this.#openNotices.add(pending);
    }
    const deliveries = Array.from(this.#unsaved.values(), ({ delivery }) => delivery);
    for (const pending of this.#openNotices) deliveries.push(pending.delivery);
    let checkpointMax = Infinity;
    for (const pending of this.#open) {
      if (this.#openNotices.has(pending)) continue;
      checkpointMax = pending.delivery.offset;
      break;
    }
    const dead = Array.from(this.#dead.values(), ({ letter }) => letter);
    return { deliveries, done: [...this.#done], dead, checkpointMax };
  }

  /** They are on disk. Returns the notices, which the store has now. */
  saved(): readonly Pending[] {
    const notices = [...this.#openNotices];
    for (const pending of notices) {
      pending.stored = true;
      this.#open.remove(pending);
    }
    this.#openNotices.clear();
    this.#unsaved.clear();
    this.#unsavedNew = 0;
    this.#done.clear();
    this.#dead.clear();
    return notices;
  }

  forget(isOf: (delivery: Delivery) => boolean): void {
    for (const [key, { delivery, stored }] of this.#unsaved) {
      if (!isOf(delivery)) continue;
      this.#unsaved.delete(key);
      if (!stored) this.#unsavedNew--;
    }
  }

  forgetDead(isOf: (delivery: Delivery) => boolean): void {
    for (const [key, { letter }] of this.#dead) if (isOf(letter)) this.#dead.delete(key);
  }
}
