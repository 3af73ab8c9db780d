/** A request's parameters → a query. Throws REQUEST_INVALID with the parameter's name and what it may be. */
import { LIMITS, TidewireError, days, hours, minutes, momentAsked, seconds } from "../base/mod.ts";
import type { EpochMs, Millis } from "../base/mod.ts";
import { AGGREGATES, aggregateOf, crossesBorders } from "./aggregate.ts";
import type { Aggregate } from "./aggregate.ts";
import { isZone } from "./grid.ts";
import type { Calendar } from "./grid.ts";
import type { Fill, Ranking, SeriesQuery } from "./query.ts";
import { parseExpression } from "./series-expression.ts";

/** Parameters as they stand in the URL; a list may be given as one. */
export type QueryParameters = Readonly<Record<string, string | readonly string[] | undefined>>;

export const QUERY_PARAMETERS = [
  "thing",
  "things",
  "measurement",
  "fields",
  "from",
  "to",
  "window",
  "tz",
  "aggregate",
  "fill",
  "interpolation",
  "group",
  "top",
  "bottom",
  "by",
  "expr",
  "points",
  "limit",
] as const;
type Name = (typeof QUERY_PARAMETERS)[number];

const KNOWN: readonly string[] = QUERY_PARAMETERS;
const UNIT_MS: Readonly<Record<string, Millis>> = {
  ms: 1,
  s: seconds(1),
  m: minutes(1),
  h: hours(1),
  d: days(1),
  w: days(7),
};
const FIELDS_MAX = 200;
const AGGREGATES_MAX = 10;
const WINDOW_MAX = days(366);
const MONTHS_MAX = 1200;
/** Nominal; where windows really end the calendar tells. */
const MONTH = days(30);

/** Without times: the last hour. */
export function parseSeriesQuery(parameters: QueryParameters, now: EpochMs): SeriesQuery {
  for (const name of Object.keys(parameters)) {
    if (!KNOWN.includes(name))
      throw invalid(`'${shown(name)}' is no parameter of a query; known are ${KNOWN.join(", ")}`);
  }
  const text = (name: Name): string | undefined => textOf(name, parameters[name]);
  const from = momentAsked("from", text("from") ?? "-1h", now);
  const to = momentAsked("to", text("to") ?? "now", now);
  if (from >= to) throw invalid(`'from' (${iso(from)}) does not lie before 'to' (${iso(to)})`);
  const { window, calendar } = parseWindow(text("window"), text("tz"), to - from);
  const aggregates = parseAggregates(listOf("aggregate", parameters["aggregate"]), window);
  const query: SeriesQuery = {
    ...parseThings(parameters),
    measurement: text("measurement") ?? null,
    fields: parseFields(parameters["fields"]),
    from,
    to,
    window,
    ...(calendar === null ? {} : { calendar }),
    aggregate: aggregates[0] ?? null,
    ...(aggregates.length > 1 ? { aggregates } : {}),
    ...parseFill(text("fill"), window),
    ...parseInterpolation(text("interpolation")),
    ...parseGroup(text("group")),
    ...parseTop(text("top"), text("bottom"), text("by")),
    ...parseArithmetic(text("expr"), parameters["fields"]),
    ...parsePoints(text("points")),
    limit: parseLimit(text("limit")),
  };
  refuseContradictions(query);
  const carries = query.fill === "previous" || aggregates.some((aggregate) => crossesBorders(aggregate));
  return carries ? { ...query, now } : query;
}

function parseThings(parameters: QueryParameters): Pick<SeriesQuery, "thing" | "things"> {
  const thing = textOf("thing", parameters["thing"]);
  const things = listOf("things", parameters["things"]);
  if (thing !== undefined && things.length > 0) throw invalid("'thing' and 'things' are both given; one is enough");
  if (thing !== undefined) return /[*?]/.test(thing) ? { thing, things: [thing] } : { thing };
  if (things.length === 0) throw invalid("'thing' is missing");
  const max = LIMITS.telemetry.thingNamesPerQueryMax;
  if (things.length > max) {
    throw invalid(`'things' names ${things.length} things; at most ${max} may be, or a pattern such as line-*`);
  }
  return { thing: things.join(","), things };
}

