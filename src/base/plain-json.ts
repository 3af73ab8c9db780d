/**
 * The top-level members of a JSON object, found by one pass over its bytes and without building anything: for whoever asks
 * for one or two of them, a fifth of what parsing costs. Only of plain objects, as machines send them: printable ASCII, no escapes, no
 * line breaks, no numbers of more than 15 digits or with an exponent. All else is for the parser; so is whatever is not JSON.
 */
import { decodeUtf8 } from "./bytes.ts";
import type { JsonLimits, JsonValue } from "./json.ts";

/** More members than that are for the parser. */
const MEMBERS_MAX = 64;
/** Containers within each other, one bit each. */
const DEPTH_MAX = 30;
const NUMBER_DIGITS_MAX = 15;
/** A longer value that is an object or an array is for the parser. */
const PART_BYTES_MAX = 64;

const QUOTE = 0x22;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const POWERS = Array.from({ length: NUMBER_DIGITS_MAX + 1 }, (_, digits) => 10 ** digits);

/** The value is there, and the parser has to say what it is. */
export const UNREAD = Symbol("unread");

/** Of one object at a time: `owner` says whose it is. */
export class PlainJson {
  /** Whoever called `scan` last, where that found a plain object. */
  owner: object | null = null;
  #bytes: Uint8Array = new Uint8Array(0);
  /** Of each member: where its key begins and ends, and its value. */
  readonly #spans = new Int32Array(MEMBERS_MAX * 4);
  #count = 0;
  #start = 0;
  #end = 0;
  /** Some number is not written as JSON.stringify would: 10.0, or -0. */
  #odd = false;

  /** Whether `bytes` are a plain object; they must stay as they are for as long as its members are asked for. */
  scan(bytes: Uint8Array, limits: JsonLimits, owner: object): boolean {
    this.owner = null;
    this.#count = 0;
    this.#odd = false;
    if (bytes.length > limits.jsonBytesMax) return false;
    this.#start = afterSpace(bytes, 0);
    const end = this.#object(bytes, this.#start, Math.min(limits.jsonDepthMax, DEPTH_MAX));
    if (end < 0 || afterSpace(bytes, end) !== bytes.length) return false;
    this.#end = end;
    this.#bytes = bytes;
    this.owner = owner;
    return true;
  }

