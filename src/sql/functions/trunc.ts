import { finite, toInt, toNumber } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const truncFunction: SqlFunction = {
  name: "trunc",
  signature: "trunc(number, places)",
  summary: "Cuts the number after that many decimal places (0 to 34).",
  examples: [
    ["trunc(2.3127, 2)", "2.31"],
    ["trunc(2.8888, 0)", "2"],
    ["trunc(-2.39, 1)", "-2.3"],
    ["trunc(2.5, 'x')", "Undefined"],
  ],
  argsMin: 2,
  argsMax: 2,
  pure: true,
  call([value, places]) {
    const number = toNumber(value);
    const digits = toInt(places);
    if (number === undefined || digits === undefined) return undefined;
    // Cut the written form: multiplying by a power of ten would turn 1.15 into 1.14.
    const [whole, exponent] = String(number).split("e");
    if (exponent !== undefined) return finite(Number(exponent) > 0 ? number : 0);
    const point = whole!.indexOf(".");
    if (point < 0) return number;
    return finite(Number(whole!.slice(0, point + 1 + Math.min(34, Math.max(0, digits)))));
  },
};
