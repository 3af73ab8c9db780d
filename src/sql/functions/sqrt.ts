import { finite, toNumber } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const sqrtFunction: SqlFunction = {
  name: "sqrt",
  signature: "sqrt(number)",
  summary: "The square root; Undefined for a negative number.",
  examples: [
    ["sqrt(9)", "3"],
    ["sqrt(-1)", "Undefined"],
  ],
  argsMin: 1,
  argsMax: 1,
  pure: true,
  call([value]) {
    const number = toNumber(value);
    return number === undefined ? undefined : finite(Math.sqrt(number));
  },
};
