import { LinearRegExp } from "../regexp/regexp.ts";
import { PatternError } from "../regexp/syntax.ts";
import type { SqlInput } from "../input.ts";
import type { Expression } from "../tree.ts";
import { toText } from "../value.ts";
import type { SqlValue } from "../value.ts";
import { literalText } from "./function.ts";
import type { ArgumentFault, CallSite } from "./function.ts";

/** What is wrong with a pattern that stands in the statement. */
export function patternFault(args: readonly Expression[], argument: number): ArgumentFault | null {
  const pattern = literalText(args, argument);
  const made = pattern === null ? null : compile(pattern, false);
  if (!(made instanceof PatternError)) return null;
  const reason = `the regular expression is wrong at its character ${made.position + 1}: ${made.reason}`;
  return { argument, reason, hint: "Known are the forms of docs/reference/sql.md." };
}

/** The pattern as given; Undefined where it is none, which is noted. */
export function patternOf(
  value: SqlValue,
  capturing: boolean,
  input: SqlInput,
  site: CallSite,
): LinearRegExp | undefined {
  const text = toText(value);
  if (text === undefined) return undefined;
  const made = site.remember(text, (pattern) => compile(pattern, capturing));
  if (made instanceof LinearRegExp) return made;
  input.note?.(`the regular expression is wrong at its character ${made.position + 1}: ${made.reason}`);
  return undefined;
}

function compile(pattern: string, capturing: boolean): LinearRegExp | PatternError {
  try {
    return new LinearRegExp(pattern, capturing);
  } catch (error) {
    if (error instanceof PatternError) return error;
    throw error;
  }
}

export function noteTooMuch(input: SqlInput): undefined {
  input.note?.("a regular expression needs too many steps for a text of this length");
}
