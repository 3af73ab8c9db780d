/** Text to a point in time, by a pattern of the JDK 11 (`java.time`, gotcha 2): what `time_to_epoch` reads. */
import type { EpochMs } from "../../base/mod.ts";
import { MONTHS, TimePatternError, WEEKDAYS, patternParts } from "./names.ts";
import type { PatternPart } from "./names.ts";
import { instantOf, zoneNamed, zoneRead } from "./zone.ts";
import type { Zone } from "./zone.ts";

type NumberField =
  | "year"
  | "month"
  | "day"
  | "dayOfYear"
  | "hour"
  | "hour12"
  | "minute"
  | "second"
  | "millis"
  | "milliOfDay";

interface Fields {
  readonly numbers: Map<NumberField, number>;
  era: "AD" | "BC" | null;
  afternoon: boolean | null;
  weekday: number | null;
  zone: Zone | null;
}

/** Reads at `at`; the place after it, or -1. */
type Reader = (text: string, at: number, fields: Fields) => number;

type Step = Reader | { readonly optional: readonly Step[] };

/** Letters whose field is a number when written this often; with their names' field. */
const NUMBERS: Readonly<Record<string, NumberField>> = {
  y: "year",
  u: "year",
  M: "month",
  L: "month",
  d: "day",
  D: "dayOfYear",
  H: "hour",
  k: "hour",
  h: "hour12",
  K: "hour12",
  m: "minute",
  s: "second",
  A: "milliOfDay",
};

const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  month: [1, 12],
  day: [1, 31],
  dayOfYear: [1, 366],
  hour: [0, 24],
  hour12: [0, 12],
  minute: [0, 59],
  second: [0, 59],
  milliOfDay: [0, 86_399_999],
};

const DIGITS_MAX = 9;

export type TimeParser = (text: string) => EpochMs | undefined;

/** Throws `TimePatternError`. Text that does not fit, or says no date, is Undefined. */
export function compileTimeParser(pattern: string): TimeParser {
  const parts = patternParts(pattern, true);
  const { steps, next } = compileSteps(parts, 0);
  if (next < parts.length) throw new TimePatternError(pattern.length, "this ] closes no [");
  return (text) => {
    const fields: Fields = { numbers: new Map(), era: null, afternoon: null, weekday: null, zone: null };
    return run(steps, text, 0, fields) === text.length ? resolve(fields) : undefined;
  };
}

function compileSteps(parts: readonly PatternPart[], from: number): { readonly steps: Step[]; readonly next: number } {
  const steps: Step[] = [];
  for (let i = from; i < parts.length; i++) {
    const part = parts[i]!;
    if (part.kind === "close") return { steps, next: i };
    if (part.kind === "text") steps.push((text, at) => (text.startsWith(part.text, at) ? at + part.text.length : -1));
    else if (part.kind === "field") steps.push(readerOf(part, isNumber(parts[i + 1])));
    else {
      const inner = compileSteps(parts, i + 1);
      if (inner.next >= parts.length) throw new TimePatternError(part.at, "this [ has no closing ]");
      steps.push({ optional: inner.steps });
      i = inner.next;
    }
  }
  return { steps, next: parts.length };
}

/** An optional section that does not fit leaves everything as it was. */
function run(steps: readonly Step[], text: string, from: number, fields: Fields): number {
  let at = from;
  for (const step of steps) {
    if (typeof step === "function") {
      at = step(text, at, fields);
      if (at < 0) return -1;
      continue;
    }
    const kept: Fields = { ...fields, numbers: new Map(fields.numbers) };
    const after = run(step.optional, text, at, kept);
    if (after < 0) continue;
    Object.assign(fields, kept);
    at = after;
  }
  return at;
}

function isNumber(part: PatternPart | undefined): boolean {
  if (part?.kind !== "field") return false;
  const { letter, count } = part;
  if (letter === "M" || letter === "L") return count < 3;
  return letter === "S" || Object.hasOwn(NUMBERS, letter);
}

