import { toNumber } from "../value.ts";
import type { SqlFunction } from "./function.ts";

const ASCII_MAX = 127;

export const chrFunction: SqlFunction = {
  name: "chr",
  group: "string",
  signature: "chr(code)",
  summary: "The ASCII character of a code; what is not whole is rounded down.",
  examples: [
    ["chr(65)", '"A"'],
    ["chr(49.9)", '"1"'],
    ["chr('97')", '"a"'],
    ["chr(128)", "Undefined"],
    ["chr(-1)", "Undefined"],
  ],
  argsMin: 1,
  argsMax: 1,
  pure: true,
  call([value]) {
    const code = Math.floor(toNumber(value) ?? NaN);
    return code >= 0 && code <= ASCII_MAX ? String.fromCharCode(code) : undefined;
  },
};
