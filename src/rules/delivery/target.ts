/** One receiver: what waits for it in memory, how many batches it may have on the way, and whether it is in trouble. */
import type { Cancel, EpochMs, Millis, Random } from "../../base/mod.ts";
import type { Carrier } from "../actions/kind.ts";
import type { RulesLimits } from "../model.ts";
import type { Mishap, ReceiverState } from "../rule-activity.ts";
import { backoff } from "./backoff.ts";
import { keyOf } from "./delivery.ts";
import type { DeliveryKey, SavedDelivery } from "./delivery.ts";
import { Fifo } from "./fifo.ts";
import type { Receiver, Sender } from "./sender.ts";

/** A delivery in memory. */
export class Pending {
  readonly delivery: SavedDelivery;
  /** The store has it too; so it must be taken out there when it is done. */
  stored: boolean;
  /** What caused it is saved together with it: an alert, or the death of another. */
  readonly notice: boolean;
  /** Monotonic. */
  readonly queuedAt: Millis;
  /** Its thing is forgotten: it is not tried again, and not kept. */
  forgotten = false;
  /** In the ledger's line. */
  place = -1;

  constructor(delivery: SavedDelivery, { stored, notice, queuedAt }: Pick<Pending, "stored" | "notice" | "queuedAt">) {
    this.delivery = delivery;
    this.stored = stored;
    this.notice = notice;
    this.queuedAt = queuedAt;
  }

  /** Made when somebody wants it: of most, nobody does. */
  get key(): DeliveryKey {
    return keyOf(this.delivery);
  }
}

/** Batches that a receiver may have on the way before it has shown that it answers. */
const WINDOW_START = 4;
/** Failures in a row of single deliveries after which the receiver itself is held to be in trouble. */
const FAILURES_TOLERATED = 2;

export class Target {
  readonly receiver: Receiver;
  readonly carrier: Carrier;
  /** The store has the receiver's settings. */
  receiverStored: boolean;
  /** Waits for its first attempt, in order. */
  readonly queue = new Fifo<Pending>();
  /** Read from the store, due now, in order. */
  page: SavedDelivery[] = [];
  /** On the way or queued, and in the store: not to be read from there again. */
  readonly owned = new Set<DeliveryKey>();
  /** Batches on the way. */
  readonly inflight = new Set<readonly Pending[]>();
  /** From when on the store may have something due for it, monotonic; Infinity where it has nothing. */
  backlogAt: Millis = Infinity;
  /** Monotonic; until then nothing is sent. */
  blockedUntil: Millis = 0;
  /** Rounds of failure since the last success. */
  failures = 0;
  #lastFailure: Mishap | null = null;
  #lastSuccessAt: EpochMs | null = null;
  wake: { readonly at: Millis; readonly cancel: Cancel } | null = null;
  sender: Sender | null = null;
  /** Monotonic; of the last batch. */
  usedAt: Millis = 0;
  /** What may wait in memory. */
  readonly queuedMax: number;
  readonly #windowMax: number;
  #window: number;
  #failedAt: Millis = -1;

  constructor(receiver: Receiver, carrier: Carrier, limits: RulesLimits, receiverStored: boolean) {
    this.receiver = receiver;
    this.carrier = carrier;
    this.receiverStored = receiverStored;
    this.queuedMax = carrier.queuedMax ?? limits.deliveriesQueuedMax;
    this.#windowMax = Math.min(carrier.concurrency, limits.deliveriesPerTargetMax);
    this.#window = Math.min(WINDOW_START, this.#windowMax);
  }

  get batches(): number {
    return this.inflight.size;
  }

  get idle(): boolean {
    return this.queue.length === 0 && this.batches === 0 && this.page.length === 0 && this.backlogAt === Infinity;
  }

  /** Whether another batch may start; `othersFree`: the batches that all targets together may still start. */
  mayStart(othersFree: number): boolean {
    return this.batches < this.#window && (othersFree > 0 || this.batches === 0);
  }

  /** Whether a new delivery must wait behind those in the store. */
  mustQueueInStore(now: Millis): boolean {
    return now < this.blockedUntil || this.page.length > 0 || this.backlogAt <= now;
  }

  /** Until when the queue waits to become a whole batch; 0 where it need not. */
  lingersUntil(): Millis {
    const { linger, batchMax } = this.carrier;
    if (linger === 0 || this.queue.length === 0 || this.queue.length >= batchMax || this.page.length > 0) return 0;
    return this.queue.first!.queuedAt + linger;
  }

  /** A batch is on the way. */
  started(batch: readonly Pending[], now: Millis): void {
    this.usedAt = now;
    this.inflight.add(batch);
  }

  /** So many were taken. */
  succeeded(count: number): void {
    this.failures = 0;
    this.blockedUntil = 0;
    this.#window = Math.min(this.#window + count, this.#windowMax);
  }

  /** An attempt, for people; `reason`: null where it went well. */
  note(at: EpochMs, reason: string | null): void {
    if (reason === null) this.#lastSuccessAt = at;
    else this.#lastFailure = { at, reason };
  }

  get lastFailure(): Mishap | null {
    return this.#lastFailure;
  }

  get lastSuccessAt(): EpochMs | null {
    return this.#lastSuccessAt;
  }

  /** The receiver answers, and asks for time. */
  pause(until: Millis): void {
    this.blockedUntil = Math.max(this.blockedUntil, until);
  }

  /**
   * Counts a failure and holds the target back where it is to blame. What was on the way together fails together: it counts
   * once. Returns how long it is blocked from now, 0 where it is not.
   */
  failed(
    startedAt: Millis,
    now: Millis,
    scope: "target" | "delivery",
    retryAfter: Millis | null,
    context: Context,
  ): Millis {
    if (startedAt >= this.#failedAt) {
      this.failures++;
      this.#failedAt = now;
      const toBlame = scope === "target" ? this.failures : this.failures - FAILURES_TOLERATED;
      if (toBlame > 0) {
        this.blockedUntil = now + backoff(toBlame, context.random, context.limits);
        this.#window = 1;
      }
    }
    if (scope === "target" && retryAfter !== null) {
      const wait = Math.min(Math.max(retryAfter, context.limits.retryDelayMin), context.limits.retryAfterMax);
      this.blockedUntil = Math.max(this.blockedUntil, now + wait);
    }
    return Math.max(0, this.blockedUntil - now);
  }
}

interface Context {
  readonly random: Random;
  readonly limits: RulesLimits;
}

/** For people. `stored`: how many wait on disk. `now`: monotonic. */
export function stateOf(receiver: Receiver, target: Target | undefined, stored: number, now: Millis): ReceiverState {
  const { key, carrier, label } = receiver;
  const inMemory =
    target === undefined ? [] : [...target.queue, ...target.inflight].flat().filter((one) => !one.stored);
  return {
    key,
    kind: carrier,
    label,
    waiting: inMemory.length + stored,
    blockedFor: Math.max(0, Math.round((target?.blockedUntil ?? 0) - now)),
    failures: target?.failures ?? 0,
    lastFailure: target?.lastFailure ?? null,
    lastSuccessAt: target?.lastSuccessAt ?? null,
  };
}

export function closeSender(target: Target): void {
  const { sender } = target;
  target.sender = null;
  void sender?.close();
}
