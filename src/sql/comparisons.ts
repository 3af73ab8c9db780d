/** What a condition holds against numbers: `cpu.percent > 90`. For people who look at it: a chart draws the lines. */
import { parseExpression, parseSql } from "./parser.ts";
import { childrenOf } from "./tree.ts";
import type { BinaryOperator, Expression } from "./tree.ts";
import { toNumber } from "./value.ts";
import type { SqlVersion } from "./version.ts";

export interface Comparison {
  /** Keys of the payload, with points between them; also where a function is held against the number: `avg(a.b) > 5`. */
  readonly field: string;
  readonly operator: "<" | "<=" | ">" | ">=" | "=" | "<>";
  readonly value: number;
}

const MIRRORED = { "<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>" } as const;

/** Of WHERE, THEN and HAVING. Throws `SqlError`. */
export function comparisonsOf(sql: string, version?: SqlVersion): readonly Comparison[] {
  const { where, state } = parseSql(sql, version === undefined ? {} : { version });
  const pattern = state?.pattern ?? null;
  const steps = pattern?.kind === "sequence" ? pattern.steps : [];
  return [where, ...steps, state?.having ?? null].flatMap((one) => (one === null ? [] : found(one)));
}

/** Of an expression that stands by itself, of a statement with these variables. Throws `SqlError`. */
export function comparisonsIn(
  expression: string,
  options: { readonly version?: SqlVersion } = {},
): readonly Comparison[] {
  return found(parseExpression(expression, options));
}

/** The only field that an expression speaks of; null: there are none, or several. Throws `SqlError`. */
export function fieldOf(expression: string, options: { readonly version?: SqlVersion } = {}): string | null {
  return onlyField(parseExpression(expression, options));
}

/** Behind a NOT the sides are other ones; there is no line to draw for it. */
function found(expression: Expression): Comparison[] {
  if (expression.kind !== "binary") return [];
  const { operator, left, right } = expression;
  if (operator === "and" || operator === "or") return [...found(left), ...found(right)];
  if (!isComparison(operator)) return [];
  const [field, value] = [onlyField(left), numberOf(right)];
  if (field !== null && value !== null) return [{ field, operator, value }];
  const [other, number] = [onlyField(right), numberOf(left)];
  return other === null || number === null ? [] : [{ field: other, operator: MIRRORED[operator], value: number }];
}

function isComparison(operator: BinaryOperator): operator is Comparison["operator"] {
  return Object.hasOwn(MIRRORED, operator);
}

function numberOf(expression: Expression): number | null {
  if (expression.kind === "unary" && expression.operator === "-") {
    const value = numberOf(expression.of);
    return value === null ? null : -value;
  }
  if (expression.kind !== "literal" || typeof expression.value === "string") return null;
  const { value } = expression;
  return value === null || typeof value === "boolean" ? null : (toNumber(value) ?? null);
}

function onlyField(expression: Expression): string | null {
  const fields = new Set(fieldsIn(expression));
  const [only] = fields;
  return fields.size === 1 ? only! : null;
}

function fieldsIn(expression: Expression): string[] {
  if (expression.kind === "path") return [expression.path.join(".")];
  return childrenOf(expression).flatMap(fieldsIn);
}
