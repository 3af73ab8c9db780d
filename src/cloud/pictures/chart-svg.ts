/**
 * An alert's chart as SVG: what was measured, what it was held against, and since when it fires. A pure function. Attributes
 * only, no style sheet: mail programs, chat services and a strict Content-Security-Policy all show it the same.
 */
import type { EpochMs } from "../../base/mod.ts";
import type { Severity } from "../../rules/mod.ts";
import { clockText, dayText, timeTicks, valueLabel, valueTicks, wallIn } from "./ticks.ts";
import type { Wall } from "./ticks.ts";

export interface AlertChart {
  readonly title: string;
  /** The thing, and the field. */
  readonly subtitle: string;
  readonly severity: Severity;
  /** Null where it is not known. */
  readonly unit: string | null;
  /** Of its times: IANA's name. */
  readonly zone: string;
  readonly from: EpochMs;
  readonly to: EpochMs;
  readonly firing: { readonly from: EpochMs; readonly to: EpochMs | null };
  readonly thresholds: readonly { readonly label: string; readonly value: number; readonly kind: "raise" | "clear" }[];
  /** Ascending. */
  readonly times: readonly EpochMs[];
  readonly values: readonly number[];
}

const WIDTH = 640;
const HEIGHT = 360;
const PLOT = { left: 62, right: WIDTH - 18, top: 74, bottom: HEIGHT - 58 } as const;
const FONT = "DejaVu Sans, Verdana, sans-serif";
const INK = "#1f2328";
const FAINT = "#59636e";
const GRID = "#e3e8ee";
const LINE = "#0969da";
const WELL = "#1a7f37";
const SEVERITY_COLOURS: Readonly<Record<Severity, string>> = {
  info: "#0969da",
  warning: "#b35900",
  critical: "#cf222e",
};
const TITLE_CHARS_MAX = 54;
const SUBTITLE_CHARS_MAX = 74;
/** Where nothing came for so many times the usual pause, there is a gap. */
const GAP_FACTOR = 10;

type Scale = (value: number) => number;

export function chartSvg(chart: AlertChart): string {
  const { from, to, severity } = chart;
  const [low, high] = domainOf(chart);
  const x: Scale = (at) => PLOT.left + ((at - from) / (to - from)) * (PLOT.right - PLOT.left);
  const y: Scale = (value) => PLOT.bottom - ((value - low) / (high - low)) * (PLOT.bottom - PLOT.top);
  const colour = SEVERITY_COLOURS[severity];
  const parts = [
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    `<rect width="6" height="${HEIGHT}" fill="${chart.firing.to === null ? colour : WELL}"/>`,
    text(20, 30, shortened(chart.title, TITLE_CHARS_MAX), { size: 18, fill: INK, bold: true }),
    text(20, 54, shortened(subtitleOf(chart), SUBTITLE_CHARS_MAX), { size: 14, fill: FAINT }),
    ...firingSpan(chart, x, colour),
    ...grid(chart, x, y, [low, high]),
    ...line(chart, x, y),
    ...thresholds(chart, y, colour),
    text(20, HEIGHT - 12, footOf(chart), { size: 13, fill: FAINT }),
  ];
  const label = `aria-label="${escape(shortened(chart.title, 200))}"`;
  const open = `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" ${label} font-family="${FONT}">`;
  return `${open}${parts.join("")}</svg>`;
}

/** All that is drawn, with some air; a flat line is in the middle. */
function domainOf({ values, thresholds: lines }: AlertChart): readonly [low: number, high: number] {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  for (const { value } of lines) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const air = high > low ? (high - low) * 0.08 : Math.max(Math.abs(high) * 0.1, 1);
  return [low - air, high + air];
}

function firingSpan({ firing, from, to }: AlertChart, x: Scale, colour: string): string[] {
  const [start, end] = [Math.max(firing.from, from), Math.min(firing.to ?? to, to)];
  const [left, right] = [x(start), Math.max(x(end), x(start) + 2)];
  const height = PLOT.bottom - PLOT.top;
  const band = `<rect class="firing" x="${round(left)}" y="${PLOT.top}" width="${round(right - left)}" height="${height}" fill="${colour}" fill-opacity="0.12"/>`;
  const edges = [firing.from >= from ? edge(left, colour) : "", firing.to === null ? "" : edge(right, WELL)];
  return [band, ...edges];
}

function edge(at: number, colour: string): string {
  return `<line x1="${round(at)}" x2="${round(at)}" y1="${PLOT.top}" y2="${PLOT.bottom}" stroke="${colour}" stroke-width="1.5"/>`;
}

