import type { SqlFunction } from "./function.ts";

export const clientidFunction: SqlFunction = {
  name: "clientid",
  group: "message",
  signature: "clientid()",
  summary: "The MQTT client id of the sender.",
  examples: [["clientid()", '"pi-1"']],
  argsMin: 0,
  argsMax: 0,
  pure: false,
  call: (_args, input) => input.clientId,
};
