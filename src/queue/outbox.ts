/**
 * The bounded, durable store-and-forward queue. A reading is accepted by `put`, is on disk once `durable` has reached its
 * sequence, and leaves in exactly three ways: acknowledged, expired, or dropped and counted (also: refused by the
 * platform for good, and then it is kept as a dead letter).
 *
 * Two rules everything rests on:
 * - A reading is handed out only when it is on disk. Otherwise a crash would give its number to another reading, and the
 *   platform, which recognises resent ones by (outbox, sequence), would throw that one away.
 * - Deleting may be late. A crash then sends an acknowledged reading again, which the platform drops as a double.
 */
import type {
  Bytes,
  Cancel,
  Clock,
  Counter,
  EpochMs,
  Limits,
  Logger,
  Metrics,
  Random,
  Scheduler,
} from "../base/mod.ts";
import { LIMITS, TidewireError, kib, reasonOf, topicNameFault } from "../base/mod.ts";
import { chooseVictims } from "./drop-policy.ts";
import { outboxCounters } from "./outbox-counters.ts";
import type { OutboxCounters } from "./outbox-counters.ts";
import type { Burial, DeadLetter, OutboxState, QueueStore, Reading, StoredSize } from "./store.ts";
import { QueueStoreError, sizeOf } from "./store.ts";

export interface OutboxLimits {
  readonly messages: number;
  readonly bytes: Bytes;
}

export interface OutboxOptions {
  readonly store: QueueStore;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly limits: OutboxLimits;
  readonly edge?: Limits["edge"];
}

export interface PutOptions {
  /** 0 … 9, default 5: when space runs out, the lowest go first. */
  readonly priority?: number;
  readonly expiresAt?: EpochMs;
}

export interface OutboxStatistics {
  readonly outbox: string;
  /** Accepted and still here, on the way ones included. */
  readonly waiting: number;
  readonly waitingBytes: Bytes;
  readonly inflight: number;
  readonly lastSequence: number;
  /** Every sequence up to this one was on disk. */
  readonly durable: number;
  /** Totals since the outbox was made. */
  readonly dropped: number;
  readonly expired: number;
  readonly refused: number;
  /** Why readings cannot be saved at the moment; null when all is well. */
  readonly failure: string | null;
}

const DEFAULT_PRIORITY = 5;
/** Topic, properties and headers need the rest of the packet. */
const PAYLOAD_BYTES_MAX = LIMITS.mqtt.packetBytesMax - kib(8);
/** Room made at once where the disk is full: some pages, since a page is reused only when all its rows are gone. */
const ROOM_BYTES = kib(16);

interface Totals {
  dropped: number;
  expired: number;
  refused: number;
}

