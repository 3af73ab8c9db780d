/** The keys of one rule: names, numbers, whose they are, and which pages of them changed since the last save. */
import type { EpochMs } from "../../base/mod.ts";
import { TopicTexts } from "./topic-texts.ts";
import type { StateReader, StateWriter } from "./state-codec.ts";

/** Keys that are saved as one piece of state: few enough to be written in far less than a slice, enough to make few pieces. */
export const PAGE_KEYS = 64;
/** What is true of a page, in bits: it changed since the last save began; the save under way has not written it yet. */
const CHANGED = 1;
const DUE = 2;

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
  /** By page: `CHANGED`, `DUE`, both or none. */
  #marks = new Uint8Array(0);
  #changedPages = 0;
  #touched = new Float64Array(0);
  #born = new Float64Array(0);
  #bornNext = 0;
  #room = 0;
  #textBytes = 0;
  readonly #grow: (keys: number) => void;
  readonly #keep: (key: number) => void;
  /** A power of two: keys of a page. */
  readonly pageKeys: number;
  readonly #pageBits: number;

  /**
   * `grow` makes room for so many keys in all that is kept beside. `keep` is told of a key before anything of it changes,
   * where the save under way has not written its page yet.
   */
  constructor(grow: (keys: number) => void, keep: (key: number) => void, pageKeys: number = PAGE_KEYS) {
    this.#grow = grow;
    this.#keep = keep;
    this.pageKeys = pageKeys;
    this.#pageBits = Math.log2(pageKeys);
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
    if (key === this.#room) this.#widen();
    this.changing(key);
    this.#put(key, name, topic, thing);
    this.#born[key] = this.#bornNext++;
    this.touch(key, topic, thing, now);
    return key;
  }

  /** A message of the key was seen. */
  touch(key: number, topic: string, thing: string, now: EpochMs): void {
    this.changing(key);
    this.#touched[key] = now;
    const name = this.#names[key]!;
    if (!this.#topics.is(key, name, topic)) this.#topics.set(key, name, topic);
    const owner = this.#owner[key]!;
    if (owner === NAMED_LIKE_IT ? thing !== name : owner === ANOTHER && this.#others.get(key) !== thing) {
      this.#own(key, name, null);
    }
  }

  /** To be called before anything of the key changes. */
  changing(key: number): void {
    const page = key >> this.#pageBits;
    if (this.#marks[page] !== CHANGED) this.#mark(key, page);
  }

  #mark(key: number, page: number): void {
    const marks = this.#marks[page]!;
    if ((marks & DUE) !== 0) this.#keep(key);
    if ((marks & CHANGED) !== 0) return;
    this.#marks[page] = marks | CHANGED;
    this.#changedPages++;
  }

  /** Give back first what is kept of it elsewhere, after `changing`. */
  remove(key: number): void {
    const name = this.#names[key]!;
    this.#numbers.delete(name);
    this.#textBytes -= TEXT_BYTES + name.length;
    this.#topics.clear(key);
    this.#own(key, name, null);
    this.#names[key] = FREE;
    this.#free.push(key);
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

  // ── what is to be saved ──────────────────────────────────────────────────────────────────────

  /** Pages that changed since this was asked last. `due`: they are written later, one by one (`written`). */
  takeChanged(due: boolean): number[] {
    const pages: number[] = [];
    for (let page = 0; page < this.pages; page++) if ((this.#marks[page]! & CHANGED) !== 0) pages.push(page);
    for (const page of pages) this.#marks[page] = due ? DUE : 0;
    this.#changedPages = 0;
    return pages;
  }

  get changedPages(): number {
    return this.#changedPages;
  }

  /** The save under way has it. */
  written(page: number): void {
    this.#marks[page]! &= ~DUE;
  }

  /** They could not be saved, or are not to be: the next save has them again. */
  unsaved(pages: Iterable<number>): void {
    for (const page of pages) {
      if ((this.#marks[page]! & CHANGED) === 0) this.#changedPages++;
      this.#marks[page] = CHANGED;
    }
  }

  get pages(): number {
    return Math.ceil(this.#names.length / this.pageKeys);
  }

  /** Numbers that belong to the page, whether anybody's or not. */
  *keysOf(page: number): Generator<number> {
    for (let key = page * this.pageKeys; key < (page + 1) * this.pageKeys; key++) yield key;
  }

  /** Whether it is anybody's. */
  isTaken(key: number): boolean {
    return key < this.#names.length && this.#names[key] !== FREE;
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
    this.#marks.fill(0);
    this.#changedPages = 0;
  }

  #put(key: number, name: string, topic: string, thing: string | null): void {
    if (key === this.#room) this.#widen();
    this.#names[key] = name;
    if (name === FREE) return;
    this.#topics.set(key, name, topic);
    this.#own(key, name, thing);
    this.#numbers.set(name, key);
    this.#textBytes += TEXT_BYTES + name.length;
  }

  #widen(): void {
    this.#room = roomFor(this.#room);
    this.#touched = grown(this.#touched, this.#room);
    this.#born = grown(this.#born, this.#room);
    this.#owner = widened(this.#owner, this.#room);
    this.#marks = widened(this.#marks, Math.ceil(this.#room / this.pageKeys));
    this.#topics.grow(this.#room);
    this.#grow(this.#room);
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

function widened(from: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const to = new Uint8Array(length);
  to.set(from);
  return to;
}
