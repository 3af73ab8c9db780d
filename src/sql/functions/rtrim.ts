import { withoutTrailingBlanks } from "./blanks.ts";
import { toText } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const rtrimFunction: SqlFunction = {
  name: "rtrim",
  group: "string",
  signature: "rtrim(text)",
  summary: "The text without trailing spaces and tabs.",
  examples: [["rtrim(' h i ')", '" h i"']],
  argsMin: 1,
  argsMax: 1,
  pure: true,
  call([value]) {
    const text = toText(value);
    return text === undefined ? undefined : withoutTrailingBlanks(text);
  },
};
