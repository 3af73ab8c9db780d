import { toText } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const lengthFunction: SqlFunction = {
  name: "length",
  group: "string",
  since: "2016-03-23",
  signature: "length(text)",
  summary: "The number of characters, in UTF-16 units as in Java and JavaScript.",
  examples: [
    ["length('hi')", "2"],
    ["length(false)", "5"],
    ["length(NULL)", "Undefined"],
  ],
  argsMin: 1,
  argsMax: 1,
  pure: true,
  call([value]) {
    const text = toText(value);
    return text === undefined ? undefined : text.length;
  },
};
