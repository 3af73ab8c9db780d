/** The keys of one rule: names, numbers, whose they are, and which of them changed since the last snapshot. */
import type { EpochMs } from "../../base/mod.ts";
import type { StateReader, StateWriter } from "./state-codec.ts";

/** Keys that are saved as one piece of state: few enough to be cheap to write, enough to make few pieces. */
export const PAGE_KEYS = 256;

const START_KEYS = 64;
/** What the Map, three references and four numbers take, beside the text of the key and of its topic. */
const KEY_BYTES = 104;
const TEXT_BYTES = 16;
/** The name of a number that is free; no key has an empty one. */
const FREE = "";

export class KeyTable {
  /** Bounded by the engine: `windowKeysMax`. */
  readonly #numbers = new Map<string, number>();
  readonly #names: string[] = [];
  readonly #topics: string[] = [];
  /** The thing behind the key; null where there were several. */
  readonly #things: (string | null)[] = [];
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
    return this.#numbers.size * KEY_BYTES + this.#textBytes;
  }

  find(name: string): number {
    return this.#numbers.get(name) ?? -1;
  }
  nameOf(key: number): string {
    return this.#names[key]!;
  }
  topicOf(key: number): string {
    return this.#topics[key]!;
  }
  thingOf(key: number): string | null {
    return this.#things[key]!;
  }
  /** The order in which keys were made: settles what happens at the same time. */
  readonly bornOf = (key: number): number => this.#born[key]!;

  numbers(): IterableIterator<number> {
    return this.#numbers.values();
  }

  add(name: string, topic: string, thing: string, now: EpochMs): number {
    const key = this.#free.pop() ?? this.#names.length;
    this.#put(key, name, topic, thing === name ? name : thing);
    this.#born[key] = this.#bornNext++;
    this.touch(key, topic, thing, now);
    return key;
  }

  /** A message of the key was seen. */
  touch(key: number, topic: string, thing: string, now: EpochMs): void {
    this.#touched[key] = now;
    this.#dirty.add((key / PAGE_KEYS) | 0);
    if (this.#topics[key] !== topic) {
      this.#textBytes += topic.length - this.#topics[key]!.length;
      this.#topics[key] = topic;
    }
    if (this.#things[key] !== thing) this.#things[key] = null;
  }

  /** Its state changed without a message. */
  changed(key: number): void {
    this.#dirty.add((key / PAGE_KEYS) | 0);
  }

  remove(key: number): void {
    const name = this.#names[key]!;
    this.#numbers.delete(name);
    this.#textBytes -= 2 * TEXT_BYTES + name.length + this.#topics[key]!.length;
    this.#names[key] = FREE;
    this.#topics[key] = "";
    this.#things[key] = null;
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
    writer.text(this.#topics[key]!);
    writer.value(this.#things[key]);
    writer.f64(this.#touched[key]!);
    writer.f64(this.#born[key]!);
  }

  read(key: number, reader: StateReader): void {
    const name = reader.text();
    const topic = reader.text();
    const thing = reader.value();
    while (this.#names.length < key) this.#put(this.#names.length, FREE, "", null);
    this.#put(key, name, topic, thing === name ? name : typeof thing === "string" ? thing : null);
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
      this.#room = Math.max(START_KEYS, Math.ceil(this.#room * 1.5));
      this.#touched = grown(this.#touched, this.#room);
      this.#born = grown(this.#born, this.#room);
      this.#grow(this.#room);
    }
    this.#names[key] = name;
    this.#topics[key] = topic;
    this.#things[key] = thing;
    if (name === FREE) return;
    this.#numbers.set(name, key);
    this.#textBytes += 2 * TEXT_BYTES + name.length + topic.length;
  }
}

function grown(from: Float64Array, length: number): Float64Array<ArrayBuffer> {
  const to = new Float64Array(length);
  to.set(from);
  return to;
}
