import type { SqlFunction } from "./function.ts";

export const timestampFunction: SqlFunction = {
  name: "timestamp",
  group: "time",
  signature: "timestamp()",
  summary: "When the platform accepted the message, in milliseconds since 1970. A replay gives the same time again.",
  examples: [["timestamp()", "1767225600000"]],
  argsMin: 0,
  argsMax: 0,
  pure: false,
  call: (_args, input) => input.receivedAt,
};
