import { doubleFunction } from "./double.ts";

export const tanFunction = doubleFunction(
  "tan",
  "The tangent of an angle in radians.",
  [
    ["tan(0)", "0"],
    ["tan(3)", "-0.1425465430742778"],
  ],
  Math.tan,
);
