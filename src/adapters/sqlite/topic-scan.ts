/**
 * Finds the topics that a filter matches among sorted keys without looking at all of them. A key is a topic in UTF-8 with 0
 * between its levels, which no topic contains (section 1.5.4 of MQTT 5.0) and which sorts below everything: what is below
 * a level stands together. A key that does not match says where the next one that might stands, so `a/+/b` costs two
 * seeks for each level below `a`, whatever else is there.
 */
import { decodeUtf8, encodeUtf8 } from "../../base/mod.ts";

const SEPARATOR = 0;
const SLASH = 0x2f;
const DOLLAR = 0x24;

export function keyOf(topic: string): Uint8Array {
  const key = encodeUtf8(topic);
  for (let i = 0; i < key.length; i++) if (key[i] === SLASH) key[i] = SEPARATOR;
  return key;
}

export function topicOf(key: Uint8Array): string {
  const bytes = key.slice();
  for (let i = 0; i < bytes.length; i++) if (bytes[i] === SEPARATOR) bytes[i] = SLASH;
  return decodeUtf8(bytes, 0, bytes.length);
}

/** As SQLite compares BLOBs. */
export function compareKeys(a: Uint8Array, b: Uint8Array): number {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

/** The key right behind this one. */
export function behind(key: Uint8Array): Uint8Array {
  return extended(key, key.length, [SEPARATOR]);
}

export class TopicScan {
  /** Null stands for `+`. */
  readonly #levels: readonly (Uint8Array | null)[];
  /** It ends with `#`. */
  readonly #open: boolean;
  /** The last key matched. */
  matched = false;
  /** The first key that may match behind the last one; null where that is the very next, or there is none (`over`). */
  seek: Uint8Array | null = null;
  /** No key behind the last one matches. */
  over = false;

  constructor(filter: string) {
    const levels = filter.split("/");
    this.#open = levels.at(-1) === "#";
    if (this.#open) levels.pop();
    this.#levels = levels.map((level) => (level === "+" ? null : encodeUtf8(level)));
  }

  /** The first key that may match at all. */
  get first(): Uint8Array {
    return Uint8Array.from(this.#named(0));
  }

  /** Looks at a key: sets `matched`, `seek` and `over`. */
  look(key: Uint8Array): void {
    this.matched = this.over = false;
    this.seek = null;
    const levels = this.#levels;
    if (key[0] === DOLLAR && (levels.length === 0 || levels[0] === null)) {
      this.seek = Uint8Array.of(DOLLAR + 1); // [MQTT-4.7.2-1]
      return;
    }
    let from = 0;
    /** Where the name ends that the last `+` stands for; -1 before the first. */
    let wildEnd = -1;
    for (let i = 0; i < levels.length; i++) {
      const end = levelEnd(key, from);
      const level = levels[i]!;
      if (level === null) wildEnd = end;
      else {
        const order = compareLevel(key, from, end, level);
        if (order < 0) this.seek = extended(key, from, this.#named(i));
        else if (order > 0) this.#leave(key, wildEnd);
        if (order !== 0) return;
      }
      if (i === levels.length - 1) this.#atEnd(key, end, wildEnd);
      else if (end === key.length) {
        this.seek = extended(key, end, [SEPARATOR, ...this.#named(i + 1)]);
        return;
      }
      from = end + 1;
    }
    if (levels.length === 0) this.matched = true;
  }

  /** All levels of the filter are there; `a/#` also matches `a` (section 4.7.1.2). */
  #atEnd(key: Uint8Array, end: number, wildEnd: number): void {
    this.matched = this.#open || end === key.length;
    if (!this.#open) this.#leave(key, wildEnd);
  }

  /** Nothing more below the name that the last `+` stands for. */
  #leave(key: Uint8Array, wildEnd: number): void {
    if (wildEnd < 0) this.over = true;
    else this.seek = extended(key, wildEnd, [SEPARATOR + 1]);
  }

  /** The levels from `i` on, up to the next wildcard. */
  #named(i: number): number[] {
    const bytes: number[] = [];
    for (let at = i; at < this.#levels.length && this.#levels[at] !== null; at++) {
      if (at > i) bytes.push(SEPARATOR);
      bytes.push(...this.#levels[at]!);
    }
    return bytes;
  }
}

function levelEnd(key: Uint8Array, from: number): number {
  const end = key.indexOf(SEPARATOR, from);
  return end < 0 ? key.length : end;
}

function compareLevel(key: Uint8Array, from: number, end: number, level: Uint8Array): number {
  const shorter = Math.min(end - from, level.length);
  for (let i = 0; i < shorter; i++) if (key[from + i] !== level[i]) return key[from + i]! - level[i]!;
  return end - from - level.length;
}

function extended(key: Uint8Array, end: number, more: readonly number[]): Uint8Array {
  const longer = new Uint8Array(end + more.length);
  longer.set(key.subarray(0, end));
  longer.set(more, end);
  return longer;
}
