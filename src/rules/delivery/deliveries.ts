/**
 * Sends deliveries, at least once each. The first attempt is made from memory at once; what fails, and what cannot be
 * sent now, goes to the store with the next save. Nothing here touches the store but to read what is due.
 *
 * Order per receiver: queue in memory (never attempted), then what the store has due. While the store has something due
 * for a receiver, or it is blocked, new deliveries go to the store behind it.
 */
import { reasonOf } from "../../base/mod.ts";
import type { Clock, Logger, Metrics, Millis, Random, Scheduler } from "../../base/mod.ts";
import type { RulesLimits } from "../model.ts";
import type { ReceiverState } from "../rule-activity.ts";
import type { RulesStore, SaveBatch, StoredState } from "../store.ts";
import { Attempts } from "./attempts.ts";
import type { AttemptsOptions } from "./attempts.ts";
import { Backlog } from "./backlog.ts";
import { backoff } from "./backoff.ts";
import { DeliveryCounters } from "./counters.ts";
import type { DropReason } from "./counters.ts";
import { bytesOf, keyOf } from "./delivery.ts";
import type { DeadLetter, Delivery, SavedDelivery } from "./delivery.ts";
import { Ledger } from "./ledger.ts";
import { DONE, targetFails } from "./sender.ts";
import type { Receiver, Senders, Verdict } from "./sender.ts";
import { Pending, closeSender, stateOf } from "./target.ts";
import type { Target } from "./target.ts";
import { Targets } from "./targets.ts";

export interface DeliveriesOptions extends Pick<AttemptsOptions, "onAttempt"> {
  readonly senders: Senders;
  readonly store: Pick<RulesStore, "due" | "nextDue" | "has" | "older" | "waitingFor">;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly limits: RulesLimits;
  /** Saves all changes now; false where the store failed. */
  readonly save: () => boolean;
  /** Whether there still is such a rule; deliveries of a deleted one are not tried again. */
  readonly knowsRule: (ruleName: string) => boolean;
  /** Told of each that is given up, before it is saved as a dead letter. */
  readonly onDead: (letter: DeadLetter) => void;
}

/** Unsaved changes after which the save does not wait for its time. */
const UNSAVED_MAX = 500;
/** Failures in a row that keep a delivery's place in line; after that it may be the delivery, so others go first. */
const PLACE_KEPT_ATTEMPTS = 5;
/** A connection that nothing used for so long is closed. */
const SENDER_IDLE_MAX = 300_000;
/** On the way for so long, it goes to the store. Most answers come sooner and cost no write. */
const OPEN_MAX = 3_000;
/** Given up at a time for their age. */
const EXPIRED_ROWS = 500;

type Changes = Pick<SaveBatch, "deliveries" | "done" | "dead" | "receivers">;

export class Deliveries {
  readonly #o: DeliveriesOptions;
  readonly #counters: DeliveryCounters;
  readonly #attempts: Attempts;
  readonly #targets: Targets;
  readonly #ledger = new Ledger();
  readonly #backlog: Backlog;
  readonly #ready = new Set<Target>();
  readonly #starved = new Set<Target>();
  /** Batches on the way. */
  #inflight = 0;
  #queuedBytes = 0;
  #waiting = 0;
  #savedOffsetMax = -1;
  #pumpPlanned = false;
  #closed = false;

