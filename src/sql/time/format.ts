/** A point in time as text, by a pattern of Joda-Time (gotcha 2): what `parse_time` writes. */
import type { EpochMs } from "../../base/mod.ts";
import { MONTHS, TimePatternError, WEEKDAYS, patternParts } from "./names.ts";
import { offsetText } from "./zone.ts";
import type { Zone } from "./zone.ts";

/** A point in time in its zone; the fields of `local` are read as UTC. */
interface Moment {
  readonly local: Date;
  readonly time: EpochMs;
  readonly zone: Zone;
}

type Writer = (moment: Moment, count: number) => string;

const DAY = 86_400_000;
const FIELD_LETTERS_MAX = 100;

/** Milliseconds that a `Date` can hold. */
const TIME_MAX = 8.64e15 - DAY;

const number =
  (read: (local: Date) => number): Writer =>
  ({ local }, count) =>
    padded(read(local), count);

const name =
  (names: readonly string[], read: (local: Date) => number): Writer =>
  ({ local }, count) =>
    count >= 4 ? names[read(local)]! : names[read(local)]!.slice(0, 3);

const yearOfEra = (local: Date): number => {
  const year = local.getUTCFullYear();
  return year > 0 ? year : 1 - year;
};
const weekday = (local: Date): number => (local.getUTCDay() + 6) % 7;
const hour = (local: Date): number => local.getUTCHours();

const FIELDS: Readonly<Record<string, Writer>> = {
  G: ({ local }) => (local.getUTCFullYear() > 0 ? "AD" : "BC"),
  C: number((local) => Math.floor(yearOfEra(local) / 100)),
  Y: ({ local }, count) => year(yearOfEra(local), count),
  y: ({ local }, count) => year(local.getUTCFullYear(), count),
  x: ({ local }, count) => year(isoWeek(local).year, count),
  w: number((local) => isoWeek(local).week),
  e: number((local) => weekday(local) + 1),
  E: name(WEEKDAYS, weekday),
  D: number((local) => dayOfYear(local)),
  M: (moment, count) =>
    count < 3
      ? padded(moment.local.getUTCMonth() + 1, count)
      : name(MONTHS, (local) => local.getUTCMonth())(moment, count),
  d: number((local) => local.getUTCDate()),
  a: ({ local }) => (hour(local) < 12 ? "AM" : "PM"),
  K: number((local) => hour(local) % 12),
  h: number((local) => hour(local) % 12 || 12),
  H: number(hour),
  k: number((local) => hour(local) || 24),
  m: number((local) => local.getUTCMinutes()),
  s: number((local) => local.getUTCSeconds()),
  S: ({ local }, count) => padded(local.getUTCMilliseconds(), 3).padEnd(count, "0").slice(0, count),
  z: ({ time, zone }, count) => zone.nameAt(time, count >= 4 ? "long" : "short"),
  Z: ({ time, zone }, count) => (count >= 3 ? zone.id : offsetText(zone.offsetAt(time), count === 2 ? ":" : "")),
};

export type TimeFormat = (time: EpochMs, zone: Zone) => string | undefined;

/** Throws `TimePatternError`. */
export function compileTimeFormat(pattern: string): TimeFormat {
  const parts = patternParts(pattern, false).map((part) => {
    if (part.kind !== "field") return part.kind === "text" ? part.text : "";
    const { letter, count, at } = part;
    if (!Object.hasOwn(FIELDS, letter)) {
      throw new TimePatternError(at, `${letter} is no field of Joda-Time's patterns; put text in single quotes`);
    }
    if (count > FIELD_LETTERS_MAX) throw new TimePatternError(at, "the field is too wide");
    const write = FIELDS[letter]!;
    return (moment: Moment): string => write(moment, count);
  });
  return (time, zone) => {
    if (!(Math.abs(time) <= TIME_MAX)) return undefined;
    const moment: Moment = { local: new Date(time + zone.offsetAt(time)), time, zone };
    return parts.map((part) => (typeof part === "string" ? part : part(moment))).join("");
  };
}

function padded(value: number, width: number): string {
  return value < 0 ? `-${String(-value).padStart(width, "0")}` : String(value).padStart(width, "0");
}

/** Two letters mean two digits. */
function year(value: number, count: number): string {
  return padded(count === 2 ? Math.abs(value) % 100 : value, count);
}

function dayOfYear(local: Date): number {
  const start = new Date(local);
  start.setUTCMonth(0, 1);
  return Math.floor(local.getTime() / DAY) - Math.floor(start.getTime() / DAY) + 1;
}

/** ISO 8601: a week belongs to the year of its Thursday. */
function isoWeek(local: Date): { readonly year: number; readonly week: number } {
  const thursday = new Date(local.getTime() + (3 - weekday(local)) * DAY);
  return { year: thursday.getUTCFullYear(), week: Math.floor((dayOfYear(thursday) - 1) / 7) + 1 };
}
