/**
 * Sends deliveries, at least once each. The first attempt is made from memory at once; what fails, and what cannot be
 * sent now, goes to the store with the next save. Nothing here touches the store but to read what is due.
 *
 * Order per target: queue in memory (never attempted), then what the store has due. While the store has something due
 * for a target, or the target is blocked, new deliveries go to the store behind it.
 */
import { reasonOf } from "../base/mod.ts";
import type { Clock, EpochMs, Logger, Metrics, Millis, Random, Scheduler } from "../base/mod.ts";
import { backoff } from "./backoff.ts";
import { DeliveryCounters } from "./counters.ts";
import type { RulesLimits } from "./model.ts";
import type { HmacSha256, OutgoingHttp } from "./ports.ts";
import { attemptHeaders } from "./request.ts";
import { keyOf } from "./store.ts";
import type { DeadLetter, Delivery, DeliveryKey, RulesStore, SaveBatch, SavedDelivery, StoredState } from "./store.ts";
import { Target } from "./target.ts";
import type { Pending } from "./target.ts";
import { verdictOf, verdictOfError } from "./verdict.ts";
import type { Verdict } from "./verdict.ts";

export interface DeliveriesOptions {
  readonly http: OutgoingHttp;
  readonly hmacSha256: HmacSha256;
  readonly store: Pick<RulesStore, "due" | "nextDue" | "has">;
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
}

/** Rows read from the store at a time. */
const PAGE_ROWS = 256;
/** Unsaved changes after which the save does not wait for its time. */
const UNSAVED_MAX = 500;
/** Failures in a row that keep a delivery's place in line; after that it may be the delivery, so others go first. */
const PLACE_KEPT_ATTEMPTS = 5;

type Changes = Pick<SaveBatch, "deliveries" | "done" | "dead">;

export class Deliveries {
  readonly #o: DeliveriesOptions;
  readonly #counters: DeliveryCounters;
  readonly #targets = new Map<string, Target>();
  /** In memory only, oldest first: the checkpoint may not pass them. */
  readonly #open = new Set<Pending>();
  readonly #openNotices = new Set<Pending>();
  /** To be written with the next save; `stored`: the store has an older state of it. */
  readonly #unsaved = new Map<DeliveryKey, { readonly delivery: SavedDelivery; readonly stored: boolean }>();
  #unsavedNew = 0;
  readonly #done = new Set<DeliveryKey>();
  readonly #dead = new Map<DeliveryKey, { readonly letter: DeadLetter; readonly stored: boolean }>();
  readonly #ready = new Set<Target>();
  readonly #starved = new Set<Target>();
  #inflight = 0;
  /** The highest that "wall clock minus monotonic clock" has been. */
  #wallOrigin = -Infinity;
  #queuedBytes = 0;
  #waiting = 0;
  #savedOffsetMax = -1;
  #pumpPlanned = false;
  #closed = false;

