import { finite, toNumber } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const signFunction: SqlFunction = {
  name: "sign",
  signature: "sign(number)",
  summary: "-1, 0 or 1, as the number is negative, zero or positive.",
  examples: [
    ["sign(-7)", "-1"],
    ["sign(0)", "0"],
    ["sign('13')", "1"],
  ],
  argsMin: 1,
  argsMax: 1,
  pure: true,
  call([value]) {
    const number = toNumber(value);
    return number === undefined ? undefined : finite(Math.sign(number));
  },
};
