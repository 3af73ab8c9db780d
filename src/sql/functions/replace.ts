import { LIMITS } from "../../base/mod.ts";
import { toText } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const replaceFunction: SqlFunction = {
  name: "replace",
  group: "string",
  signature: "replace(text, part, by)",
  summary: "The text with every occurrence of the part replaced.",
  examples: [
    ["replace('abcdabcd', 'b', 'x')", '"axcdaxcd"'],
    ["replace('abc', '', 'x')", '"abc"'],
    ["replace(NULL, 'a', 'b')", "Undefined"],
  ],
  argsMin: 3,
  argsMax: 3,
  pure: true,
  call([value, search, replacement]) {
    const text = toText(value);
    const part = toText(search);
    const by = toText(replacement);
    if (text === undefined || part === undefined || by === undefined) return undefined;
    if (part === "") return text;
    const pieces = text.split(part);
    // Told before it is built: the result could be larger than any string may be.
    const size = text.length + (pieces.length - 1) * (by.length - part.length);
    return size > LIMITS.rules.sqlStringCharsMax ? undefined : pieces.join(by);
  },
};
