/** One `SeriesQuery` as a statement, and its rows as the answer: the same as DuckDB's, which a test holds it to. */
import { asType } from "../../telemetry/mod.ts";
import type { Aggregate, FieldType, FieldValue, Series, SeriesEntry, SeriesQuery } from "../../telemetry/mod.ts";
import type { Session, Value } from "./session.ts";

/**
 * PostgreSQL refuses a sum that passes through infinity, and `avg` of doubles also squares: one reading of 1e300 would
 * make it fail. What is large is summed by parts of 2^40, which is exact.
 */
const AVERAGE =
  "coalesce(sum(value) FILTER (WHERE abs(value) < 1e290), 0) / count(*)" +
  " + coalesce(sum(value / 1099511627776) FILTER (WHERE abs(value) >= 1e290), 0) / count(*) * 1099511627776";

/** Null: not by grouping, but the last row of each window. */
const NUMBERS: Readonly<Record<Aggregate, string | null>> = {
  avg: AVERAGE,
  min: "min(value)",
  max: "max(value)",
  count: "count(*)::double precision",
  last: null,
};

export interface Answer {
  readonly series: readonly Series[];
  readonly truncated: boolean;
}

interface Building {
  readonly measurement: string;
  readonly field: string;
  readonly stored: FieldType;
  readonly type: FieldType;
  readonly times: number[];
  readonly values: FieldValue[];
}

export async function runSeriesQuery(
  session: Session,
  query: SeriesQuery,
  entries: readonly SeriesEntry[],
): Promise<Answer> {
  const building = new Map<number, Building>();
  for (const { id, measurement, field, type: stored } of entries) {
    const type = typeOfAggregate(stored, query.aggregate);
    if (type !== null) building.set(id, { measurement, field, stored, type, times: [], values: [] });
  }
  if (building.size === 0) return { series: [], truncated: false };
  const { text, values } = statement(query, building);
  const rows = await session.query(text, values);
  for (const [id, time, value, words] of rows.slice(0, query.limit)) {
    const series = building.get(id as number)!;
    series.times.push(time as number);
    if (value === null) series.values.push(words as string);
    else series.values.push(series.type === "boolean" ? asType("boolean", value as number) : (value as number));
  }
  const found = [...building.values()].filter(({ times }) => times.length > 0);
  const series = found.map(({ measurement, field, type, times, values: own }) => ({
    measurement,
    field,
    type,
    times,
    values: own,
  }));
  return { series, truncated: rows.length > query.limit };
}

/** The type of the answer's values, or null where the aggregate makes no sense for the series. */
function typeOfAggregate(stored: FieldType, aggregate: Aggregate | null): FieldType | null {
  if (aggregate === "count") return "number";
  if (stored === "string") return aggregate === null || aggregate === "last" ? "string" : null;
  return stored === "boolean" && aggregate === "avg" ? "number" : stored;
}

function statement(
  query: SeriesQuery,
  building: ReadonlyMap<number, Building>,
): { readonly text: string; readonly values: readonly Value[] } {
  const numbers: number[] = [];
  const texts: number[] = [];
  for (const [id, { stored }] of building) (stored === "string" ? texts : numbers).push(id);
  const { from, to, window, limit } = query;
  const values: Value[] = [from, to, limit + 1];
  if (window !== null) values.push(window);
  const parts: string[] = [];
  for (const [table, ids] of [
    ["points", numbers],
    ["texts", texts],
  ] as const) {
    if (ids.length === 0) continue;
    values.push(ids);
    parts.push(select(query, table, `$${values.length}`));
  }
  const text = `SELECT series, time, value, text FROM (${parts.join(" UNION ALL ")}) AS found ORDER BY time, series, arrival LIMIT $3`;
  return { text, values };
}

function select({ window, aggregate }: SeriesQuery, table: "points" | "texts", ids: string): string {
  const where = `series = ANY (${ids}::integer[]) AND time >= $1::bigint AND time < $2::bigint`;
  const kept = table === "points" ? "value, NULL::text AS text" : "NULL::double precision AS value, value AS text";
  if (window === null || aggregate === null)
    return `SELECT series, time, ${kept}, arrival FROM ${table} WHERE ${where}`;
  const bucket = "time - time % $4::bigint";
  const combined = NUMBERS[aggregate];
  if (combined === null) {
    return `(SELECT DISTINCT ON (series, ${bucket}) series, ${bucket} AS time, ${kept}, 0::bigint AS arrival
      FROM ${table} WHERE ${where} ORDER BY series, ${bucket}, ${table}.time DESC, ${table}.arrival DESC)`;
  }
  return `SELECT series, ${bucket} AS time, ${combined} AS value, NULL::text AS text, 0::bigint AS arrival FROM ${table} WHERE ${where} GROUP BY 1, 2`;
}
