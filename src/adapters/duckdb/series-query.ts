/** One `SeriesQuery` as a DuckDB statement, and its rows as the answer. */
import type { DuckDBConnection } from "@duckdb/node-api";
import { asType } from "../../telemetry/mod.ts";
import type { Aggregate, FieldType, FieldValue, Series, SeriesEntry, SeriesQuery } from "../../telemetry/mod.ts";
import { eachChunk } from "./columns.ts";
import type { StoreView } from "./cold-store.ts";
import { instant } from "./rollup.ts";

/** The newest of equal times is the one that arrived last; an ordered aggregate would be slower. */
const ARRIVAL = instant("time", "arrival");

const NUMBERS: Readonly<Record<Aggregate, string>> = {
  avg: "avg(value)",
  min: "min(value)",
  max: "max(value)",
  count: "count(*)::DOUBLE",
  last: `arg_max(value, ${ARRIVAL})`,
};

export interface Answer {
  readonly series: readonly Series[];
  readonly truncated: boolean;
  readonly incomplete: boolean;
}

interface Building {
  readonly measurement: string;
  readonly field: string;
  readonly stored: FieldType;
  readonly type: FieldType;
  readonly times: number[];
  readonly values: FieldValue[];
}

/** `entries`: the series that the query's names mean. Where there are more points than its limit: the earliest. */
export async function runSeriesQuery(
  connection: DuckDBConnection,
  view: StoreView,
  query: SeriesQuery,
  entries: readonly SeriesEntry[],
): Promise<Answer> {
  const building = new Map<number, Building>();
  for (const { id, measurement, field, type: stored } of entries) {
    const type = typeOfAggregate(stored, query.aggregate);
    if (type !== null) building.set(id, { measurement, field, stored, type, times: [], values: [] });
  }
  if (building.size === 0) return { series: [], truncated: false, incomplete: false };
  const sql = await statement(view, query, building);
  let left = query.limit;
  let truncated = false;
  await eachChunk(connection, sql, ([ids, times, values, texts], rows) => {
    for (let row = 0; row < rows; row++) {
      if (left-- <= 0) {
        truncated = true;
        return;
      }
      const series = building.get(ids![row] as number)!;
      series.times.push(times![row] as number);
      const value = values![row] as number | null;
      if (value === null) series.values.push(texts![row] as string);
      else series.values.push(series.type === "boolean" ? asType("boolean", value) : value);
    }
  });
  const found = [...building.values()].filter(({ times }) => times.length > 0);
  const series = found.map(({ measurement, field, type, times, values }) => ({
    measurement,
    field,
    type,
    times,
    values,
  }));
  return { series, truncated, incomplete: view.incomplete };
}

/** The type of the answer's values, or null where the aggregate makes no sense for the series. */
function typeOfAggregate(stored: FieldType, aggregate: Aggregate | null): FieldType | null {
  if (aggregate === "count") return "number";
  if (stored === "string") return aggregate === null || aggregate === "last" ? "string" : null;
  return stored === "boolean" && aggregate === "avg" ? "number" : stored;
}

async function statement(
  view: StoreView,
  query: SeriesQuery,
  building: ReadonlyMap<number, Building>,
): Promise<string> {
  const { from, to } = query;
  const numbers: number[] = [];
  const texts: number[] = [];
  for (const [id, { stored }] of building) (stored === "string" ? texts : numbers).push(id);
  const parts: string[] = [];
  if (numbers.length > 0) parts.push(select(query, "numbers", await view.numbers(from, to), numbers));
  if (texts.length > 0) parts.push(select(query, "texts", await view.texts(from, to), texts));
  return `SELECT series, time::DOUBLE, value, text FROM (${parts.join(" UNION ALL ")}) ORDER BY time, series, arrival LIMIT ${integer(query.limit + 1)}`;
}

/** All that stands in the statement are numbers of our own and checked integers; nothing of a request's text. */
function select(query: SeriesQuery, kind: "numbers" | "texts", relation: string, ids: readonly number[]): string {
  const { from, to, window, aggregate } = query;
  const which = ids.length === 1 ? `series = ${ids[0]}` : `series IN (${ids.join(",")})`;
  const where = `${which} AND time >= ${integer(from)} AND time < ${integer(to)}`;
  if (window === null || aggregate === null) {
    const columns = kind === "numbers" ? "value, NULL::VARCHAR AS text" : "NULL::DOUBLE AS value, value AS text";
    return `SELECT series, time, ${columns}, arrival FROM (${relation}) WHERE ${where}`;
  }
  const bucket = `time - time % ${integer(window)}`;
  const columns =
    kind === "numbers" || aggregate === "count"
      ? `${NUMBERS[aggregate]} AS value, NULL::VARCHAR AS text`
      : `NULL::DOUBLE AS value, arg_max(value, ${ARRIVAL}) AS text`;
  return `SELECT series, ${bucket} AS time, ${columns}, 0 AS arrival FROM (${relation}) WHERE ${where} GROUP BY series, ${bucket}`;
}

function integer(value: number): string {
  if (!Number.isSafeInteger(value)) throw new Error(`not an integer: ${value}`);
  return String(value);
}