export class Outbox {
  readonly id: string;
  readonly #options: OutboxOptions;
  readonly #edge: Limits["edge"];
  readonly #counters: OutboxCounters;
  readonly #listeners: Set<() => void> = new Set();
  /** As on disk. */
  #saved: OutboxState;
  #lastSequence: number;
  readonly #totals: Totals;
  #unsaved: Reading[] = [];
  #unsavedBytes = 0;
  /** Gone from the queue, not yet from the disk; value is the size. */
  readonly #removed: Map<number, Bytes> = new Map();
  readonly #buried: Map<number, { readonly burial: Burial; readonly size: Bytes }> = new Map();
  readonly #inflight: Map<number, Bytes> = new Map();
  /** Handed out, then given back alone: next in line, ascending. */
  #returned: number[] = [];
  #cursor = 0;
  #failure: string | null = null;
  #flushSoon = false;
  #flushLater: Cancel | null = null;
  #closed = false;
  #dropsToTell = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#edge = options.edge ?? LIMITS.edge;
    this.#saved = options.store.load() ?? create(options, this.#edge);
    this.id = this.#saved.outbox;
    this.#lastSequence = this.#saved.lastSequence;
    const { dropped, expired, refused } = this.#saved;
    this.#totals = { dropped, expired, refused };
    this.#counters = outboxCounters(options.metrics);
    options.metrics.observe(
      { name: "tidewire_outbox_waiting_readings", help: "Readings accepted and not yet delivered." },
      () => this.statistics().waiting,
    );
    options.metrics.observe(
      { name: "tidewire_outbox_waiting_bytes", help: "Size of the readings not yet delivered." },
      () => this.statistics().waitingBytes,
    );
  }

  /**
   * Takes a reading and returns its sequence. It is on disk once `durable` has reached that: at the end of this turn of
   * the event loop, in one transaction with all others of the turn. Throws READING_REFUSED.
   */
  put(topic: string, payload: Uint8Array, options: PutOptions = {}): number {
    const priority = options.priority ?? DEFAULT_PRIORITY;
    this.#refuse(topic, payload, priority);
    const reading: Reading = {
      sequence: ++this.#lastSequence,
      topic,
      payload,
      priority,
      acceptedAt: this.#options.clock.now(),
      expiresAt: options.expiresAt ?? null,
    };
    this.#unsaved.push(reading);
    this.#unsavedBytes += sizeOf(reading);
    this.#counters.accepted.value++;
    if (this.#failure === null) this.#saveSoon();
    else this.#boundUnsaved();
    return reading.sequence;
  }

  /** Up to `count` readings and about `bytes`, next unsent first, in order of sequence. Only what is on disk. */
  take(count: number, bytes: Bytes = this.#edge.outboxInflightBytesMax): Reading[] {
    const taken: Reading[] = [];
    let room = bytes;
    const now = this.#options.clock.now();
    for (;;) {
      const next = this.#next(count - taken.length, room);
      if (next.length === 0) break;
      for (const reading of next) {
        if (this.#gone(reading.sequence) || this.#inflight.has(reading.sequence)) continue;
        const size = sizeOf(reading);
        if (reading.expiresAt !== null && reading.expiresAt <= now) {
          this.#expire({ sequence: reading.sequence, priority: reading.priority, size });
          continue;
        }
        this.#inflight.set(reading.sequence, size);
        taken.push(reading);
        room -= size;
      }
      if (taken.length >= count || room <= 0) break;
    }
    return taken;
  }

  /** The reading has arrived. In any order; false where there is no such reading (any more). */
  acknowledge(sequence: number): boolean {
    const size = this.#sizeOfWaiting(sequence);
    if (size === null) return false;
    this.#inflight.delete(sequence);
    this.#remove(sequence, size);
    return true;
  }

  /** Gives one reading back: it is next in line. */
  giveBack(sequence: number): void {
    if (!this.#inflight.delete(sequence)) return;
    this.#returned.push(sequence);
    this.#returned.sort((a, b) => a - b);
  }

  /** The connection is gone: everything unacknowledged is unsent again. */
  release(): void {
    this.#inflight.clear();
    this.#returned = [];
    this.#cursor = 0;
  }

  /** The platform will not have this reading: it becomes a dead letter. */
  bury(sequence: number, reasonCode: number): void {
    const size = this.#sizeOfWaiting(sequence);
    if (size === null) return;
    this.#inflight.delete(sequence);
    this.#totals.refused++;
    this.#buried.set(sequence, { burial: { sequence, reasonCode, at: this.#options.clock.now() }, size });
    this.#saveLater();
  }

  /**
   * Makes dead letters with these reason codes readings again; returns how many. Only before anything was taken. Where the
   * disk refuses, they stay what they are until the next start.
   */
  exhume(reasonCodes: readonly number[]): number {
    try {
      const { count, bytes } = this.#options.store.exhume(reasonCodes);
      this.#saved = { ...this.#saved, count: this.#saved.count + count, bytes: this.#saved.bytes + bytes };
      return count;
    } catch (error) {
      if (!(error instanceof QueueStoreError)) throw error;
      this.#options.logger.warn("refused readings cannot be tried again now", { reason: error.message });
      return 0;
    }
  }

  deadLetters(count: number): DeadLetter[] {
    return this.#options.store.deadLetters(count);
  }

  /** Every sequence up to this one was on disk (and may have left since). */
  get durable(): number {
    return this.#saved.lastSequence;
  }

  /** Told when there may be more to take. */
  onReadable(listener: () => void): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Saves now. False where the disk would not take it; it is tried again by itself. */
  flush(): boolean {
    this.#flushSoon = false;
    this.#flushLater?.();
    this.#flushLater = null;
    const idle = this.#unsaved.length === 0 && this.#removed.size === 0 && this.#buried.size === 0;
    // After a failure an empty commit is made all the same: all of it may have been dropped, and only a commit tells that
    // the disk is well again.
    if (idle && this.#failure === null) return true;
    this.#enforceLimits();
    let failure = this.#commit();
    if (failure?.kind === "full") failure = this.#commitWithRoom(failure);
    if (failure !== null) {
      this.#failed(failure);
      return false;
    }
    this.#recovered();
    this.#tellDrops();
    for (const listener of this.#listeners) listener();
    return true;
  }

  /** Saves what is left. The store is the caller's to close. */
  close(): void {
    this.flush();
    this.#closed = true;
    this.#flushLater?.();
  }

  statistics(): OutboxStatistics {
    const waiting = this.#after();
    return {
      outbox: this.id,
      waiting: waiting.count,
      waitingBytes: waiting.bytes,
      inflight: this.#inflight.size,
      lastSequence: this.#lastSequence,
      durable: this.durable,
      ...this.#totals,
      failure: this.#failure,
    };
  }

  #refuse(topic: string, payload: Uint8Array, priority: number): void {
    const fault = topicNameFault(topic, LIMITS.mqtt);
    const reason =
      fault !== null
        ? `the topic is not allowed (${fault})`
        : payload.length > PAYLOAD_BYTES_MAX
          ? `${payload.length} bytes are more than an MQTT packet may carry`
          : payload.length + topic.length > this.#options.limits.bytes / 2
            ? `${payload.length} bytes would fill half the outbox`
            : !Number.isInteger(priority) || priority < 0 || priority > 9
              ? `priority ${priority} is not between 0 and 9`
              : this.#closed
                ? "the outbox is closed"
                : null;
    if (reason !== null) throw new TidewireError("READING_REFUSED", { topic, reason });
  }

  #next(count: number, bytes: Bytes): Reading[] {
    if (count <= 0 || bytes <= 0) return [];
    if (this.#returned.length > 0) {
      const reading = this.#options.store.find(this.#returned.shift()!);
      return reading === null ? this.#next(count, bytes) : [reading];
    }
    const next = this.#options.store.read(this.#cursor, count, bytes);
    if (next.length > 0) this.#cursor = next.at(-1)!.sequence;
    return next;
  }

  #gone(sequence: number): boolean {
    return this.#removed.has(sequence) || this.#buried.has(sequence);
  }

  #sizeOfWaiting(sequence: number): Bytes | null {
    if (this.#gone(sequence)) return null;
    const known = this.#inflight.get(sequence);
    if (known !== undefined) return known;
    const reading = this.#options.store.find(sequence);
    return reading === null ? null : sizeOf(reading);
  }

  #remove(sequence: number, size: Bytes): void {
    this.#removed.set(sequence, size);
    if (this.#failure !== null) return;
    if (this.#removed.size >= this.#edge.outboxRemovalsMax) this.#saveSoon();
    else this.#saveLater();
  }

  #expire(reading: StoredSize): void {
    this.#totals.expired++;
    this.#counters.expired.value++;
    this.#remove(reading.sequence, reading.size);
  }

  #drop(reading: StoredSize): void {
    this.#totals.dropped++;
    this.#counters.droppedFull.value++;
    this.#dropsToTell++;
    this.#removed.set(reading.sequence, reading.size);
  }

  #dropUnsaved(reading: Reading, counter: Counter): void {
    this.#totals.dropped++;
    counter.value++;
    this.#dropsToTell++;
    this.#unsaved.splice(this.#unsaved.indexOf(reading), 1);
    this.#unsavedBytes -= sizeOf(reading);
  }

  /** What is left once everything asked for so far has been saved. */
  #after(): { count: number; bytes: Bytes } {
    let bytes = this.#saved.bytes + this.#unsavedBytes;
    for (const size of this.#removed.values()) bytes -= size;
    for (const { size } of this.#buried.values()) bytes -= size;
    const count = this.#saved.count + this.#unsaved.length - this.#removed.size - this.#buried.size;
    return { count, bytes };
  }

  #enforceLimits(): void {
    const { messages, bytes } = this.#options.limits;
    const after = this.#after();
    if (after.count <= messages && after.bytes <= bytes) return;
    for (const expired of this.#options.store.expired(this.#options.clock.now(), 1000)) {
      if (!this.#gone(expired.sequence) && !this.#inflight.has(expired.sequence)) this.#expire(expired);
    }
    const now = this.#after();
    this.#giveUp({ count: now.count - messages, bytes: now.bytes - bytes });
  }

  /** Gives up readings until `count` and `bytes` are freed: lowest priority first, then oldest; none that is on the way. */
  #giveUp(needed: { count: number; bytes: Bytes }): void {
    if (needed.count <= 0 && needed.bytes <= 0) return;
    const untouchable = (sequence: number): boolean => this.#gone(sequence) || this.#inflight.has(sequence);
    const victims = chooseVictims({ needed, store: this.#options.store, unsaved: this.#unsaved, untouchable });
    for (const victim of victims.saved) this.#drop(victim);
    for (const reading of victims.unsaved) this.#dropUnsaved(reading, this.#counters.droppedFull);
  }

  /**
   * The disk is full: gives up a little of what is stored, if that is but a small part of it. Where even that does not
   * help, nothing was given up.
   */
  #commitWithRoom(failure: QueueStoreError): QueueStoreError | null {
    const bytes = Math.max(ROOM_BYTES, 2 * this.#unsavedBytes);
    if (this.#unsaved.length === 0 || this.#after().bytes - this.#unsavedBytes < 4 * bytes) return failure;
    const untouchable = (sequence: number): boolean => this.#gone(sequence) || this.#inflight.has(sequence);
    const needed = { count: 0, bytes };
    const victims = chooseVictims({ needed, store: this.#options.store, unsaved: [], untouchable }).saved;
    for (const victim of victims) this.#removed.set(victim.sequence, victim.size);
    this.#totals.dropped += victims.length;
    const second = this.#commit();
    if (second === null) {
      this.#counters.droppedFull.value += victims.length;
      this.#dropsToTell += victims.length;
      return null;
    }
    for (const victim of victims) this.#removed.delete(victim.sequence);
    this.#totals.dropped -= victims.length;
    return second;
  }

  #commit(): QueueStoreError | null {
    const after = this.#after();
    const state: OutboxState = {
      outbox: this.id,
      lastSequence: this.#lastSequence,
      ...after,
      ...this.#totals,
    };
    try {
      this.#options.store.commit({
        state,
        put: this.#unsaved,
        remove: [...this.#removed.keys()],
        bury: Array.from(this.#buried.values(), ({ burial }) => burial),
        deadLettersMax: this.#edge.deadLettersMax,
      });
    } catch (error) {
      if (error instanceof QueueStoreError) return error;
      return new QueueStoreError("failed", reasonOf(error), { cause: error });
    }
    this.#saved = state;
    this.#unsaved = [];
    this.#unsavedBytes = 0;
    this.#removed.clear();
    this.#buried.clear();
    return null;
  }

  #failed(failure: QueueStoreError): void {
    if (this.#failure === null) {
      this.#options.logger.error("readings cannot be saved; they are kept in memory and tried again", {
        reason: failure.message,
        unsaved: this.#unsaved.length,
        fix: failure.kind === "full" ? "Free space on the disk that holds the agent's data folder." : "Check the disk.",
      });
    }
    this.#failure = failure.message;
    this.#boundUnsaved();
    if (this.#closed) return;
    this.#flushLater = this.#options.scheduler.after(this.#edge.outboxCommitRetry, () => this.flush());
  }

  #recovered(): void {
    if (this.#failure === null) return;
    this.#failure = null;
    this.#options.logger.info("readings are saved again", { durable: this.durable });
  }

  /** Memory is bounded too: beyond the limit the drop policy applies to what could not be saved. */
  #boundUnsaved(): void {
    const { outboxUnsavedMessagesMax: count, outboxUnsavedBytesMax: bytes } = this.#edge;
    while (this.#unsaved.length > count || this.#unsavedBytes > bytes) {
      const victim = this.#unsaved.reduce((a, b) => (b.priority < a.priority ? b : a));
      this.#dropUnsaved(victim, this.#counters.droppedUnsaved);
    }
  }

  #tellDrops(): void {
    if (this.#dropsToTell === 0) return;
    this.#options.logger.warn("the outbox is full: readings were dropped, oldest of the lowest priority first", {
      dropped: this.#dropsToTell,
      droppedTotal: this.#totals.dropped,
      fix: "Restore the connection, or raise `outbox` in the agent's configuration.",
    });
    this.#dropsToTell = 0;
  }

  #saveSoon(): void {
    if (this.#flushSoon || this.#closed) return;
    this.#flushSoon = true;
    this.#options.scheduler.defer(() => {
      if (this.#flushSoon && !this.#closed) this.flush();
    });
  }

  #saveLater(): void {
    if (this.#flushLater !== null || this.#closed) return;
    this.#flushLater = this.#options.scheduler.after(this.#edge.outboxRemovalDelay, () => this.flush());
  }
}

function create(options: OutboxOptions, edge: Limits["edge"]): OutboxState {
  const outbox = Array.from(options.random.bytes(12), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const state = { outbox, lastSequence: 0, count: 0, bytes: 0, dropped: 0, expired: 0, refused: 0 };
  options.store.commit({ state, put: [], remove: [], bury: [], deadLettersMax: edge.deadLettersMax });
  return state;
}
