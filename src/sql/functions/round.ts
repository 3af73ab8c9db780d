import { roundAway, toNumber } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const roundFunction: SqlFunction = {
  name: "round",
  signature: "round(number)",
  summary: "Rounds to the nearest integer, halves away from zero.",
  examples: [
    ["round(1.5)", "2"],
    ["round(-1.5)", "-2"],
    ["round(-1.1)", "-1"],
  ],
  argsMin: 1,
  argsMax: 1,
  pure: true,
  call([value]) {
    const number = toNumber(value);
    return number === undefined ? undefined : roundAway(number);
  },
};
