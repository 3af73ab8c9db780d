/**
 * The QoS 2 deliveries of one session that have a packet identifier (MQTT 5.0 section 4.3.3), each in one of these states:
 *
 *     named ── note on disk ──▶ may leave ── PUBREC ──▶ released ── PUBCOMP ──▶ forgotten
 *
 * Until PUBREC, the message is an entry of the outbox; from then on only the identifier is left. Bounded by the client's
 * window.
 */
import type { SavedExchanges } from "./session.ts";

/** QoS 1 has those below, see `Outbox`. */
const FIRST = 32_768;
const LAST = 65_535;

/** Entries from `from` on were named in a note at `offset`. */
interface Mark {
  readonly from: number;
  readonly offset: number;
}

export class Exchanges {
  /** Identifier → place in the outbox, and the other way round. */
  readonly #places = new Map<number, number>();
  readonly #identifiers = new Map<number, number>();
  /** PUBREC has come, PUBCOMP has not; in the order of the PUBRECs [MQTT-4.6.0-4]. */
  readonly released = new Set<number>();
  /** Entries below this have been looked at, and named where they are QoS 2. */
  namedUpTo = 0;
  /** First entry whose name is in no note yet. */
  #unnotedFrom = Infinity;
  /** Notes that were not on disk when last asked, oldest first. */
  readonly #marks: Mark[] = [];
  #last = LAST;

  /** What was saved, under the places that its entries had then. */
  static restored(saved: SavedExchanges | null): RestoredExchanges | null {
    return saved === null ? null : new RestoredExchanges(new Exchanges(), saved);
  }

  /** Nothing is under way. */
  get idle(): boolean {
    return this.#places.size === 0 && this.released.size === 0;
  }

  /** Messages whose PUBREC has not come. */
  get named(): number {
    return this.#places.size;
  }

  /** Behind the last place that has an identifier. */
  get placesEnd(): number {
    let end = 0;
    for (const sequence of this.#places.values()) end = Math.max(end, sequence + 1);
    return end;
  }

  /** Gives the entry an identifier that is not in use [MQTT-4.3.3-1], [MQTT-2.2.1-4]. It may leave once `noted` says so. */
  name(sequence: number): number {
    let identifier = this.#last;
    do identifier = identifier === LAST ? FIRST : identifier + 1;
    while (this.#places.has(identifier) || this.released.has(identifier));
    this.#last = identifier;
    this.#set(sequence, identifier);
    if (this.#unnotedFrom === Infinity) this.#unnotedFrom = sequence;
    return identifier;
  }

  /** As a note on disk says. What had the identifier before is complete, or there would be no such note. */
  nameAgain(sequence: number, identifier: number): void {
    this.released.delete(identifier);
    const before = this.#places.get(identifier);
    if (before !== undefined) this.#identifiers.delete(before);
    this.#set(sequence, identifier);
    this.#last = identifier >= FIRST ? identifier : this.#last;
  }

  #set(sequence: number, identifier: number): void {
    this.#places.set(identifier, sequence);
    this.#identifiers.set(sequence, identifier);
  }

  /** The names given so far are in the note at `offset`. */
  noted(offset: number): void {
    if (this.#unnotedFrom === Infinity) return;
    this.#marks.push({ from: this.#unnotedFrom, offset });
    this.#unnotedFrom = Infinity;
  }

  /** The entry has an identifier, and that is on disk. */
  mayLeave(sequence: number, durable: number): boolean {
    while (this.#marks.length > 0 && this.#marks[0]!.offset < durable) this.#marks.shift();
    const pendingFrom = this.#marks.length > 0 ? this.#marks[0]!.from : this.#unnotedFrom;
    return sequence < pendingFrom && this.#identifiers.has(sequence);
  }

  /** The entry stands at `to` from now on, where none is. */
  move(sequence: number, to: number): void {
    const identifier = this.#identifiers.get(sequence);
    if (identifier === undefined) return;
    this.#identifiers.delete(sequence);
    this.#set(to, identifier);
  }

  identifier(sequence: number): number | undefined {
    return this.#identifiers.get(sequence);
  }

  place(identifier: number): number | undefined {
    return this.#places.get(identifier);
  }

  /** PUBREC has come, or the message is not to be sent again: PUBREL is due. */
  release(sequence: number): number {
    const identifier = this.#identifiers.get(sequence)!;
    this.forget(sequence);
    this.released.add(identifier);
    return identifier;
  }

  /** The entry is over, and so is the use of its identifier. */
  forget(sequence: number): void {
    const identifier = this.#identifiers.get(sequence);
    if (identifier === undefined) return;
    this.#identifiers.delete(sequence);
    this.#places.delete(identifier);
  }

  /** Places and identifiers, in turns. */
  pack(): number[] {
    return [...this.#identifiers].flat();
  }
}

/** Exchanges while their outbox is filled again. */
class RestoredExchanges {
  readonly #exchanges: Exchanges;
  /** By the places of the time; what is left in the end has no entry any more. */
  readonly #identifiers = new Map<number, number>();
  readonly #released: readonly number[];

  constructor(exchanges: Exchanges, { sent, released }: SavedExchanges) {
    this.#exchanges = exchanges;
    this.#released = released;
    for (let i = 0; i < sent.length; i += 2) this.#identifiers.set(sent[i]!, sent[i + 1]!);
  }

  /** The entry that was at `before` is at `now`. */
  moved(before: number, now: number): void {
    const identifier = this.#identifiers.get(before);
    if (identifier === undefined) return;
    this.#identifiers.delete(before);
    this.#exchanges.nameAgain(now, identifier);
  }

  /**
   * Entries that were finished between the moment that the exchanges were saved as of, and the saving, are gone. The client
   * has them, or refused them, and either way PUBREL and PUBCOMP free the identifier.
   */
  settled(): Exchanges | null {
    for (const identifier of this.#released) this.#exchanges.released.add(identifier);
    for (const identifier of this.#identifiers.values()) this.#exchanges.released.add(identifier);
    return this.#exchanges.idle ? null : this.#exchanges;
  }
}
