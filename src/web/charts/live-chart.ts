/** One uPlot picture of one `ChartSpec`, moving with the server's clock. Knows no component. */
import uPlot from "uplot";
import type { EpochMs, Millis } from "../../base/mod.ts";
import { countGaps, drawData, summarise } from "./draw-data.ts";
import type { DrawData, LineSummary } from "./draw-data.ts";
import { chartOptions, columnRequests, seriesIndex } from "./chart-options.ts";
import { painter } from "./painter.ts";
import type { Paintable } from "./painter.ts";
import type { ChartSpec } from "./plan.ts";
import type { Span } from "./ranges.ts";
import type { ThingSeries } from "./thing-series.ts";

/** What a chart draws and for when. */
export interface ChartSource {
  readonly series: ThingSeries;
  /** Grows with every change of `series`. */
  readonly version: number;
  span(): Span;
}

export interface ChartEvents {
  /** The user chose a stretch of time. */
  readonly onZoom: (from: EpochMs, to: EpochMs) => void;
  readonly onReset: () => void;
  /** Data or cursor changed: values in the legend are to be told anew. */
  readonly onValues: () => void;
}

/** Below this shift, in CSS pixels, nobody sees that the axis moved. */
const SHIFT_MIN_PX = 0.5;

export class LiveChart implements Paintable {
  readonly spec: ChartSpec;
  readonly #host: HTMLElement;
  readonly #source: ChartSource;
  readonly #events: ChartEvents;
  readonly #stops: (() => void)[] = [];
  #plot: uPlot | null = null;
  #banded = false;
  #data: DrawData = [[]];
  #version = -1;
  #series: ThingSeries | null = null;
  #span: Span = { from: 0, to: 0 };
  #size = { width: 0, height: 0 };
  #visible = true;
  /** Where the keyboard put the cursor; it stays at its time while the axis moves. */
  #keyTime: EpochMs | null = null;

