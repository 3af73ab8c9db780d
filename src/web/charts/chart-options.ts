/** What uPlot needs to know to draw a `ChartSpec`. */
import uPlot from "uplot";
import { formatTimeTicks } from "../format/time.ts";
import { formatTick } from "../format/units.ts";
import type { EpochMs } from "../../base/mod.ts";
import { palette } from "./palette.ts";
import { hasBands } from "./plan.ts";
import type { ChartLine, ChartSpec } from "./plan.ts";
import type { ColumnRequest } from "./thing-series.ts";

export interface PlotEvents {
  readonly onSelect: (from: EpochMs, to: EpochMs) => void;
  readonly onReset: () => void;
  readonly onCursor: () => void;
  readonly onPress: () => void;
}

/** All charts of the page share one cursor. */
const SYNC_KEY = "tidewire";
/** Fixed, so that no picture moves when a number gets longer. */
const AXIS_WIDTH = 64;
const AXIS_HEIGHT = 28;
/** Drags shorter than this are clicks. */
const DRAG_MIN_PX = 6;

/** Strong lines lie over faint ones, so they are drawn last. */
function drawOrder(spec: ChartSpec): ChartLine[] {
  return [...spec.lines.filter((line) => line.role === "faint"), ...spec.lines.filter((line) => line.role !== "faint")];
}

/** The columns of a chart in the order of uPlot's series. With windows each strong line has its band behind it. */
export function columnRequests(spec: ChartSpec, banded: boolean): ColumnRequest[] {
  return drawOrder(spec).flatMap(({ field, role }): ColumnRequest[] => {
    const value: ColumnRequest = { field, kind: spec.kind, part: "value" };
    if (!hasBand(spec, role, banded)) return [value];
    return [{ ...value, part: "max" }, { ...value, part: "min" }, value];
  });
}

/** uPlot's number of a field's series (0 is time), or -1. */
export function seriesIndex(spec: ChartSpec, field: string, banded: boolean): number {
  const requests = columnRequests(spec, banded);
  return requests.findIndex((request) => request.field === field && request.part === "value") + 1 || -1;
}

function hasBand(spec: ChartSpec, role: ChartLine["role"], banded: boolean): boolean {
  return banded && role !== "faint" && hasBands(spec);
}

/** A line's place among the colours. */
export function colorIndex(spec: ChartSpec, field: string): number {
  return (
    Math.max(
      0,
      spec.lines.filter((line) => line.role !== "faint").findIndex((line) => line.field === field),
    ) % 8
  );
}

