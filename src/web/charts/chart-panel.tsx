/** A chart with its title, values, table twin and words for screen readers. */
import { useComputed, useSignal } from "@preact/signals";
import type { Signal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import type { EpochMs } from "../../base/mod.ts";
import { plural } from "../format/labels.ts";
import { formatAge, formatTime } from "../format/time.ts";
import { formatParts, formatValue } from "../format/units.ts";
import type { Unit } from "../format/units.ts";
import { isLive, serverNow } from "../live/live.ts";
import { IconChart, IconTable } from "../shell/icons.tsx";
import { colorIndex } from "./chart-options.ts";
import { ChartTable } from "./chart-table.tsx";
import { registerChart } from "./chart-registry.ts";
import { LiveChart, staleAfter } from "./live-chart.ts";
import type { ChartSource } from "./live-chart.ts";
import type { ChartSpec } from "./plan.ts";

export interface ChartPanelProps {
  readonly spec: ChartSpec;
  readonly source: ChartSource;
  readonly showTable: boolean;
  /** "last 5 minutes", for the summary. */
  readonly spanWords: string;
  /** "5.2 GiB of 15.5 GiB". */
  readonly amount: string | null;
  readonly following: boolean;
  readonly onZoom: (from: EpochMs, to: EpochMs) => void;
  readonly onReset: () => void;
  readonly onScale: (factor: number) => void;
  readonly onToggleTable: () => void;
}

interface Entry {
  readonly label: string;
  readonly value: string;
  readonly suffix: string;
  /** Colour's number, or null for the faint lines together. */
  readonly color: number | null;
}

interface Reading {
  /** Time of the values: at the cursor, or of the newest reading. */
  readonly at: EpochMs | null;
  readonly cursor: boolean;
  readonly entries: readonly Entry[];
  readonly summary: string;
}

const NO_READING: Reading = { at: null, cursor: false, entries: [], summary: "" };

export function ChartPanel(props: ChartPanelProps) {
  const { spec, showTable } = props;
  const id = useId();
  const host = useRef<HTMLDivElement>(null);
  const { chart, reading, spoken, onKeyDown } = useChart(props, host);
  return (
    <figure class="chart" aria-labelledby={`${id}-title`} data-chart={spec.id}>
      <figcaption class="chart-head">
        <div class="chart-heading">
          <h3 class="chart-title" id={`${id}-title`}>
            {spec.title}
          </h3>
          <ChartNote reading={reading} panel={props} />
        </div>
        <Legend reading={reading} />
        <TableToggle panel={props} />
      </figcaption>
      <div
        class="chart-body"
        tabIndex={0}
        role="group"
        aria-roledescription="chart"
        aria-label={`${spec.title} chart`}
        aria-describedby={`${id}-summary`}
        onKeyDown={onKeyDown}
        onBlur={() => chart.current?.hideCursor()}
      >
        <div class="plot" ref={host} hidden={showTable} />
        {showTable && <ChartTable spec={spec} chart={chart} reading={reading} />}
      </div>
      <Summary id={`${id}-summary`} reading={reading} />
      <p class="sr-only" aria-live="polite">
        {spoken}
      </p>
    </figure>
  );
}

/** The picture in `host`, the values to tell beside it, and its keys. */
function useChart(props: ChartPanelProps, host: RefObject<HTMLDivElement | null>) {
  const { spec, source } = props;
  const chart = useRef<LiveChart | null>(null);
  const reading = useSignal<Reading>(NO_READING);
  const spoken = useSignal("");
  const latest = useRef(props);
  latest.current = props;

  useEffect(() => {
    const created = new LiveChart(host.current!, spec, source, {
      onZoom: (from, to) => latest.current.onZoom(from, to),
      onReset: () => latest.current.onReset(),
      onValues: () => (reading.value = read(created, spec, latest.current.spanWords)),
    });
    chart.current = created;
    const unregister = registerChart(created);
    return () => {
      unregister();
      created.destroy();
      chart.current = null;
    };
  }, [spec, source]);

  const onKeyDown = (event: KeyboardEvent): void => {
    if (chart.current === null || !handleKey(event, chart.current, latest.current)) return;
    event.preventDefault();
    event.stopPropagation();
    reading.value = read(chart.current, spec, latest.current.spanWords);
    const { at, cursor, entries } = reading.value;
    if (!cursor || at === null) return;
    spoken.value = `${formatTime(at, "time")}: ${entries.map((e) => `${e.label} ${e.value}${e.suffix}`).join(", ")}`;
  };
  return { chart, reading, spoken, onKeyDown };
}

function TableToggle({ panel }: { readonly panel: ChartPanelProps }) {
  return (
    <button
      type="button"
      class="icon-button chart-toggle"
      aria-pressed={panel.showTable}
      aria-label={`${panel.spec.title} as a table`}
      title={panel.showTable ? "Show the chart (t)" : "Show as a table (t)"}
      onClick={panel.onToggleTable}
    >
      {panel.showTable ? <IconChart /> : <IconTable />}
    </button>
  );
}

/** Returns whether the key was for the chart. */
function handleKey(event: KeyboardEvent, chart: LiveChart, props: ChartPanelProps): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  const by = event.shiftKey ? 10 : 1;
  switch (event.key) {
    case "ArrowLeft":
      chart.moveCursor(-by);
      return true;
    case "ArrowRight":
      chart.moveCursor(by);
      return true;
    case "Home":
      chart.moveCursorTo("first");
      return true;
    case "End":
      chart.moveCursorTo("last");
      return true;
    case "+":
    case "=":
      props.onScale(0.5);
      return true;
    case "-":
      props.onScale(2);
      return true;
    case "t":
      props.onToggleTable();
      return true;
    default:
      return false;
  }
}

