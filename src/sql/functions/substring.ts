import { toNumber, toText } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const substringFunction: SqlFunction = {
  name: "substring",
  group: "string",
  signature: "substring(text, from[, to])",
  summary: "The characters from one index (counted from 0) to another, which is not included.",
  examples: [
    ["substring('012345', 2)", '"2345"'],
    ["substring('012345', 2.745)", '"2345"'],
    ["substring('012345', 1, 3)", '"12"'],
    ["substring('012345', -50, 50)", '"012345"'],
    ["substring('012345', 3, 1)", '""'],
    ["substring(true, 1.2)", '"rue"'],
  ],
  argsMin: 2,
  argsMax: 3,
  pure: true,
  call([value, from, to], _input) {
    const text = toText(value);
    const start = toNumber(from);
    const end = to === undefined ? Infinity : toNumber(to);
    if (text === undefined || start === undefined || end === undefined) return undefined;
    return end <= start ? "" : text.slice(Math.max(0, Math.trunc(start)), Math.max(0, Math.trunc(end)));
  },
};
