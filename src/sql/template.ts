/**
 * Substitution templates: text with `${expression}` in it, evaluated against the original payload (AWS IoT: aliases of
 * the SELECT are not visible). A value without a text (Null, Undefined) leaves nothing.
 */
import type { Externals } from "./answers.ts";
import { newContext, refilling } from "./compile.ts";
import { SqlError } from "./error.ts";
import { compileExpression } from "./expressions.ts";
import type { SqlInput } from "./input.ts";
import { parseExpression } from "./parser.ts";
import { Variables } from "./scope.ts";
import type { CompileContext, Evaluate } from "./scope.ts";
import { toText } from "./value.ts";
import { DEFAULT_SQL_VERSION } from "./version.ts";
import type { SqlVersion } from "./version.ts";

export interface CompiledTemplate {
  readonly text: string;
  /**
   * `names` are plain names, as in `${thing}`; they come before keys of the payload. `escape` is applied to what is
   * put in, not to the template's own text. Never throws.
   */
  render(input: SqlInput, names?: Names, escape?: (value: string) => string): string;
}

/** Plain names of the caller, as in `${thing}`. */
type Names = Readonly<Record<string, string>>;

/** The statement whose action the template belongs to: its version and its SET variables. */
export interface TemplateScope {
  readonly version?: SqlVersion;
  readonly variables?: Variables;
  /**
   * Takes the calls of external functions, of any number of templates: who renders them prepares the message with it. Without
   * it a template that calls one is refused.
   */
  readonly calls?: Externals;
}

type Part = string | { readonly name: string | null; readonly evaluate: Evaluate };

/** Throws `SqlError`, with positions in the whole template. */
export function compileTemplate(text: string, scope: TemplateScope = {}): CompiledTemplate {
  const { version = DEFAULT_SQL_VERSION, variables = new Variables(), calls } = scope;
  const bare = newContext(version, variables, false);
  const context = calls === undefined ? bare : { ...bare, externals: calls };
  const parts: Part[] = [];
  let at = 0;
  for (;;) {
    const open = text.indexOf("${", at);
    if (open < 0) break;
    if (open > at) parts.push(text.slice(at, open));
    const close = closingBrace(text, open + 2);
    parts.push(compilePart(text, open + 2, close, context, calls !== undefined));
    at = close + 1;
  }
  if (at < text.length) parts.push(text.slice(at));
  return {
    text,
    render(input, names = {}, escape = (value) => value) {
      let out = "";
      for (const part of parts) out += typeof part === "string" ? part : escape(render(part, input, names));
      return out;
    },
  };
}

function render(part: Exclude<Part, string>, input: SqlInput, names: Names): string {
  if (part.name !== null && Object.hasOwn(names, part.name)) return names[part.name]!;
  return toText(part.evaluate(input)) ?? "";
}

function cannotAsk(name: string): { readonly reason: string; readonly hint: string } {
  return {
    reason: `${name}() cannot be asked here`,
    hint: "Ask in the statement, with SET @answer = …, and write ${@answer} here.",
  };
}

function compilePart(text: string, from: number, to: number, context: CompileContext, mayAsk: boolean): Part {
  const source = text.slice(from, to);
  try {
    const expression = parseExpression(source, { version: context.version, variables: context.variables.names });
    const name = expression.kind === "path" && expression.path.length === 1 ? expression.path[0]! : null;
    const evaluate = refilling(context.budget, compileExpression(expression, context));
    const [call] = context.externals.calls;
    if (call !== undefined && !mayAsk) throw new SqlError(source, { position: expression.at, ...cannotAsk(call.name) });
    return { name, evaluate };
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
