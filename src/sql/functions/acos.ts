import { doubleFunction } from "./double.ts";

export const acosFunction = doubleFunction(
  "acos",
  "The angle whose cosine is the number, in radians.",
  [
    ["acos(0)", "1.5707963267948966"],
    ["acos('1')", "0"],
    ["acos(2)", "Undefined"],
  ],
  Math.acos,
);
