import { toText } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const endswithFunction: SqlFunction = {
  name: "endswith",
  group: "string",
  signature: "endswith(text, part)",
  summary: "Whether the text ends with the part.",
  examples: [
    ["endswith('cat', 'at')", "true"],
    ["endswith('cat', 'dog')", "false"],
  ],
  argsMin: 2,
  argsMax: 2,
  pure: true,
  call([value, other]) {
    const text = toText(value);
    const part = toText(other);
    return text === undefined || part === undefined ? undefined : text.endsWith(part);
  },
};
