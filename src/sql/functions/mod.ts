import { remainder } from "../arithmetic.ts";
import { toSqlNumber } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const modFunction: SqlFunction = {
  name: "mod",
  group: "math",
  signature: "mod(dividend, divisor)",
  summary: "The remainder of a division, with the sign of the dividend; the same as remainder() and %.",
  examples: [
    ["mod(8, 3)", "2"],
    ["mod(-8, 3)", "-2"],
    ["mod('7.5', 2)", "1.5"],
    ["mod(8, 0)", "Undefined"],
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
