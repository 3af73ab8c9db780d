import { toText } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const numbytesFunction: SqlFunction = {
  name: "numbytes",
  group: "string",
  since: "2016-03-23",
  signature: "numbytes(text)",
  summary: "The number of bytes of the text in UTF-8.",
  examples: [
    ["numbytes('hi')", "2"],
    ["numbytes('\u20ac')", "3"],
  ],
  argsMin: 1,
  argsMax: 1,
  pure: true,
  call([value]) {
    const text = toText(value);
    return text === undefined ? undefined : new TextEncoder().encode(text).length;
  },
};
