import type { SqlFunction } from "./function.ts";
import { namedFunction } from "./named-function.ts";

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
  ...namedFunction("function"),
};
