/** The syntax tree of one statement: immutable values. `at` is the index in the text where the node begins. */
import type { Millis } from "../base/mod.ts";
import type { WindowShape } from "./window-shape.ts";

import type { Decimal } from "./decimal.ts";

export type BinaryOperator = "or" | "and" | "=" | "<>" | "<" | "<=" | ">" | ">=" | "+" | "-" | "*" | "/" | "%";

/** Types that `cast(value AS type)` knows, by AWS IoT's names; several mean the same. */
export type CastType = "string" | "int" | "decimal" | "boolean";

export type Expression =
  /** `decimal`: a number written with a point or exponent, which makes `/` divide without truncation. */
  | {
      readonly kind: "literal";
      readonly value: null | boolean | number | string | Decimal;
      readonly decimal: boolean;
      readonly at: number;
    }
  /** `a.b.c`: keys into the payload. */
  | { readonly kind: "path"; readonly path: readonly string[]; readonly at: number }
  /** `get(x, 0).name`: a key into the value of an expression. */
  | { readonly kind: "member"; readonly of: Expression; readonly name: string; readonly at: number }
  /** `@v`, set before SELECT. */
  | { readonly kind: "variable"; readonly name: string; readonly at: number }
  /** `(SELECT v FROM e WHERE n = 't')`: an array of what it selects from each item of `from`. */
  | {
      readonly kind: "nested";
      readonly select: SelectClause;
      readonly from: Expression;
      readonly where: Expression | null;
      readonly at: number;
    }
  /** `*`: the whole payload. Stands alone after VALUE or as a function's argument. */
  | { readonly kind: "star"; readonly at: number }
  | { readonly kind: "call"; readonly name: string; readonly args: readonly Expression[]; readonly at: number }
  /** Made while windows are compiled, never by the parser: a value that the runtime keeps, see `window-plan.ts`. */
  | { readonly kind: "slot"; readonly index: number; readonly at: number }
  | { readonly kind: "cast"; readonly of: Expression; readonly type: CastType; readonly at: number }
  | { readonly kind: "unary"; readonly operator: "-" | "not"; readonly of: Expression; readonly at: number }
  | {
      readonly kind: "binary";
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
      readonly at: number;
    }
  | {
      readonly kind: "case";
      readonly of: Expression;
      readonly branches: readonly { readonly when: Expression; readonly result: Expression }[];
      readonly otherwise: Expression | null;
      readonly at: number;
    }
  | { readonly kind: "array"; readonly items: readonly Expression[]; readonly at: number }
  | {
      readonly kind: "object";
      readonly entries: readonly { readonly key: string; readonly value: Expression }[];
      readonly at: number;
    };

export type SelectItem =
  | { readonly kind: "star"; readonly at: number }
  | {
      readonly kind: "expression";
      readonly value: Expression;
      /** `AS a.b` nests; null where the name follows from the expression. */
      readonly as: readonly string[] | null;
      readonly at: number;
    };

export type SelectClause =
  | { readonly kind: "items"; readonly items: readonly SelectItem[] }
  | { readonly kind: "value"; readonly value: Expression };

/** One of `SET @name = value, …`. It may name those before it. */
export interface SetVariable {
  readonly name: string;
  readonly value: Expression;
  readonly at: number;
}

export interface SelectStatement {
  readonly variables: readonly SetVariable[];
  readonly select: SelectClause;
  /** MQTT topic filter after FROM. */
  readonly filter: string;
  readonly where: Expression | null;
  /** Windows, keyed state and patterns: Tidewire's additions. */
  readonly state?: StateClauses;
}

/** Spans and conditions behind WHERE. */
export type PatternClause =
  | { readonly kind: "hold"; readonly span: Millis; readonly at: number }
  | { readonly kind: "absent"; readonly span: Millis; readonly at: number }
  | { readonly kind: "sequence"; readonly span: Millis; readonly steps: readonly Expression[]; readonly at: number };

/** What a statement with state says beside SELECT, FROM and WHERE; null where it does not. */
export interface StateClauses {
  readonly time: Expression | null;
  readonly pattern: PatternClause | null;
  readonly keys: readonly Expression[] | null;
  readonly shape: WindowShape | null;
  readonly having: Expression | null;
  readonly lateness: Millis | null;
  readonly emit: "final" | "changes" | null;
  /** Where the first of them begins, and where each other one does. */
  readonly at: number;
  readonly clauses: ReadonlyMap<ClauseName, number>;
}

export type ClauseName = "TIMESTAMP BY" | "GROUP BY" | "HAVING" | "LATENESS" | "EMIT";

/** The node type of one kind. */
export type Node<K extends Expression["kind"]> = Extract<Expression, { kind: K }>;

/** One function per kind of node: the type checker asks for a new one when a kind is added. */
export type ByKind<T> = { readonly [K in Expression["kind"]]: (node: Node<K>) => T };

export function dispatch<T>(handlers: ByKind<T>, expression: Expression): T {
  return (handlers[expression.kind] as (node: Expression) => T)(expression);
}

/** The expressions of a SELECT list, in the order in which they stand in the text. */
export function selected(select: SelectClause): readonly Expression[] {
  if (select.kind === "value") return [select.value];
  return select.items.flatMap((item) => (item.kind === "star" ? [] : [item.value]));
}

/** The output key of an item without AS: the last key of a path, a function's name; null where it needs AS. */
export function impliedName(expression: Expression): string | null {
  if (expression.kind === "path") return expression.path.at(-1)!;
  if (expression.kind === "member" || expression.kind === "call" || expression.kind === "variable") {
    return expression.name;
  }
  return expression.kind === "cast" ? "cast" : null;
}

const CHILDREN: ByKind<readonly Expression[]> = {
  literal: () => [],
  path: () => [],
  star: () => [],
  slot: () => [],
  variable: () => [],
  nested: (node) => [...selected(node.select), node.from, ...(node.where === null ? [] : [node.where])],
  member: (node) => [node.of],
  call: (node) => node.args,
  cast: (node) => [node.of],
  unary: (node) => [node.of],
  binary: (node) => [node.left, node.right],
  case: (node) => [
    node.of,
    ...node.branches.flatMap((branch) => [branch.when, branch.result]),
    ...(node.otherwise === null ? [] : [node.otherwise]),
  ],
  array: (node) => node.items,
  object: (node) => node.entries.map((entry) => entry.value),
};

/** In the order in which they stand in the text. */
export function childrenOf(expression: Expression): readonly Expression[] {
  return dispatch(CHILDREN, expression);
}