  constructor(host: HTMLElement, spec: ChartSpec, source: ChartSource, events: ChartEvents) {
    this.#host = host;
    this.spec = spec;
    this.#source = source;
    this.#events = events;
    const resized = new ResizeObserver(([entry]) => this.#resize(entry!.contentRect));
    resized.observe(host);
    const seen = new IntersectionObserver(([entry]) => this.#see(entry!.isIntersecting), { rootMargin: "200px" });
    seen.observe(host);
    this.#stops.push(
      () => resized.disconnect(),
      () => seen.disconnect(),
      painter.add(this),
    );
  }

  destroy(): void {
    for (const stop of this.#stops) stop();
    this.#plot?.destroy();
    this.#plot = null;
  }

  paint(force: boolean): void {
    const { series, version } = this.#source;
    const span = this.#source.span();
    const fresh = version !== this.#version || series !== this.#series;
    // Hidden behind its table twin: the data is still wanted, the picture is not.
    const hidden = this.#host.hidden;
    if (!hidden && (this.#size.width === 0 || !this.#visible)) return;
    if (fresh) this.#refresh(series, version);
    if (hidden) {
      this.#span = span;
      if (fresh) this.#events.onValues();
      return;
    }
    const pixel = (span.to - span.from) / Math.max(1, this.#size.width);
    const moved =
      Math.abs(span.to - this.#span.to) >= pixel * SHIFT_MIN_PX ||
      Math.abs(span.from - this.#span.from) >= pixel * SHIFT_MIN_PX;
    if (!fresh && !moved && !force) return;
    this.#span = span;
    const plot = this.#plotFor(series.window !== null);
    plot.batch(() => {
      if (fresh) plot.setData(this.#data, false);
      plot.setScale("x", { min: span.from, max: span.to });
    });
    if (force) plot.redraw(true, true);
    if (this.#keyTime !== null) this.#placeCursor(this.#keyTime);
    if (fresh) this.#events.onValues();
  }

  /** Data as it is drawn, for the table, the summary and the debug hook. */
  get data(): DrawData {
    return this.#data;
  }

  /** The stretch of time in the picture. */
  get span(): Span {
    return this.#span;
  }

  /** Column of `data` that holds a field's values, or -1. */
  columnOf(field: string): number {
    return seriesIndex(this.spec, field, this.#banded);
  }

  get cursorTime(): EpochMs | null {
    const index = this.#plot?.cursor.idx;
    const left = this.#plot?.cursor.left ?? -1;
    return index === null || index === undefined || left < 0 ? null : (this.#data[0][index] ?? null);
  }

  /** A field's value at the cursor, or null. */
  valueAtCursor(field: string): number | null {
    const column = this.columnOf(field);
    const index = this.#plot?.cursor.idxs?.[column];
    return index === null || index === undefined ? null : (this.#data[column]?.[index] ?? null);
  }

  summary(field: string): LineSummary | null {
    return summarise(this.#data, this.columnOf(field), this.#span.from, this.#span.to);
  }

  gaps(field: string): number {
    return countGaps(this.#data, this.columnOf(field));
  }

  /** Moves the cursor by points; negative is earlier. Starts at the newest point. */
  moveCursor(by: number): void {
    const times = this.#data[0];
    if (times.length === 0) return;
    const from = this.#keyTime ?? this.cursorTime;
    const at = from === null ? times.length - 1 : times.findIndex((time) => time >= from) + by;
    const index = Math.min(times.length - 1, Math.max(0, at));
    const time = Math.min(this.#span.to, Math.max(this.#span.from, times[index]!));
    this.#keyTime = time;
    this.#placeCursor(time);
  }

  /** To the first or last point in the picture. */
  moveCursorTo(edge: "first" | "last"): void {
    this.#keyTime = edge === "first" ? this.#span.from : this.#span.to;
    this.moveCursor(0);
  }

  hideCursor(): void {
    this.#keyTime = null;
    this.#plot?.setCursor({ left: -10, top: -10 });
    this.#events.onValues();
  }

  #placeCursor(time: EpochMs): void {
    const plot = this.#plot;
    if (plot === null) return;
    plot.setCursor({ left: plot.valToPos(time, "x"), top: plot.over.clientHeight / 2 });
  }

  #refresh(series: ThingSeries, version: number): void {
    const banded = series.window !== null;
    const columns = series.columns(this.spec.measurement, columnRequests(this.spec, banded));
    this.#data = drawData(columns, series.window);
    this.#series = series;
    this.#version = version;
  }

  #plotFor(banded: boolean): uPlot {
    if (this.#plot !== null && this.#banded === banded) return this.#plot;
    this.#plot?.destroy();
    this.#banded = banded;
    const options = chartOptions(this.spec, banded, this.#size, {
      onSelect: (from, to) => this.#events.onZoom(from, to),
      onReset: () => this.#events.onReset(),
      onCursor: () => this.#events.onValues(),
      onPress: () => this.#press(),
    });
    this.#plot = new uPlot(options, this.#data, this.#host);
    return this.#plot;
  }

  #press(): void {
    this.#keyTime = null;
    painter.frozen = true;
    document.addEventListener("mouseup", () => (painter.frozen = false), { once: true, capture: true });
  }

  #resize({ width, height }: { readonly width: number; readonly height: number }): void {
    const size = { width: Math.floor(width), height: Math.floor(height) };
    if (size.width === this.#size.width && size.height === this.#size.height) return;
    this.#size = size;
    if (size.width > 0) this.#plot?.setSize(size);
  }

  #see(visible: boolean): void {
    this.#visible = visible;
    // What was missed while out of sight.
    if (visible) this.#span = { from: 0, to: 0 };
  }
}

/** How old the newest reading may be before it counts as stale. */
export function staleAfter(period: Millis | null): Millis {
  return Math.max(10_000, 3 * (period ?? 0) + 2000);
}
