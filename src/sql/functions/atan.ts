import { doubleFunction } from "./double.ts";

export const atanFunction = doubleFunction(
  "atan",
  "The angle whose tangent is the number, in radians.",
  [
    ["atan(0)", "0"],
    ["atan(1)", "0.7853981633974483"],
    ["atan(NULL)", "Undefined"],
  ],
  Math.atan,
);
