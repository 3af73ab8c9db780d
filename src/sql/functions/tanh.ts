import { doubleFunction } from "./double.ts";

export const tanhFunction = doubleFunction(
  "tanh",
  "The hyperbolic tangent.",
  [
    ["tanh(0)", "0"],
    ["tanh(2.3)", "0.9800963962661914"],
  ],
  Math.tanh,
);
