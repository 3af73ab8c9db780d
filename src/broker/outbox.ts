/**
 * What one session still owes its client: a ring of references into the log, oldest first.
 *
 *     head ──── in flight ────▶ sent ──── waiting ────▶ tail
 *
 * Every entry has a sequence number. At QoS 1 its packet identifier follows from that, so an acknowledgement finds its entry
 * by arithmetic and a resumed session repeats the identifiers that it used before [MQTT-4.4.0-1]. An identifier is free
 * again after 32,767 others, and no more than that are ever in flight [MQTT-4.3.2-1]. No object per message. QoS 2 has the
 * identifiers above, and `Exchanges` to remember them.
 */
import { ORIGIN_UNKNOWN } from "../wire/record/mod.ts";
import { Exchanges } from "./exchanges.ts";
import { NOWHERE } from "./recent-frames.ts";
import type { OutboxChunk, SavedExchanges, SavedOutbox, StoredOutbox } from "./session.ts";

/** Numbers per entry in the ring. */
const STRIDE = 3;
const OFFSET = 0;
/** Where the packet lies in `RecentFrames`, or -1. */
const PLACE = 1;
/** Bytes × 4 + flags; and the mark × `MARK`, with `EXACTLY_ONCE` in it at QoS 2. */
const BITS = 2;

const FLAG_RETAIN = 1;
const FLAG_DONE = 2;
const FLAGS = 4;
/**
 * Above all that bytes and flags can be, so that what was saved before there were marks still means what it did. A mark has
 * 22 bits: 12 that it always had, one in which QoS 2 stands since before that, and 9 that were still free.
 */
const MARK = 2 ** 31;
const EXACTLY_ONCE = 512;
const MARK_LATER = 511;
const MARK_FIRST = 1024;

/** Packet identifiers of QoS 1 are 1 to this; so many deliveries may be in flight at most. */
export const WINDOW_MAX = 32_767;
const CAPACITY_MIN = 8;

export class Outbox {
  /** Oldest entry that is not finished. */
  head = 0;
  /** First entry that was not sent on the present connection. */
  sent = 0;
  /** Where the next entry goes. */
  tail = 0;
  /** Entries below this were sent on this or an earlier connection: sent again, they carry DUP. */
  sentBefore = 0;
  /** Of those, entries below this certainly were: before a crash, or the last saving before it, one may have been skipped. */
  begunBefore = 0;
  /** Bytes of all entries. */
  bytes = 0;
  /** Entries from here up to `storedTo` are in the state store alone: all up to there while nobody is connected. */
  storedFrom = 0;
  storedTo = 0;
  /** How many of them the ring has no place for. */
  #leftOut = 0;
  #slots: Float64Array | null = null;
  #mask = 0;
  /** Where `tail` stood at the last `rest`. */
  #restedAt = -1;
  #identifiers: Map<number, readonly number[]> | null = null;
  /** Null while no QoS 2 delivery is under way. */
  exchanges: Exchanges | null = null;

  get size(): number {
    return this.tail - this.head;
  }

