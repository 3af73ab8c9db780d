import { bounded, toText } from "../value.ts";
import { toBase64 } from "../base64.ts";
import { schemeFault } from "./scheme.ts";
import type { SqlFunction } from "./function.ts";

export const encodeFunction: SqlFunction = {
  name: "encode",
  group: "encoding",
  since: "2016-03-23",
  signature: "encode(value, 'base64')",
  summary: "The value's text, or with * the whole payload, in base64.",
  examples: [
    ["encode('hi', 'base64')", '"aGk="'],
    ["encode(5, 'base64')", '"NQ=="'],
    ["encode('hi', 5)", "Undefined"],
  ],
  argsMin: 2,
  argsMax: 2,
  pure: true,
  check: (args) => schemeFault(args, ["base64"]),
  call([value, scheme]) {
    const text = toText(value);
    if (text === undefined || scheme !== "base64") return undefined;
    return bounded(toBase64(new TextEncoder().encode(text)));
  },
  star: {
    argument: 0,
    call: ([, scheme], input) => (scheme === "base64" ? bounded(toBase64(input.payload)) : undefined),
  },
};
