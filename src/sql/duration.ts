/** Spans of time as they stand in a statement: '90 s', '5 minutes', '1 h 30 min', or ISO 8601: 'PT5M', 'P1DT12H'. */
import { days, hours, minutes, seconds } from "../base/mod.ts";
import type { Millis } from "../base/mod.ts";

const UNITS: readonly (readonly [unit: string, span: Millis, names: RegExp])[] = [
  ["d", days(1), /^(?:d|days?)$/i],
  ["h", hours(1), /^(?:h|hours?)$/i],
  ["min", minutes(1), /^(?:m|mins?|minutes?)$/i],
  ["s", seconds(1), /^(?:s|secs?|seconds?)$/i],
  ["ms", 1, /^(?:ms|millis|milliseconds?)$/i],
];

const ISO =
  /^P(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?(?:T(?=\d)(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?$/i;
const ISO_SPANS: readonly Millis[] = [days(7), days(1), hours(1), minutes(1), seconds(1)];

/** Whole milliseconds; null where it is not a span, or none that can be counted. */
export function parseDuration(text: string): Millis | null {
  if (text.length > 40) return null;
  const span = /^P/i.test(text.trim()) ? isoSpan(text.trim()) : namedSpan(text.trim());
  return span !== null && Number.isSafeInteger(span) ? span : null;
}

/** The shortest way to write it: `parseDuration(printDuration(span))` is the span. */
export function printDuration(span: Millis): string {
  const [unit, size] = UNITS.find(([, size]) => span >= size && span % size === 0) ?? ["ms", 1];
  return `${span / size} ${unit}`;
}

function isoSpan(text: string): Millis | null {
  const match = ISO.exec(text);
  if (match === null || !/\d/.test(text)) return null;
  let span = 0;
  for (const [i, size] of ISO_SPANS.entries()) span += Number(match[i + 1] ?? 0) * size;
  return Math.round(span);
}

function namedSpan(text: string): Millis | null {
  if (!/^(?:\d+(?:\.\d+)?\s*[a-z]+\s*)+$/i.test(text)) return null;
  let span = 0;
  for (const [, number, name] of text.matchAll(/(\d+(?:\.\d+)?)\s*([a-z]+)/gi)) {
    const unit = UNITS.find(([, , names]) => names.test(name!));
    if (unit === undefined) return null;
    span += Number(number) * unit[1];
  }
  return Math.round(span);
}
