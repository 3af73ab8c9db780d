/** Time zones by name or offset. The rules of the regions are those of the engine (`Intl`). */
import type { EpochMs, Millis } from "../../base/mod.ts";

const HOUR = 3_600_000;
const MINUTE = 60_000;
/** No region changes its offset in the middle of a quarter of an hour. */
const OFFSET_STEP = 15 * MINUTE;
/** JDK and Joda: offsets reach to 18 hours. */
const OFFSET_MAX = 18 * HOUR;

/** Abbreviations that Java prints and Intl does not, by the long name in English. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  "Coordinated Universal Time": "UTC",
  "Greenwich Mean Time": "GMT",
  "British Summer Time": "BST",
  "Irish Standard Time": "IST",
  "Western European Standard Time": "WET",
  "Western European Summer Time": "WEST",
  "Central European Standard Time": "CET",
  "Central European Summer Time": "CEST",
  "Eastern European Standard Time": "EET",
  "Eastern European Summer Time": "EEST",
  "Moscow Standard Time": "MSK",
  "India Standard Time": "IST",
  "China Standard Time": "CST",
  "Singapore Standard Time": "SGT",
  "Japan Standard Time": "JST",
  "Korean Standard Time": "KST",
  "Australian Eastern Standard Time": "AEST",
  "Australian Eastern Daylight Time": "AEDT",
  "Australian Western Standard Time": "AWST",
  "New Zealand Standard Time": "NZST",
  "New Zealand Daylight Time": "NZDT",
  "South Africa Standard Time": "SAST",
};

/** Abbreviations that are read; others are ambiguous. */
const ABBREVIATED: Readonly<Record<string, string>> = {
  EST: "America/New_York",
  EDT: "America/New_York",
  CST: "America/Chicago",
  CDT: "America/Chicago",
  MST: "America/Denver",
  MDT: "America/Denver",
  PST: "America/Los_Angeles",
  PDT: "America/Los_Angeles",
  CET: "Europe/Paris",
  CEST: "Europe/Paris",
  EET: "Europe/Bucharest",
  EEST: "Europe/Bucharest",
  WET: "Europe/Lisbon",
  WEST: "Europe/Lisbon",
  BST: "Europe/London",
  MSK: "Europe/Moscow",
  JST: "Asia/Tokyo",
  IST: "Asia/Kolkata",
};

export interface Zone {
  readonly id: string;
  /** East of Greenwich is positive. */
  offsetAt(time: EpochMs): Millis;
  nameAt(time: EpochMs, form: "short" | "long"): string;
}

const OFFSET = /^(?:UTC|GMT|UT)?([+-])(\d{1,2})(?::?(\d{2})(?::?(\d{2}))?)?$/;

/** The zone of that name: `Europe/Berlin`, `UTC`, `Z`, `+02:00`, `UTC+1`; null where there is none. */
export function zoneNamed(name: string): Zone | null {
  if (/^(?:Z|UTC|UT|GMT|Etc\/UTC|Etc\/GMT)$/.test(name)) return fixed(name === "Z" ? "UTC" : name, 0);
  const offset = OFFSET.exec(name);
  if (offset !== null) return offsetZone(name, offset);
  if (!/^[A-Za-z][A-Za-z0-9_+-]*(?:\/[A-Za-z0-9_+-]+){0,2}$/.test(name)) return null;
  try {
    return region(name);
  } catch {
    return null; // Intl knows no such region
  }
}

/** Also `PST` and the like. */
export function zoneRead(name: string): Zone | null {
  return zoneNamed(Object.hasOwn(ABBREVIATED, name) ? ABBREVIATED[name]! : name);
}

function offsetZone(name: string, [, sign, hours, minutes = "0", seconds = "0"]: RegExpExecArray): Zone | null {
  const size = Number(hours) * HOUR + Number(minutes) * MINUTE + Number(seconds) * 1000;
  if (Number(minutes) > 59 || Number(seconds) > 59 || size > OFFSET_MAX) return null;
  return fixed(name, sign === "-" ? -size : size);
}

function fixed(id: string, offset: Millis): Zone {
  return {
    id,
    offsetAt: () => offset,
    nameAt: (_time, form) =>
      offset !== 0 ? offsetText(offset, ":") : form === "long" ? "Coordinated Universal Time" : id,
  };
}

function region(id: string): Zone {
  const shape = (timeZoneName: "longOffset" | "short" | "long"): Intl.DateTimeFormat =>
    new Intl.DateTimeFormat("en-US", { timeZone: id, timeZoneName, year: "numeric" });
  const partOf = (format: Intl.DateTimeFormat, time: EpochMs): string =>
    format.formatToParts(time).find(({ type }) => type === "timeZoneName")?.value ?? "GMT";
  const offsets = shape("longOffset");
  let names: { readonly long: Intl.DateTimeFormat; readonly short: Intl.DateTimeFormat } | null = null;
  let known = { step: NaN, offset: 0 };
  return {
    id: offsets.resolvedOptions().timeZone,
    offsetAt(time) {
      const step = Math.floor(time / OFFSET_STEP);
      if (known.step !== step) {
        const [, sign, h, m = "0", s = "0"] =
          /GMT([+-])(\d{1,2}):?(\d{2})?:?(\d{2})?/.exec(partOf(offsets, time)) ?? [];
        const size = Number(h ?? 0) * HOUR + Number(m) * MINUTE + Number(s) * 1000;
        known = { step, offset: sign === "-" ? -size : size };
      }
      return known.offset;
    },
    nameAt(time, form) {
      names ??= { long: shape("long"), short: shape("short") }; // costly to make, and rarely asked for
      const long = partOf(names.long, time);
      return form === "long" ? long : (SHORT_NAMES[long] ?? partOf(names.short, time));
    },
  };
}

/** `+02:00`; the seconds only where there are some. */
export function offsetText(offset: Millis, colon: string): string {
  const size = Math.abs(offset);
  const two = (n: number): string => String(Math.floor(n)).padStart(2, "0");
  const seconds = (size / 1000) % 60;
  const tail = seconds === 0 ? "" : colon + two(seconds);
  return `${offset < 0 ? "-" : "+"}${two(size / HOUR)}${colon}${two((size / MINUTE) % 60)}${tail}`;
}

/**
 * The instant of a local time (given as if it were UTC). As the JDK has it: of a time that there is twice, the earlier
 * instant; a time that is left out is moved forward by the gap.
 */
export function instantOf(local: number, zone: Zone): EpochMs {
  const day = 24 * HOUR;
  const before = zone.offsetAt(local - day);
  const after = zone.offsetAt(local + day);
  if (zone.offsetAt(local - before) === before) return local - before;
  return zone.offsetAt(local - after) === after ? local - after : local - before;
}
