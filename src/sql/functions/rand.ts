import type { SqlFunction } from "./function.ts";

export const randFunction: SqlFunction = {
  name: "rand",
  group: "math",
  signature: "rand()",
  summary: "A random number from 0 up to, but not, 1; another one in each call.",
  examples: [["rand() < 1", "true"]],
  argsMin: 0,
  argsMax: 0,
  pure: false,
  call: (_args, input) => input.environment?.random(),
};