type Field = Extract<PatternPart, { kind: "field" }>;

function readerOf(field: Field, beforeNumber: boolean): Reader {
  const { letter, count, at } = field;
  if ((letter === "M" || letter === "L") && count >= 3) return monthName(count);
  if (Object.hasOwn(NUMBERS, letter)) return numberReader(letter, count, beforeNumber);
  switch (letter) {
    case "S":
    case "n":
      return letter === "S" ? fraction(count) : nanos;
    case "E":
      return weekdayName(count);
    case "a":
      return (text, from, fields) => choice(text, from, ["AM", "PM"], (i) => (fields.afternoon = i === 1));
    case "G":
      return eraReader(count);
    case "V":
    case "z":
      return zoneReader;
    case "O":
    case "X":
    case "x":
    case "Z":
      return offsetReader(letter, count);
    default:
      throw new TimePatternError(
        at,
        `the field ${letter} is not supported; fields of the JDK that are: GyuMLdDEaHkKhmsSnAVzOXxZ`,
      );
  }
}

function numberReader(letter: string, count: number, beforeNumber: boolean): Reader {
  const name = NUMBERS[letter]!;
  const isYear = name === "year";
  // Side by side with another number, a field has the width it is written in.
  const least = count;
  const most = beforeNumber || count === 2 ? count : Math.max(count, isYear || name === "milliOfDay" ? DIGITS_MAX : 3);
  return (text, at, fields) => {
    const end = digitsEnd(text, at, most);
    if (end - at < least) return -1;
    let value = Number(text.slice(at, end));
    if (isYear && count === 2) value += 2000;
    if ((letter === "k" && value === 24) || (letter === "h" && value === 12)) value = 0;
    const [min, max] = RANGES[name] ?? [0, Infinity];
    if (value < min || value > max) return -1;
    fields.numbers.set(name, value);
    return end;
  };
}

function digitsEnd(text: string, at: number, most: number): number {
  let end = at;
  while (end - at < most && text[end] !== undefined && text[end]! >= "0" && text[end]! <= "9") end++;
  return end;
}

/** S: exactly as many digits as letters; what is finer than a millisecond is cut off. */
function fraction(count: number): Reader {
  return (text, at, fields) => {
    const end = digitsEnd(text, at, count);
    if (end - at < count) return -1;
    fields.numbers.set("millis", Number(text.slice(at, end).padEnd(3, "0").slice(0, 3)));
    return end;
  };
}

const nanos: Reader = (text, at, fields) => {
  const end = digitsEnd(text, at, DIGITS_MAX);
  if (end === at) return -1;
  fields.numbers.set("millis", Math.floor(Number(text.slice(at, end)) / 1e6));
  return end;
};

function choice(text: string, at: number, names: readonly string[], take: (index: number) => void): number {
  const index = names.findIndex((name) => text.startsWith(name, at));
  if (index < 0) return -1;
  take(index);
  return at + names[index]!.length;
}

function monthName(count: number): Reader {
  const names = count >= 4 ? MONTHS : MONTHS.map((name) => name.slice(0, 3));
  return (text, at, fields) => choice(text, at, names, (i) => fields.numbers.set("month", i + 1));
}

function weekdayName(count: number): Reader {
  const names = count >= 4 ? WEEKDAYS : WEEKDAYS.map((name) => name.slice(0, 3));
  return (text, at, fields) => choice(text, at, names, (i) => (fields.weekday = i));
}

function eraReader(count: number): Reader {
  const names = count >= 4 ? ["Anno Domini", "Before Christ"] : ["AD", "BC"];
  return (text, at, fields) => choice(text, at, names, (i) => (fields.era = i === 0 ? "AD" : "BC"));
}

const ZONE = /[A-Za-z0-9_+\-/:]+/y;

