import { doubleFunction } from "./double.ts";

export const asinFunction = doubleFunction(
  "asin",
  "The angle whose sine is the number, in radians.",
  [
    ["asin(0)", "0"],
    ["asin(1)", "1.5707963267948966"],
    ["asin(-2)", "Undefined"],
  ],
  Math.asin,
);
