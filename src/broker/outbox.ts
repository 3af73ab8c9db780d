/**
 * What one session still owes its client at QoS 1: a ring of references into the log, oldest first.
 *
 *     head ──── in flight ────▶ sent ──── waiting ────▶ tail
 *
 * Every entry has a sequence number, and its packet identifier follows from it, so an acknowledgement finds its entry
 * by arithmetic and a resumed session repeats the identifiers that it used before [MQTT-4.4.0-1]. An identifier is free
 * again after 65,535 others, far more than can be in flight [MQTT-4.3.2-1]. No object per message.
 */
import { NOWHERE } from "./recent-frames.ts";
import type { OutboxChunk, SavedOutbox } from "./session.ts";

/** Numbers per entry in the ring. */
const STRIDE = 3;
const OFFSET = 0;
/** Where the packet lies in `RecentFrames`, or -1. */
const PLACE = 1;
/** Mark × 2^41 + bytes × 4 + flags. */
const BITS = 2;

const FLAG_RETAIN = 1;
const FLAG_DONE = 2;
const FLAGS = 4;
/** Of the shared subscription that the message came by, up to 4095; 0 for none. */
const MARK = 2 ** 41;

/** Packet identifiers are 1 to 65,535. */
const IDENTIFIERS = 65_535;
const CAPACITY_MIN = 8;
/** A ring larger than this is given back once it is empty. */
const CAPACITY_KEPT = 1024;

export class Outbox {
  /** Oldest entry that is not finished. */
  head = 0;
  /** First entry that was not sent on the present connection. */
  sent = 0;
  /** Where the next entry goes. */
  tail = 0;
  /** Entries below this were sent on this or an earlier connection: sent again, they carry DUP. */
  sentBefore = 0;
  /** Bytes of all entries. */
  bytes = 0;
  #slots: Float64Array | null = null;
  #mask = 0;
  #identifiers: Map<number, readonly number[]> | null = null;

  get size(): number {
    return this.tail - this.head;
  }

  get inFlight(): number {
    return this.sent - this.head;
  }

  get waiting(): number {
    return this.tail - this.sent;
  }

