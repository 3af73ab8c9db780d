import { doubleFunction } from "./double.ts";

export const cosFunction = doubleFunction(
  "cos",
  "The cosine of an angle in radians.",
  [
    ["cos(0)", "1"],
    ["cos(true)", "Undefined"],
  ],
  Math.cos,
);
