import type { SqlFunction } from "./function.ts";

export const nanvlFunction: SqlFunction = {
  name: "nanvl",
  group: "type",
  signature: "nanvl(value, otherwise)",
  summary: "The value, or the second argument where the first is Null or Undefined.",
  examples: [
    ["nanvl(8, 3)", "8"],
    ["nanvl(NULL, 3)", "3"],
    ["nanvl(abs('x'), 3)", "3"],
  ],
  argsMin: 2,
  argsMax: 2,
  pure: true,
  call: ([value, otherwise]) => value ?? otherwise,
};
