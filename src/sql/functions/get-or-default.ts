import type { SqlFunction } from "./function.ts";

export const getOrDefaultFunction: SqlFunction = {
  name: "get_or_default",
  group: "type",
  signature: "get_or_default(value, otherwise)",
  summary: "The value, or the second argument where the first is Undefined.",
  examples: [
    ["get_or_default(8, 3)", "8"],
    ["get_or_default(NULL, 3)", "null"],
    ["get_or_default(abs('x'), 3)", "3"],
  ],
  argsMin: 2,
  argsMax: 2,
  pure: true,
  call: ([value, otherwise]) => (value === undefined ? otherwise : value),
};
