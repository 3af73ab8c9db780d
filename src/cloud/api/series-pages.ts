/**
 * Raw points without a limit, page by page: the next page is asked for when the client has taken the one before, so that
 * neither the store nor the platform holds more than one.
 */
import { TidewireError } from "../../base/mod.ts";
import type { SeriesQuery } from "../../telemetry/mod.ts";
import type { SeriesOfResult, SeriesResult } from "./contract.ts";

/** Points of one page: some MB of text. */
const PAGE = 20_000;

type Ask = (query: SeriesQuery) => Promise<SeriesResult>;

/** Whether the answer to a part of the range is a part of the answer. */
export function comesInPages({ window, points, expression, top }: SeriesQuery): boolean {
  return window === null && points === undefined && expression === undefined && top === undefined;
}

/** `total`: points of all pages, at most; null: all there are. */
export async function* seriesPages(ask: Ask, query: SeriesQuery, total: number | null): AsyncGenerator<SeriesResult> {
  let left = total ?? Infinity;
  let from = query.from;
  let size = PAGE;
  while (left > 0) {
    const limit = Math.min(size, left, query.limit);
    const page = await ask({ ...query, from, limit });
    if (!page.truncated || limit === left) {
      yield page;
      return;
    }
    const last = Math.max(...page.series.map(({ times }) => times.at(-1)!));
    const series = page.series.map((one) => before(one, last)).filter(({ times }) => times.length > 0);
    if (series.length > 0) {
      left -= series.reduce((sum, { times }) => sum + times.length, 0);
      yield { ...page, series };
      from = last;
      size = PAGE;
    } else if (size < query.limit) size = Math.min(size * 5, query.limit);
    else {
      const reason = `more than ${size} points have the same time, ${new Date(last).toISOString()}`;
      throw new TidewireError("QUERY_TOO_LARGE", { reason });
    }
  }
}

/** Only the last time of a page may be incomplete. */
function before(series: SeriesOfResult, time: number): SeriesOfResult {
  const { times, values } = series;
  let end = times.length;
  while (end > 0 && times[end - 1]! >= time) end--;
  return end === times.length ? series : { ...series, times: times.slice(0, end), values: values.slice(0, end) };
}
