/**
 * Text with wildcards and variables, as it stands in a policy's Resource or Condition:
 * `telemetry/${iot:Connection.Thing.ThingName}/*`. Parsed once per policy, bound to values once per connection.
 */
import { LIMITS } from "../base/mod.ts";
import { findVariable, suggestVariable } from "./variables.ts";
import type { PolicyContext, Variable } from "./variables.ts";

export type Piece =
  | { readonly kind: "text"; readonly text: string }
  /** `*`: any characters, also none, also `/`. */
  | { readonly kind: "any" }
  /** `?`: exactly one character. */
  | { readonly kind: "one" }
  | { readonly kind: "variable"; readonly variable: Variable };

/** Stands for `?` inside a glob's literal parts; refused in documents, so no text can be mistaken for it. */
export const ONE = "\uffff";

export type TemplateResult =
  | { readonly ok: true; readonly pieces: readonly Piece[] }
  | { readonly ok: false; readonly reason: string };

/** `${*}`, `${?}` and `${$}` are the characters themselves, as in IAM. */
const ESCAPES = new Set(["*", "?", "$"]);

export function parseTemplate(source: string): TemplateResult {
  if (source.includes(ONE)) return { ok: false, reason: "it holds the character U+FFFF" };
  const pieces: Piece[] = [];
  let text = "";
  const flush = (): void => {
    if (text !== "") pieces.push({ kind: "text", text });
    text = "";
  };
  for (let i = 0; i < source.length; i++) {
    const c = source[i]!;
    if (c === "*" || c === "?") {
      flush();
      pieces.push({ kind: c === "*" ? "any" : "one" });
    } else if (c === "$" && source[i + 1] === "{") {
      const end = source.indexOf("}", i);
      if (end < 0) return { ok: false, reason: `'${source.slice(i)}' has no closing brace` };
      const name = source.slice(i + 2, end);
      i = end;
      if (ESCAPES.has(name)) {
        text += name;
        continue;
      }
      const variable = findVariable(name);
      if (variable === null)
        return { ok: false, reason: `'\${${name}}' is not a policy variable${suggestVariable(name)}` };
      flush();
      pieces.push({ kind: "variable", variable });
    } else text += c;
  }
  flush();
  return { ok: true, pieces };
}

/** The value that a variable puts into a pattern, or `null` where it has none that may be put there. */
export function substitution(variable: Variable, context: PolicyContext, connecting: boolean): string | null {
  const value = variable.read(context, connecting)?.[0];
  if (value === undefined || value === "" || value.length > LIMITS.identity.certificateValueLengthMax) return null;
  // A device must not smuggle a wildcard into its own policy: AWS IoT leaves such values unsubstituted, and so do we.
  return /[*$+?#\uffff]/.test(value) ? null : value;
}

export interface BoundTemplate {
  readonly pieces: readonly Piece[];
  /** Names of the variables that have no usable value on this connection. */
  readonly unresolved: readonly string[];
}

/** Replaces variables by their values; those that have none become `fallback`. */
export function bindTemplate(
  pieces: readonly Piece[],
  context: PolicyContext,
  connecting: boolean,
  fallback: Piece,
): BoundTemplate {
  const bound: Piece[] = [];
  const unresolved: string[] = [];
  for (const piece of pieces) {
    if (piece.kind !== "variable") {
      bound.push(piece);
      continue;
    }
    const value = substitution(piece.variable, context, connecting);
    if (value === null) unresolved.push(piece.variable.name);
    bound.push(value === null ? fallback : { kind: "text", text: value });
  }
  return { pieces: bound, unresolved };
}
