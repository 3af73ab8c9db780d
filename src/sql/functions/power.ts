import { finite, toNumber } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const powerFunction: SqlFunction = {
  name: "power",
  group: "math",
  signature: "power(base, exponent)",
  summary: "The base raised to the exponent.",
  examples: [
    ["power(2, 5)", "32"],
    ["power('2', -1)", "0.5"],
    ["power(10, 400)", "Undefined"],
  ],
  argsMin: 2,
  argsMax: 2,
  pure: true,
  call([base, exponent]) {
    const left = toNumber(base);
    const right = toNumber(exponent);
    return left === undefined || right === undefined ? undefined : finite(left ** right);
  },
};
