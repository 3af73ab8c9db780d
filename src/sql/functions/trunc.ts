import { decimalOf } from "../arithmetic.ts";
import { settle, toNumber, toSqlNumber } from "../value.ts";
import type { SqlFunction } from "./function.ts";

const PLACES_MAX = 34;

export const truncFunction: SqlFunction = {
  name: "trunc",
  group: "math",
  signature: "trunc(number, places)",
  summary: "Cuts the number after that many decimal places (0 to 34).",
  examples: [
    ["trunc(2.3, 0)", "2"],
    ["trunc(2.3123, 2)", "2.31"],
    ["trunc(2.888, 2)", "2.88"],
    ["trunc(2.00, 5)", "2"],
    ["trunc(-2.39, 1)", "-2.3"],
    ["trunc(2.55, 1.9)", "2.5"],
    ["trunc(2.55, -3)", "2"],
    ["trunc(2.5, 'x')", "Undefined"],
  ],
  argsMin: 2,
  argsMax: 2,
  pure: true,
  call([value, places]) {
    const number = toSqlNumber(value);
    const digits = toNumber(places);
    if (number === undefined || digits === undefined) return undefined;
    return settle(decimalOf(number).truncated(Math.min(PLACES_MAX, Math.max(0, Math.floor(digits)))));
  },
};
