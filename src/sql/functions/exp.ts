import { doubleFunction } from "./double.ts";

export const expFunction = doubleFunction(
  "exp",
  "e raised to the number.",
  [
    ["exp(0)", "1"],
    ["exp(1)", "2.718281828459045"],
    ["exp(1000)", "Undefined"],
  ],
  Math.exp,
);
