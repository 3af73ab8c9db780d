import type { SqlFunction } from "./function.ts";

export const traceidFunction: SqlFunction = {
  name: "traceid",
  group: "message",
  signature: "traceid()",
  summary: "An id of the message, the same in logs and in a replay; Undefined where it was not sent over MQTT.",
  examples: [["traceid()", '"12345678-1234-1234-1234-123456789012"']],
  argsMin: 0,
  argsMax: 0,
  pure: false,
  call: (_args, input) => input.traceId ?? undefined,
};
