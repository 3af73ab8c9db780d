/**
 * The payloads of one topic mostly differ in their numbers only. A template is one of them with its numbers and booleans taken
 * out, and the series that each of them belongs to: the next payload is compared with it byte by byte and read on the way,
 * without a JSON tree, field names and look-ups. What differs in anything else takes the long way (`points.ts`), whose answer a
 * template must give exactly: it is made from that answer, and tried on its own payload before it is used.
 */
import type { EpochMs, JsonValue } from "../base/mod.ts";
import type { PointBatch } from "./point-batch.ts";
import { isTimePlausible, pointsOf } from "./points.ts";
import type { PointLimits, Points } from "./points.ts";

const TIME_OF_ARRIVAL = -1;
/** Beyond, a decimal is not exact in two steps: 15 digits are below 2^53, and 10^22 is the last exact power. */
const DIGITS_MAX = 15;
const POWERS = Float64Array.from({ length: DIGITS_MAX + 1 }, (_, i) => Number(`1e${i}`));

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const MINUS = 0x2d;
const PLUS = 0x2b;
const POINT = 0x2e;
const LETTER_E = 0x65;
const ZERO = 0x30;
const TRUE = Uint8Array.from("true", (letter) => letter.charCodeAt(0));
const FALSE = Uint8Array.from("false", (letter) => letter.charCodeAt(0));

/** A number or boolean in a payload. */
interface Token {
  readonly from: number;
  readonly to: number;
  readonly boolean: boolean;
}

export class PayloadTemplate {
  /** What stands before each value and behind the last one, one after the other; `#ends` says where each ends. */
  readonly #literal: Uint8Array;
  readonly #ends: Int32Array;
  readonly #booleans: readonly boolean[];
  /** By value. */
  readonly #series: Int32Array;
  readonly #timeAt: number;
  readonly #limits: PointLimits;
  /** What `read` has found; valid until it is called again. */
  readonly values: Float64Array;
  time: EpochMs = 0;
  #at = 0;

  private constructor(
    payload: Uint8Array,
    tokens: readonly Token[],
    series: Int32Array,
    timeAt: number,
    limits: PointLimits,
  ) {
    const literals = tokens.map(({ from }, i) => payload.subarray(i === 0 ? 0 : tokens[i - 1]!.to, from));
    literals.push(payload.subarray(tokens.at(-1)!.to));
    this.#literal = new Uint8Array(literals.reduce((sum, { length }) => sum + length, 0));
    this.#ends = new Int32Array(literals.length);
    let at = 0;
    for (const [i, literal] of literals.entries()) {
      this.#literal.set(literal, at);
      this.#ends[i] = at += literal.length;
    }
    this.#booleans = tokens.map(({ boolean }) => boolean);
    this.#series = series;
    this.#timeAt = timeAt;
    this.#limits = limits;
    this.values = new Float64Array(tokens.length);
  }

  /**
   * From a payload, what it meant (`points`, with nothing left out) and the series of each of those. Null where it holds
   * strings, numbers of unusual size, or anything else that a template does not know.
   */
  static learn(
    payload: Uint8Array,
    { points, series, receivedAt }: { points: Points; series: readonly number[]; receivedAt: EpochMs },
    limits: PointLimits,
  ): PayloadTemplate | null {
    const tokens = points.dropped > 0 ? null : tokensOf(payload);
    if (tokens === null || points.names.length === 0) return null;
    const places = placesOf(payload, tokens, limits);
    if (places === null || places.fields.size !== points.names.length) return null;
    const time = places.time ?? TIME_OF_ARRIVAL;
    if (tokens.length !== points.names.length + (time === TIME_OF_ARRIVAL ? 0 : 1)) return null;
    const own = new Int32Array(tokens.length).fill(TIME_OF_ARRIVAL);
    for (const [i, name] of points.names.entries()) {
      const place = places.fields.get(name);
      if (place === undefined) return null;
      own[place] = series[i]!;
    }
    const template = new PayloadTemplate(payload, tokens, own, time, limits);
    if (!template.read(payload, 0, payload.length, receivedAt) || template.time !== points.time) return null;
    const same = points.names.every((name, i) =>
      Object.is(template.values[places.fields.get(name)!], Number(points.values[i])),
    );
    return same ? template : null;
  }

  /** How many points a payload has. */
  get count(): number {
    return this.#timeAt === TIME_OF_ARRIVAL ? this.values.length : this.values.length - 1;
  }