/** The line below the title: the time at the cursor, how old the values are, or what they amount to. */
function ChartNote({ reading, panel }: { readonly reading: Signal<Reading>; readonly panel: ChartPanelProps }) {
  const { at, cursor } = reading.value;
  if (cursor && at !== null) return <p class="chart-note">{formatTime(at)}</p>;
  const { series } = panel.source;
  const newest = series.newest(panel.spec.measurement);
  if (newest === null) return <p class="chart-note">No readings</p>;
  const age = serverNow.value - newest;
  const stale = age > staleAfter(series.period(panel.spec.measurement)) || !isLive.value;
  if (panel.following && stale) return <p class="chart-note is-stale">Last reading {formatAge(age)}</p>;
  return <p class="chart-note">{panel.amount ?? "\u00a0"}</p>;
}

function Legend({ reading }: { readonly reading: Signal<Reading> }) {
  const { entries } = reading.value;
  return (
    <dl class="legend">
      {entries.map((entry) => (
        <div class="legend-entry" key={entry.label}>
          <dt>
            <span class={entry.color === null ? "swatch is-faint" : `swatch line-${entry.color + 1}`} />
            {entry.label}
          </dt>
          <dd>
            {entry.value}
            {entry.suffix !== "" && <span class="unit">{entry.suffix}</span>}
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** In words, and only anew when a new sentence would be due: a screen reader reads it when asked. */
function Summary({ id, reading }: { readonly id: string; readonly reading: Signal<Reading> }) {
  const text = useComputed(() => reading.value.summary);
  return (
    <p class="sr-only" id={id}>
      {text}
    </p>
  );
}

function read(chart: LiveChart, spec: ChartSpec, spanWords: string): Reading {
  const cursorTime = chart.cursorTime;
  const strong = spec.lines.filter((line) => line.role !== "faint");
  const faint = spec.lines.filter((line) => line.role === "faint");
  const entries: Entry[] = [];
  let newest: EpochMs | null = null;
  for (const { field, label } of strong) {
    const summary = chart.summary(field);
    const value = cursorTime === null ? (summary?.last ?? null) : chart.valueAtCursor(field);
    if (summary !== null) newest = Math.max(newest ?? 0, summary.lastAt);
    entries.push({ label, color: colorIndex(spec, field), ...valueText(spec, value) });
  }
  if (faint.length > 1) {
    const values = faint
      .map(({ field }) => (cursorTime === null ? (chart.summary(field)?.last ?? null) : chart.valueAtCursor(field)))
      .filter((value) => value !== null);
    entries.push({
      label: `${faint.length} ${spec.faintName ?? "others"}`,
      color: null,
      ...spreadText(spec.unit, values),
    });
  }
  const summary = sentences(chart, spec, spanWords);
  return { at: cursorTime ?? newest, cursor: cursorTime !== null, entries, summary };
}

function valueText(spec: ChartSpec, value: number | null): { readonly value: string; readonly suffix: string } {
  if (value === null) return { value: "–", suffix: "" };
  if (spec.kind === "boolean") return { value: value === 1 ? "true" : "false", suffix: "" };
  const { number, suffix } = formatParts(value, spec.unit);
  return { value: number, suffix };
}

function spreadText(unit: Unit, values: readonly number[]): { readonly value: string; readonly suffix: string } {
  if (values.length === 0) return { value: "–", suffix: "" };
  const low = Math.round(Math.min(...values));
  const high = Math.round(Math.max(...values));
  return { value: low === high ? `${low}` : `${low}–${high}`, suffix: formatParts(high, unit).suffix };
}

function sentences(chart: LiveChart, spec: ChartSpec, spanWords: string): string {
  const parts = spec.lines
    .filter((line) => line.role !== "faint")
    .map(({ field, label }) => {
      const summary = chart.summary(field);
      if (summary === null) return `${label}: no readings.`;
      const gaps = chart.gaps(field);
      const tail = `${plural(summary.points, "point")}, ${gaps === 0 ? "no gaps" : plural(gaps, "gap")}.`;
      if (spec.kind === "boolean") return `${label}: ${summary.last === 1 ? "true" : "false"}; ${tail}`;
      const text = (value: number): string => formatValue(value, spec.unit);
      return `${label}: ${text(summary.last)} now, lowest ${text(summary.min)}, highest ${text(summary.max)}, average ${text(summary.average)}; ${tail}`;
    });
  return `${spec.title}, ${spanWords}. ${parts.join(" ")}`;
}
