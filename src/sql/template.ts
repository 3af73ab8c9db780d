/**
 * Substitution templates: text with `${expression}` in it, evaluated against the original payload (AWS IoT: aliases of
 * the SELECT are not visible). A value without a text (Null, Undefined) leaves nothing.
 */
import { compileExpression } from "./compile.ts";
import type { Evaluate } from "./compile.ts";
import { SqlError } from "./error.ts";
import type { SqlInput } from "./input.ts";
import { parseExpression } from "./parser.ts";
import { toText } from "./value.ts";

export interface CompiledTemplate {
  readonly text: string;
  /**
   * `variables` are plain names, as in `${thing}`; they come before keys of the payload. `escape` is applied to what is
   * put in, not to the template's own text. Never throws.
   */
  render(input: SqlInput, variables?: Variables, escape?: (value: string) => string): string;
}

type Variables = Readonly<Record<string, string>>;

type Part = string | { readonly name: string | null; readonly evaluate: Evaluate };

/** Throws `SqlError`, with positions in the whole template. */
export function compileTemplate(text: string): CompiledTemplate {
  const parts: Part[] = [];
  let at = 0;
  for (;;) {
    const open = text.indexOf("${", at);
    if (open < 0) break;
    if (open > at) parts.push(text.slice(at, open));
    const close = closingBrace(text, open + 2);
    parts.push(compilePart(text, open + 2, close));
    at = close + 1;
  }
  if (at < text.length) parts.push(text.slice(at));
  return {
    text,
    render(input, variables = {}, escape = (value) => value) {
      let out = "";
      for (const part of parts) out += typeof part === "string" ? part : escape(render(part, input, variables));
      return out;
    },
  };
}

function render(part: Exclude<Part, string>, input: SqlInput, variables: Variables): string {
  if (part.name !== null && Object.hasOwn(variables, part.name)) return variables[part.name]!;
  return toText(part.evaluate(input)) ?? "";
}

function compilePart(text: string, from: number, to: number): Part {
  const source = text.slice(from, to);
  try {
    const expression = parseExpression(source);
    const name = expression.kind === "path" && expression.path.length === 1 ? expression.path[0]! : null;
    return { name, evaluate: compileExpression(expression) };
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    throw new SqlError(text, { position: from + error.position, reason: error.reason, hint: error.hint });
  }
}

/** The brace that ends the expression: not one inside a string or an object literal. */
function closingBrace(text: string, from: number): number {
  let depth = 0;
  let quote: string | null = null;
  for (let i = from; i < text.length; i++) {
    const c = text[i]!;
    if (quote !== null) {
      if (c === quote) quote = null;
    } else if (c === "'" || c === '"') quote = c;
    else if (c === "{") depth++;
    else if (c === "}" && depth-- === 0) return i;
  }
  throw new SqlError(text, { position: from - 2, reason: "this ${ has no closing }", hint: null });
}
