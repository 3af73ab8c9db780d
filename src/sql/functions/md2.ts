import { encodeUtf8 } from "../../base/mod.ts";
import { md2 } from "../md2.ts";
import { toText } from "../value.ts";
import { toHex } from "./hash.ts";
import type { SqlFunction } from "./function.ts";

export const md2Function: SqlFunction = {
  name: "md2",
  group: "hash",
  signature: "md2(text)",
  summary: "The MD2 hash of the text in hexadecimal. Not for security.",
  examples: [
    ["md2('hello')", '"a9046c73e00331af68917d3804f70655"'],
    ["md2(NULL)", "Undefined"],
  ],
  argsMin: 1,
  argsMax: 1,
  pure: true,
  call([value]) {
    const text = toText(value);
    return text === undefined ? undefined : toHex(md2(encodeUtf8(text)));
  },
};
