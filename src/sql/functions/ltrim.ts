import { toText } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const ltrimFunction: SqlFunction = {
  name: "ltrim",
  group: "string",
  signature: "ltrim(text)",
  summary: "The text without leading spaces and tabs.",
  examples: [["ltrim(' h i ')", '"h i "']],
  argsMin: 1,
  argsMax: 1,
  pure: true,
  call([value]) {
    const text = toText(value);
    return text === undefined ? undefined : text.replace(/^[ \t]+/, "");
  },
};
