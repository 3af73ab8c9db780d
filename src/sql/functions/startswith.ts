import { toText } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const startswithFunction: SqlFunction = {
  name: "startswith",
  group: "string",
  signature: "startswith(text, part)",
  summary: "Whether the text begins with the part.",
  examples: [
    ["startswith('ranger', 'ran')", "true"],
    ["startswith(1234, 12)", "true"],
    ["startswith('a', NULL)", "Undefined"],
  ],
  argsMin: 2,
  argsMax: 2,
  pure: true,
  call([value, other]) {
    const text = toText(value);
    const part = toText(other);
    return text === undefined || part === undefined ? undefined : text.startsWith(part);
  },
};
