import { bounded, toText } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const upperFunction: SqlFunction = {
  name: "upper",
  group: "string",
  signature: "upper(text)",
  summary: "The text in upper case.",
  examples: [
    ["upper('hello')", '"HELLO"'],
    ["upper(true)", '"TRUE"'],
  ],
  argsMin: 1,
  argsMax: 1,
  pure: true,
  call([value]) {
    const text = toText(value);
    return text === undefined ? undefined : bounded(text.toUpperCase());
  },
};
