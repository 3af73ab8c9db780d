import { TimePatternError } from "../time/names.ts";
import { compileTimeParser } from "../time/parse.ts";
import type { TimeParser } from "../time/parse.ts";
import { toText } from "../value.ts";
import type { SqlFunction } from "./function.ts";
import { timeFault } from "./time-fault.ts";

export const timeToEpochFunction: SqlFunction = {
  name: "time_to_epoch",
  group: "time",
  since: "2016-03-23",
  signature: "time_to_epoch(text, pattern)",
  summary:
    "A time that is written as text in milliseconds since 1970, by a pattern of the JDK 11 (GyuMLdDEaHkKhmsSnAVzOXxZ and [optional] parts); in UTC where the text names no zone.",
  examples: [
    ["time_to_epoch('2020-04-03 09:45:18 UTC+01:00', 'yyyy-MM-dd HH:mm:ss VV')", "1585903518000"],
    ["time_to_epoch('18 December 2015', 'dd MMMM yyyy')", "1450396800000"],
    ["time_to_epoch('2007-12-03 10:15:30.592 America/Los_Angeles', 'yyyy-MM-dd HH:mm:ss.SSS z')", "1196705730592"],
    [`time_to_epoch('2026-01-01T00:00:00Z', "yyyy-MM-dd'T'HH:mm:ss[.SSS]X")`, "1767225600000"],
    ["time_to_epoch('yesterday', 'yyyy-MM-dd')", "Undefined"],
  ],
  argsMin: 2,
  argsMax: 2,
  pure: true,
  check: (args) => timeFault(args, 1, compileTimeParser),
  call([value, pattern], input, site) {
    const text = toText(value);
    const shape = toText(pattern);
    if (text === undefined || shape === undefined) return undefined;
    const made = site.remember(shape, compile);
    if (typeof made !== "string") return made(text);
    input.note?.(made);
    return undefined;
  },
};

function compile(pattern: string): TimeParser | string {
  try {
    return compileTimeParser(pattern);
  } catch (error) {
    if (error instanceof TimePatternError) return `time_to_epoch: ${error.message}`;
    throw error;
  }
}
