import { bounded, toText } from "../value.ts";
import { toBase64 } from "../base64.ts";
import type { SqlFunction } from "./function.ts";

export const encodeFunction: SqlFunction = {
  name: "encode",
  signature: "encode(value, 'base64')",
  summary: "The value's text, or with * the whole payload, in base64.",
  examples: [
    ["encode('hi', 'base64')", '"aGk="'],
    ["encode(5, 'base64')", '"NQ=="'],
    ["encode('hi', 'hex')", "Undefined"],
  ],
  argsMin: 2,
  argsMax: 2,
  pure: true,
  call([value, scheme]) {
    const text = toText(value);
    if (text === undefined || scheme !== "base64") return undefined;
    return bounded(toBase64(new TextEncoder().encode(text)));
  },
  star: ([scheme], input) => (scheme === "base64" ? bounded(toBase64(input.payload)) : undefined),
};