  /** HOT. Whether `bytes[from, to)` is such a payload; `values` and `time` are then its own. */
  read(bytes: Uint8Array, from: number, to: number, receivedAt: EpochMs): boolean {
    const ends = this.#ends;
    const literal = this.#literal;
    const count = this.values.length;
    let at = from;
    let k = 0;
    for (let value = 0; value < count; value++) {
      const end = ends[value]!;
      while (k < end) if (bytes[at++] !== literal[k++]) return false;
      const found = this.#booleans[value]! ? this.#boolean(bytes, at) : this.#number(bytes, at);
      if (Number.isNaN(found)) return false;
      this.values[value] = found;
      at = this.#at;
    }
    if (to - at !== literal.length - k) return false;
    while (at < to) if (bytes[at++] !== literal[k++]) return false;
    this.time = this.#timeAt === TIME_OF_ARRIVAL ? receivedAt : Math.floor(this.values[this.#timeAt]!);
    return this.#timeAt === TIME_OF_ARRIVAL || isTimePlausible(this.time, receivedAt, this.#limits);
  }

  /** HOT. Adds what `read` has found. */
  addTo(batch: PointBatch): void {
    const { values, time } = this;
    for (let i = 0; i < values.length; i++) if (i !== this.#timeAt) batch.add(this.#series[i]!, time, values[i]!);
  }

  /** A JSON number without an exponent and not too long, else NaN. `#at` is behind it. */
  #number(bytes: Uint8Array, from: number): number {
    let at = from;
    const negative = bytes[at] === MINUS;
    if (negative) at++;
    const first = at;
    let digits = 0;
    let c = bytes[at]! - ZERO;
    while (c >= 0 && c <= 9) {
      digits = digits * 10 + c;
      c = bytes[++at]! - ZERO;
    }
    const whole = at - first;
    if (whole === 0 || whole > DIGITS_MAX || (whole > 1 && bytes[first] === ZERO)) return Number.NaN;
    let decimals = 0;
    if (bytes[at] === POINT) {
      const point = at;
      c = bytes[++at]! - ZERO;
      while (c >= 0 && c <= 9) {
        digits = digits * 10 + c;
        c = bytes[++at]! - ZERO;
      }
      decimals = at - point - 1;
      if (decimals === 0 || whole + decimals > DIGITS_MAX) return Number.NaN;
    }
    this.#at = at;
    const value = decimals === 0 ? digits : digits / POWERS[decimals]!;
    return negative ? -value : value;
  }

  #boolean(bytes: Uint8Array, from: number): number {
    const value = bytes[from] === TRUE[0];
    const word = value ? TRUE : FALSE;
    for (let i = 0; i < word.length; i++) if (bytes[from + i] !== word[i]) return Number.NaN;
    this.#at = from + word.length;
    return value ? 1 : 0;
  }
}

/** Null where a value is a string. What lies in `payload` is JSON. */
function tokensOf(payload: Uint8Array): Token[] | null {
  const tokens: Token[] = [];
  for (let at = 0; at < payload.length;) {
    const c = payload[at]!;
    if (c === QUOTE) {
      at = endOfString(payload, at);
      while (payload[at] === 0x20 || payload[at] === 0x09 || payload[at] === 0x0a || payload[at] === 0x0d) at++;
      if (payload[at] !== COLON) return null;
    } else if (c === MINUS || (c >= ZERO && c <= ZERO + 9)) {
      const from = at;
      while (at < payload.length && isOfNumber(payload[at]!)) at++;
      tokens.push({ from, to: at, boolean: false });
    } else if (c === TRUE[0] || c === FALSE[0]) {
      const from = at;
      at += c === TRUE[0] ? TRUE.length : FALSE.length;
      tokens.push({ from, to: at, boolean: true });
    } else at++;
  }
  return tokens;
}

function isOfNumber(c: number): boolean {
  return (c >= ZERO && c <= ZERO + 9) || c === MINUS || c === PLUS || c === POINT || (c | 0x20) === LETTER_E;
}

function endOfString(payload: Uint8Array, from: number): number {
  let at = from + 1;
  while (at < payload.length && payload[at] !== QUOTE) at += payload[at] === BACKSLASH ? 2 : 1;
  return at + 1;
}

/** Which value belongs to which field, found by putting each value's own number in its place; null where two share a name. */
function placesOf(
  payload: Uint8Array,
  tokens: readonly Token[],
  limits: PointLimits,
): { readonly fields: ReadonlyMap<string, number>; readonly time: number | null } | null {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let text = "";
  let from = 0;
  for (const [i, token] of tokens.entries()) {
    text += `${decoder.decode(payload.subarray(from, token.from))}${i}`;
    from = token.to;
  }
  text += decoder.decode(payload.subarray(from));
  const value = JSON.parse(text) as JsonValue;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const own = value as Readonly<Record<string, JsonValue>>;
  // Numbers that small are no times, so `timestamp` comes as a field.
  const { names, values } = pointsOf(value, { topic: "", thing: "", measurement: "", receivedAt: 0 }, limits);
  const fields = new Map(names.map((name, i) => [name, values[i] as number]));
  if (fields.size !== names.length) return null;
  const { ts, timestamp } = own;
  if (ts !== undefined) return typeof ts === "number" ? { fields, time: ts } : null;
  if (timestamp === undefined) return { fields, time: null };
  if (typeof timestamp !== "number") return null;
  fields.delete("timestamp");
  return { fields, time: timestamp };
}
