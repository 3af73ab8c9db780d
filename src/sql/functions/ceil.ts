import { finite, toNumber } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const ceilFunction: SqlFunction = {
  name: "ceil",
  signature: "ceil(number)",
  summary: "Rounds up to the next integer.",
  examples: [
    ["ceil(1.2)", "2"],
    ["ceil(-1.2)", "-1"],
    ["ceil('x')", "Undefined"],
  ],
  argsMin: 1,
  argsMax: 1,
  pure: true,
  call([value]) {
    const number = toNumber(value);
    return number === undefined ? undefined : finite(Math.ceil(number));
  },
};
