import type { SqlFunction } from "./function.ts";

export const awsLambdaFunction: SqlFunction = {
  name: "aws_lambda",
  group: "external",
  signature: "aws_lambda(function, input)",
  summary: "What a function makes of a JSON value, or with * of the whole payload. It has 2 seconds.",
  examples: [
    ["aws_lambda('double', {'n': 21}).n", "42"],
    ["aws_lambda('double', *).n", "10"],
    ["aws_lambda(NULL, {})", "Undefined"],
  ],
  argsMin: 2,
  argsMax: 2,
  pure: false,
  fixedArguments: [],
  call: () => undefined,
  star: { argument: 1, call: () => undefined },
  external: {
    name: "aws_lambda",
    request([name, payload], input, star) {
      if (typeof name !== "string") return null;
      const given = star ? (input.json() ?? input.payload) : payload;
      return given === undefined ? null : { name: "aws_lambda", function: name, payload: given };
    },
    answer: (value) => value,
  },
};
