import type { Expression } from "../tree.ts";
import { literalText } from "./function.ts";
import type { ArgumentFault } from "./function.ts";

/** The second argument of encode() and decode() names a scheme. */
export function schemeFault(args: readonly Expression[], schemes: readonly string[]): ArgumentFault | null {
  const scheme = literalText(args, 1);
  if (scheme === null || schemes.includes(scheme)) return null;
  const known = schemes.map((name) => `'${name}'`).join(" and ");
  return { argument: 1, reason: `there is no scheme '${scheme.slice(0, 40)}'`, hint: `Known is ${known}.` };
}
