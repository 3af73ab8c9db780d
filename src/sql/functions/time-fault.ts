import { TimePatternError } from "../time/names.ts";
import type { Expression } from "../tree.ts";
import { literalText } from "./function.ts";
import type { ArgumentFault } from "./function.ts";

/** What is wrong with a time pattern that stands in the statement. */
export function timeFault(
  args: readonly Expression[],
  argument: number,
  compile: (pattern: string) => unknown,
): ArgumentFault | null {
  const pattern = literalText(args, argument);
  if (pattern === null) return null;
  try {
    compile(pattern);
    return null;
  } catch (error) {
    if (!(error instanceof TimePatternError)) throw error;
    const reason = `the time pattern is wrong at its character ${error.position + 1}: ${error.message}`;
    return { argument, reason, hint: null };
  }
}
