import type { SqlFunction } from "./function.ts";

export const isNullFunction: SqlFunction = {
  name: "isNull",
  group: "type",
  signature: "isNull(value)",
  summary: "Whether the value is null.",
  examples: [
    ["isNull(5)", "false"],
    ["isNull(NULL)", "true"],
    ["isNull(floor('x'))", "false"],
  ],
  argsMin: 1,
  argsMax: 1,
  pure: true,
  call: ([value]) => value === null,
};
