import { bounded, toText } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const lowerFunction: SqlFunction = {
  name: "lower",
  group: "string",
  signature: "lower(text)",
  summary: "The text in lower case.",
  examples: [
    ["lower('HELLO')", '"hello"'],
    ["lower(['HELLO'])", '"[\\"hello\\"]"'],
    ["lower(NULL)", "Undefined"],
  ],
  argsMin: 1,
  argsMax: 1,
  pure: true,
  call([value]) {
    const text = toText(value);
    return text === undefined ? undefined : bounded(text.toLowerCase());
  },
};
