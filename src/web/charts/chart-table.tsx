/** The table twin of a chart: the same points, newest first. */
import type { Signal } from "@preact/signals";
import type { RefObject } from "preact";
import { formatTime } from "../format/time.ts";
import { formatValue } from "../format/units.ts";
import type { LiveChart } from "./live-chart.ts";
import type { ChartSpec } from "./plan.ts";

/** Newest rows that the table shows; the whole range would be thousands. */
const ROWS_MAX = 200;

export interface ChartTableProps {
  readonly spec: ChartSpec;
  readonly chart: RefObject<LiveChart | null>;
  /** Read so that the table follows the data. */
  readonly reading: Signal<unknown>;
}

export function ChartTable({ spec, chart, reading }: ChartTableProps) {
  void reading.value;
  const rows = chart.current === null ? [] : rowsOf(chart.current, spec);
  return (
    <div class="chart-table" tabIndex={0} role="region" aria-label={`${spec.title}, table`}>
      <table>
        <thead>
          <tr>
            <th scope="col">Time</th>
            {spec.lines.map((line) => (
              <th scope="col" key={line.field}>
                {line.label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ time, cells }) => (
            <tr key={time}>
              <th scope="row">{formatTime(time)}</th>
              {cells.map((cell, i) => (
                <td key={spec.lines[i]!.field}>{cell}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length === ROWS_MAX && <p class="chart-table-more">The newest {ROWS_MAX} rows. Zoom in to see others.</p>}
    </div>
  );
}

function rowsOf(chart: LiveChart, spec: ChartSpec): { readonly time: number; readonly cells: readonly string[] }[] {
  const { data, span } = chart;
  const columns = spec.lines.map((line) => data[chart.columnOf(line.field)] ?? []);
  const rows: { time: number; cells: string[] }[] = [];
  for (let row = data[0].length - 1; row >= 0 && rows.length < ROWS_MAX; row--) {
    const time = data[0][row]!;
    if (time > span.to) continue;
    if (time < span.from) break;
    const values = columns.map((column) => column[row]);
    // Rows that only break a line are not readings.
    if (values.every((value) => value === null || value === undefined)) continue;
    rows.push({ time, cells: values.map((value) => textOf(spec, value)) });
  }
  return rows;
}

function textOf(spec: ChartSpec, value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (spec.kind === "boolean") return value === 1 ? "true" : "false";
  return formatValue(value, spec.unit);
}