  /** Adds at the end; returns the sequence number. */
  push(
    offset: number,
    bytes: number,
    retain: boolean,
    place: number,
    identifiers: readonly number[] | null,
    mark = 0,
  ): number {
    const sequence = this.tail;
    if (this.#slots === null || this.size > this.#mask) this.#grow();
    const at = (sequence & this.#mask) * STRIDE;
    this.#slots![at + OFFSET] = offset;
    this.#slots![at + PLACE] = place;
    this.#slots![at + BITS] = mark * MARK + bytes * FLAGS + (retain ? FLAG_RETAIN : 0);
    if (identifiers !== null) (this.#identifiers ??= new Map()).set(sequence, identifiers);
    this.bytes += bytes;
    this.tail++;
    return sequence;
  }

  /** The first waiting entry counts as sent now. */
  markSent(): void {
    this.sent++;
    if (this.sent > this.sentBefore) this.sentBefore = this.sent;
  }

  /** The client is gone: all that is not acknowledged has to be sent again, in order [MQTT-4.4.0-1], [MQTT-4.6.0-1]. */
  rewind(): void {
    this.sent = this.head;
  }

  /** Takes an acknowledgement; false where no such packet is in flight. */
  acknowledge(packetId: number): boolean {
    const distance = (packetId - 1 - (this.head % IDENTIFIERS) + IDENTIFIERS) % IDENTIFIERS;
    const sequence = this.head + distance;
    if (sequence >= this.sent || this.isDone(sequence)) return false;
    this.finish(sequence);
    return true;
  }

  /** The entry needs nothing more: acknowledged, expired, or not deliverable. */
  finish(sequence: number): void {
    if (!this.isDone(sequence)) this.#slots![this.#at(sequence) + BITS]! += FLAG_DONE;
    while (this.head < this.sent && this.isDone(this.head)) {
      this.bytes -= this.sizeOf(this.head);
      this.#identifiers?.delete(this.head);
      this.head++;
    }
    if (this.head === this.tail && this.#mask >= CAPACITY_KEPT) this.#slots = null;
  }

  packetId(sequence: number): number {
    return (sequence % IDENTIFIERS) + 1;
  }

  offset(sequence: number): number {
    return this.#slots![this.#at(sequence) + OFFSET]!;
  }

  place(sequence: number): number {
    return this.#slots![this.#at(sequence) + PLACE]!;
  }

  sizeOf(sequence: number): number {
    return Math.floor((this.#slots![this.#at(sequence) + BITS]! % MARK) / FLAGS);
  }

  mark(sequence: number): number {
    return Math.floor(this.#slots![this.#at(sequence) + BITS]! / MARK);
  }

  retain(sequence: number): boolean {
    return (this.#slots![this.#at(sequence) + BITS]! & FLAG_RETAIN) !== 0;
  }

  isDone(sequence: number): boolean {
    return (this.#slots![this.#at(sequence) + BITS]! & FLAG_DONE) !== 0;
  }

  identifiers(sequence: number): readonly number[] | null {
    return this.#identifiers?.get(sequence) ?? null;
  }

  /** The entries from `from` up to `to`, for the state store. */
  pack(from: number, to: number): OutboxChunk {
    const slots = new Float64Array((to - from) * 2);
    const identifiers: (readonly [number, readonly number[]])[] = [];
    for (let sequence = from; sequence < to; sequence++) {
      const at = this.#at(sequence);
      slots[(sequence - from) * 2] = this.#slots![at + OFFSET]!;
      slots[(sequence - from) * 2 + 1] = this.#slots![at + BITS]!;
      const own = this.#identifiers?.get(sequence);
      if (own !== undefined) identifiers.push([sequence, own]);
    }
    return { first: from, slots, identifiers };
  }

  /**
   * Fills an empty outbox with what was saved; entries at or above `offsetEnd` are not kept: the journal lost them. What
   * remains then gets new sequence numbers, behind all that were saved, so that the next saving replaces all of it. Returns
   * the sequence number up to which the store holds the outbox as it is.
   */
  restore(saved: SavedOutbox, offsetEnd: number): number {
    const last = saved.chunks.at(-1);
    const end = last === undefined ? saved.head : Math.max(saved.head, last.first + last.slots.length / 2);
    const whole = saved.chunks.every(({ slots }) => slots.every((value, i) => i % 2 === 1 || value < offsetEnd));
    this.head = this.sent = this.tail = whole ? saved.head : end;
    let expected = saved.head;
    for (const { first, slots, identifiers } of saved.chunks) {
      const named = new Map(identifiers);
      for (let i = 0; i < slots.length / 2; i++) {
        const sequence = first + i;
        if (sequence !== expected) continue;
        expected++;
        const bits = slots[i * 2 + 1]!;
        if (slots[i * 2]! >= offsetEnd) continue;
        const retain = (bits & FLAG_RETAIN) !== 0;
        const bytes = Math.floor((bits % MARK) / FLAGS);
        const mark = Math.floor(bits / MARK);
        this.push(slots[i * 2]!, bytes, retain, NOWHERE, named.get(sequence) ?? null, mark);
      }
    }
    this.sentBefore = whole ? Math.min(saved.sentBefore, this.tail) : this.head;
    return whole ? this.tail : this.head;
  }

  #at(sequence: number): number {
    return (sequence & this.#mask) * STRIDE;
  }

  #grow(): void {
    const capacity = this.#slots === null ? CAPACITY_MIN : (this.#mask + 1) * 2;
    const slots = new Float64Array(capacity * STRIDE);
    for (let sequence = this.head; sequence < this.tail; sequence++) {
      const from = this.#at(sequence);
      slots.set(this.#slots!.subarray(from, from + STRIDE), (sequence & (capacity - 1)) * STRIDE);
    }
    this.#slots = slots;
    this.#mask = capacity - 1;
  }
}
