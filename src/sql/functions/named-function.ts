/** What `function` and `aws_lambda` have in common: a configured function, and what it is given. */
import type { SqlFunction } from "./function.ts";

export function namedFunction(
  name: "function" | "aws_lambda",
): Omit<SqlFunction, "name" | "group" | "signature" | "summary" | "examples"> {
  return {
    argsMin: 2,
    argsMax: 2,
    pure: false,
    fixedArguments: [],
    call: () => undefined,
    star: { argument: 1, call: () => undefined },
    external: {
      name,
      request([called, payload], input, star) {
        if (typeof called !== "string") return null;
        const given = star ? (input.json() ?? input.payload) : payload;
        return given === undefined ? null : { name, function: called, payload: given };
      },
      answer: (value) => value,
    },
  };
}
