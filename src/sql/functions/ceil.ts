import { Decimal } from "../decimal.ts";
import { finite, settle, toSqlNumber } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const ceilFunction: SqlFunction = {
  name: "ceil",
  group: "math",
  signature: "ceil(number)",
  summary: "Rounds up to the next integer.",
  examples: [
    ["ceil(1.2)", "2"],
    ["ceil(-1.2)", "-1"],
    ["ceil(1234567890123456789.5)", "1234567890123456790"],
    ["ceil('x')", "Undefined"],
  ],
  argsMin: 1,
  argsMax: 1,
  pure: true,
  call([value]) {
    const number = toSqlNumber(value);
    if (number instanceof Decimal) return settle(number.ceil());
    return number === undefined ? undefined : finite(Math.ceil(number));
  },
};
