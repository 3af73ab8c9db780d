import { finite, toNumber } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const modFunction: SqlFunction = {
  name: "mod",
  signature: "mod(dividend, divisor)",
  summary: "The remainder of a division, with the sign of the dividend; the same as %.",
  examples: [
    ["mod(8, 3)", "2"],
    ["mod(-8, 3)", "-2"],
    ["mod(8, 0)", "Undefined"],
  ],
  argsMin: 2,
  argsMax: 2,
  pure: true,
  call([dividend, divisor]) {
    const left = toNumber(dividend);
    const right = toNumber(divisor);
    return left === undefined || right === undefined ? undefined : finite(left % right);
  },
};
