/** A series answer as text that other programs read: CSV (RFC 4180) and newline-delimited JSON. */
import { TidewireError } from "../../base/mod.ts";
import type { FieldValue, SeriesOfResult } from "./contract.ts";

export const SERIES_FORMATS = ["json", "csv", "ndjson", "parquet"] as const;
export type SeriesFormat = (typeof SERIES_FORMATS)[number];

/** What each format is called, the first one by ourselves. */
export const MEDIA_TYPES: Readonly<Record<SeriesFormat, readonly [string, ...string[]]>> = {
  json: ["application/json", "application/*", "*/*"],
  csv: ["text/csv; charset=utf-8", "text/csv", "text/*"],
  ndjson: ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"],
  parquet: ["application/vnd.apache.parquet", "application/x-parquet"],
};

/** The first format of an Accept header that we have; weights are left alone: who sends them lists the best one first. */
export function formatOf(accept: string | undefined): SeriesFormat {
  if (accept === undefined) return "json";
  for (const part of accept.split(",")) {
    const type = part.split(";")[0]!.trim().toLowerCase();
    const format = SERIES_FORMATS.find((known) => MEDIA_TYPES[known].includes(type));
    if (format !== undefined) return format;
  }
  const reason = `none of '${accept.slice(0, 100)}' can be had; formats are ${SERIES_FORMATS.join(", ")}`;
  throw new TidewireError("REQUEST_INVALID", { reason });
}

/** One line per time and series, or per time with a column per series. */
export type CsvLayout = "long" | "wide";

/** `thing`: of series that do not say theirs, because the query names one. */
export function csvHead(): string {
  return `${["time", "thing", "measurement", "field", "aggregate", "value"].join(",")}\r\n`;
}

export function csvLines(series: readonly SeriesOfResult[], thing: string, aggregate: string | null): string {
  const begins = series.map((one) => {
    const names = [one.thing ?? thing, one.measurement, one.field, one.aggregate ?? aggregate ?? ""];
    return `,${names.map(csvCell).join(",")},`;
  });
  let text = "";
  for (const { time, index, value } of byTime(series))
    text += `${timeText(time)}${begins[index]!}${csvCell(value)}\r\n`;
  return text;
}

/** Several points of one series at one time come as several lines. */
export function csvWide(series: readonly SeriesOfResult[]): string {
  const names = series.map((one) =>
    [one.thing, one.measurement, one.field, one.aggregate]
      .filter((part) => part !== undefined && part !== "")
      .join("/"),
  );
  let text = `${["time", ...names].map(csvCell).join(",")}\r\n`;
  let line: (FieldValue | null)[] | null = null;
  let lineTime = 0;
  const end = (): void => {
    if (line !== null) text += `${[timeText(lineTime), ...line.map(csvCell)].join(",")}\r\n`;
    line = null;
  };
  for (const { time, index, value } of byTime(series)) {
    if (line === null || time !== lineTime || line[index] !== null) {
      end();
      line = series.map(() => null);
      lineTime = time;
    }
    line[index] = value;
  }
  end();
  return text;
}

export function ndjsonLines(series: readonly SeriesOfResult[], thing: string, aggregate: string | null): string {
  const begins = series.map((one) => {
    const { measurement, field } = one;
    const names = { thing: one.thing ?? thing, measurement, field, aggregate: one.aggregate ?? aggregate };
    return JSON.stringify(names.aggregate === null ? { thing: names.thing, measurement, field } : names).slice(1, -1);
  });
  let text = "";
  for (const { time, index, value } of byTime(series)) {
    text += `{"time":${time},${begins[index]!},"value":${JSON.stringify(value)}}\n`;
  }
  return text;
}

interface Cell {
  readonly time: number;
  /** Of its series. */
  readonly index: number;
  readonly value: FieldValue | null;
}

/** All points in the order of time, at one time in the order of the series. */
function byTime(series: readonly SeriesOfResult[]): readonly Cell[] {
  const cells: Cell[] = [];
  for (const [index, { times, values }] of series.entries()) {
    for (const [i, time] of times.entries()) cells.push({ time, index, value: values[i]! });
  }
  return cells.sort((a, b) => a.time - b.time || a.index - b.index); // stable: equal times of a series keep their order
}

function timeText(time: number): string {
  return new Date(time).toISOString();
}

/** What a spreadsheet takes for a formula when a cell begins with it. */
const FORMULA = /^[=+\-@\t\r]/;

/**
 * Texts come from devices, which may be hostile: one that a spreadsheet would run gets an apostrophe before it (OWASP, "CSV
 * Injection"). Numbers are never changed; JSON and Parquet give every text as it is.
 */
export function csvCell(value: FieldValue | null): string {
  if (typeof value !== "string") return value === null ? "" : String(value);
  const safe = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
