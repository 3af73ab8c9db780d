import { remainder } from "../arithmetic.ts";
import { toSqlNumber } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const remainderFunction: SqlFunction = {
  name: "remainder",
  group: "math",
  signature: "remainder(dividend, divisor)",
  summary: "The remainder of a division, with the sign of the dividend; the same as mod() and %.",
  examples: [
    ["remainder(8, 3)", "2"],
    ["remainder(-8, 3)", "-2"],
    ["remainder('7.5', 2)", "1.5"],
    ["remainder(8, 0)", "Undefined"],
  ],
  argsMin: 2,
  argsMax: 2,
  pure: true,
  call([dividend, divisor]) {
    const left = toSqlNumber(dividend);
    const right = toSqlNumber(divisor);
    return left === undefined || right === undefined ? undefined : remainder(left, right);
  },
};
