import { finite, toNumber } from "../value.ts";
import type { SqlFunction } from "./function.ts";

type Examples = SqlFunction["examples"];

/** A function of one number that AWS IoT computes in double precision; imaginary and infinite results are Undefined. */
export function doubleFunction(
  name: string,
  summary: string,
  examples: Examples,
  compute: (number: number) => number,
): SqlFunction {
  return {
    name,
    group: "math",
    signature: `${name}(number)`,
    summary,
    examples,
    argsMin: 1,
    argsMax: 1,
    pure: true,
    call([value]) {
      const number = toNumber(value);
      return number === undefined ? undefined : finite(compute(number));
    },
  };
}
