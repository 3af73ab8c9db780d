import { doubleFunction } from "./double.ts";

export const sinFunction = doubleFunction(
  "sin",
  "The sine of an angle in radians.",
  [
    ["sin(0)", "0"],
    ["sin([])", "Undefined"],
  ],
  Math.sin,
);
