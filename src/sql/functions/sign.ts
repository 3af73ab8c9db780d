import { Decimal } from "../decimal.ts";
import { finite, toSqlNumber } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const signFunction: SqlFunction = {
  name: "sign",
  group: "math",
  signature: "sign(number)",
  summary: "-1, 0 or 1, as the number is negative, zero or positive.",
  examples: [
    ["sign(-7)", "-1"],
    ["sign(0)", "0"],
    ["sign('13')", "1"],
    ["sign(NULL)", "Undefined"],
  ],
  argsMin: 1,
  argsMax: 1,
  pure: true,
  call([value]) {
    const number = toSqlNumber(value);
    if (number instanceof Decimal) return number.sign;
    return number === undefined ? undefined : finite(Math.sign(number));
  },
};
