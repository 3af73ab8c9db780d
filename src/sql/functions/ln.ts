import { doubleFunction } from "./double.ts";

export const lnFunction = doubleFunction(
  "ln",
  "The natural logarithm; Undefined for 0 and below.",
  [
    ["ln(1)", "0"],
    ["ln(exp(1))", "1"],
    ["ln(0)", "Undefined"],
    ["ln(-1)", "Undefined"],
  ],
  Math.log,
);
