import type { SqlFunction } from "./function.ts";

export const sqlVersionFunction: SqlFunction = {
  name: "sql_version",
  group: "message",
  signature: "sql_version()",
  summary: "The version of the rule's SQL.",
  examples: [["sql_version()", '"2016-03-23"']],
  argsMin: 0,
  argsMax: 0,
  pure: false,
  call: (_args, _input, { version }) => version,
};
