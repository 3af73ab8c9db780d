/** Times as people write them: a span (`500ms`, `90s`, `15m`, `1h30m`, `14d`, `1y`) or a moment (ISO 8601, or milliseconds since 1970). */
import { days, hours, minutes, seconds } from "./units.ts";
import type { EpochMs, Millis } from "./units.ts";

const UNITS: Readonly<Record<string, Millis>> = {
  ms: 1,
  s: seconds(1),
  m: minutes(1),
  min: minutes(1),
  h: hours(1),
  d: days(1),
  w: days(7),
  y: days(365),
};
const PARTS = /(\d{1,9}(?:\.\d{1,6})?)(ms|s|min|m|h|d|w|y)/g;
const SPAN = new RegExp(`^(?:${PARTS.source})+$`);
/** What a `Date` can still take a moment back or ahead. */
const SPAN_MAX: Millis = days(365) * 100_000;

/** A shorter number is no moment that anybody means: it is a span without its unit, or in seconds. */
const MILLIS_SINCE_1970 = /^(?:0|\d{12,16})$/;

/** Whole milliseconds; null where it is no span. */
export function spanIn(text: string): Millis | null {
  if (text.length > 40 || !SPAN.test(text)) return null;
  let span = 0;
  for (const [, number, unit] of text.matchAll(PARTS)) span += Number(number) * UNITS[unit!]!;
  return span > SPAN_MAX ? null : Math.round(span);
}

/** A span counts from `now`, back or ahead; a minus before it always counts back. Null where it is neither span nor moment. */
export function momentIn(text: string, now: EpochMs, direction: "back" | "ahead"): EpochMs | null {
  const minus = text.startsWith("-");
  const span = spanIn(minus ? text.slice(1) : text);
  if (span !== null) return minus || direction === "back" ? now - span : now + span;
  if (MILLIS_SINCE_1970.test(text)) return Number(text);
  // `Date.parse` takes much more, and guesses.
  if (!/^\d{4}-\d\d(?:-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?)?$/.test(text)) return null;
  const time = Date.parse(text);
  return Number.isNaN(time) ? null : time;
}
