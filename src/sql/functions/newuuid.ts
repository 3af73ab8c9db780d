import type { SqlFunction } from "./function.ts";

export const newuuidFunction: SqlFunction = {
  name: "newuuid",
  group: "message",
  signature: "newuuid()",
  summary: "A random UUID; another one in each call.",
  examples: [
    ["length(newuuid())", "36"],
    ["regexp_matches(newuuid(), '^[0-9a-f]{8}-[0-9a-f]{4}-4')", "true"],
  ],
  argsMin: 0,
  argsMax: 0,
  pure: false,
  call: (_args, input) => input.environment?.newUuid(),
};
