/**
 * `window.__tidewire`: what the page knows, for browser tests and for the curious. Read-only, and nothing that the page
 * does not show anyway.
 */
import { chartsOnPage } from "./charts/chart-registry.ts";
import { live } from "./live/live.ts";
import { currentFeed } from "./thing/current-feed.ts";

export interface DebugChart {
  readonly id: string;
  /** Rows as they are drawn; a row of nulls breaks the lines. */
  readonly times: readonly number[];
  readonly lines: Readonly<Record<string, readonly (number | null | undefined)[]>>;
  /** The stretch of time in the picture. */
  readonly span: { readonly from: number; readonly to: number };
}

export interface DebugHook {
  readonly charts: () => DebugChart[];
  readonly feed: () => { readonly status: string; readonly window: number | null; readonly rows: number } | null;
  readonly connection: () => string;
  /** Server's clock minus this machine's, in milliseconds. */
  readonly clockDifference: () => number;
}

export function installDebugHook(): void {
  const hook: DebugHook = {
    charts: () =>
      chartsOnPage().map((chart) => ({
        id: chart.spec.id,
        times: chart.data[0],
        lines: Object.fromEntries(
          chart.spec.lines.map(({ field }) => [field, chart.data[chart.columnOf(field)] ?? []]),
        ),
        span: chart.span,
      })),
    feed: () => {
      const feed = currentFeed();
      if (feed === null) return null;
      return { status: feed.status.peek().kind, window: feed.window.peek(), rows: feed.source.series.rows };
    },
    connection: () => live.state.peek().kind,
    clockDifference: () => live.clock.difference,
  };
  Object.defineProperty(window, "__tidewire", { value: Object.freeze(hook) });
}
