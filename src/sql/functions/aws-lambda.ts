import type { SqlFunction } from "./function.ts";
import { namedFunction } from "./named-function.ts";

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
  ...namedFunction("aws_lambda"),
};