/** The longest name that is a zone: after it there may be other text of the pattern. */
const zoneReader: Reader = (text, at, fields) => {
  ZONE.lastIndex = at;
  const word = ZONE.exec(text.slice(0, at + 64))?.[0] ?? "";
  for (let end = word.length; end > 0; end--) {
    const zone = zoneRead(word.slice(0, end));
    if (zone === null) continue;
    fields.zone = zone;
    return at + end;
  }
  return -1;
};

/** Offsets by letter and count, as the JDK's table has them. */
function offsetReader(letter: string, count: number): Reader {
  const short = /[+-]\d{2}/y;
  const forms: readonly RegExp[] =
    letter === "O" || (letter === "Z" && count === 4)
      ? [/GMT(?:[+-]\d{1,2}(?::\d{2})?)?/y]
      : letter === "Z"
        ? [count === 5 ? /[+-]\d{2}:\d{2}(?::\d{2})?/y : /[+-]\d{4}/y]
        : [
            [
              /[+-]\d{2}(?:\d{2})?/y,
              /[+-]\d{4}/y,
              /[+-]\d{2}:\d{2}/y,
              /[+-]\d{4}(?:\d{2})?/y,
              /[+-]\d{2}:\d{2}(?::\d{2})?/y,
            ][count - 1] ?? short,
          ];
  const utc = letter === "X" || (letter === "Z" && count === 5);
  return (text, at, fields) => {
    if (utc && text[at] === "Z") {
      fields.zone = zoneNamed("UTC");
      return at + 1;
    }
    forms[0]!.lastIndex = at;
    const found = forms[0]!.exec(text)?.[0];
    const zone = found === undefined ? null : zoneNamed(found);
    if (zone === null) return -1;
    fields.zone = zone;
    return at + found!.length;
  };
}

function resolve(fields: Fields): EpochMs | undefined {
  const { numbers, era, zone } = fields;
  const written = numbers.get("year");
  if (written === undefined) return undefined;
  const year = era === "BC" ? 1 - written : written;
  const date = dateOf(year, numbers);
  if (date === undefined) return undefined;
  if (fields.weekday !== null && (date.getUTCDay() + 6) % 7 !== fields.weekday) return undefined;
  const time = timeOfDay(fields);
  if (time === undefined) return undefined;
  const instant = instantOf(date.getTime() + time, zone ?? zoneNamed("UTC")!);
  return Number.isFinite(instant) ? instant : undefined;
}

/** The JDK's smart resolving: the 31st of a shorter month is its last day. */
function dateOf(year: number, numbers: Fields["numbers"]): Date | undefined {
  const date = new Date(0);
  const dayOfYear = numbers.get("dayOfYear");
  const month = numbers.get("month");
  const day = numbers.get("day");
  if (month !== undefined && day !== undefined) {
    const last = new Date(0);
    last.setUTCFullYear(year, month, 0);
    date.setUTCFullYear(year, month - 1, Math.min(day, last.getUTCDate()));
  } else if (dayOfYear !== undefined) {
    date.setUTCFullYear(year, 0, dayOfYear);
    if (date.getUTCFullYear() !== year) return undefined;
  } else return undefined;
  return Number.isNaN(date.getTime()) ? undefined : date;
}

function timeOfDay({ numbers, afternoon }: Fields): number | undefined {
  const whole = numbers.get("milliOfDay");
  if (whole !== undefined) return whole;
  const twelve = numbers.get("hour12");
  if (twelve !== undefined && afternoon === null) return undefined;
  const hour = numbers.get("hour") ?? (twelve === undefined ? 0 : twelve + (afternoon === true ? 12 : 0));
  const minute = numbers.get("minute") ?? 0;
  const second = numbers.get("second") ?? 0;
  const millis = numbers.get("millis") ?? 0;
  if (hour === 24 && minute + second + millis > 0) return undefined; // 24:00 is the end of the day
  return ((hour * 60 + minute) * 60 + second) * 1000 + millis;
}
