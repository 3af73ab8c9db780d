/** Which calls of `GET /api/series` fill the charts of a thing. */
import type { EpochMs, Millis } from "../../base/mod.ts";
import type { Aggregate } from "../../cloud/api/contract.ts";
import { withQuery } from "../api/client.ts";
import { hasBands } from "../charts/plan.ts";
import type { ChartSpec } from "../charts/plan.ts";
import { windowText } from "../charts/ranges.ts";

export interface SeriesQuery {
  readonly path: string;
  readonly measurement: string;
  readonly aggregate: Aggregate | null;
}

/** Keeps an address below what proxies accept. */
const FIELDS_PER_QUERY = 40;

interface Wanted {
  readonly measurement: string;
  readonly numbers: readonly string[];
  /** Numbers that are drawn with a band from lowest to highest. */
  readonly banded: readonly string[];
  readonly booleans: readonly string[];
}

/** Raw points of all lines in [from, to). */
export function rawQueries(thing: string, charts: readonly ChartSpec[], from: EpochMs, to: EpochMs): SeriesQuery[] {
  if (from >= to) return [];
  return wantedOf(charts).flatMap(({ measurement, numbers, booleans }) =>
    queriesOf({ thing, measurement, from, to, window: null, aggregate: null }, numbers.concat(booleans)),
  );
}

/** Windows of all lines in [from, to): averages with lowest and highest, or the last value of a boolean. */
export function aggregateQueries(
  thing: string,
  charts: readonly ChartSpec[],
  from: EpochMs,
  to: EpochMs,
  window: Millis,
): SeriesQuery[] {
  if (from >= to) return [];
  return wantedOf(charts).flatMap(({ measurement, numbers, banded, booleans }) => {
    const common = { thing, measurement, from, to, window };
    return queriesOf({ ...common, aggregate: "avg" }, numbers).concat(
      queriesOf({ ...common, aggregate: "min" }, banded),
      queriesOf({ ...common, aggregate: "max" }, banded),
      queriesOf({ ...common, aggregate: "last" }, booleans),
    );
  });
}

interface QueryBase {
  readonly thing: string;
  readonly measurement: string;
  readonly from: EpochMs;
  readonly to: EpochMs;
  readonly window: Millis | null;
  readonly aggregate: Aggregate | null;
}

function queriesOf(base: QueryBase, fields: readonly string[]): SeriesQuery[] {
  const queries: SeriesQuery[] = [];
  for (let i = 0; i < fields.length; i += FIELDS_PER_QUERY) {
    const path = withQuery("api/series", {
      thing: base.thing,
      measurement: base.measurement,
      fields: fieldsParameter(fields.slice(i, i + FIELDS_PER_QUERY)),
      from: Math.floor(base.from),
      to: Math.ceil(base.to),
      window: base.window === null ? null : windowText(base.window),
      aggregate: base.aggregate,
    });
    queries.push({ path, measurement: base.measurement, aggregate: base.aggregate });
  }
  return queries;
}

/** The API separates names by commas; where a name holds one, all fields are asked for. */
function fieldsParameter(fields: readonly string[]): string | null {
  return fields.some((field) => field.includes(",")) ? null : fields.join(",");
}

function wantedOf(charts: readonly ChartSpec[]): Wanted[] {
  const measurements = [...new Set(charts.map((chart) => chart.measurement))];
  return measurements.map((measurement) => {
    const own = charts.filter((chart) => chart.measurement === measurement);
    const numeric = own.filter((chart) => chart.kind === "number").flatMap((chart) => chart.lines);
    return {
      measurement,
      numbers: numeric.map((line) => line.field),
      banded: own
        .filter(hasBands)
        .flatMap((chart) => chart.lines.filter((line) => line.role !== "faint").map((line) => line.field)),
      booleans: own.filter((chart) => chart.kind === "boolean").flatMap((chart) => chart.lines.map((l) => l.field)),
    };
  });
}
