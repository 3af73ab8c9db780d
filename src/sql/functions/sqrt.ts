import { doubleFunction } from "./double.ts";

export const sqrtFunction = doubleFunction(
  "sqrt",
  "The square root; Undefined for a negative number.",
  [
    ["sqrt(9)", "3"],
    ["sqrt('2.25')", "1.5"],
    ["sqrt(-1)", "Undefined"],
  ],
  Math.sqrt,
);
