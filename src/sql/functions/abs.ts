import { Decimal } from "../decimal.ts";
import { toSqlNumber } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const absFunction: SqlFunction = {
  name: "abs",
  group: "math",
  signature: "abs(number)",
  summary: "The absolute value.",
  examples: [
    ["abs(-5)", "5"],
    ["abs('-5.123')", "5.123"],
    ["abs(-12345678901234567890)", "12345678901234567890"],
    ["abs(true)", "Undefined"],
  ],
  argsMin: 1,
  argsMax: 1,
  pure: true,
  call([value]) {
    const number = toSqlNumber(value);
    if (number instanceof Decimal) return number.sign < 0 ? number.negated() : number;
    return number === undefined ? undefined : Math.abs(number);
  },
};
