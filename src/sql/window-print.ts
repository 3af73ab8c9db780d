/** The clauses that Tidewire adds → text. */
import type { Millis } from "../base/mod.ts";
import { printDuration } from "./duration.ts";
import type { Expression, PatternClause, StateClauses } from "./tree.ts";
import type { WindowShape } from "./window-shape.ts";

type Print = (expression: Expression) => string;

/** As text, with a blank before each clause. */
export function printClauses(where: Expression | null, state: StateClauses | undefined, print: Print): string {
  const condition = where === null ? "" : ` WHERE ${print(where)}`;
  if (state === undefined) return condition;
  const { time, pattern, keys, shape, having, lateness, emit } = state;
  const groups = [...(keys ?? []).map(print), ...(shape === null ? [] : [printShape(shape)])];
  return [
    time === null ? "" : ` TIMESTAMP BY ${print(time)}`,
    condition,
    pattern === null ? "" : printPattern(pattern, print),
    groups.length === 0 ? "" : ` GROUP BY ${groups.join(", ")}`,
    having === null ? "" : ` HAVING ${print(having)}`,
    lateness === null ? "" : ` LATENESS ${quoted(lateness)}`,
    emit === null ? "" : ` EMIT ${emit.toUpperCase()}`,
  ].join("");
}

function printPattern(pattern: PatternClause, print: Print): string {
  const span = quoted(pattern.span);
  if (pattern.kind === "hold") return ` FOR ${span}`;
  if (pattern.kind === "absent") return ` ABSENT FOR ${span}`;
  return `${pattern.steps.map((step) => ` THEN ${print(step)}`).join("")} WITHIN ${span}`;
}

function printShape(shape: WindowShape): string {
  switch (shape.kind) {
    case "tumble":
      return `TUMBLE(${quoted(shape.size)}${shape.offset === 0 ? "" : `, ${quoted(shape.offset)}`})`;
    case "hop":
      return `HOP(${quoted(shape.size)}, ${quoted(shape.every)})`;
    case "slide":
      return `SLIDE(${quoted(shape.size)})`;
    case "session":
      return `SESSION(${quoted(shape.gap)}${shape.max === null ? "" : `, ${quoted(shape.max)}`})`;
    case "count":
      return `COUNT(${shape.size}${shape.every === shape.size ? "" : `, ${shape.every}`})`;
  }
}

function quoted(span: Millis): string {
  return `'${printDuration(span)}'`;
}
