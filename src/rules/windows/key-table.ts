/** The keys of one rule: names, numbers, whose they are, and which of them changed since the last snapshot. */
import type { EpochMs } from "../../base/mod.ts";
import { TopicTexts } from "./topic-texts.ts";
import type { StateReader, StateWriter } from "./state-codec.ts";

/** Keys that are saved as one piece of state: few enough to be cheap to write, enough to make few pieces. */
export const PAGE_KEYS = 256;

const START_KEYS = 64;
/** What the Map, a reference and three numbers take, beside the text of the key. */
const KEY_BYTES = 88;
const TEXT_BYTES = 16;
/** Below, tables grow by half; above, by an eighth: what is empty is memory, too. */
const GROWS_SLOWLY_FROM = 4_096;
/** Whose a key is. */
const SEVERAL = 0;
const NAMED_LIKE_IT = 1;
const ANOTHER = 2;
/** Entry of a name that is not the key's. */
const OTHER_BYTES = 56;
/** The name of a number that is free; no key has an empty one. */
const FREE = "";

export class KeyTable {
  /** Bounded by the engine: `windowKeysMax`. */
  readonly #numbers = new Map<string, number>();
  readonly #names: string[] = [];
  readonly #topics = new TopicTexts();
  /** Whether the thing behind the key has the key's name, another one, or there were several. */
  #owner = new Uint8Array(0);
  /** Names of things that are not those of their keys; bounded by the keys. */
  readonly #others = new Map<number, string>();
  readonly #free: number[] = [];
  readonly #dirty = new Set<number>();
  #touched = new Float64Array(0);
  #born = new Float64Array(0);
  #bornNext = 0;
  #room = 0;
  #textBytes = 0;
  readonly #grow: (keys: number) => void;

  /** `grow` makes room for so many keys in all that is kept beside. */
  constructor(grow: (keys: number) => void) {
    this.#grow = grow;
  }

  get size(): number {
    return this.#numbers.size;
  }
  get bytes(): number {
    return this.#numbers.size * KEY_BYTES + this.#textBytes + this.#topics.bytes;
  }

  find(name: string): number {
    return this.#numbers.get(name) ?? -1;
  }
  nameOf(key: number): string {
    return this.#names[key]!;
  }
  topicOf(key: number): string {
    return this.#topics.get(key, this.#names[key]!);
  }
  thingOf(key: number): string | null {
    const owner = this.#owner[key]!;
    if (owner === NAMED_LIKE_IT) return this.#names[key]!;
    return owner === ANOTHER ? this.#others.get(key)! : null;
  }
  /** The order in which keys were made: settles what happens at the same time. */
  readonly bornOf = (key: number): number => this.#born[key]!;

  numbers(): IterableIterator<number> {
    return this.#numbers.values();
  }

  add(name: string, topic: string, thing: string, now: EpochMs): number {
    const key = this.#free.pop() ?? this.#names.length;
    this.#put(key, name, topic, thing);
    this.#born[key] = this.#bornNext++;
    this.touch(key, topic, thing, now);
    return key;
  }

