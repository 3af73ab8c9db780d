/** All charts of a thing. */
import { useSignal } from "@preact/signals";
import type { ReadonlySignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { LatestValue } from "../../cloud/api/contract.ts";
import { ChartPanel } from "../charts/chart-panel.tsx";
import type { ChartSpec } from "../charts/plan.ts";
import { formatTime } from "../format/time.ts";
import { formatValue } from "../format/units.ts";
import type { ThingFeed } from "./thing-feed.ts";
import { reset, scale, zoom } from "./view-actions.ts";

/** More charts than this at once are more than one reads; the others come on demand. */
const CHARTS_AT_FIRST = 24;
/** A chart's axis and padding: not part of the picture. */
const CHART_MARGIN_PX = 76;

export function Charts({ feed }: { readonly feed: ThingFeed }) {
  const { charts } = feed.plan.value;
  const all = useSignal(false);
  const grid = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const observer = new ResizeObserver(() => {
      const width = grid.current?.firstElementChild?.clientWidth ?? 0;
      if (width > CHART_MARGIN_PX) feed.setPixels(width - CHART_MARGIN_PX);
    });
    observer.observe(grid.current!);
    return () => observer.disconnect();
  }, [feed]);
  const shown = all.value ? charts : charts.slice(0, CHARTS_AT_FIRST);
  return (
    <section aria-label="Charts">
      <div class="charts" ref={grid}>
        {shown.map((spec) => (
          <Panel key={keyOf(spec)} feed={feed} spec={spec} />
        ))}
      </div>
      {shown.length < charts.length && (
        <p class="centered">
          <button type="button" class="button" onClick={() => (all.value = true)}>
            Show {charts.length - shown.length} more charts
          </button>
        </p>
      )}
    </section>
  );
}

/** A chart is built anew only where its lines change. */
function keyOf(spec: ChartSpec): string {
  return `${spec.id} ${spec.lines.map((line) => line.field).join(" ")}`;
}

function Panel({ feed, spec }: { readonly feed: ThingFeed; readonly spec: ChartSpec }) {
  const first = useRef(spec);
  const view = feed.view.value;
  const tables = feed.tables.value;
  const table = tables === "all" || tables.has(spec.id);
  const spanWords =
    view.kind === "follow" ? `last ${view.range.words}` : `${formatTime(view.from)} to ${formatTime(view.to)}`;
  return (
    <ChartPanel
      // The plan is made anew when fields appear elsewhere; the chart's own spec is the same and keeps its identity.
      spec={first.current}
      source={feed.source}
      showTable={table}
      spanWords={spanWords}
      amount={amountOf(spec, feed.latest)}
      following={view.kind === "follow"}
      onZoom={(from, to) => zoom(feed, from, to)}
      onReset={() => reset(feed)}
      onScale={(factor) => scale(feed, factor)}
      onToggleTable={() => toggleTable(feed, spec.id)}
    />
  );
}

function toggleTable(feed: ThingFeed, id: string): void {
  const tables = feed.tables.peek();
  const ids = new Set(tables === "all" ? feed.plan.peek().charts.map((chart) => chart.id) : tables);
  if (ids.has(id)) ids.delete(id);
  else ids.add(id);
  feed.tables.value = ids;
}

function amountOf(spec: ChartSpec, latest: ReadonlySignal<ReadonlyMap<string, LatestValue>>): string | null {
  if (spec.amount === null) return null;
  const used = latest.value.get(`${spec.measurement}\t${spec.amount.used}`)?.value;
  const total = latest.value.get(`${spec.measurement}\t${spec.amount.total}`)?.value;
  if (typeof used !== "number" || typeof total !== "number") return null;
  return `${formatValue(used, "bytes")} of ${formatValue(total, "bytes")}`;
}
