/** The charts on the page, for the debug hook. */
import type { LiveChart } from "./live-chart.ts";

const charts = new Set<LiveChart>();

export function registerChart(chart: LiveChart): () => void {
  charts.add(chart);
  return () => charts.delete(chart);
}

export function chartsOnPage(): LiveChart[] {
  return [...charts];
}
