import { compileTimeFormat } from "../time/format.ts";
import type { TimeFormat } from "../time/format.ts";
import { TimePatternError } from "../time/names.ts";
import { zoneNamed } from "../time/zone.ts";
import type { Zone } from "../time/zone.ts";
import { bounded, toNumber, toText } from "../value.ts";
import { literalText } from "./function.ts";
import type { SqlFunction } from "./function.ts";
import { timeFault } from "./time-fault.ts";

export const parseTimeFunction: SqlFunction = {
  name: "parse_time",
  group: "time",
  since: "2016-03-23",
  signature: "parse_time(pattern, time[, zone])",
  summary:
    "A time in milliseconds since 1970 as text, by a pattern of Joda-Time (GCYyxweEDMdaKhHkmsSzZ); in UTC where no zone is named.",
  examples: [
    [`parse_time("yyyy.MM.dd G 'at' HH:mm:ss z", 100000000, "America/Belize")`, '"1970.01.01 AD at 21:46:40 CST"'],
    [`parse_time("yyyy-MM-dd'T'HH:mm:ss.SSSZZ", timestamp(), "Europe/Berlin")`, '"2026-01-01T01:00:00.000+01:00"'],
    ["parse_time('yyyy', timestamp(), 'UTC')", '"2026"'],
    ["parse_time('EEEE, d MMMM yy, h:mm a', 0)", '"Thursday, 1 January 70, 12:00 AM"'],
    ["parse_time('yyyy', 'x')", "Undefined"],
  ],
  argsMin: 2,
  argsMax: 3,
  pure: true,
  check(args) {
    const fault = timeFault(args, 0, compileTimeFormat);
    const zone = literalText(args, 2);
    if (fault !== null || zone === null || zoneNamed(zone) !== null) return fault;
    const hint = "Zones are those of the IANA data base, 'Europe/Berlin', and offsets, '+02:00'.";
    return { argument: 2, reason: `there is no time zone '${zone.slice(0, 40)}'`, hint };
  },
  call([pattern, time, zone], input, site) {
    const text = toText(pattern);
    const at = toNumber(time);
    const name = zone === undefined ? "UTC" : toText(zone);
    if (text === undefined || at === undefined || name === undefined) return undefined;
    const made = site.remember(`${name}\n${text}`, () => make(text, name));
    if (typeof made === "string") {
      input.note?.(made);
      return undefined;
    }
    const written = made.format(Math.trunc(at), made.zone);
    return written === undefined ? undefined : bounded(written);
  },
};

function make(pattern: string, name: string): { readonly format: TimeFormat; readonly zone: Zone } | string {
  const zone = zoneNamed(name);
  if (zone === null) return "parse_time: there is no such time zone";
  try {
    return { format: compileTimeFormat(pattern), zone };
  } catch (error) {
    if (error instanceof TimePatternError) return `parse_time: ${error.message}`;
    throw error;
  }
}
