import { doubleFunction } from "./double.ts";

export const coshFunction = doubleFunction(
  "cosh",
  "The hyperbolic cosine.",
  [
    ["cosh(0)", "1"],
    ["cosh(2.3)", "5.037220649268761"],
    ["cosh(1000)", "Undefined"],
  ],
  Math.cosh,
);
