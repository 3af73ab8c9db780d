import { doubleFunction } from "./double.ts";

export const sinhFunction = doubleFunction(
  "sinh",
  "The hyperbolic sine.",
  [
    ["sinh(0)", "0"],
    ["sinh(2.3)", "4.936961805545957"],
  ],
  Math.sinh,
);
