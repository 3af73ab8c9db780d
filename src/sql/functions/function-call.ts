import type { SqlFunction } from "./function.ts";

export const functionFunction: SqlFunction = {
  name: "function",
  group: "external",
  signature: "function(name, input)",
  summary:
    "Tidewire: what a configured function makes of a JSON value, or with * of the whole payload. A function is an HTTP endpoint or a program (`functions` of the configuration). It has 2 seconds.",
  examples: [
    ["function('double', {'n': 21}).n", "42"],
    ["function('double', *).n", "10"],
    ["function(NULL, {})", "Undefined"],
  ],
  argsMin: 2,
  argsMax: 2,
  pure: false,
  fixedArguments: [],
  call: () => undefined,
  star: { argument: 1, call: () => undefined },
  external: {
    name: "function",
    request([name, payload], input, star) {
      if (typeof name !== "string") return null;
      const given = star ? (input.json() ?? input.payload) : payload;
      return given === undefined ? null : { name: "function", function: name, payload: given };
    },
    answer: (value) => value,
  },
};
