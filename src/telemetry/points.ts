/** From one message's JSON value to points: names, values and the time they stand for. */
import { parseIsoTime, thingNamedIn } from "../base/mod.ts";
import type { EpochMs, JsonValue } from "../base/mod.ts";

export type FieldValue = number | boolean | string;
export type FieldType = "number" | "boolean" | "string";

export interface PointLimits {
  readonly fieldsPerMessageMax: number;
  readonly fieldNameBytesMax: number;
  readonly fieldDepthMax: number;
  readonly arrayItemsMax: number;
  readonly stringBytesMax: number;
  /** How far ahead of its arrival a reading's own time may lie, in milliseconds. */
  readonly timeAheadMax: number;
}

export interface PointContext {
  readonly topic: string;
  readonly thing: string;
  readonly receivedAt: EpochMs;
  /** The rule's own name for the measurement; without it the topic gives one. */
  readonly measurement?: string;
}

/** All fields of one message. `names` and `values` have the same length and order. */
export interface Points {
  readonly measurement: string;
  readonly time: EpochMs;
  readonly names: readonly string[];
  readonly values: readonly FieldValue[];
  /** Values that a limit left out or cut short. */
  readonly dropped: number;
}

/** 2000-01-01T00:00:00Z. A device that has lost its clock starts at 1970. */
const TIME_MIN = 946_684_800_000;
const THING_NAME = /^[a-zA-Z0-9:_-]{1,128}$/;
const SPEAKING_FOR = "telemetry/";
// oxlint-disable-next-line no-control-regex -- a control character in a name is exactly what is refused
const CONTROL = /[\u0000-\u001f\u007f]/;

export function typeOf(value: FieldValue): FieldType {
  return typeof value as FieldType;
}

/**
 * Flattens an object into fields `a.b` and `list.0`. Null and non-finite numbers are no values and are skipped; what
 * exceeds a limit is left out and counted; nothing throws. A bare value becomes the field `value`.
 *
 * The time is `ts` (epoch ms) or `timestamp` (epoch ms or ISO 8601 with a zone) of the object where it is plausible, and
 * the time of arrival otherwise. `ts` is never a field; `timestamp` is one where it does not give the time.
 */
export function pointsOf(value: JsonValue, context: PointContext, limits: PointLimits): Points {
  const sink = new FieldSink(limits);
  let time: EpochMs | null = null;
  if (typeof value !== "object" || value === null) sink.put("value", value);
  else if (isArray(value)) sink.array("", value, 1);
  else {
    const ts = plausibleTime(value["ts"], context.receivedAt, limits);
    const timestamp = ts === null ? plausibleTime(value["timestamp"], context.receivedAt, limits) : null;
    time = ts ?? timestamp;
    for (const name of Object.keys(value)) {
      if (name === "ts" || (name === "timestamp" && timestamp !== null)) continue;
      sink.any(name, value[name]!, 1);
    }
  }
  return {
    measurement: context.measurement ?? measurementOf(context.topic, context.thing),
    time: time ?? context.receivedAt,
    names: sink.names,
    values: sink.values,
    dropped: sink.dropped,
  };
}

/** What follows `telemetry/<thing>/`, or the whole topic where it does not start so. */
export function measurementOf(topic: string, thing: string): string {
  const prefix = SPEAKING_FOR.length + thing.length + 1;
  const own =
    topic.length > prefix &&
    topic.startsWith(SPEAKING_FOR) &&
    topic.startsWith(thing, SPEAKING_FOR.length) &&
    topic.charCodeAt(prefix - 1) === 0x2f;
  return own ? topic.slice(prefix) : topic;
}

/**
 * The thing that a message speaks for: the one named in `telemetry/<thing>/…`, since the publisher's policy let it
 * publish there (a gateway for its sensors), by Basic Ingest too; else the publisher's own thing, else its client identifier.
 */
export function subjectOf(message: {
  readonly topic: string;
  readonly thing: string | null;
  readonly clientId: string;
}): string {
  const { topic, thing } = message;
  const named = thingNamedIn(topic);
  return named !== null && (named === thing || THING_NAME.test(named)) ? named : (thing ?? message.clientId);
}

class FieldSink {
  readonly names: string[] = [];
  readonly values: FieldValue[] = [];
  dropped = 0;
  readonly #limits: PointLimits;

  constructor(limits: PointLimits) {
    this.#limits = limits;
  }

  any(name: string, value: JsonValue, depth: number): void {
    if (typeof value !== "object" || value === null) this.put(name, value);
    else if (depth >= this.#limits.fieldDepthMax) this.dropped++;
    else if (isArray(value)) this.array(name, value, depth + 1);
    else for (const key of Object.keys(value)) this.any(`${name}.${key}`, value[key]!, depth + 1);
  }

  array(name: string, items: readonly JsonValue[], depth: number): void {
    const kept = Math.min(items.length, this.#limits.arrayItemsMax);
    for (let i = 0; i < kept; i++) this.any(name === "" ? String(i) : `${name}.${i}`, items[i]!, depth);
    this.dropped += items.length - kept;
  }

  put(name: string, value: null | FieldValue): void {
    if (value === null || (typeof value === "number" && !Number.isFinite(value))) return;
    if (this.names.length >= this.#limits.fieldsPerMessageMax || !this.#nameFits(name)) {
      this.dropped++;
      return;
    }
    this.names.push(name);
    this.values.push(typeof value === "string" ? this.#text(value) : value);
  }

  #nameFits(name: string): boolean {
    const { fieldNameBytesMax } = this.#limits;
    if (name.length === 0 || CONTROL.test(name) || !name.isWellFormed()) return false;
    return name.length * 3 <= fieldNameBytesMax || utf8Prefix(name, fieldNameBytesMax) === name.length;
  }

  /** Stores cannot hold a lone surrogate or U+0000; both become U+FFFD. */
  #text(value: string): string {
    const text = value.toWellFormed().replaceAll("\u0000", "\ufffd");
    const max = this.#limits.stringBytesMax;
    if (text.length * 3 <= max) return text;
    const fits = utf8Prefix(text, max);
    if (fits === text.length) return text;
    this.dropped++;
    return text.slice(0, fits);
  }
}

function isArray(value: object): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function plausibleTime(value: JsonValue | undefined, receivedAt: EpochMs, limits: PointLimits): EpochMs | null {
  const time = typeof value === "string" ? parseIsoTime(value) : typeof value === "number" ? Math.floor(value) : null;
  return time !== null && isTimePlausible(time, receivedAt, limits) ? time : null;
}

export function isTimePlausible(time: EpochMs, receivedAt: EpochMs, limits: PointLimits): boolean {
  return time >= TIME_MIN && time <= receivedAt + limits.timeAheadMax;
}

/** How many UTF-16 units of `text` fit `bytesMax` of UTF-8, never splitting a character. */
function utf8Prefix(text: string, bytesMax: number): number {
  let bytes = 0;
  let units = 0;
  for (const character of text) {
    const c = character.codePointAt(0)!;
    bytes += c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    if (bytes > bytesMax) return units;
    units += character.length;
  }
  return units;
}
