import { padded } from "./padding.ts";
import type { SqlFunction } from "./function.ts";

export const lpadFunction: SqlFunction = {
  name: "lpad",
  group: "string",
  signature: "lpad(text, count)",
  summary: "The text with that many spaces (0 to 1000) added on the left.",
  examples: [
    ["lpad('hello', 2)", '"  hello"'],
    ["lpad(1, 3)", '"   1"'],
    ["lpad('a', -1)", '"a"'],
    ["length(lpad('a', 5000))", "1001"],
    ["lpad('a', 'x')", "Undefined"],
  ],
  argsMin: 2,
  argsMax: 2,
  pure: true,
  call: (args) => padded(args, (text, spaces) => spaces + text),
};
