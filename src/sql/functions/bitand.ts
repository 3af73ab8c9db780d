import { bitwise } from "./bits.ts";
import type { SqlFunction } from "./function.ts";

export const bitandFunction: SqlFunction = {
  name: "bitand",
  group: "bits",
  signature: "bitand(a, b)",
  summary: "Bitwise AND of two integers (two's complement); what is not whole is rounded down.",
  examples: [
    ["bitand(13, 5)", "5"],
    ["bitand(13.9, '5')", "5"],
    ["bitand(12345678901234567890, 255)", "210"],
    ["bitand(1, true)", "Undefined"],
  ],
  argsMin: 2,
  argsMax: 2,
  pure: true,
  call: (args) =>
    bitwise(
      args,
      (a, b) => a & b,
      (a, b) => a & b,
    ),
};
