/** From an alert to what its chart shows: which series, which span, which lines. */
import { LIMITS, hours } from "../../base/mod.ts";
import type { EpochMs, Millis } from "../../base/mod.ts";
import { CHART_LEAD, CHART_TAIL } from "../../rules/mod.ts";
import type { Alert, Measured } from "../../rules/mod.ts";
import type { SeriesOfResult, SeriesQuery } from "../../telemetry/mod.ts";
import type { AlertChart } from "./chart-svg.ts";

/** Up to here single readings are shown, chosen so that no peak is lost; beyond, windows. */
const RAW_SPAN_MAX: Millis = hours(6);
const POINTS = 500;
const WINDOWS = 240;

/** From some time before it began until `at`, or until a little after it was over. */
export function spanOf(alert: Alert, at: EpochMs): { readonly from: EpochMs; readonly to: EpochMs } {
  const end = alert.resolvedAt === null ? at : Math.min(at, alert.resolvedAt + CHART_TAIL);
  const from = Math.floor(alert.since - CHART_LEAD);
  return { from, to: Math.max(Math.ceil(end), Math.ceil(alert.raisedAt) + 1) };
}

export function queryOf(alert: Alert, { field, raise }: Measured, at: EpochMs): SeriesQuery {
  const { from, to } = spanOf(alert, at);
  const base = {
    thing: alert.thing,
    measurement: null,
    fields: [field],
    from,
    to,
    limit: LIMITS.telemetry.pointsPerQueryMax,
  };
  if (to - from <= RAW_SPAN_MAX) return { ...base, window: null, aggregate: null, points: POINTS };
  // The side that crosses the line is the one to be seen.
  const { operator } = raise[0] ?? { operator: "=" };
  const aggregate = operator.startsWith(">") ? "max" : operator === "<" || operator === "<=" ? "min" : "avg";
  return { ...base, window: Math.ceil((to - from) / WINDOWS / 1000) * 1000, aggregate };
}

/** Null where nothing was stored that could be drawn. */
export function chartOf(
  alert: Alert,
  measured: Measured,
  series: readonly SeriesOfResult[],
  at: EpochMs,
  told: Pick<AlertChart, "zone" | "unit"> = { zone: "UTC", unit: null },
): AlertChart | null {
  const numbers = series.filter(({ type, field }) => type === "number" && field === measured.field);
  const found = numbers.find(({ measurement }) => measurement === measured.measurement) ?? numbers[0];
  const points = pointsOf(found, alert, spanOf(alert, at));
  if (points.times.length === 0) return null;
  const title = alert.summary;
  const subtitle = `${alert.thing} · ${measured.field}`;
  const firing = {
    from: alert.since,
    to: alert.resolvedAt !== null && alert.resolvedAt <= at ? alert.resolvedAt : null,
  };
  const { severity } = alert;
  return {
    title,
    subtitle,
    severity,
    firing,
    ...spanOf(alert, at),
    ...points,
    // What a rule's own words say comes before what a schema says of the field.
    unit: unitOf(alert) ?? told.unit,
    zone: told.zone,
    thresholds: linesOf(alert, measured),
  };
}

/** The reading that raised it may be on its way to the store still; the alert knows it. */
function pointsOf(
  series: SeriesOfResult | undefined,
  { value, raisedAt }: Alert,
  { from, to }: { readonly from: EpochMs; readonly to: EpochMs },
): Pick<AlertChart, "times" | "values"> {
  const times: EpochMs[] = [];
  const values: number[] = [];
  for (const [i, time] of (series?.times ?? []).entries()) {
    const point = series!.values[i];
    if (typeof point !== "number" || time < from || time > to) continue;
    times.push(time);
    values.push(point);
  }
  const own = numberIn(value);
  if (own !== null && times.length > 0 && times.at(-1)! < raisedAt) {
    times.push(raisedAt);
    values.push(own);
  }
  return { times, values };
}

function linesOf({ threshold }: Alert, { raise, clear }: Measured): AlertChart["thresholds"] {
  const said = numberIn(threshold);
  const raised = raise.length === 0 && said !== null ? [said] : raise.map(({ value }) => value);
  const cleared = clear.map(({ value }) => value).filter((value) => !raised.includes(value));
  return [
    ...[...new Set(raised)].map((value) => ({ label: `raised at ${value}`, value, kind: "raise" as const })),
    ...[...new Set(cleared)].map((value) => ({ label: `clear at ${value}`, value, kind: "clear" as const })),
  ];
}

/** `95 %` → 95. */
function numberIn(text: string | null): number | null {
  const match = /[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?/i.exec(text ?? "");
  return match === null ? null : Number(match[0]);
}

/** `95 %` → `%`; what a rule's own words say. */
function unitOf({ value, threshold }: Alert): string | null {
  const match = /^\s*[-+]?\d+(?:\.\d+)?\s*([^\d\s][^\d\s]{0,11})\s*$/.exec(value ?? threshold ?? "");
  return match?.[1] ?? null;
}
