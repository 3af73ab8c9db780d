import { withoutTrailingBlanks } from "./blanks.ts";
import { toText } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const trimFunction: SqlFunction = {
  name: "trim",
  group: "string",
  signature: "trim(text)",
  summary: "The text without spaces and tabs around it.",
  examples: [
    ["trim('  h i  ')", '"h i"'],
    ["trim(5)", '"5"'],
  ],
  argsMin: 1,
  argsMax: 1,
  pure: true,
  call([value]) {
    const text = toText(value);
    return text === undefined ? undefined : withoutTrailingBlanks(text.replace(/^[ \t]+/, ""));
  },
};
