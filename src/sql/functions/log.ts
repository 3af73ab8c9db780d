import { doubleFunction } from "./double.ts";

export const logFunction = doubleFunction(
  "log",
  "The logarithm to base 10; Undefined for 0 and below.",
  [
    ["log(100)", "2"],
    ["log('1000')", "3"],
    ["log(0)", "Undefined"],
  ],
  Math.log10,
);