function parseWindow(
  text: string | undefined,
  zone: string | undefined,
  range: Millis,
): { readonly window: Millis | null; readonly calendar: Calendar | null } {
  if (zone !== undefined && !isZone(zone)) {
    throw invalid(`'tz' is '${shown(zone)}'; it must be the name of a time zone, such as Europe/Berlin or UTC`);
  }
  if (text === undefined) {
    if (zone !== undefined) throw invalid("'tz' needs a 'window' such as 1d, whose days it says");
    return { window: null, calendar: null };
  }
  if (text === "all") return { window: range, calendar: { zone: "UTC", unit: "range" } };
  const match = /^(\d{1,9})(ms|s|mo|m|h|d|w|y)$/.exec(text);
  const unit = match?.[2] ?? "";
  const count = Number(match?.[1] ?? 0);
  if (unit === "mo" || unit === "y") {
    const months = count * (unit === "y" ? 12 : 1);
    if (months >= 1 && months <= MONTHS_MAX) {
      return { window: months * MONTH, calendar: { zone: zone ?? "UTC", unit: "months", months } };
    }
  }
  const window = count * (UNIT_MS[unit] ?? 0);
  if (window < 1 || window > WINDOW_MAX) {
    throw invalid(
      `'window' is '${shown(text)}'; it must be a duration such as 10s, 5m, 1h, 1d or 1mo, at most 366d or 1200mo, or 'all'`,
    );
  }
  return { window, calendar: zone === undefined ? null : { zone, unit: "time", size: zoned(window) } };
}

/** A window of a zone must fit its day, or be made of days: else it would begin at another time every day. */
function zoned(window: Millis): Millis {
  if (days(1) % window === 0 || window % days(1) === 0) return window;
  throw invalid("'window' with 'tz' must divide a day (15m, 1h, 6h) or be whole days (1d, 7d)");
}

function parseAggregates(names: readonly string[], window: Millis | null): readonly Aggregate[] {
  if (names.length === 0) return window === null ? [] : ["avg"];
  if (names.length > AGGREGATES_MAX)
    throw invalid(`'aggregate' names ${names.length}; at most ${AGGREGATES_MAX} may be`);
  const aggregates = names.map((name) => parseAggregate("aggregate", name));
  if (window === null) throw invalid("'aggregate' needs a 'window' to aggregate over, such as 1m, or 'all'");
  return aggregates;
}

function parseAggregate(parameter: string, name: string): Aggregate {
  const aggregate = aggregateOf(name);
  if (aggregate !== null) return aggregate;
  throw invalid(
    `'${parameter}' is '${shown(name)}'; it must be one of ${AGGREGATES.join(", ")}, or a percentile from p0 to p100, such as p95`,
  );
}

function parseFill(text: string | undefined, window: Millis | null): { readonly fill?: Fill } {
  if (text === undefined) return {};
  if (window === null) throw invalid("'fill' needs a 'window': without one there are no gaps to fill");
  if (text === "none") return {};
  if (text === "null" || text === "previous" || text === "linear") return { fill: text };
  const number = /^-?\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : null;
  if (number === null) throw invalid(`'fill' is '${shown(text)}'; it must be none, null, previous, linear or a number`);
  return { fill: number };
}

function parseInterpolation(text: string | undefined): Pick<SeriesQuery, "interpolation"> {
  if (text === undefined || text === "linear") return {};
  if (text === "previous") return { interpolation: text };
  throw invalid(`'interpolation' is '${shown(text)}'; it must be linear or previous`);
}

function parseGroup(text: string | undefined): Pick<SeriesQuery, "together"> {
  if (text === undefined || text === "thing") return {};
  if (text === "all") return { together: true };
  throw invalid(`'group' is '${shown(text)}'; it must be thing or all`);
}

