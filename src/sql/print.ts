/** Tree → text, with no more parentheses than needed. `parseSql(printSql(tree))` is the same tree. */
import { dispatch } from "./tree.ts";
import type { BinaryOperator, ByKind, Expression, Node, SelectClause, SelectItem, SelectStatement } from "./tree.ts";
import { printClauses } from "./window-print.ts";

const POWER: Readonly<Record<BinaryOperator, number>> = {
  or: 10,
  and: 20,
  "=": 40,
  "<>": 40,
  "<": 40,
  "<=": 40,
  ">": 40,
  ">=": 40,
  "+": 50,
  "-": 50,
  "*": 60,
  "/": 60,
  "%": 60,
};
const COMPARISON_POWER = 40;
const NOT_POWER = 30;
const NEGATE_POWER = 70;
const ATOM_POWER = 100;

export function printSql(statement: SelectStatement): string {
  const { variables, select, filter, where, state } = statement;
  const set = variables.map(({ name, value }) => `@${name} = ${printExpression(value)}`).join(", ");
  return `${set === "" ? "" : `SET ${set} `}${printSelect(select, quote(filter), null)}${printClauses(where, state, printExpression)}`;
}

function printSelect(select: SelectClause, from: string, where: Expression | null): string {
  const list = select.kind === "value" ? `VALUE ${printOperand(select.value)}` : select.items.map(printItem).join(", ");
  const condition = where === null ? "" : ` WHERE ${printExpression(where)}`;
  return `SELECT ${list} FROM ${from}${condition}`;
}

/** After VALUE, a leading minus would read as "the key `value` minus". */
function printOperand(expression: Expression): string {
  const text = printExpression(expression);
  return text.startsWith("-") ? `(${text})` : text;
}

function printItem(item: SelectItem): string {
  if (item.kind === "star") return "*";
  const value = printExpression(item.value);
  return item.as === null ? value : `${value} AS ${item.as.join(".")}`;
}

export function printExpression(expression: Expression): string {
  return print(expression, 0);
}

/** After an inner FROM a string or number would read as a topic filter. */
function printSource(expression: Expression): string {
  const text = print(expression, ATOM_POWER - 1);
  return /^['\d]/.test(text) ? `(${text})` : text;
}

function print(expression: Expression, power: number): string {
  const text = printBare(expression);
  return powerOf(expression) <= power ? `(${text})` : text;
}

function powerOf(expression: Expression): number {
  if (expression.kind === "binary") return POWER[expression.operator];
  if (expression.kind === "unary") return expression.operator === "not" ? NOT_POWER : NEGATE_POWER;
  return ATOM_POWER;
}

function printBare(expression: Expression): string {
  return dispatch(PRINTERS, expression);
}

const PRINTERS: ByKind<string> = {
  literal: (node) => printLiteral(node.value, node.decimal),
  path: (node) => node.path.join("."),
  member: (node) => `${print(node.of, ATOM_POWER - 1)}.${node.name}`,
  star: () => "*",
  slot: (node) => `slot(${node.index})`,
  variable: (node) => `@${node.name}`,
  nested: (node) => `(${printSelect(node.select, printSource(node.from), node.where)})`,
  call: (node) => `${node.name}(${node.args.map(printExpression).join(", ")})`,
  cast: (node) => `cast(${printExpression(node.of)} AS ${node.type})`,
  unary: (node) => (node.operator === "not" ? `NOT ${print(node.of, NOT_POWER)}` : `-${print(node.of, NEGATE_POWER)}`),
  binary: (node) => {
    const power = POWER[node.operator];
    // Comparisons do not chain, so both sides need parentheses; the others lean to the left.
    const left = print(node.left, power === COMPARISON_POWER ? power : power - 1);
    return `${left} ${node.operator.toUpperCase()} ${print(node.right, power)}`;
  },
  case: (node) => {
    const branches = node.branches.map((b) => `WHEN ${printExpression(b.when)} THEN ${printExpression(b.result)}`);
    const otherwise = node.otherwise === null ? "" : ` ELSE ${printExpression(node.otherwise)}`;
    return `CASE ${printExpression(node.of)} ${branches.join(" ")}${otherwise} END`;
  },
  array: (node) => `[${node.items.map(printExpression).join(", ")}]`,
  object: (node) => `{${node.entries.map(({ key, value }) => `${quote(key)}: ${printExpression(value)}`).join(", ")}}`,
};

function printLiteral(value: Node<"literal">["value"], decimal: boolean): string {
  if (typeof value === "string") return quote(value);
  if (value === null || typeof value === "boolean") return String(value).toUpperCase();
  const text = String(value);
  return decimal && !/[.eE]/.test(text) ? `${text}.0` : text;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