  /** A message of the key was seen. */
  touch(key: number, topic: string, thing: string, now: EpochMs): void {
    this.#touched[key] = now;
    this.#dirty.add((key / PAGE_KEYS) | 0);
    const name = this.#names[key]!;
    if (!this.#topics.is(key, name, topic)) this.#topics.set(key, name, topic);
    const owner = this.#owner[key]!;
    if (owner === NAMED_LIKE_IT ? thing !== name : owner === ANOTHER && this.#others.get(key) !== thing) {
      this.#own(key, name, null);
    }
  }

  /** Its state changed without a message. */
  changed(key: number): void {
    this.#dirty.add((key / PAGE_KEYS) | 0);
  }

  remove(key: number): void {
    const name = this.#names[key]!;
    this.#numbers.delete(name);
    this.#textBytes -= TEXT_BYTES + name.length;
    this.#topics.clear(key);
    this.#own(key, name, null);
    this.#names[key] = FREE;
    this.#free.push(key);
    this.changed(key);
  }

  /** Those that were not seen for longest: a sixteenth of all, so that a full table costs little per new key. */
  oldest(): number[] {
    const wanted = Math.max(1, this.#numbers.size >> 4);
    const times = Float64Array.from(this.#numbers.values(), (key) => this.#touched[key]!).sort();
    const youngest = times[wanted - 1]!;
    const keys = [...this.#numbers.values()].filter((key) => this.#touched[key]! <= youngest);
    keys.sort((a, b) => this.#touched[a]! - this.#touched[b]! || this.#born[a]! - this.#born[b]!);
    return keys.slice(0, wanted);
  }

  /** Pages that changed since this was asked last. */
  takeDirty(): number[] {
    const pages = [...this.#dirty].sort((a, b) => a - b);
    this.#dirty.clear();
    return pages;
  }

  get changedPages(): number {
    return this.#dirty.size;
  }

  /** Pages that could not be saved are to be saved again. */
  markDirty(pages: Iterable<number>): void {
    for (const page of pages) this.#dirty.add(page);
  }

  get pages(): number {
    return Math.ceil(this.#names.length / PAGE_KEYS);
  }

  keysOfPage(page: number): number[] {
    const keys: number[] = [];
    const end = Math.min((page + 1) * PAGE_KEYS, this.#names.length);
    for (let key = page * PAGE_KEYS; key < end; key++) {
      if (this.#names[key] !== FREE) keys.push(key);
    }
    return keys;
  }

  get bornNext(): number {
    return this.#bornNext;
  }

  write(key: number, writer: StateWriter): void {
    writer.text(this.#names[key]!);
    writer.text(this.topicOf(key));
    writer.value(this.thingOf(key));
    writer.f64(this.#touched[key]!);
    writer.f64(this.#born[key]!);
  }

  read(key: number, reader: StateReader): void {
    const name = reader.text();
    const topic = reader.text();
    const thing = reader.value();
    while (this.#names.length < key) this.#put(this.#names.length, FREE, "", null);
    this.#put(key, name, topic, typeof thing === "string" ? thing : null);
    this.#touched[key] = reader.f64();
    this.#born[key] = reader.f64();
  }

  /** After all keys were read: the numbers between them are free. */
  restored(bornNext: number): void {
    this.#bornNext = bornNext;
    this.#free.length = 0;
    for (let key = this.#names.length - 1; key >= 0; key--) if (this.#names[key] === FREE) this.#free.push(key);
    this.#dirty.clear();
  }

  #put(key: number, name: string, topic: string, thing: string | null): void {
    if (key === this.#room) {
      this.#room = roomFor(this.#room);
      this.#touched = grown(this.#touched, this.#room);
      this.#born = grown(this.#born, this.#room);
      const owner = new Uint8Array(this.#room);
      owner.set(this.#owner);
      this.#owner = owner;
      this.#topics.grow(this.#room);
      this.#grow(this.#room);
    }
    this.#names[key] = name;
    if (name === FREE) return;
    this.#topics.set(key, name, topic);
    this.#own(key, name, thing);
    this.#numbers.set(name, key);
    this.#textBytes += TEXT_BYTES + name.length;
  }

  #own(key: number, name: string, thing: string | null): void {
    if (this.#owner[key] === ANOTHER) {
      this.#textBytes -= OTHER_BYTES + this.#others.get(key)!.length;
      this.#others.delete(key);
    }
    this.#owner[key] = thing === null ? SEVERAL : thing === name ? NAMED_LIKE_IT : ANOTHER;
    if (thing === null || thing === name) return;
    this.#others.set(key, thing);
    this.#textBytes += OTHER_BYTES + thing.length;
  }
}

/** The next size of a table that is full. */
export function roomFor(room: number): number {
  return Math.max(START_KEYS, Math.ceil(room * (room < GROWS_SLOWLY_FROM ? 1.5 : 1.125)));
}

function grown(from: Float64Array, length: number): Float64Array<ArrayBuffer> {
  const to = new Float64Array(length);
  to.set(from);
  return to;
}
