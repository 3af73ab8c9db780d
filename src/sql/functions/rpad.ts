import { padded } from "./padding.ts";
import type { SqlFunction } from "./function.ts";

export const rpadFunction: SqlFunction = {
  name: "rpad",
  group: "string",
  signature: "rpad(text, count)",
  summary: "The text with that many spaces (0 to 1000) added on the right.",
  examples: [
    ["rpad('hello', 2)", '"hello  "'],
    ["rpad(1, 3)", '"1   "'],
    ["rpad('a', 1.9)", '"a "'],
    ["rpad(NULL, 1)", "Undefined"],
  ],
  argsMin: 2,
  argsMax: 2,
  pure: true,
  call: (args) => padded(args, (text, spaces) => text + spaces),
};
