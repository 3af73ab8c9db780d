import type { SqlFunction } from "./function.ts";

export const getThingShadowFunction: SqlFunction = {
  name: "get_thing_shadow",
  group: "external",
  since: "2016-03-23",
  signature: "get_thing_shadow(thing[, shadow], role)",
  summary:
    "The shadow of a thing, with state, metadata, version and timestamp. The role is asked for as on AWS; rights here are the rule's.",
  examples: [
    ["get_thing_shadow('pi-1', 'role').state.reported.alarm", '"ON"'],
    ["get_thing_shadow('pi-1', 'config', 'role').state.desired.mode", '"eco"'],
    ["get_thing_shadow(NULL, 'role')", "Undefined"],
  ],
  argsMin: 2,
  argsMax: 3,
  pure: false,
  fixedArguments: [-1],
  call: () => undefined,
  external: {
    name: "get_thing_shadow",
    request([thing, second, third]) {
      const [shadow, role] = third === undefined ? [null, second] : [second, third];
      if (typeof thing !== "string" || typeof role !== "string") return null;
      if (shadow !== null && typeof shadow !== "string") return null;
      return { name: "get_thing_shadow", thing, shadow, role };
    },
    answer: (value) => value,
  },
};
