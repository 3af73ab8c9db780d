import { Decimal } from "../decimal.ts";
import { roundAway, settle, toSqlNumber } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const roundFunction: SqlFunction = {
  name: "round",
  group: "math",
  signature: "round(number)",
  summary: "Rounds to the nearest integer, halves away from zero. Takes no number of places; trunc() does.",
  examples: [
    ["round(1.2)", "1"],
    ["round(1.5)", "2"],
    ["round(1.7)", "2"],
    ["round(-1.1)", "-1"],
    ["round(-1.5)", "-2"],
    ["round('2.5')", "3"],
  ],
  argsMin: 1,
  argsMax: 1,
  pure: true,
  call([value]) {
    const number = toSqlNumber(value);
    if (number instanceof Decimal) return settle(number.rounded());
    return number === undefined ? undefined : roundAway(number);
  },
};