function grid({ from, to, zone }: AlertChart, x: Scale, y: Scale, [low, high]: readonly [number, number]): string[] {
  const rows = valueTicks(low, high, 5);
  const across = rows.map((value) => {
    const at = round(y(value));
    const rule = `<line x1="${PLOT.left}" x2="${PLOT.right}" y1="${at}" y2="${at}" stroke="${GRID}"/>`;
    return rule + text(PLOT.left - 8, at + 5, valueLabel(value, rows), { size: 14, fill: FAINT, anchor: "end" });
  });
  const along = timeTicks(from, to, 7, wallIn(zone)).map(({ at, label }) => {
    const place = round(x(at));
    const rule = `<line x1="${place}" x2="${place}" y1="${PLOT.bottom}" y2="${PLOT.bottom + 5}" stroke="${FAINT}"/>`;
    return rule + text(place, PLOT.bottom + 20, label, { size: 14, fill: FAINT, anchor: "middle" });
  });
  const foot = `<line x1="${PLOT.left}" x2="${PLOT.right}" y1="${PLOT.bottom}" y2="${PLOT.bottom}" stroke="${FAINT}"/>`;
  return [...across, foot, ...along];
}

/** Broken where nothing was heard; a reading that stands alone is a dot. */
function line({ times, values, from, to }: AlertChart, x: Scale, y: Scale): string[] {
  const gap = gapOf(times);
  const runs: string[][] = [];
  let before = -Infinity;
  for (const [i, at] of times.entries()) {
    if (at < from || at > to) continue;
    if (at - before > gap) runs.push([]);
    before = at;
    runs.at(-1)!.push(`${round(x(at))},${round(y(values[i]!))}`);
  }
  return runs.map((run) => {
    if (run.length > 1) {
      return `<polyline class="values" points="${run.join(" ")}" fill="none" stroke="${LINE}" stroke-width="2" stroke-linejoin="round"/>`;
    }
    const [cx, cy] = run[0]!.split(",");
    return `<circle class="values" cx="${cx}" cy="${cy}" r="3" fill="${LINE}"/>`;
  });
}

function gapOf(times: readonly EpochMs[]): number {
  const pauses = times.slice(1).map((at, i) => at - times[i]!);
  const usual = pauses.sort((a, b) => a - b)[pauses.length >> 1] ?? 0;
  return Math.max(usual * GAP_FACTOR, 60_000);
}

/** Over the line, so that it is seen what was crossed; the words stand where there is room, on a light ground. */
function thresholds({ thresholds: lines }: AlertChart, y: Scale, severity: string): string[] {
  const highest = Math.max(...lines.map(({ value }) => value));
  return lines.map(({ label, value, kind }) => {
    const at = round(y(value));
    const colour = kind === "raise" ? severity : WELL;
    const rule = `<line class="threshold ${kind}" x1="${PLOT.left}" x2="${PLOT.right}" y1="${at}" y2="${at}" stroke="${colour}" stroke-width="1.5" stroke-dasharray="7 4"/>`;
    // The words of a pair stand outside of it, and never cover each other.
    const words = at - PLOT.top < 20 || value < highest ? at + 16 : at - 6;
    const width = label.length * 8 + 10;
    const ground = `<rect x="${PLOT.left + 4}" y="${words - 13}" width="${width}" height="17" fill="#ffffff" fill-opacity="0.8"/>`;
    return rule + ground + text(PLOT.left + 9, words, label, { size: 13, fill: colour });
  });
}

function subtitleOf({ subtitle, unit }: AlertChart): string {
  return unit === null ? subtitle : `${subtitle}, ${unit}`;
}

function footOf({ from, to, firing, zone }: AlertChart): string {
  const wall = wallIn(zone);
  const [first, last] = [dayText(wall(from)), dayText(wall(to))];
  const year = new Date(wall(to)).getUTCFullYear();
  const since = momentText(firing.from, to, wall);
  const span = firing.to === null ? `firing since ${since}` : `firing ${since} to ${momentText(firing.to, to, wall)}`;
  return `${first === last ? last : `${first} to ${last}`} ${year}, times in ${zone} · ${span}`;
}

/** With its day where that is another one. */
function momentText(at: EpochMs, shownOn: EpochMs, wall: Wall): string {
  const day = dayText(wall(at));
  return day === dayText(wall(shownOn)) ? clockText(wall(at)) : `${day} ${clockText(wall(at))}`;
}

interface TextStyle {
  readonly size: number;
  readonly fill: string;
  readonly bold?: boolean;
  readonly anchor?: "middle" | "end";
}

function text(x: number, y: number, words: string, { size, fill, bold = false, anchor }: TextStyle): string {
  const more = `${bold ? ' font-weight="bold"' : ""}${anchor === undefined ? "" : ` text-anchor="${anchor}"`}`;
  return `<text x="${round(x)}" y="${round(y)}" font-size="${size}" fill="${fill}"${more}>${escape(words)}</text>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function shortened(words: string, charsMax: number): string {
  if (words.length <= charsMax) return words;
  // Half a character would be none; `escape` makes it a mark.
  return `${words.slice(0, charsMax - 1)}…`;
}

/** XML 1.0 section 2.2 knows no control characters, not even as references. */
function escape(words: string): string {
  return (
    words
      .toWellFormed()
      // oxlint-disable-next-line no-control-regex -- exactly these are to go
      .replaceAll(/[\u0000-\u001f\u007f\ufffe\uffff]/g, " ")
      .replaceAll("&", "&amp;")
      .replaceAll("<", "&lt;")
      .replaceAll(">", "&gt;")
      .replaceAll('"', "&quot;")
  );
}
