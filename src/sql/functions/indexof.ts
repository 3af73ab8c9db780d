import { toText } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const indexofFunction: SqlFunction = {
  name: "indexof",
  group: "string",
  since: "2016-03-23",
  signature: "indexof(text, part)",
  summary: "Where the part first occurs in the text, counted from 0; -1 where it does not.",
  examples: [
    ["indexof('abcd', 'bc')", "1"],
    ["indexof('abcd', 'x')", "-1"],
  ],
  argsMin: 2,
  argsMax: 2,
  pure: true,
  call([value, other]) {
    const text = toText(value);
    const part = toText(other);
    return text === undefined || part === undefined ? undefined : text.indexOf(part);
  },
};
