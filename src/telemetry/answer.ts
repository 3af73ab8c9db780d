/** A query's answer out of what a store's reader gives: which series, their windows, ranking, gaps, arithmetic, charts. */
import { LIMITS, TidewireError } from "../base/mod.ts";
import type { EpochMs } from "../base/mod.ts";
import { typeOfAggregate } from "./aggregate.ts";
import type { Aggregate } from "./aggregate.ts";
import { chooseForChart, PRESELECTION_RATIO } from "./lttb.ts";
import type { FieldType, FieldValue } from "./points.ts";
import type { SeriesOfResult, SeriesQuery, SeriesResult } from "./query.ts";
import type { Level } from "./levels.ts";
import { selectGroups } from "./select.ts";
import type { SelectedGroup } from "./select.ts";
import { evaluateOver } from "./series-arithmetic.ts";
import type { SeriesReader } from "./series-reader.ts";
import { windowColumns } from "./window-columns.ts";

/** One column of an answer. */
export interface Answered {
  readonly group: SelectedGroup;
  readonly aggregate: Aggregate | null;
  readonly type: FieldType;
  readonly times: readonly EpochMs[];
  readonly values: readonly (FieldValue | null)[];
  readonly reducedFrom?: number;
}

export interface Answer {
  readonly columns: readonly Answered[];
  readonly truncated: boolean;
  readonly level: Level;
}

/** Throws QUERY_TOO_LARGE, POINTS_GONE, and REQUEST_INVALID where names that the query holds do not fit the series. */
export async function answerSeries(reader: SeriesReader, query: SeriesQuery): Promise<SeriesResult> {
  const { thing, from, to, window, aggregate } = query;
  const { series, truncated, level } =
    query.expression === undefined ? await fieldsOf(reader, query) : await arithmeticOf(reader, query);
  return { thing, from, to, window, aggregate, series, truncated, level, incomplete: reader.incomplete };
}

interface Found {
  readonly series: readonly SeriesOfResult[];
  readonly truncated: boolean;
  readonly level: Level;
}

async function fieldsOf(reader: SeriesReader, query: SeriesQuery): Promise<Found> {
  let groups = selectGroups(reader.series, query, query.fields);
  if (query.top !== undefined) groups = await ranked(reader, query, groups);
  const { columns, truncated, level } = await read(reader, query, groups);
  const series = columns.map((column) => labelled(query, column));
  return { series, truncated, level };
}

function labelled(
  query: SeriesQuery,
  { group, aggregate, type, times, values, reducedFrom }: Answered,
): SeriesOfResult {
  const { thing, measurement, field } = group;
  const alone = query.aggregates === undefined && reducedFrom === undefined;
  // Most answers of thousands of series are such: without spreads that is a tenth of the time.
  if (alone && query.things !== undefined && thing !== null) return { thing, measurement, field, type, times, values };
  return {
    ...(query.things === undefined || thing === null ? {} : { thing }),
    measurement,
    field,
    type,
    ...(query.aggregates === undefined || aggregate === null ? {} : { aggregate }),
    ...(reducedFrom === undefined ? {} : { reducedFrom }),
    times,
    values,
  };
}

async function arithmeticOf(reader: SeriesReader, query: SeriesQuery): Promise<Found> {
  const { wanted, combine } = evaluateOver(reader.series, query);
  const { columns, truncated, level } = await read(reader, query, wanted);
  return { series: combine(columns), truncated, level };
}

function read(reader: SeriesReader, query: SeriesQuery, groups: readonly SelectedGroup[]): Promise<Answer> {
  if (query.points !== undefined) return chartOf(reader, query, groups, query.points);
  return query.window === null ? pointsOf(reader, query, groups) : windowColumns(reader, query, groups);
}

async function pointsOf(reader: SeriesReader, query: SeriesQuery, groups: readonly SelectedGroup[]): Promise<Answer> {
  if (groups.length === 0) return { columns: [], truncated: false, level: "raw" };
  const { from, to, limit } = query;
  const rows = await reader.points({ groups, from, to, rowsMax: limit });
  const building = groups.map((group) => ({
    group,
    aggregate: null,
    type: group.stored,
    times: [] as EpochMs[],
    values: [] as FieldValue[],
  }));
  for (let row = 0; row < rows.times.length; row++) {
    const column = building[rows.groups[row]!]!;
    const value = rows.values[row]!;
    column.times.push(rows.times[row]!);
    column.values.push(column.type === "boolean" ? value !== 0 : value);
  }
  return { columns: building.filter(({ times }) => times.length > 0), truncated: rows.truncated, level: "raw" };
}

/** Strings are left out: a chart draws none. */
async function chartOf(
  reader: SeriesReader,
  query: SeriesQuery,
  selected: readonly SelectedGroup[],
  points: number,
): Promise<Answer> {
  const groups = selected.filter(({ text }) => !text);
  if (groups.length === 0) return { columns: [], truncated: false, level: "raw" };
  const { pointsPerQueryMax } = LIMITS.telemetry;
  if (points * groups.length > pointsPerQueryMax) {
    const reason = `${groups.length} series of ${points} points each are more than ${pointsPerQueryMax} points`;
    throw new TidewireError("QUERY_TOO_LARGE", { reason });
  }
  const { from, to } = query;
  const extremes = await reader.extremes({ groups, from, to, bins: Math.ceil((points * PRESELECTION_RATIO) / 2) });
  const columns: Answered[] = [];
  for (const [i, { times, values, count }] of extremes.groups.entries()) {
    if (times.length === 0) continue;
    const group = groups[i]!;
    const chosen = chooseForChart(times, values, points);
    const shown = chosen.map((at) => (group.stored === "boolean" ? values[at] !== 0 : values[at]!));
    columns.push({
      group,
      aggregate: null,
      type: group.stored,
      times: chosen.map((at) => times[at]!),
      values: shown,
      ...(count > chosen.length ? { reducedFrom: count } : {}),
    });
  }
  return { columns, truncated: false, level: extremes.level };
}

/** Of every measurement and field the series that the ranking wants, in the order of their names. */
async function ranked(
  reader: SeriesReader,
  query: SeriesQuery,
  groups: readonly SelectedGroup[],
): Promise<readonly SelectedGroup[]> {
  const { count, by, lowest } = query.top!;
  const candidates = groups.filter(({ stored }) => typeOfAggregate(stored, by) !== null && stored !== "string");
  const { measurement, from, to, thing, now } = query;
  const whole: SeriesQuery = {
    thing,
    measurement,
    fields: null,
    from,
    to,
    window: to - from,
    calendar: { zone: "UTC", unit: "range" },
    aggregate: by,
    ...(now === undefined ? {} : { now }),
    limit: LIMITS.telemetry.seriesPerQueryMax,
  };
  const { columns } = await windowColumns(reader, whole, candidates);
  const rankings = new Map<string, { group: SelectedGroup; value: number }[]>();
  for (const { group, values } of columns) {
    const key = JSON.stringify([group.measurement, group.field, group.stored]);
    const ranking = rankings.get(key) ?? [];
    rankings.set(key, ranking);
    ranking.push({ group, value: Number(values[0]) });
  }
  const chosen = new Set<SelectedGroup>();
  for (const ranking of rankings.values()) {
    ranking.sort((a, b) => (lowest ? a.value - b.value : b.value - a.value));
    for (const { group } of ranking.slice(0, count)) chosen.add(group);
  }
  return candidates.filter((group) => chosen.has(group));
}
