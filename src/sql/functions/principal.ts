import type { SqlFunction } from "./function.ts";

export const principalFunction: SqlFunction = {
  name: "principal",
  group: "message",
  signature: "principal()",
  summary: "Who sent the message: the fingerprint of the device's certificate, or the user's name.",
  examples: [["principal()", '"ba67293af50bf2506f5f93469686da660c7c844e7b3950bfb16813e0d31e9373"']],
  argsMin: 0,
  argsMax: 0,
  pure: false,
  call: (_args, input) => input.principal ?? undefined,
};