  /** A QoS 2 delivery counts until its PUBCOMP [MQTT-4.9.0-2]. */
  get inFlight(): number {
    return this.sent - this.head + (this.exchanges === null ? 0 : this.exchanges.released.size);
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
    exactlyOnce = false,
    mark = 0,
  ): number {
    const sequence = this.tail;
    if (this.#slots === null || this.size - this.#leftOut > this.#mask) this.#grow();
    const at = (sequence & this.#mask) * STRIDE;
    this.#slots![at + OFFSET] = offset;
    this.#slots![at + PLACE] = place;
    const upper = exactlyOnce ? mark + EXACTLY_ONCE : mark;
    this.#slots![at + BITS] = upper * MARK + bytes * FLAGS + (retain ? FLAG_RETAIN : 0);
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
    this.begunBefore = Math.max(this.begunBefore, this.sent);
    this.sent = this.head;
    if (this.head === this.tail) this.#slots = null;
  }

  /** Takes a PUBACK; false where no such packet is in flight. */
  acknowledge(packetId: number): boolean {
    if (packetId > WINDOW_MAX) return false;
    const distance = (packetId - 1 - (this.head % WINDOW_MAX) + WINDOW_MAX) % WINDOW_MAX;
    const sequence = this.head + distance;
    if (sequence >= this.sent || this.isDone(sequence) || this.isExactlyOnce(sequence)) return false;
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
  }

  /** Forgets what is finished at the front, while no client is there. */
  trim(): void {
    while (this.head < this.tail && !this.isStored(this.head) && this.isDone(this.head)) {
      this.sent = this.head + 1;
      this.finish(this.head);
    }
    if (this.head === this.tail) this.#slots = null;
  }

  /**
   * Called now and then while its client is there: a ring that has grown, and that nothing came into since the last time, is given
   * back. Not as soon as it is empty: at full speed that is some hundred times a second.
   */
  rest(): void {
    if (this.#slots === null || this.#mask < CAPACITY_MIN) return;
    if (this.head === this.tail && this.tail === this.#restedAt) this.#slots = null;
    this.#restedAt = this.tail;
  }

  /** Of a QoS 1 entry. */
  packetId(sequence: number): number {
    return (sequence % WINDOW_MAX) + 1;
  }

  offset(sequence: number): number {
    return this.#slots![this.#at(sequence) + OFFSET]!;
  }

  place(sequence: number): number {
    return this.#slots![this.#at(sequence) + PLACE]!;
  }

  sizeOf(sequence: number): number {
    return bytesOf(this.#slots![this.#at(sequence) + BITS]!);
  }

  /** To be delivered at QoS 2. */
  isExactlyOnce(sequence: number): boolean {
    return isExactlyOnce(this.#slots![this.#at(sequence) + BITS]!);
  }

  mark(sequence: number): number {
    return markOf(this.#slots![this.#at(sequence) + BITS]!);
  }

  /** Mark and RETAIN: which of the copies of one message it is that the session owes, for notes. */
  origin(sequence: number): number {
    const bits = this.#slots![this.#at(sequence) + BITS]!;
    return markOf(bits) * 2 + (bits & FLAG_RETAIN);
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

  // ── what only the state store has ────────────────────────────────────────────────────────────

  isStored(sequence: number): boolean {
    return sequence < this.storedTo && sequence >= this.storedFrom;
  }

  get hasStored(): boolean {
    return this.storedFrom < this.storedTo;
  }

  /**
   * Nobody is connected: all entries below `savedTail` leave memory. Not where one of them is finished before its turn,
   * which the store does not know.
   */
  leave(savedTail: number): void {
    const from = Math.max(this.head, this.#leftOut === 0 ? 0 : this.storedTo);
    if (savedTail <= from || this.exchanges !== null) return;
    const sent = Math.min(this.sentBefore, savedTail);
    for (let sequence = from; sequence < sent; sequence++) {
      if (!this.isStored(sequence) && this.isDone(sequence)) return;
    }
    for (const sequence of this.#identifiers?.keys() ?? [])
      if (sequence < savedTail) this.#identifiers!.delete(sequence);
    const rest = this.#slots;
    const mask = this.#mask;
    this.#slots = null;
    this.storedFrom = this.head;
    this.storedTo = savedTail;
    this.#leftOut = savedTail - this.head;
    if (savedTail < this.tail) this.#resize(capacityFor(this.tail - savedTail), rest, mask);
  }

  /** Takes over what the state store has, without the entries. */
  adopt({ head, tail, sentBefore, bytes }: StoredOutbox): void {
    this.head = this.sent = this.storedFrom = head;
    this.tail = this.storedTo = tail;
    this.sentBefore = this.begunBefore = sentBefore;
    this.bytes = bytes;
    this.#leftOut = tail - head;
  }

  /** Puts entries that come from the state store into their places; those that are not the next ones are passed over. */
  bringBack(chunks: readonly OutboxChunk[]): void {
    if (this.#leftOut > 0) {
      const rest = this.#slots;
      const mask = this.#mask;
      const loaded = this.#leftOut;
      this.#leftOut = 0;
      this.#resize(capacityFor(this.size), rest, mask, this.head + loaded);
    }
    for (const { first, slots, identifiers } of chunks) {
      const end = Math.min(first + slots.length / 2, this.storedTo);
      for (const [sequence, own] of identifiers) {
        if (sequence >= this.storedFrom && sequence < end) (this.#identifiers ??= new Map()).set(sequence, own);
      }
      for (let sequence = this.storedFrom; sequence >= first && sequence < end; sequence++) {
        const at = this.#at(sequence);
        this.#slots![at + OFFSET] = slots[(sequence - first) * 2]!;
        this.#slots![at + PLACE] = NOWHERE;
        this.#slots![at + BITS] = slots[(sequence - first) * 2 + 1]!;
        this.storedFrom = sequence + 1;
      }
    }
  }

  /** The oldest entry, which only the store has, is not owed any more; how large it was is not known. */
  dropStored(): void {
    this.bytes -= Math.floor(this.bytes / this.size);
    this.head++;
    this.sent = this.storedFrom = this.head;
    this.sentBefore = Math.max(this.sentBefore, this.head);
    this.#leftOut--;
  }

  /** The store does not have them after all: they count as finished. Returns how many they were. */
  loseStored(): number {
    const lost = this.storedTo - this.storedFrom;
    const slots = new Float64Array(lost * 2).map((_, i) => (i % 2 === 0 ? 0 : FLAG_DONE));
    this.bringBack([{ first: this.storedFrom, slots, identifiers: [] }]);
    return lost;
  }

  /** Bytes of the entries below `to`, which are all that the store is given. */
  bytesBelow(to: number): number {
    let bytes = this.bytes;
    for (let sequence = to; sequence < this.tail; sequence++) bytes -= this.sizeOf(sequence);
    return bytes;
  }

  /**
   * Fills an empty outbox with what was saved; entries at or above `offsetEnd` are not kept: the journal lost them. What
   * remains then gets new sequence numbers, behind all that were saved, so that the next saving replaces all of it. Returns
   * the sequence number up to which the store holds the outbox as it is.
   */
  restore(saved: SavedOutbox, offsetEnd: number, exchanges: SavedExchanges | null = null): number {
    const underWay = Exchanges.restored(exchanges);
    const done = new Set(exchanges?.done);
    let doneEnd = 0;
    const last = saved.chunks.at(-1);
    const end = last === undefined ? saved.head : Math.max(saved.head, last.first + last.slots.length / 2);
    const whole = saved.chunks.every(({ slots }) => slots.every((value, i) => i % 2 === 1 || value < offsetEnd));
    this.head = this.sent = this.tail = whole ? saved.head : end;
    let expected = saved.head;
    for (const { first, slots, identifiers } of saved.chunks) {
      const names = new Map(identifiers);
      for (let i = 0; i < slots.length / 2; i++) {
        const sequence = first + i;
        if (sequence !== expected) continue;
        expected++;
        const bits = slots[i * 2 + 1]!;
        if (slots[i * 2]! >= offsetEnd) continue;
        const retain = (bits & FLAG_RETAIN) !== 0;
        const named = names.get(sequence) ?? null;
        const now = this.push(slots[i * 2]!, bytesOf(bits), retain, NOWHERE, named, isExactlyOnce(bits), markOf(bits));
        underWay?.moved(sequence, now);
        if (!done.has(sequence)) continue;
        this.finish(now);
        doneEnd = now + 1;
      }
    }
    this.exchanges = underWay?.settled() ?? null;
    this.trim();
    this.sentBefore = this.begunBefore = whole ? Math.min(saved.sentBefore, this.tail) : this.head;
    // Who has an identifier may have been sent, and who is finished was.
    this.sentBefore = Math.max(this.sentBefore, this.exchanges?.placesEnd ?? 0, doneEnd);
    return whole ? this.tail : this.head;
  }

  /** Finished entries behind one that is not: after a crash they must not be taken for owed. */
  finishedEarly(): number[] {
    const found: number[] = [];
    for (let sequence = this.head; sequence < this.sentBefore && sequence < this.tail; sequence++) {
      if (this.isStored(sequence)) continue; // they left memory because they were not
      if (this.isDone(sequence)) found.push(sequence);
    }
    return found;
  }

  /** Whether the entry is for that message, and of that origin where it is known. */
  isCopy(sequence: number, offset: number, origin: number): boolean {
    return this.offset(sequence) === offset && (origin === ORIGIN_UNKNOWN || this.origin(sequence) === origin);
  }

  /**
   * The first QoS 2 entry from `from` on that is for that message, of that origin, and has no identifier; -1 where there is
   * none.
   */
  unnamed(offset: number, origin: number, from = this.head): number {
    for (let sequence = Math.max(from, this.head); sequence < this.tail; sequence++) {
      if (!this.isCopy(sequence, offset, origin) || !this.isExactlyOnce(sequence) || this.isDone(sequence)) continue;
      if (this.exchanges?.identifier(sequence) === undefined) return sequence;
    }
    return -1;
  }

  /**
   * The QoS 1 entry from `from` on that is the same copy of that message, which its session was sent at QoS 2 before or
   * after it changed its subscription: it is of QoS 2 from now on. -1 where there is none.
   */
  raise(offset: number, origin: number, from: number): number {
    for (let sequence = Math.max(from, this.head); sequence < this.tail; sequence++) {
      if (!this.isCopy(sequence, offset, origin) || this.isExactlyOnce(sequence) || this.isDone(sequence)) continue;
      this.#slots![this.#at(sequence) + BITS]! += EXACTLY_ONCE * MARK;
      return sequence;
    }
    return -1;
  }

  #at(sequence: number): number {
    return (sequence & this.#mask) * STRIDE;
  }

  #grow(): void {
    const capacity = this.#slots === null ? CAPACITY_MIN : (this.#mask + 1) * 2;
    this.#resize(capacity, this.#slots, this.#mask);
  }

  /** A ring of its own with the entries of another, from `first` on. */
  #resize(capacity: number, from: Float64Array | null, mask: number, first = this.head + this.#leftOut): void {
    const slots = new Float64Array(capacity * STRIDE);
    for (let sequence = first; sequence < this.tail; sequence++) {
      const [at, to] = [(sequence & mask) * STRIDE, (sequence & (capacity - 1)) * STRIDE];
      for (let i = 0; i < STRIDE; i++) slots[to + i] = from![at + i]!;
    }
    this.#slots = slots;
    this.#mask = capacity - 1;
  }
}

/** Most entries are smaller than what the rest begins with, and need no division. */
function bytesOf(bits: number): number {
  return Math.floor((bits >= MARK ? bits % MARK : bits) / FLAGS);
}

function isExactlyOnce(bits: number): boolean {
  return bits >= MARK && (Math.floor(bits / MARK) & EXACTLY_ONCE) !== 0;
}

function markOf(bits: number): number {
  return bits < MARK ? 0 : Math.floor(bits / MARK) & ~EXACTLY_ONCE;
}

/** See `Outbox.origin`. */
export function markOfOrigin(origin: number): number {
  return origin >> 1;
}

export function isOriginRetained(origin: number): boolean {
  return (origin & FLAG_RETAIN) !== 0;
}

/** From 32 bits. Never 0, which stands for no mark, in either of its halves. */
export function markFrom(hash: number): number {
  return (1 + (hash % 4095)) * MARK_FIRST + 1 + (Math.floor(hash / 4095) % MARK_LATER);
}

/** Entries of an earlier Tidewire's queues have only the first half. */
export function isSameMark(mark: number, kept: number): boolean {
  return kept === mark || kept === mark - (mark % MARK_FIRST);
}

function capacityFor(entries: number): number {
  let capacity = CAPACITY_MIN;
  while (capacity < entries) capacity *= 2;
  return capacity;
}