  constructor(options: DeliveriesOptions) {
    this.#o = options;
    this.#targets = new Targets(options.limits, (forgotten) => {
      this.#ready.delete(forgotten);
      this.#starved.delete(forgotten);
    });
    const save = (): boolean => !this.changed || options.save();
    this.#backlog = new Backlog({ ...options, save });
    this.#counters = new DeliveryCounters(options.metrics, {
      waiting: () => this.#waiting + this.#ledger.unsavedNew,
      inflight: () => this.#inflight,
    });
    this.#attempts = new Attempts({ ...options, counters: this.#counters });
  }

  start(state: StoredState): void {
    this.#backlog.start(state);
    this.#waiting = state.waiting;
    this.#savedOffsetMax = state.savedOffsetMax;
    for (const receiver of state.receivers) this.#noteBacklog(this.#targets.of(receiver, true), 0);
    this.#planPump();
  }

  /** Takes a delivery; never throws. `notice`: what caused it (an alert, a death) is saved with it in one transaction. */
  enqueue(delivery: SavedDelivery, receiver: Receiver, notice = false): void {
    if (this.#ledger.isUnsaved(delivery)) return;
    if (delivery.offset <= this.#savedOffsetMax && this.#backlog.knows(keyOf(delivery))) return;
    if (delivery.body.length > this.#o.limits.deliveryBodyBytesMax) {
      this.#drop("too-large", delivery, receiver);
      return;
    }
    const target = this.#targets.of(receiver, false);
    const now = this.#o.clock.monotonic();
    if (target.mustQueueInStore(now) || this.#memoryFull(target, bytesOf(delivery))) {
      this.#toStore(target, delivery, 0, null);
      return;
    }
    const pending = new Pending(delivery, { stored: false, notice, queuedAt: now });
    target.queue.push(pending);
    this.#queuedBytes += bytesOf(delivery);
    this.#ledger.open(pending);
    this.#ready.add(target);
    this.#planPump();
  }

  /** What was never a delivery is kept as one that was given up. */
  keepDead(letter: DeadLetter, receiver: Receiver): void {
    const key = keyOf(letter);
    if (this.#ledger.isSettled(key)) return;
    if (letter.offset <= this.#savedOffsetMax && this.#backlog.knows(key)) return;
    this.#targets.of(receiver, false);
    this.#counters.dead.value++;
    if (this.#ledger.bury(letter, key, false) >= UNSAVED_MAX) this.#o.save();
  }

  /** The oldest log offset whose delivery is neither done nor saved; null where there is none. */
  oldestUnsaved(): number | null {
    return this.#ledger.oldest();
  }

  /** The next save takes along what is on its way, because it saves what that was made of. */
  hold(): void {
    this.#ledger.hold();
  }

  /** What the next save is to contain, and how far the checkpoint may go with it. */
  changes(): Changes & { readonly checkpointMax: number } {
    const changes = this.#ledger.changes(this.#o.clock.monotonic() - OPEN_MAX);
    const receivers = new Map<string, Receiver>();
    for (const { receiver } of [...changes.deliveries, ...changes.dead]) {
      const target = this.#targets.get(receiver);
      if (target !== undefined && !target.receiverStored) receivers.set(receiver, target.receiver);
    }
    return { ...changes, receivers: [...receivers.values()] };
  }

  get changed(): boolean {
    return this.#ledger.changed;
  }

  /** The changes are on disk. */
  saved(changes: Changes): void {
    for (const delivery of changes.deliveries) {
      if (delivery.attempts === 0) this.#counters.saved.value++;
      this.#savedOffsetMax = Math.max(this.#savedOffsetMax, delivery.offset);
    }
    for (const { key } of changes.receivers) this.#targets.get(key)!.receiverStored = true;
    for (const notice of this.#ledger.saved()) this.#targets.get(notice.delivery.receiver)!.owned.add(notice.key);
  }

  /** The store does not take one, and never will. */
  lost(): void {
    this.#counters.dropped("unstorable").value++;
  }

  /** The store's own count after each save. */
  setWaiting(waiting: number): void {
    this.#waiting = waiting;
  }

  /** Also of one that had nothing to do yet. */
  stateOf(receiver: Receiver): ReceiverState {
    const target = this.#targets.get(receiver.key);
    return stateOf(receiver, target, this.#o.store.waitingFor(receiver.key), this.#o.clock.monotonic());
  }

  /** Something was put into the store from outside: revived dead letters, or another receiver for what waits. */
  revived(receiver: Receiver, count: number): void {
    this.#waiting += count;
    this.#noteBacklog(this.#targets.of(receiver, true), 0);
    this.#planPump();
  }

  /** What waits for this receiver is about to get another one: to be saved before, so that the store has all of it. */
  release(receiver: string): void {
    const target = this.#targets.get(receiver);
    if (target === undefined) return;
    this.#emptyQueue(target);
    target.page = [];
  }

  /** Forgets what waits for a deleted rule; the store dropped `stored`. Requests on the way are not called back. */
  forgetRule(rule: string, stored: number): void {
    this.#forget((delivery) => delivery.rule === rule, stored);
  }

  /** The same of what carries a thing's messages; an attempt that fails is the last. */
  forgetThing(thing: string, stored: number): void {
    const isOf = ({ things }: Delivery): boolean => things.includes(thing);
    this.#forget(isOf, stored);
    this.#ledger.forgetDead(isOf);
    for (const target of this.#targets) {
      for (const pending of [...target.inflight].flat()) if (isOf(pending.delivery)) pending.forgotten = true;
    }
  }

  #forget(isOf: (delivery: Delivery) => boolean, stored: number): void {
    this.#waiting -= stored;
    for (const target of this.#targets) {
      const gone = target.queue.retain((pending) => !isOf(pending.delivery));
      for (const pending of gone) this.#leaveQueue(pending);
      target.page = target.page.filter((delivery) => !isOf(delivery));
    }
    this.#ledger.forget(isOf);
  }

  /** Gives up what waits for too long, and closes connections that nobody uses. To be called now and then. */
  tidy(): void {
    const before = this.#o.clock.now() - this.#o.limits.deliveryGiveUpAfter;
    const reason = "gave up: the receiver did not answer for too long";
    const owned = (row: SavedDelivery): boolean =>
      this.#ledger.isSettled(keyOf(row)) || this.#targets.get(row.receiver)?.owned.has(keyOf(row)) === true;
    const old = this.#o.store.older(before, EXPIRED_ROWS).filter((row) => !owned(row));
    for (const row of old) {
      const lastError = row.lastError === null ? reason : `${row.lastError}; ${reason}`;
      const target = this.#targets.get(row.receiver);
      if (target !== undefined) target.page = target.page.filter(({ id }) => id !== row.id);
      this.#bury(row, true, row.attempts, lastError, target?.receiver.label ?? "?");
    }
    const unusedSince = this.#o.clock.monotonic() - SENDER_IDLE_MAX;
    for (const target of this.#targets) {
      if (target.batches === 0 && target.usedAt < unusedSince) closeSender(target);
    }
  }

  /** Stops sending; whatever is in memory goes to the store with the save that follows. */
  close(): void {
    this.#closed = true;
    for (const target of this.#targets) {
      target.wake?.cancel();
      for (const pending of [...target.inflight, ...target.queue].flat()) {
        if (!pending.stored && !pending.forgotten) this.#ledger.keep(pending.delivery, pending.key, false);
      }
      target.queue.clear();
      closeSender(target);
    }
    this.#ledger.leaveAll();
  }

  // ── sending ──────────────────────────────────────────────────────────────────────────────────

  #planPump(): void {
    if (this.#pumpPlanned || this.#closed) return;
    this.#pumpPlanned = true;
    this.#o.scheduler.defer(() => {
      this.#pumpPlanned = false;
      const ready = [...this.#ready];
      this.#ready.clear();
      for (const target of ready) this.#pump(target);
    });
  }

  #pump(target: Target): void {
    while (!this.#closed) {
      const now = this.#o.clock.monotonic();
      const heldUntil = Math.max(target.blockedUntil, target.lingersUntil());
      if (now < heldUntil) return this.#wakeAt(target, heldUntil);
      const free = this.#o.limits.deliveriesInflightMax - this.#inflight;
      if (!target.mayStart(free)) {
        if (free <= 0 && !target.idle) this.#starved.add(target);
        return;
      }
      const batch = this.#batch(target, now);
      if (batch.length === 0) return;
      this.#attempt(target, batch);
    }
  }

  #batch(target: Target, now: Millis): Pending[] {
    const { batchMax, batchBytesMax } = target.carrier;
    const batch: Pending[] = [];
    let bytes = 0;
    while (batch.length < batchMax) {
      const waits = target.queue.first?.delivery ?? target.page[0];
      if (batch.length > 0 && (waits === undefined || bytes + waits.body.length > batchBytesMax)) break;
      const pending = this.#next(target, now);
      if (pending === null) break;
      bytes += pending.delivery.body.length;
      batch.push(pending);
    }
    return batch;
  }

  #next(target: Target, now: Millis): Pending | null {
    const queued = target.queue.shift();
    if (queued !== undefined) {
      this.#queuedBytes -= bytesOf(queued.delivery);
      return queued;
    }
    if (target.page.length === 0 && target.backlogAt <= now) this.#backlog.read(target, now);
    const delivery = target.page.shift();
    if (delivery === undefined) {
      if (target.backlogAt !== Infinity && target.inflight.size === 0) this.#wakeAt(target, target.backlogAt);
      return null;
    }
    target.owned.add(keyOf(delivery));
    return new Pending(delivery, { stored: true, notice: false, queuedAt: now });
  }

  #attempt(target: Target, batch: readonly Pending[]): void {
    const { clock, senders, limits } = this.#o;
    const startedAt = clock.monotonic();
    this.#inflight++;
    target.started(batch, startedAt);
    this.#attempts.started(target, batch, startedAt);
    target.sender ??= senders.open(target.receiver);
    const parcels = batch.map(({ delivery }) => delivery);
    target.sender.send(parcels, Math.min(target.carrier.timeout, limits.deliveryTimeout)).then(
      (verdicts) => this.#settle(target, batch, startedAt, verdicts),
      // A sender that breaks its promise must not lose what it was given.
      (error: unknown) => this.#settle(target, batch, startedAt, [], reasonOf(error)),
    );
  }

  #settle(
    target: Target,
    batch: readonly Pending[],
    startedAt: Millis,
    verdicts: readonly Verdict[],
    reason = "the sender gave no answer",
  ): void {
    this.#inflight--;
    target.inflight.delete(batch);
    if (this.#closed) return;
    if (verdicts.length === batch.length && verdicts.every((verdict) => verdict === DONE)) {
      this.#concludeAll(target, batch, startedAt);
    } else {
      const answered = batch.map((pending, i) => ({ pending, verdict: verdicts[i] ?? targetFails(reason) }));
      // What the receiver took first: a success clears its record, and must not clear the failure beside it.
      for (const { pending, verdict } of answered)
        if (verdict.type !== "retry") this.#conclude(target, pending, verdict);
      for (const { pending, verdict } of answered)
        if (verdict.type === "retry") this.#retry(target, pending, startedAt, verdict);
    }
    for (const pending of batch) {
      this.#ledger.leave(pending);
      if (target.owned.size > 0) target.owned.delete(pending.key);
    }
    this.#pump(target);
    for (const starved of this.#starved) {
      this.#starved.delete(starved);
      this.#pump(starved);
      if (this.#inflight >= this.#o.limits.deliveriesInflightMax) break;
    }
  }

  /** As nearly all batches end. */
  #concludeAll(target: Target, batch: readonly Pending[], startedAt: Millis): void {
    target.succeeded(batch.length);
    this.#attempts.delivered(target, batch, startedAt);
    for (const pending of batch) if (pending.stored) this.#ledger.done(pending.key);
  }

  /** It answers: where it refuses one, only this one is not to its taste. */
  #conclude(target: Target, pending: Pending, verdict: Exclude<Verdict, { type: "retry" }>): void {
    target.succeeded(1);
    if (verdict.type === "done") {
      if (verdict.pause !== undefined) {
        const pause = Math.min(verdict.pause, this.#o.limits.retryAfterMax);
        target.pause(this.#o.clock.monotonic() + pause);
      }
      this.#attempts.note(target, pending, "delivered", null);
      if (pending.stored) this.#ledger.done(pending.key);
      return;
    }
    this.#attempts.note(target, pending, "refused", verdict.reason);
    if (this.#isUnwanted(pending)) return;
    const { delivery } = pending;
    this.#bury(delivery, pending.stored, delivery.attempts + 1, verdict.reason, target.receiver.label);
  }

  #retry(target: Target, pending: Pending, startedAt: Millis, given: Verdict & { type: "retry" }): void {
    this.#attempts.note(target, pending, "failed", given.reason);
    if (this.#isUnwanted(pending)) return;
    const { delivery } = pending;
    const verdict = target.carrier.ordered ? { ...given, scope: "target" as const } : given;
    const attempts = delivery.attempts + 1;
    const now = this.#backlog.wall();
    const blocked = target.failed(startedAt, this.#o.clock.monotonic(), verdict.scope, verdict.retryAfter, this.#o);
    if (this.#o.clock.now() - delivery.createdAt >= this.#o.limits.deliveryGiveUpAfter) {
      const reason = `gave up after ${attempts} attempts: ${verdict.reason}`;
      this.#bury(delivery, pending.stored, attempts, reason, target.receiver.label);
      return;
    }
    const keepsPlace = verdict.scope === "target" && attempts <= PLACE_KEPT_ATTEMPTS;
    const own = Math.max(backoff(attempts, this.#o.random, this.#o.limits), this.#ownRetryAfter(verdict));
    // Whole: monotonic time and what receivers ask for have fractions, and the store takes no row with one.
    const nextAttemptAt = keepsPlace ? Math.min(delivery.nextAttemptAt, now) : Math.ceil(now + blocked + own);
    const failed = { ...delivery, attempts, nextAttemptAt, lastError: verdict.reason };
    this.#toStore(target, failed, nextAttemptAt - now, pending);
    if (blocked > 0) this.#emptyQueue(target);
    this.#o.logger.debug("A delivery failed and will be tried again", {
      rule: delivery.rule,
      receiver: target.receiver.label,
      attempts,
      reason: verdict.reason,
      targetBlockedMs: blocked,
    });
  }

  #isUnwanted({ forgotten, delivery: { rule } }: Pending): boolean {
    return forgotten || (rule !== null && !this.#o.knowsRule(rule));
  }

  #ownRetryAfter(verdict: Verdict & { type: "retry" }): Millis {
    if (verdict.scope === "target" || verdict.retryAfter === null) return 0;
    return Math.min(verdict.retryAfter, this.#o.limits.retryAfterMax);
  }

  #bury(delivery: SavedDelivery, stored: boolean, attempts: number, lastError: string, label: string): void {
    const { nextAttemptAt: _, ...rest } = delivery;
    const letter: DeadLetter = { ...rest, attempts, lastError, diedAt: this.#o.clock.now() };
    this.#o.onDead(letter);
    this.#ledger.bury(letter, keyOf(delivery), stored);
    this.#counters.dead.value++;
    this.#o.logger.warn("A delivery was given up; it is kept among the dead letters", {
      rule: delivery.rule,
      receiver: label,
      id: delivery.id,
      reason: lastError,
    });
  }

  // ── memory and store ─────────────────────────────────────────────────────────────────────────

  /** To be saved, and read back when it is due. `from`: it had been taken already, so no limit may drop it. */
  #toStore(target: Target, delivery: SavedDelivery, delay: Millis, from: Pending | null): void {
    if (from === null && this.#waiting + this.#ledger.unsavedNew >= this.#o.limits.deliveriesWaitingMax) {
      this.#drop("store-full", delivery, target.receiver);
      return;
    }
    const unsaved = this.#ledger.keep(delivery, keyOf(delivery), from?.stored ?? false);
    this.#noteBacklog(target, delay);
    if (unsaved % UNSAVED_MAX === 0) this.#o.save();
  }

  /** A target in trouble keeps nothing in memory. */
  #emptyQueue(target: Target): void {
    for (const pending of target.queue) {
      this.#leaveQueue(pending);
      target.owned.delete(pending.key);
      if (pending.stored) this.#noteBacklog(target, 0);
      else this.#toStore(target, pending.delivery, 0, pending);
    }
    target.queue.clear();
  }

  /** Told once per thousand: the metric has the number. */
  #drop(reason: DropReason, delivery: Delivery, receiver: Receiver): void {
    if (this.#counters.dropped(reason).value++ % 1000 > 0) return;
    this.#o.logger.error("A delivery was dropped at a limit", {
      reason,
      rule: delivery.rule,
      receiver: receiver.label,
      bytes: delivery.body.length,
    });
  }

  #leaveQueue(pending: Pending): void {
    this.#ledger.leave(pending);
    this.#queuedBytes -= bytesOf(pending.delivery);
  }

  #noteBacklog(target: Target, delay: Millis): void {
    const at = this.#o.clock.monotonic() + Math.max(0, delay);
    target.backlogAt = Math.min(target.backlogAt, at);
    this.#wakeAt(target, Math.max(target.backlogAt, target.blockedUntil));
  }

  #wakeAt(target: Target, at: Millis): void {
    if (this.#closed || (target.wake !== null && target.wake.at <= at && target.wake.at >= this.#o.clock.monotonic()))
      return;
    target.wake?.cancel();
    const delay = Math.max(0, at - this.#o.clock.monotonic());
    const cancel = this.#o.scheduler.after(delay, () => {
      target.wake = null;
      this.#pump(target);
    });
    target.wake = { at, cancel };
  }

  #memoryFull(target: Target, bytes: number): boolean {
    const { deliveriesQueuedBytesMax } = this.#o.limits;
    return target.queue.length >= target.queuedMax || this.#queuedBytes + bytes > deliveriesQueuedBytesMax;
  }
}
