import { floorOf } from "../cast.ts";
import { toSqlNumber } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const floorFunction: SqlFunction = {
  name: "floor",
  group: "math",
  signature: "floor(number)",
  summary: "Rounds down to the next integer.",
  examples: [
    ["floor(1.2)", "1"],
    ["floor(-1.2)", "-2"],
    ["floor(-1234567890123456789.5)", "-1234567890123456790"],
    ["floor([1])", "Undefined"],
  ],
  argsMin: 1,
  argsMax: 1,
  pure: true,
  call: ([value]) => floorOf(toSqlNumber(value)),
};