  /**
   * Its bytes without what stands around it; null where JSON.stringify would write a number otherwise, and where a key is there twice, for
   * not all readers take the last one.
   */
  get whole(): Uint8Array | null {
    if (this.#odd) return null;
    for (let i = 1; i < this.#count; i++) for (let k = 0; k < i; k++) if (this.#areTwins(i, k)) return null;
    return this.#bytes.subarray(this.#start, this.#end);
  }

  /** As the parser would have it; undefined where there is no such member. */
  member(key: string): JsonValue | typeof UNREAD | undefined {
    for (let i = this.#count - 1; i >= 0; i--) if (this.#isKey(i, key)) return this.#value(i); // the last one counts
    return undefined;
  }

  #isKey(i: number, key: string): boolean {
    const from = this.#spans[i * 4]!;
    if (this.#spans[i * 4 + 1]! - from !== key.length) return false;
    for (let k = 0; k < key.length; k++) if (this.#bytes[from + k] !== key.charCodeAt(k)) return false;
    return true;
  }

  #areTwins(i: number, k: number): boolean {
    const a = this.#spans[i * 4]!;
    const b = this.#spans[k * 4]!;
    const length = this.#spans[i * 4 + 1]! - a;
    if (this.#spans[k * 4 + 1]! - b !== length) return false;
    for (let n = 0; n < length; n++) if (this.#bytes[a + n] !== this.#bytes[b + n]) return false;
    return true;
  }

  #value(i: number): JsonValue | typeof UNREAD {
    const from = this.#spans[i * 4 + 2]!;
    const to = this.#spans[i * 4 + 3]!;
    const first = this.#bytes[from]!;
    if (first === QUOTE) return decodeUtf8(this.#bytes, from + 1, to - 1);
    if (first === MINUS || (first >= ZERO && first <= NINE)) return numberAt(this.#bytes, from, to);
    if (first !== OPEN_OBJECT && first !== OPEN_ARRAY) return first === 0x74 ? true : first === 0x66 ? false : null;
    if (to - from > PART_BYTES_MAX) return UNREAD;
    return JSON.parse(decodeUtf8(this.#bytes, from, to)) as JsonValue;
  }

  /** Where the object that begins at `at` ends; -1 where it is not plain. */
  #object(b: Uint8Array, at: number, depthMax: number): number {
    if (b[at] !== OPEN_OBJECT || depthMax < 1) return -1;
    let depth = 1;
    let kinds = 1; // of the containers, the innermost in the lowest bit: 1 is an object
    at = afterSpace(b, at + 1);
    if (b[at] === CLOSE_OBJECT) return at + 1;
    for (;;) {
      if ((kinds & 1) === 1) {
        at = this.#key(b, at, depth);
        if (at < 0) return -1;
      }
      const first = b[at];
      if (first === OPEN_OBJECT || first === OPEN_ARRAY) {
        if (++depth > depthMax) return -1;
        kinds = (kinds << 1) | (first === OPEN_OBJECT ? 1 : 0);
        at = afterSpace(b, at + 1);
        if (b[at] !== (first === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_ARRAY)) continue;
      } else {
        const from = at;
        at = afterScalar(b, from);
        if (at < 0) return -1;
        if (b[at - 1] === ZERO && !isPlainNumber(b, from, at)) this.#odd = true;
        if (depth === 1) this.#spans[this.#count++ * 4 + 3] = at;
        at = afterSpace(b, at);
      }
      while (b[at] === ((kinds & 1) === 1 ? CLOSE_OBJECT : CLOSE_ARRAY)) {
        at++;
        kinds >>= 1;
        if (--depth === 0) return at;
        if (depth === 1) this.#spans[this.#count++ * 4 + 3] = at;
        at = afterSpace(b, at);
      }
      if (b[at] !== COMMA) return -1;
      at = afterSpace(b, at + 1);
    }
  }

  /** Where the value begins; -1 where that is no plain key. */
  #key(b: Uint8Array, at: number, depth: number): number {
    const end = afterText(b, at);
    if (end < 0 || (depth === 1 && this.#count === MEMBERS_MAX)) return -1;
    const colon = afterSpace(b, end);
    if (b[colon] !== COLON) return -1;
    const value = afterSpace(b, colon + 1);
    if (depth === 1) {
      this.#spans[this.#count * 4] = at + 1;
      this.#spans[this.#count * 4 + 1] = end - 1;
      this.#spans[this.#count * 4 + 2] = value;
    }
    return value;
  }
}

/** Line breaks are none here: who sends an object on as a line must not get two. */
function afterSpace(b: Uint8Array, at: number): number {
  while (b[at] === 0x20 || b[at] === 0x09) at++;
  return at;
}

/** -1 where no plain text begins at `at`. */
function afterText(b: Uint8Array, at: number): number {
  if (b[at] !== QUOTE) return -1;
  for (let i = at + 1; i < b.length; i++) {
    const c = b[i]!;
    if (c === QUOTE) return i + 1;
    if (c < 0x20 || c >= 0x80 || c === BACKSLASH) return -1;
  }
  return -1;
}

function afterScalar(b: Uint8Array, at: number): number {
  switch (b[at] ?? 0) {
    case QUOTE:
      return afterText(b, at);
    case 0x74:
      return b[at + 1] === 0x72 && b[at + 2] === 0x75 && b[at + 3] === 0x65 ? at + 4 : -1;
    case 0x66:
      return b[at + 1] === 0x61 && b[at + 2] === 0x6c && b[at + 3] === 0x73 && b[at + 4] === 0x65 ? at + 5 : -1;
    case 0x6e:
      return b[at + 1] === 0x75 && b[at + 2] === 0x6c && b[at + 3] === 0x6c ? at + 4 : -1;
    default:
      return afterNumber(b, at);
  }
}

/** Without an exponent: what follows one is refused by whoever expects a comma. */
function afterNumber(b: Uint8Array, at: number): number {
  if (b[at] === MINUS) at++;
  const from = at;
  at = afterDigits(b, at);
  if (at === from || (b[from] === ZERO && at > from + 1)) return -1;
  if (b[at] !== POINT) return at - from > NUMBER_DIGITS_MAX ? -1 : at;
  const fraction = at + 1;
  at = afterDigits(b, fraction);
  return at === fraction || at - from - 1 > NUMBER_DIGITS_MAX ? -1 : at;
}

/** Of a scalar that ends with a zero: whether it needs that one, and is not the negative zero. */
function isPlainNumber(b: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (b[i] === POINT) return false;
  return b[from] !== MINUS || to > from + 2;
}

function afterDigits(b: Uint8Array, at: number): number {
  while (b[at]! >= ZERO && b[at]! <= NINE) at++;
  return at;
}

/** 15 digits and a power of ten up to 15 are exact doubles, so their quotient is the nearest double to what is written. */
function numberAt(b: Uint8Array, from: number, to: number): number {
  let digits = 0;
  let fraction = 0;
  for (let i = b[from] === MINUS ? from + 1 : from; i < to; i++) {
    if (b[i] === POINT) fraction = to - i - 1;
    else digits = digits * 10 + b[i]! - ZERO;
  }
  const number = digits / POWERS[fraction]!;
  return b[from] === MINUS ? -number : number;
}
