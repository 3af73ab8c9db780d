import type { SqlFunction } from "./function.ts";

export const accountidFunction: SqlFunction = {
  name: "accountid",
  group: "message",
  signature: "accountid()",
  summary: "The id of the account that the rule belongs to: here, of this platform.",
  examples: [["accountid()", '"123456789012"']],
  argsMin: 0,
  argsMax: 0,
  pure: false,
  call: (_args, input) => input.environment?.accountId,
};