export function chartOptions(
  spec: ChartSpec,
  banded: boolean,
  size: { readonly width: number; readonly height: number },
  events: PlotEvents,
): uPlot.Options {
  const { series, bands } = seriesOptions(spec, banded);
  return {
    ...size,
    ms: 1,
    // Between whole pixels, so that a moving line glides.
    pxAlign: false,
    // On the right half of the longest label of the time axis.
    padding: [10, 22, 0, 0],
    legend: { show: false },
    scales: { x: { time: true, auto: false }, y: { range: yRange(spec) } },
    series,
    bands,
    axes: [timeAxis(), valueAxis(spec)],
    cursor: cursorOptions(spec, events),
    hooks: {
      setSelect: [
        (plot) => {
          const { left, width } = plot.select;
          if (width < DRAG_MIN_PX) return;
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          events.onSelect(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
        },
      ],
      setCursor: [() => events.onCursor()],
    },
  };
}

function seriesOptions(spec: ChartSpec, banded: boolean): { series: uPlot.Series[]; bands: uPlot.Band[] } {
  const series: uPlot.Series[] = [{}];
  const bands: uPlot.Band[] = [];
  for (const { field, role } of drawOrder(spec)) {
    const color = colorIndex(spec, field);
    if (hasBand(spec, role, banded)) {
      const edge: uPlot.Series = { points: { show: false }, width: 0 };
      bands.push({ series: [series.length, series.length + 1], fill: () => palette().fills[color]! });
      series.push({ ...edge }, { ...edge });
    }
    series.push(lineOptions(spec, role, color, banded));
  }
  return { series, bands };
}

function lineOptions(spec: ChartSpec, role: ChartLine["role"], color: number, banded: boolean): uPlot.Series {
  const step = spec.scale === "step";
  const filled = step || (role === "main" && !banded && spec.scale !== "free");
  return {
    stroke: () => (role === "faint" ? palette().faint : palette().lines[color]!),
    width: role === "faint" ? 1 : 1.75,
    points: { show: isolated },
    ...(filled ? { fill: () => palette().fills[color]! } : {}),
    ...(step ? { paths: uPlot.paths.stepped!({ align: 1 }) } : {}),
  };
}

/** A reading between two gaps has no line to either side: it is drawn as a point. */
function isolated(plot: uPlot, index: number): boolean {
  const [from, to] = plot.series[0]!.idxs ?? [0, 0];
  const cells = plot.data[index]!;
  let found = 0;
  for (let i = from; i <= to && found < 3; i++) if (cells[i] !== null && cells[i] !== undefined) found++;
  return found === 1;
}

function cursorOptions(spec: ChartSpec, events: PlotEvents): uPlot.Cursor {
  return {
    y: false,
    drag: { x: true, y: false, setScale: false },
    sync: {
      key: SYNC_KEY,
      setSeries: false,
      scales: ["x", null],
      // Only the cursor is shared; one chart's drag must not select in all of them.
      filters: { pub: (type) => type === "mousemove" || type === "mouseleave" },
    },
    points: {
      size: (plot, index) => (plot.series[index]!.width === 1.75 ? 7 : 0),
      width: 2,
      fill: () => palette().surface,
    },
    bind: {
      mousedown: (_plot, _target, handler) => (event) => {
        events.onPress();
        return handler(event);
      },
      dblclick: () => () => {
        events.onReset();
        return null;
      },
    },
    hover: { prox: spec.kind === "boolean" ? null : 40 },
  };
}

function timeAxis(): uPlot.Axis {
  return {
    size: AXIS_HEIGHT,
    gap: 6,
    space: 76,
    font: palette().font,
    stroke: () => palette().text,
    grid: { stroke: () => palette().grid, width: 1 },
    ticks: { show: false },
    values: (_plot, splits, _axis, _space, step) => formatTimeTicks(splits, step),
  };
}

const BINARY_STEPS = Array.from({ length: 50 }, (_, power) => 2 ** power);
const DURATION_STEPS = [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400, 604_800, 2_592_000];

function valueAxis(spec: ChartSpec): uPlot.Axis {
  const binary = spec.unit === "bytes" || spec.unit === "bytes-per-second";
  return {
    size: AXIS_WIDTH,
    gap: 8,
    space: 38,
    font: palette().font,
    stroke: () => palette().text,
    grid: { stroke: () => palette().grid, width: 1 },
    ticks: { show: false },
    ...(binary ? { incrs: BINARY_STEPS } : spec.unit === "seconds" ? { incrs: DURATION_STEPS } : {}),
    ...(spec.scale === "step" ? { splits: () => [0, 1] } : {}),
    values: (_plot, splits, _axis, _space, step) =>
      spec.scale === "step"
        ? splits.map((value) => (value === 1 ? "true" : "false"))
        : splits.map((value) => formatTick(value, spec.unit, step)),
  };
}

/** Smallest height of a scale, so that noise around zero does not fill the picture. */
function smallest(spec: ChartSpec): number {
  return spec.unit === "bytes" || spec.unit === "bytes-per-second" ? 4096 : 1;
}

function yRange(spec: ChartSpec): uPlot.Range.Function {
  return (_plot, low, high) => {
    if (spec.scale === "step") return [-0.08, 1.12];
    const known = Number.isFinite(low) && Number.isFinite(high) && low !== null && high !== null;
    if (spec.scale === "percent") return [0, known ? Math.max(100, high) : 100];
    if (!known) return [0, smallest(spec)];
    if (spec.scale === "zero") return [0, Math.max(high * 1.12, smallest(spec))];
    return freeRange(low, high);
  };
}

/** Around the values with air above and below; a flat line lies in the middle. */
function freeRange(low: number, high: number): [number, number] {
  const spread = Math.max(high - low, Math.abs(high) * 0.02, 1e-9);
  const middle = (low + high) / 2;
  const half = spread * 0.65;
  const bottom = middle - half;
  // Values that never were negative do not get a scale below zero.
  return [low >= 0 && bottom < 0 ? 0 : bottom, middle + half];
}