function parseTop(
  top: string | undefined,
  bottom: string | undefined,
  by: string | undefined,
): { readonly top?: Ranking } {
  if (top === undefined && bottom === undefined) {
    if (by !== undefined) throw invalid("'by' needs 'top' or 'bottom', such as top=5");
    return {};
  }
  if (top !== undefined && bottom !== undefined) throw invalid("'top' and 'bottom' are both given; one is enough");
  const name = top === undefined ? "bottom" : "top";
  const count = wholeNumber(name, top ?? bottom ?? "", LIMITS.telemetry.thingNamesPerQueryMax);
  return { top: { count, by: parseAggregate("by", by ?? "avg"), lowest: top === undefined } };
}

function parseArithmetic(
  expression: string | undefined,
  fields: QueryParameters[string],
): Pick<SeriesQuery, "expression"> {
  if (expression === undefined) return {};
  if (listOf("fields", fields).length > 0) throw invalid("'expr' names its fields itself; leave 'fields' out");
  parseExpression(expression);
  return { expression };
}

function parsePoints(text: string | undefined): Pick<SeriesQuery, "points"> {
  if (text === undefined) return {};
  const points = wholeNumber("points", text, LIMITS.telemetry.chartPointsMax);
  if (points < 3) throw invalid("'points' must be at least 3: the first, the last and one between them");
  return { points };
}

function refuseContradictions(query: SeriesQuery): void {
  const { window, together, top, expression, points } = query;
  const aggregates = query.aggregates ?? (query.aggregate === null ? [] : [query.aggregate]);
  if (together === true && window === null)
    throw invalid("'group=all' needs a 'window' over which points are put together");
  const single = aggregates.find((aggregate) => crossesBorders(aggregate));
  if (together === true && single !== undefined) {
    throw invalid(`'${single}' follows one series through time; ask for it by thing, without 'group=all'`);
  }
  if (together === true && top !== undefined) throw invalid("'group=all' makes one series, of which there is no 'top'");
  if (expression !== undefined && (together === true || top !== undefined || points !== undefined)) {
    throw invalid("'expr' does not go together with 'group=all', 'top', 'bottom' or 'points'");
  }
  if (points !== undefined && window !== null) {
    throw invalid("'points' chooses among raw points; leave 'window' out, or 'points'");
  }
}

function parseLimit(text: string | undefined): number {
  const max = LIMITS.telemetry.pointsPerQueryMax;
  return text === undefined ? max : wholeNumber("limit", text, max);
}

function wholeNumber(name: string, text: string, max: number): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > max) throw invalid(`'${name}' is '${shown(text)}'; it must be a number from 1 to ${max}`);
  return number;
}

function parseFields(value: QueryParameters[string]): readonly string[] | null {
  if (value === undefined || value === "" || value.length === 0) return null;
  const fields = listOf("fields", value);
  if (fields.length === 0) throw invalid("'fields' names no field; leave it out to get all");
  if (fields.length > FIELDS_MAX) throw invalid(`'fields' names ${fields.length} fields; at most ${FIELDS_MAX} may be`);
  return fields;
}

/** Each name once. A text is separated by commas; an item of a list may hold one. */
function listOf(name: string, value: QueryParameters[string]): readonly string[] {
  if (value === undefined) return [];
  const items = typeof value === "string" ? value.split(",").map((item) => item.trim()) : value;
  if (items.some((item) => item.length > LIMITS.telemetry.fieldNameBytesMax * 4))
    throw invalid(`'${name}' is too long`);
  return [...new Set(items)].filter((item) => item !== "");
}

function textOf(name: string, value: QueryParameters[string]): string | undefined {
  if (value === undefined || value === "") return undefined;
  if (typeof value === "string") return value;
  throw invalid(`'${name}' is a list; it must be one value`);
}

function iso(time: EpochMs): string {
  return new Date(time).toISOString();
}

function shown(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

export function invalid(reason: string): TidewireError {
  return new TidewireError("REQUEST_INVALID", { reason });
}
