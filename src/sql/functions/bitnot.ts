import { bitwise } from "./bits.ts";
import type { SqlFunction } from "./function.ts";

export const bitnotFunction: SqlFunction = {
  name: "bitnot",
  group: "bits",
  signature: "bitnot(a)",
  summary: "Bitwise NOT of an integer (two's complement); what is not whole is rounded down.",
  examples: [
    ["bitnot(13)", "-14"],
    ["bitnot(-1)", "0"],
    ["bitnot('2.9')", "-3"],
    ["bitnot([])", "Undefined"],
  ],
  argsMin: 1,
  argsMax: 1,
  pure: true,
  call: ([value]) =>
    bitwise(
      [value, -1],
      (a, b) => a ^ b,
      (a, b) => a ^ b,
    ),
};
