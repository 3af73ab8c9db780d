import { toNumber } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const floorFunction: SqlFunction = {
  name: "floor",
  signature: "floor(number)",
  summary: "Rounds down to the next integer.",
  examples: [
    ["floor(1.2)", "1"],
    ["floor(-1.2)", "-2"],
    ["floor([1])", "Undefined"],
  ],
  argsMin: 1,
  argsMax: 1,
  pure: true,
  call([value]) {
    const number = toNumber(value);
    return number === undefined ? undefined : Math.floor(number);
  },
};
