import type { SqlFunction } from "./function.ts";

export const thingFunction: SqlFunction = {
  name: "thing",
  group: "message",
  signature: "thing()",
  summary: "Tidewire's addition: the thing that published the message; a publisher without one stands for itself.",
  examples: [["thing()", '"pi-1"']],
  argsMin: 0,
  argsMax: 0,
  pure: false,
  call: (_args, input) => input.thing ?? input.clientId,
};
