/** Windows' measures → columns of aggregates, with what lies between windows and what stands for empty ones. */
import { LIMITS, TidewireError } from "../base/mod.ts";
import type { EpochMs } from "../base/mod.ts";
import { crossesBorders, fillsItself, isPercentile, isValueLike, measuresOf, typeOfAggregate } from "./aggregate.ts";
import type { Aggregate, Interpolation, Measure } from "./aggregate.ts";
import type { Answer, Answered } from "./answer.ts";
import { areas, growth } from "./borders.ts";
import type { OwnPoints, Point } from "./borders.ts";
import { fillGaps } from "./fill.ts";
import type { Column } from "./fill.ts";
import { gridOf, startsIn } from "./grid.ts";
import type { Grid } from "./grid.ts";
import type { FieldValue } from "./points.ts";
import type { SeriesQuery } from "./query.ts";
import type { SelectedGroup } from "./select.ts";
import type { SeriesReader, WindowRows } from "./series-reader.ts";

interface Wanted {
  readonly query: SeriesQuery;
  readonly grid: Grid;
  readonly groups: readonly SelectedGroup[];
  readonly aggregates: readonly Aggregate[];
  readonly interpolation: Interpolation;
}

export async function windowColumns(
  reader: SeriesReader,
  query: SeriesQuery,
  selected: readonly SelectedGroup[],
): Promise<Answer> {
  const aggregates = query.aggregates ?? [query.aggregate ?? "avg"];
  const groups = selected.filter(({ stored }) => aggregates.some((one) => typeOfAggregate(stored, one) !== null));
  if (groups.length === 0) return { columns: [], truncated: false, level: "raw" };
  const { from, to, window } = query;
  const grid = gridOf({ window: window!, from, to, ...(query.calendar ? { calendar: query.calendar } : {}) });
  const wanted = { query, grid, groups, aggregates, interpolation: query.interpolation ?? "linear" } as const;
  const starts = allStarts(wanted);
  const booleans = groups.some(({ stored }) => stored === "boolean");
  const measures = new Set(
    aggregates.flatMap((one) => measuresOf(one, { interpolation: wanted.interpolation, booleans })),
  );
  const rowsMax = Math.max(1, Math.floor(query.limit / aggregates.length));
  const rows = await reader.windows({ groups, from, to, grid, measures: [...measures], rowsMax });
  const edges = await edgesOf(reader, wanted);
  const columns = columnsOf(wanted, rows, edges, rows.truncated ? upTo(starts, rows.starts.at(-1)!) : starts);
  return { columns, truncated: rows.truncated, level: rows.level };
}

/** All windows of the range where empty ones count, else null. Throws QUERY_TOO_LARGE. */
function allStarts({ query, grid, groups, aggregates }: Wanted): readonly EpochMs[] | null {
  const { fill, from, to, limit } = query;
  if ((fill ?? "none") === "none" && !aggregates.some(fillsItself)) return null;
  const values = groups.length * aggregates.length;
  const starts = startsIn(grid, from, to, Math.floor(limit / values));
  if (starts !== null) return starts;
  const reason = `windows without points count, too, and of ${groups.length} series with ${aggregates.length} aggregates they are more than ${limit}`;
  throw new TidewireError("QUERY_TOO_LARGE", { reason });
}

function upTo(starts: readonly EpochMs[] | null, last: EpochMs): readonly EpochMs[] | null {
  return starts === null ? null : starts.filter((start) => start <= last);
}

/** Of each group the neighbours of the range; empty where nobody looks at them. */
interface Edges {
  readonly before: ReadonlyMap<number, Neighbour>;
  readonly after: ReadonlyMap<number, Neighbour>;
}

interface Neighbour {
  readonly time: EpochMs;
  readonly value: number | string;
}

async function edgesOf(reader: SeriesReader, { query, groups, aggregates }: Wanted): Promise<Edges> {
  const { from, to, fill, together } = query;
  const { reach } = { reach: LIMITS.telemetry.neighbourReach };
  const carried = fill === "previous" && aggregates.some(isValueLike) && together !== true;
  const find = async (wanted: boolean, side: "before" | "from", at: EpochMs): Promise<Map<number, Neighbour>> => {
    const found = new Map<number, Neighbour>();
    if (!wanted) return found;
    const rows = await reader.edges({ groups, side, at, reach });
    for (const [i, group] of rows.groups.entries()) found.set(group, { time: rows.times[i]!, value: rows.values[i]! });
    return found;
  };
  return {
    before: await find(carried || aggregates.some(crossesBorders), "before", from),
    after: await find(aggregates.some(fillsItself), "from", to),
  };
}

