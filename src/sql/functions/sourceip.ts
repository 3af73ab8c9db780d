import type { SqlFunction } from "./function.ts";

export const sourceipFunction: SqlFunction = {
  name: "sourceip",
  group: "message",
  signature: "sourceip()",
  summary: "The address that the message came from; Undefined where it is not known.",
  examples: [["sourceip()", '"192.0.2.7"']],
  argsMin: 0,
  argsMax: 0,
  pure: false,
  call: (_args, input) => input.sourceIp ?? undefined,
};
