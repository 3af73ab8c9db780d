/** Calls of functions → closures. */
import { answerOf } from "./answers.ts";
import type { ExternalCall } from "./answers.ts";
import { CallSite } from "./functions/function.ts";
import type { SqlFunction } from "./functions/function.ts";
import type { SqlInput } from "./input.ts";
import { messageOf } from "./scope.ts";
import type { CompileContext, Evaluate } from "./scope.ts";
import type { SqlValue } from "./value.ts";

type Apply = (values: readonly SqlValue[], input: SqlInput) => SqlValue;

/**
 * `star`: `*` is among the arguments. `waits`: an argument may depend on the answer of an external function. `of`: the literal
 * that says what such a function is asked.
 */
export interface CallShape {
  readonly star: boolean;
  readonly of: string | null;
  readonly waits: boolean;
}

export function callOf(
  spec: SqlFunction,
  args: readonly Evaluate[],
  shape: CallShape,
  context: CompileContext,
): Evaluate {
  if (spec.external !== undefined) return externalCall(spec.external, args, shape, context);
  const site = new CallSite(context.version);
  const star = shape.star ? spec.star! : null;
  const apply: Apply =
    star === null ? (values, input) => spec.call(values, input, site) : (values, input) => star.call(values, input);
  if (context.inRows) return rowCall(apply, args, shape, context);
  if (args.length === 0) return (input) => apply([], input);
  if (args.length === 1) {
    const only = args[0]!;
    return (input) => apply([only(input)], input);
  }
  return (input) =>
    apply(
      args.map((arg) => arg(input)),
      input,
    );
}

/** In a nested SELECT: paid for by the texts that the function reads. It sees the message, but for `*`. */
function rowCall(apply: Apply, args: readonly Evaluate[], { star }: CallShape, { budget }: CompileContext): Evaluate {
  return (input) => {
    const values = args.map((arg) => arg(input));
    let cost = 1;
    for (const value of values) if (typeof value === "string") cost += value.length;
    return budget.spend(cost) ? apply(values, star ? input : messageOf(input)) : undefined;
  };
}

function externalCall(
  external: NonNullable<SqlFunction["external"]>,
  args: readonly Evaluate[],
  shape: CallShape,
  context: CompileContext,
): Evaluate {
  const call: ExternalCall = { name: external.name, external, args, ...shape };
  context.externals.add(call);
  return (input) => answerOf(call, input);
}
