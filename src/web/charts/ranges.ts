/** What a chart shows: its span of time, and how much the server condenses it. */
import { days, hours, minutes, seconds } from "../../base/mod.ts";
import type { EpochMs, Millis } from "../../base/mod.ts";

export type RangeName = "5m" | "15m" | "1h" | "6h" | "24h" | "7d";

export interface Range {
  readonly name: RangeName;
  readonly label: string;
  /** As it stands in a sentence: "last 15 minutes". */
  readonly words: string;
  readonly span: Millis;
}

export const RANGES: readonly Range[] = [
  { name: "5m", label: "5 min", words: "5 minutes", span: minutes(5) },
  { name: "15m", label: "15 min", words: "15 minutes", span: minutes(15) },
  { name: "1h", label: "1 h", words: "hour", span: hours(1) },
  { name: "6h", label: "6 h", words: "6 hours", span: hours(6) },
  { name: "24h", label: "24 h", words: "24 hours", span: hours(24) },
  { name: "7d", label: "7 d", words: "7 days", span: days(7) },
];

export const DEFAULT_RANGE: Range = RANGES[0]!;

export function rangeByName(name: string | null): Range {
  return RANGES.find((range) => range.name === name) ?? DEFAULT_RANGE;
}

/** Widths of a window that divide the units above them, so that windows start at round times. */
const WINDOWS: readonly Millis[] = [
  seconds(1),
  seconds(2),
  seconds(5),
  seconds(10),
  seconds(15),
  seconds(30),
  minutes(1),
  minutes(2),
  minutes(5),
  minutes(10),
  minutes(15),
  minutes(30),
  hours(1),
  hours(2),
  hours(3),
  hours(6),
  hours(12),
  days(1),
];

/** Up to this span every reading is drawn as it is. */
export const RAW_SPAN_MAX: Millis = minutes(15);

/**
 * The window that gives about one point per pixel; null where raw points are few enough. More would be drawn over
 * each other, fewer would look coarse.
 */
export function windowFor(span: Millis, pixels: number): Millis | null {
  if (span <= RAW_SPAN_MAX) return null;
  return windowAtLeast(span / Math.max(50, pixels));
}

/** The narrowest window that is not narrower than `width`. */
export function windowAtLeast(width: Millis): Millis {
  return WINDOWS.find((window) => window >= width) ?? Math.ceil(width / days(1)) * days(1);
}

/** A window as the API writes it: `10s`, `5m`, `1h`, `1d`. */
export function windowText(window: Millis): string {
  if (window % days(1) === 0) return `${window / days(1)}d`;
  if (window % hours(1) === 0) return `${window / hours(1)}h`;
  if (window % minutes(1) === 0) return `${window / minutes(1)}m`;
  return `${window / seconds(1)}s`;
}

/** Start of the epoch-aligned window that holds `at`. */
export function windowStart(at: EpochMs, window: Millis): EpochMs {
  return Math.floor(at / window) * window;
}

/** What is on the page: the last `span` up to now, or a fixed stretch after a zoom or a pause. */
export type View =
  | { readonly kind: "follow"; readonly range: Range }
  | { readonly kind: "fixed"; readonly range: Range; readonly from: EpochMs; readonly to: EpochMs };

/**
 * How far the right edge stays behind the server's clock: one period and the way of a reading through the platform, so
 * that the line glides into the picture instead of jumping once per reading.
 */
export const EDGE_DELAY: Millis = 1500;

export interface Span {
  readonly from: EpochMs;
  readonly to: EpochMs;
}

export function spanOf(view: View, serverNow: EpochMs): Span {
  if (view.kind === "fixed") return { from: view.from, to: view.to };
  const to = serverNow - EDGE_DELAY;
  return { from: to - view.range.span, to };
}

/** Narrowest zoom: below it there is nothing to see. */
const ZOOM_SPAN_MIN: Millis = seconds(2);

/** The stretch that the user dragged over or zoomed to with the keys, at least `ZOOM_SPAN_MIN` wide. */
export function zoomTo(view: View, from: EpochMs, to: EpochMs): View {
  const middle = (from + to) / 2;
  const half = Math.max(ZOOM_SPAN_MIN, Math.abs(to - from)) / 2;
  return { kind: "fixed", range: view.range, from: Math.round(middle - half), to: Math.round(middle + half) };
}

/** What an address asks for; without a span, the present. */
export function viewOf(rangeName: string | null, span: Span | null): View {
  const range = rangeByName(rangeName);
  return span === null ? { kind: "follow", range } : { kind: "fixed", range, ...span };
}

/** What a page that shows `view` is to show when its address says something else; null: it does already. */
export function viewTo(view: View, rangeName: string | null, span: Span | null): View | null {
  if (span === null) {
    const isOther = rangeName !== null && rangeByName(rangeName) !== view.range;
    return view.kind === "follow" && !isOther ? null : viewOf(rangeName, null);
  }
  if (view.kind === "fixed" && view.from === span.from && view.to === span.to) return null;
  return viewOf(rangeName, span);
}
