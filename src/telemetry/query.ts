/** What can be asked of the series, and the check of a request's parameters. Shapes as in `cloud/api/contract.ts`. */
import { LIMITS, TidewireError, days, hours, minutes, seconds } from "../base/mod.ts";
import type { EpochMs, Millis } from "../base/mod.ts";
import { parseIsoTime } from "./iso-time.ts";
import type { FieldType, FieldValue } from "./points.ts";

export const AGGREGATES = ["avg", "min", "max", "count", "last"] as const;
export type Aggregate = (typeof AGGREGATES)[number];

/** Points of one thing with `from <= time < to`. */
export interface SeriesQuery {
  readonly thing: string;
  /** Null: all measurements. */
  readonly measurement: string | null;
  /** Null: all fields. */
  readonly fields: readonly string[] | null;
  readonly from: EpochMs;
  readonly to: EpochMs;
  /** Null: raw points. Windows start at multiples of this since 1970, so the first one may start before `from`. */
  readonly window: Millis | null;
  /** Null exactly where `window` is. */
  readonly aggregate: Aggregate | null;
  /** Points of the whole answer, at most. */
  readonly limit: number;
}

/**
 * One field's points, ascending; equal times in the order of their arrival. A field whose type changed comes as one
 * series per type. Aggregates: `count` and the `avg` of booleans (the share of true) are numbers; `min` and `max` of
 * booleans are booleans; strings know `count` and `last` only and are left out of the others.
 */
export interface Series {
  readonly measurement: string;
  readonly field: string;
  readonly type: FieldType;
  readonly times: readonly EpochMs[];
  readonly values: readonly FieldValue[];
}

export interface SeriesResult {
  readonly thing: string;
  readonly from: EpochMs;
  readonly to: EpochMs;
  readonly window: Millis | null;
  readonly aggregate: Aggregate | null;
  readonly series: readonly Series[];
  /** True where the limit cut the answer: it is then complete up to its last time. */
  readonly truncated: boolean;
  /** True where stored points that belong here are damaged and left out. */
  readonly incomplete: boolean;
}

export interface LatestValue {
  readonly measurement: string;
  readonly field: string;
  readonly value: FieldValue;
  readonly time: EpochMs;
}

export interface LatestValues {
  readonly thing: string;
  readonly values: readonly LatestValue[];
}

/** Parameters as they stand in the URL. */
export type QueryParameters = Readonly<Record<string, string | undefined>>;

const KNOWN: readonly string[] = ["thing", "measurement", "fields", "from", "to", "window", "aggregate", "limit"];
const UNIT_MS: Readonly<Record<string, Millis>> = {
  ms: 1,
  s: seconds(1),
  m: minutes(1),
  h: hours(1),
  d: days(1),
  w: days(7),
};
const FIELDS_MAX = 200;
const WINDOW_MAX = days(366);
/** Within ±8.64e15 ms a JavaScript date exists; 9999-12-31 is enough. */
const TIME_MAX = 253_402_300_800_000;

/** Throws REQUEST_INVALID with the parameter's name and what it may be. Without times: the last hour. */
export function parseSeriesQuery(parameters: QueryParameters, now: EpochMs): SeriesQuery {
  for (const name of Object.keys(parameters)) {
    if (!KNOWN.includes(name)) throw invalid(`'${name}' is no parameter of a query; known are ${KNOWN.join(", ")}`);
  }
  const thing = parameters["thing"];
  if (thing === undefined || thing === "") throw invalid("'thing' is missing");
  const from = parseTime("from", parameters["from"] ?? "-1h", now);
  const to = parseTime("to", parameters["to"] ?? "now", now);
  if (from >= to) throw invalid(`'from' (${iso(from)}) does not lie before 'to' (${iso(to)})`);
  const window = parseWindow(parameters["window"]);
  return {
    thing,
    measurement: orNull(parameters["measurement"]),
    fields: parseFields(parameters["fields"]),
    from,
    to,
    window,
    aggregate: parseAggregate(parameters["aggregate"], window),
    limit: parseLimit(parameters["limit"]),
  };
}

/** Epoch milliseconds, ISO 8601 with a zone, `now`, or relative to now: `-1h`, `-90s`, `now-7d`. */
export function parseTime(name: string, text: string, now: EpochMs): EpochMs {
  if (text === "now") return now;
  const relative = /^(?:now)?([+-])(\d{1,9})(ms|s|m|h|d|w)$/.exec(text);
  let time: EpochMs | null = null;
  if (relative !== null) time = now + (relative[1] === "-" ? -1 : 1) * Number(relative[2]) * UNIT_MS[relative[3]!]!;
  else if (/^\d{1,15}$/.test(text)) time = Number(text);
  else time = parseIsoTime(text) ?? parseIsoTime(text.replace(/ (\d{2}:?\d{2})$/, "+$1")); // a `+` that a URL made a space
  if (time === null || time < 0 || time >= TIME_MAX) {
    throw invalid(
      `'${name}' is '${shown(text)}'; it must be epoch milliseconds, ISO 8601 with a zone (2026-01-31T12:00:00Z) or relative (-1h, -30m, now)`,
    );
  }
  return time;
}

function parseWindow(text: string | undefined): Millis | null {
  if (text === undefined || text === "") return null;
  const match = /^(\d{1,9})(ms|s|m|h|d|w)$/.exec(text);
  const window = match === null ? 0 : Number(match[1]) * UNIT_MS[match[2]!]!;
  if (window < 1 || window > WINDOW_MAX) {
    throw invalid(`'window' is '${shown(text)}'; it must be a duration such as 10s, 5m, 1h or 1d, at most 366d`);
  }
  return window;
}

function parseAggregate(text: string | undefined, window: Millis | null): Aggregate | null {
  if (text === undefined || text === "") return window === null ? null : "avg";
  const aggregate = AGGREGATES.find((known) => known === text);
  if (aggregate === undefined) {
    throw invalid(`'aggregate' is '${shown(text)}'; it must be one of ${AGGREGATES.join(", ")}`);
  }
  if (window === null) throw invalid("'aggregate' needs a 'window' to aggregate over, such as 1m");
  return aggregate;
}

function parseLimit(text: string | undefined): number {
  const max = LIMITS.telemetry.pointsPerQueryMax;
  if (text === undefined || text === "") return max;
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > max) throw invalid(`'limit' is '${shown(text)}'; it must be a number from 1 to ${max}`);
  return limit;
}

function parseFields(text: string | undefined): readonly string[] | null {
  if (text === undefined || text === "") return null;
  const fields = [...new Set(text.split(",").map((field) => field.trim()))].filter((field) => field !== "");
  if (fields.length === 0) throw invalid("'fields' names no field; leave it out to get all");
  if (fields.length > FIELDS_MAX) throw invalid(`'fields' names ${fields.length} fields; at most ${FIELDS_MAX} may be`);
  return fields;
}

function orNull(text: string | undefined): string | null {
  return text === undefined || text === "" ? null : text;
}

function iso(time: EpochMs): string {
  return new Date(time).toISOString();
}

function shown(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function invalid(reason: string): TidewireError {
  return new TidewireError("REQUEST_INVALID", { reason });
}