  constructor(options: DeliveriesOptions) {
    this.#o = options;
    this.#counters = new DeliveryCounters(options.metrics, {
      waiting: () => this.#waiting + this.#unsavedNew,
      inflight: () => this.#inflight,
    });
  }

  start(state: StoredState): void {
    this.#wall(); // from here on a step back is seen
    this.#noticeStepBack(state);
    this.#waiting = state.waiting;
    this.#savedOffsetMax = state.savedOffsetMax;
    for (const { target, kind } of state.targets) this.#noteBacklog(this.#target(target, kind), 0);
    this.#planPump();
  }

  /** Takes a delivery; never throws. `notice`: its event (an alert) is saved with it in one transaction. */
  enqueue(delivery: Delivery, notice = false): void {
    const key = keyOf(delivery);
    if (this.#unsaved.has(key)) return;
    if (delivery.offset <= this.#savedOffsetMax && this.#savedBefore(key)) return;
    if (delivery.body.length > this.#o.limits.deliveryBodyBytesMax) {
      this.#drop("too-large", delivery);
      return;
    }
    const target = this.#target(delivery.target, delivery.kind);
    const saved: SavedDelivery = { ...delivery, attempts: 0, nextAttemptAt: delivery.createdAt, lastError: null };
    if (target.mustQueueInStore(this.#o.clock.monotonic()) || this.#memoryFull(target, delivery.body.length)) {
      this.#toStore(target, saved, 0, null);
      return;
    }
    const pending: Pending = { delivery: saved, key, stored: false, notice };
    target.queue.push(pending);
    this.#queuedBytes += delivery.body.length;
    this.#open.add(pending);
    if (notice) this.#openNotices.add(pending);
    this.#ready.add(target);
    this.#planPump();
  }

  /** The oldest log offset whose delivery is neither done nor saved; null where there is none. */
  oldestUnsaved(): number | null {
    let oldest = this.#oldestOpen();
    for (const { delivery, stored } of this.#unsaved.values()) if (!stored) oldest = Math.min(oldest, delivery.offset);
    for (const { letter, stored } of this.#dead.values()) if (!stored) oldest = Math.min(oldest, letter.offset);
    return oldest === Infinity ? null : oldest;
  }

  /**
   * What the next save is to contain, and how far the checkpoint may go with it. Notifications of alerts that are still
   * on the way are saved too: the alert's state goes into the same transaction, so a replay would not raise it again.
   */
  changes(): Changes & { readonly checkpointMax: number } {
    const deliveries = Array.from(this.#unsaved.values(), ({ delivery }) => delivery);
    for (const pending of this.#openNotices) deliveries.push(pending.delivery);
    let checkpointMax = Infinity;
    for (const pending of this.#open) {
      if (pending.notice) continue;
      checkpointMax = pending.delivery.offset;
      break;
    }
    return {
      deliveries,
      done: [...this.#done],
      dead: Array.from(this.#dead.values(), ({ letter }) => letter),
      checkpointMax,
    };
  }

  get changed(): boolean {
    return this.#unsaved.size + this.#done.size + this.#dead.size + this.#openNotices.size > 0;
  }

  /** The changes are on disk. */
  saved(changes: Changes): void {
    for (const delivery of changes.deliveries) {
      if (delivery.attempts === 0) this.#counters.saved.value++;
      this.#savedOffsetMax = Math.max(this.#savedOffsetMax, delivery.offset);
    }
    for (const pending of this.#openNotices) {
      pending.stored = true;
      this.#open.delete(pending);
      this.#target(pending.delivery.target, pending.delivery.kind).owned.add(pending.key);
    }
    this.#openNotices.clear();
    this.#unsaved.clear();
    this.#unsavedNew = 0;
    this.#done.clear();
    this.#dead.clear();
  }

  /** The store's own count after each save. */
  setWaiting(waiting: number): void {
    this.#waiting = waiting;
  }

  /** Something was put into the store from outside: a revived dead letter. */
  revived(delivery: SavedDelivery): void {
    this.#noteBacklog(this.#target(delivery.target, delivery.kind), 0);
    this.#planPump();
  }

  /** Forgets what waits for a deleted rule; the store dropped `stored`. Requests on the way are not called back. */
  forgetRule(rule: string, stored: number): void {
    this.#forget((delivery) => delivery.rule === rule, stored);
  }

  /** The same of what carries a thing's messages; an attempt that fails is the last. */
  forgetThing(thing: string, stored: number): void {
    const isOf = ({ things }: Delivery): boolean => things.includes(thing);
    this.#forget(isOf, stored);
    for (const [key, { letter }] of this.#dead) if (isOf(letter)) this.#dead.delete(key);
    for (const target of this.#targets.values()) {
      for (const pending of target.inflight) if (isOf(pending.delivery)) pending.forgotten = true;
    }
  }

  #forget(isOf: (delivery: Delivery) => boolean, stored: number): void {
    this.#waiting -= stored;
    for (const target of this.#targets.values()) {
      const kept = target.queue.filter((pending) => !isOf(pending.delivery));
      for (const pending of target.queue) if (isOf(pending.delivery)) this.#leaveMemory(pending, true);
      target.queue.splice(0, target.queue.length, ...kept);
      target.page = target.page.filter((delivery) => !isOf(delivery));
    }
    for (const [key, { delivery, stored }] of this.#unsaved) {
      if (!isOf(delivery)) continue;
      this.#unsaved.delete(key);
      if (!stored) this.#unsavedNew--;
    }
  }

  /** The store made dead letters of old deliveries; rows read ahead may be among them. */
  expired(count: number): void {
    this.#counters.dead.value += count;
    this.#waiting = Math.max(0, this.#waiting - count);
    for (const target of this.#targets.values()) {
      if (target.page.length > 0) this.#noteBacklog(target, 0);
      target.page = [];
    }
  }

  /** Stops sending; whatever is in memory goes to the store with the save that follows. */
  close(): void {
    this.#closed = true;
    for (const target of this.#targets.values()) {
      target.wake?.cancel();
      for (const pending of [...target.inflight, ...target.queue]) {
        if (!pending.stored && pending.forgotten !== true) this.#keep(pending.delivery, false);
      }
      target.queue.length = 0;
    }
    this.#open.clear();
    this.#openNotices.clear();
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
      if (now < target.blockedUntil) return this.#wakeAt(target, target.blockedUntil);
      const free = this.#o.limits.deliveriesInflightMax - this.#inflight;
      if (!target.mayStart(free)) {
        if (free <= 0 && !target.idle) this.#starved.add(target);
        return;
      }
      const pending = this.#next(target, now);
      if (pending === null) return;
      this.#attempt(target, pending);
    }
  }

  #next(target: Target, now: Millis): Pending | null {
    const queued = target.queue.shift();
    if (queued !== undefined) {
      this.#queuedBytes -= queued.delivery.body.length;
      return queued;
    }
    if (target.page.length === 0 && target.backlogAt <= now) this.#readPage(target, now);
    const delivery = target.page.shift();
    if (delivery === undefined) {
      if (target.backlogAt !== Infinity && target.inflight.size === 0) this.#wakeAt(target, target.backlogAt);
      return null;
    }
    const key = keyOf(delivery);
    target.owned.add(key);
    return { delivery, key, stored: true, notice: false };
  }

  #readPage(target: Target, now: Millis): void {
    try {
      if (this.changed && !this.#o.save()) throw new Error("what changed could not be saved");
      const wall = this.#wall();
      const rows = this.#o.store.due(target.key, wall, PAGE_ROWS + target.owned.size);
      target.page = rows.filter((row) => !target.owned.has(keyOf(row)));
      if (target.page.length > 0) return;
      const next = this.#o.store.nextDue(target.key);
      // Where only requests on the way are due, the first of them to finish asks again.
      target.backlogAt = next === null ? Infinity : now + Math.max(next - wall, target.owned.size > 0 ? 50 : 1);
    } catch (error) {
      target.backlogAt = now + this.#o.limits.savePeriod;
      this.#o.logger.error("Waiting deliveries could not be read; it will be tried again", { reason: reasonOf(error) });
    }
  }

  /**
   * The wall clock, but never set back while this process lives: an operator who corrects the clock by an hour must not
   * make a delivery that was due in a second wait for an hour and a second.
   */
  #wall(): EpochMs {
    const { clock } = this.#o;
    this.#wallOrigin = Math.max(this.#wallOrigin, clock.now() - clock.monotonic());
    return Math.round(this.#wallOrigin + clock.monotonic());
  }

  /**
   * Nobody watched the clock between two processes: it is at least as late as when the newest of what waits was made, and the
   * first of it is due now, whatever its time says.
   */
  #noticeStepBack({ targets, newestCreatedAt }: StoredState): void {
    if (newestCreatedAt === null) return;
    const dueAt = targets.map(({ target }) => this.#o.store.nextDue(target)).filter((due) => due !== null);
    const latest = Math.max(newestCreatedAt, Math.min(...dueAt));
    this.#wallOrigin = Math.max(this.#wallOrigin, latest - this.#o.clock.monotonic());
  }

  /** Whether this is a replay of what was saved. Where the store cannot tell, rather twice than never. */
  #savedBefore(key: DeliveryKey): boolean {
    try {
      return this.#o.store.has(key);
    } catch (error) {
      this.#o.logger.error("The store of deliveries could not be asked", { reason: reasonOf(error) });
      return false;
    }
  }

  #attempt(target: Target, pending: Pending): void {
    const { http, clock, hmacSha256, limits } = this.#o;
    const { delivery } = pending;
    const startedAt = clock.monotonic();
    this.#inflight++;
    target.inflight.add(pending);
    const headers = attemptHeaders(delivery, clock.now(), hmacSha256);
    http.post({ url: delivery.url, headers, body: delivery.body, timeout: limits.deliveryTimeout }).then(
      (response) => this.#settle(target, pending, startedAt, verdictOf(delivery.kind, response, clock.now())),
      (error: unknown) => this.#settle(target, pending, startedAt, verdictOfError(error)),
    );
  }

  #settle(target: Target, pending: Pending, startedAt: Millis, verdict: Verdict): void {
    this.#inflight--;
    target.inflight.delete(pending);
    if (this.#closed) return;
    this.#conclude(target, pending, startedAt, verdict);
    this.#leaveMemory(pending, false);
    target.owned.delete(pending.key);
    this.#pump(target);
    for (const starved of this.#starved) {
      this.#starved.delete(starved);
      this.#pump(starved);
      if (this.#inflight >= this.#o.limits.deliveriesInflightMax) break;
    }
  }

  #conclude(target: Target, pending: Pending, startedAt: Millis, verdict: Verdict): void {
    const { delivery } = pending;
    if (verdict.type === "done") {
      target.succeeded();
      this.#counters.delivered.value++;
      if (pending.stored) this.#done.add(pending.key);
      return;
    }
    this.#counters.failed.value++;
    if (pending.forgotten === true || (delivery.rule !== null && !this.#o.knowsRule(delivery.rule))) return;
    const attempts = delivery.attempts + 1;
    const now = this.#wall();
    if (verdict.type === "dead") {
      target.succeeded(); // it answers; only this delivery is not to its taste
      this.#bury(pending, attempts, verdict.reason);
      return;
    }
    const blocked = target.failed(startedAt, this.#o.clock.monotonic(), verdict.scope, verdict.retryAfter, this.#o);
    if (this.#o.clock.now() - delivery.createdAt >= this.#o.limits.deliveryGiveUpAfter) {
      this.#bury(pending, attempts, `gave up after ${attempts} attempts: ${verdict.reason}`);
      return;
    }
    const keepsPlace = verdict.scope === "target" && attempts <= PLACE_KEPT_ATTEMPTS;
    const own = Math.max(backoff(attempts, this.#o.random, this.#o.limits), this.#ownRetryAfter(verdict));
    const nextAttemptAt = keepsPlace ? Math.min(delivery.nextAttemptAt, now) : now + blocked + own;
    const failed = { ...delivery, attempts, nextAttemptAt, lastError: verdict.reason };
    this.#toStore(target, failed, nextAttemptAt - now, pending);
    if (blocked > 0) this.#emptyQueue(target);
    this.#o.logger.debug("A delivery failed and will be tried again", {
      rule: delivery.rule,
      origin: originOf(delivery.url),
      attempts,
      reason: verdict.reason,
      targetBlockedMs: blocked,
    });
  }

  #ownRetryAfter(verdict: Verdict & { type: "retry" }): Millis {
    if (verdict.scope === "target" || verdict.retryAfter === null) return 0;
    return Math.min(verdict.retryAfter, this.#o.limits.retryAfterMax);
  }

  #bury({ delivery, key, stored }: Pending, attempts: number, lastError: string): void {
    const letter: DeadLetter = { ...delivery, attempts, lastError, diedAt: this.#o.clock.now() };
    this.#dead.set(key, { letter, stored });
    this.#counters.dead.value++;
    this.#o.logger.warn("A delivery was given up; it is kept among the dead letters", {
      rule: delivery.rule,
      origin: originOf(delivery.url),
      id: delivery.id,
      reason: lastError,
    });
  }

  // ── memory and store ─────────────────────────────────────────────────────────────────────────

  /** To be saved, and read back when it is due. `from`: it had been taken already, so no limit may drop it. */
  #toStore(target: Target, delivery: SavedDelivery, delay: Millis, from: Pending | null): void {
    if (from === null && this.#waiting + this.#unsavedNew >= this.#o.limits.deliveriesWaitingMax) {
      this.#drop("store-full", delivery);
      return;
    }
    this.#keep(delivery, from?.stored ?? false);
    this.#noteBacklog(target, delay);
    if (this.#unsaved.size % UNSAVED_MAX === 0) this.#o.save();
  }

  #keep(delivery: SavedDelivery, stored: boolean): void {
    const key = keyOf(delivery);
    if (!stored && !this.#unsaved.has(key)) this.#unsavedNew++;
    this.#unsaved.set(key, { delivery, stored });
  }

  /** A target in trouble keeps nothing in memory. */
  #emptyQueue(target: Target): void {
    for (const pending of target.queue) {
      this.#queuedBytes -= pending.delivery.body.length;
      this.#open.delete(pending);
      this.#openNotices.delete(pending);
      target.owned.delete(pending.key);
      if (pending.stored) this.#noteBacklog(target, 0);
      else this.#toStore(target, pending.delivery, 0, pending);
    }
    target.queue.length = 0;
  }

  /** Told once per thousand: the metric has the number. */
  #drop(reason: "too-large" | "store-full", delivery: Delivery): void {
    if (this.#counters.dropped(reason).value++ % 1000 > 0) return;
    this.#o.logger.error("A delivery was dropped at a limit", {
      reason,
      rule: delivery.rule,
      origin: originOf(delivery.url),
      bytes: delivery.body.length,
    });
  }

  #leaveMemory(pending: Pending, queued: boolean): void {
    this.#open.delete(pending);
    this.#openNotices.delete(pending);
    if (queued) this.#queuedBytes -= pending.delivery.body.length;
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
    const { deliveriesQueuedMax, deliveriesQueuedBytesMax } = this.#o.limits;
    return target.queue.length >= deliveriesQueuedMax || this.#queuedBytes + bytes > deliveriesQueuedBytesMax;
  }

  #oldestOpen(): number {
    for (const pending of this.#open) return pending.delivery.offset;
    return Infinity;
  }

  #target(key: string, kind: "webhook" | "slack"): Target {
    let target = this.#targets.get(key);
    if (target === undefined) {
      if (this.#targets.size >= 1000) this.#dropIdleTargets();
      target = new Target(key, kind, this.#o.limits);
      this.#targets.set(key, target);
    }
    return target;
  }

  #dropIdleTargets(): void {
    for (const [key, target] of this.#targets) {
      if (!target.idle || target.failures > 0) continue;
      target.wake?.cancel();
      this.#targets.delete(key);
    }
  }
}

/** What may be shown of an address: the path of a Slack webhook is a secret. */
export function originOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : "?";
}