function columnsOf(
  wanted: Wanted,
  rows: WindowRows,
  { before, after }: Edges,
  starts: readonly EpochMs[] | null,
): readonly Answered[] {
  const { query, groups, aggregates } = wanted;
  const rowsOf = groups.map((): number[] => []);
  for (const [row, group] of rows.groups.entries()) rowsOf[group]!.push(row);
  const columns: Answered[] = [];
  for (const [i, group] of groups.entries()) {
    const neighbours = { before: before.get(i) ?? null, after: after.get(i) ?? null };
    for (const aggregate of aggregates) {
      const type = typeOfAggregate(group.stored, aggregate);
      if (type === null) continue;
      const view = new GroupWindows(rows, rowsOf[i]!, group, neighbours);
      let column = view.column(aggregate, wanted, starts);
      if (type === "boolean") column = { times: column.times, values: column.values.map((value) => value !== 0) };
      if (query.fill !== undefined && starts !== null) {
        const carried = isValueLike(aggregate) ? (neighbours.before?.value ?? null) : null;
        column = fillGaps(column, starts, query.fill, {
          before: carried !== null && type === "boolean" ? carried !== 0 : carried,
          numbers: type === "number",
          until: query.now ?? Infinity,
        });
      }
      if (column.values.some((value) => value !== null)) columns.push({ group, aggregate, type, ...column });
    }
  }
  return columns;
}

/** One group's rows. */
class GroupWindows {
  readonly #rows: WindowRows;
  readonly #mine: readonly number[];
  readonly #group: SelectedGroup;
  readonly #neighbours: { readonly before: Neighbour | null; readonly after: Neighbour | null };

  constructor(
    rows: WindowRows,
    mine: readonly number[],
    group: SelectedGroup,
    neighbours: { readonly before: Neighbour | null; readonly after: Neighbour | null },
  ) {
    this.#rows = rows;
    this.#mine = mine;
    this.#group = group;
    this.#neighbours = neighbours;
  }

  column(aggregate: Aggregate, { query, interpolation }: Wanted, starts: readonly EpochMs[] | null): Column {
    if (isPercentile(aggregate)) return this.#values((row) => this.#at(aggregate, row));
    switch (aggregate) {
      case "avg":
        return this.#values((row) => Number(this.#at("sum", row)) / Number(this.#at("count", row)));
      case "rate":
      case "delta":
        return finite(growth(this.#ownPoints("increase"), this.#point("before"), aggregate));
      case "change":
        return finite(growth(this.#ownPoints(null), this.#point("before"), aggregate));
      case "integral":
      case "twa": {
        const held = this.#group.stored === "boolean" ? "previous" : interpolation;
        const { from, to, now = Infinity } = query;
        const [before, after] = [this.#point("before"), this.#point("after")];
        const range = { from, to, starts: starts!, before, after, now, interpolation: held };
        return finite(areas(this.#ownPoints(held === "linear" ? "area" : "steps"), range, aggregate));
      }
      case "min":
      case "max":
      case "count":
      case "sum":
      case "first":
      case "last":
      case "stddev":
        return this.#values((row) => this.#at(aggregate, row));
    }
  }

  #at(measure: Measure, row: number): FieldValue | null {
    return this.#rows.measures.get(measure)![row]!;
  }

  #point(side: "before" | "after"): Point | null {
    const neighbour = this.#neighbours[side];
    return neighbour === null ? null : { time: neighbour.time, value: Number(neighbour.value) };
  }

  #ownPoints(inner: Measure | null): readonly OwnPoints[] {
    return this.#mine.map((row) => ({
      start: this.#rows.starts[row]!,
      first: { time: Number(this.#at("firstTime", row)), value: Number(this.#at("first", row)) },
      last: { time: Number(this.#at("lastTime", row)), value: Number(this.#at("last", row)) },
      inner: inner === null ? 0 : Number(this.#at(inner, row) ?? 0),
    }));
  }

  #values(valueOf: (row: number) => FieldValue | null): Column {
    return finite({
      times: this.#mine.map((row) => this.#rows.starts[row]!),
      values: this.#mine.map(valueOf),
    });
  }
}

/** Without windows that have no value, such as the sum of numbers whose sum is none any more. */
function finite(column: Column): Column {
  const good = (value: FieldValue | null): boolean =>
    value !== null && (typeof value !== "number" || Number.isFinite(value));
  if (column.values.every(good)) return column;
  const kept = column.values.map((value, i) => [column.times[i]!, value] as const).filter(([, value]) => good(value));
  return { times: kept.map(([time]) => time), values: kept.map(([, value]) => value) };
}
