import type { SqlFunction } from "./function.ts";

export const isUndefinedFunction: SqlFunction = {
  name: "isUndefined",
  group: "type",
  since: "2016-03-23",
  signature: "isUndefined(value)",
  summary: "Whether there is no value, for example because the key is missing.",
  examples: [
    ["isUndefined(5)", "false"],
    ["isUndefined(floor([1, 2, 3]))", "true"],
    ["isUndefined(NULL)", "false"],
  ],
  argsMin: 1,
  argsMax: 1,
  pure: true,
  call: ([value]) => value === undefined,
};
