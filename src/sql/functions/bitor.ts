import { bitwise } from "./bits.ts";
import type { SqlFunction } from "./function.ts";

export const bitorFunction: SqlFunction = {
  name: "bitor",
  group: "bits",
  signature: "bitor(a, b)",
  summary: "Bitwise OR of two integers (two's complement); what is not whole is rounded down.",
  examples: [
    ["bitor(8, 5)", "13"],
    ["bitor(8, 'x')", "Undefined"],
  ],
  argsMin: 2,
  argsMax: 2,
  pure: true,
  call: (args) =>
    bitwise(
      args,
      (a, b) => a | b,
      (a, b) => a | b,
    ),
};
