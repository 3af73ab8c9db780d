/** Arithmetic over series: which ones an expression names, and its values where all of them have one. */
import type { EpochMs } from "../base/mod.ts";
import type { Aggregate } from "./aggregate.ts";
import type { Answered } from "./answer.ts";
import { invalid } from "./query-parse.ts";
import type { SeriesOfResult, SeriesQuery } from "./query.ts";
import { selectGroups, selectThings } from "./select.ts";
import type { SelectedGroup } from "./select.ts";
import type { SeriesBook } from "./series-book.ts";
import { evaluate, keyOf, namesOf, parseExpression } from "./series-expression.ts";
import type { SeriesExpression } from "./series-expression.ts";

interface Operand {
  readonly key: string;
  /** Null: each thing's own. */
  readonly thing: string | null;
  readonly field: string;
}

/**
 * A name whose first part is one of the query's things is a field of that thing, any other a field of each thing. Values
 * meet in the same window, or at the same time; where one is missing (see `fill`) there is none.
 */
export function evaluateOver(
  book: SeriesBook,
  query: SeriesQuery,
): {
  readonly wanted: readonly SelectedGroup[];
  readonly combine: (columns: readonly Answered[]) => readonly SeriesOfResult[];
} {
  const expression = parseExpression(query.expression!);
  const things = selectThings(book, query);
  const operands = namesOf(expression).map((parts) => operandOf(parts, things));
  const across = operands.some(({ thing }) => thing !== null);
  const unnamed = operands.find(({ thing }) => thing === null);
  if (across && unnamed !== undefined && things.length > 1) {
    throw invalid(
      `'expr': whose field is '${unnamed.field}'? Write the thing before it, as in ${things[0]}.${unnamed.field}`,
    );
  }
  const fields = [...new Set(operands.map(({ field }) => field))];
  const wanted = selectGroups(book, query, fields).filter(
    ({ thing, field, text }) =>
      !text && operands.some((one) => one.field === field && (one.thing === null || one.thing === thing)),
  );
  const combine = (columns: readonly Answered[]): readonly SeriesOfResult[] => {
    const aggregates = query.aggregates ?? [query.aggregate];
    const results: SeriesOfResult[] = [];
    for (const thing of across ? [null] : things) {
      for (const aggregate of aggregates) {
        const found = operands.map((operand) =>
          columnOf(columns, operand, operand.thing ?? thing ?? things[0]!, aggregate),
        );
        if (found.some((column) => column === undefined)) continue;
        const result = combined(expression, operands, found as Answered[], query.fill === "null");
        if (result.times.length > 0) results.push(labelled(query, thing, aggregate, found as Answered[], result));
      }
    }
    return results;
  };
  return { wanted, combine };
}

function operandOf(parts: readonly string[], things: readonly string[]): Operand {
  const named = parts.length > 1 && things.includes(parts[0]!);
  return { key: keyOf(parts), thing: named ? parts[0]! : null, field: parts.slice(named ? 1 : 0).join(".") };
}

function columnOf(
  columns: readonly Answered[],
  { field }: Operand,
  thing: string,
  aggregate: Aggregate | null,
): Answered | undefined {
  const found = columns.filter(
    ({ group, ...column }) => group.thing === thing && group.field === field && column.aggregate === aggregate,
  );
  const measurements = [...new Set(found.map(({ group }) => group.measurement))];
  if (measurements.length > 1) {
    throw invalid(
      `'expr': '${field}' is in several measurements (${measurements.join(", ")}); name one with 'measurement'`,
    );
  }
  return found.find(({ group }) => group.stored === "number") ?? found[0];
}

/** Where a series has several points of one time, its last one counts. */
function combined(
  expression: SeriesExpression,
  operands: readonly Operand[],
  columns: readonly Answered[],
  showMissing: boolean,
): { readonly times: readonly EpochMs[]; readonly values: readonly (number | null)[] } {
  const values = columns.map((column) => new Map(column.times.map((time, i) => [time, column.values[i]!] as const)));
  const index = new Map(operands.map(({ key }, i) => [key, values[i]!]));
  const all = new Set<EpochMs>(showMissing ? columns.flatMap(({ times }) => times) : columns[0]!.times);
  const times: EpochMs[] = [];
  const results: (number | null)[] = [];
  for (const time of [...all].sort((a, b) => a - b)) {
    const result = evaluate(expression, (key) => {
      const value = index.get(key)!.get(time);
      return value === undefined || value === null ? undefined : Number(value);
    });
    if (result === undefined && !showMissing) continue;
    times.push(time);
    results.push(result ?? null);
  }
  return { times, values: results };
}

function labelled(
  query: SeriesQuery,
  thing: string | null,
  aggregate: Aggregate | null,
  columns: readonly Answered[],
  result: { readonly times: readonly EpochMs[]; readonly values: readonly (number | null)[] },
): SeriesOfResult {
  const measurements = new Set(columns.map(({ group }) => group.measurement));
  return {
    ...(query.things === undefined || thing === null ? {} : { thing }),
    measurement: measurements.size === 1 ? columns[0]!.group.measurement : "",
    field: query.expression!,
    type: "number",
    ...(query.aggregates === undefined || aggregate === null ? {} : { aggregate }),
    ...result,
  };
}
