import { toNumber } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const absFunction: SqlFunction = {
  name: "abs",
  signature: "abs(number)",
  summary: "The absolute value.",
  examples: [
    ["abs(-5)", "5"],
    ["abs('-5.123')", "5.123"],
    ["abs(true)", "Undefined"],
  ],
  argsMin: 1,
  argsMax: 1,
  pure: true,
  call([value]) {
    const number = toNumber(value);
    return number === undefined ? undefined : Math.abs(number);
  },
};
