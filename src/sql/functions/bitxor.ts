import { bitwise } from "./bits.ts";
import type { SqlFunction } from "./function.ts";

export const bitxorFunction: SqlFunction = {
  name: "bitxor",
  group: "bits",
  signature: "bitxor(a, b)",
  summary: "Bitwise exclusive OR of two integers (two's complement); what is not whole is rounded down.",
  examples: [
    ["bitxor(13, 5)", "8"],
    ["bitxor(-1, 5)", "-6"],
    ["bitxor(1, NULL)", "Undefined"],
  ],
  argsMin: 2,
  argsMax: 2,
  pure: true,
  call: (args) =>
    bitwise(
      args,
      (a, b) => a ^ b,
      (a, b) => a ^ b,
    ),
};
