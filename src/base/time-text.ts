/**
 * Times as people write them: a span (`500ms`, `90s`, `15m`, `1h30m`, `14d`, `1y`) or a moment (`now`, `-1h`, `now-7d`,
 * ISO 8601, or milliseconds since 1970).
 */
import { TidewireError } from "./errors/catalogue.ts";
import { parseIsoTime } from "./iso-time.ts";
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

/** Within ±8.64e15 ms a JavaScript date exists; 9999-12-31 is enough. */
const ASKED_MAX: EpochMs = 253_402_300_800_000;

/** Whole milliseconds; null where it is no span. */
export function spanIn(text: string): Millis | null {
  if (text.length > 40 || !SPAN.test(text)) return null;
  let span = 0;
  for (const [, number, unit] of text.matchAll(PARTS)) span += Number(number) * UNITS[unit!]!;
  return span > SPAN_MAX ? null : Math.round(span);
}

/**
 * A span counts from `now`: back with a minus before it, ahead with a plus, else in `direction`. A time without a zone is
 * this machine's. Null where it is neither span nor moment.
 */
export function momentIn(text: string, now: EpochMs, direction: "back" | "ahead"): EpochMs | null {
  if (text === "now") return now;
  const [, sign = "", rest = ""] = /^(?:now(?=[+-]))?([+-]?)(.*)$/.exec(text) ?? [];
  const span = spanIn(rest);
  if (span !== null) return sign === "-" || (sign === "" && direction === "back") ? now - span : now + span;
  if (MILLIS_SINCE_1970.test(text)) return Number(text);
  return parseIsoTime(text) ?? localTimeIn(text);
}

/**
 * What a request says: as `momentIn`, back from now, but a time has a zone, since the caller's is not this machine's, and a
 * number is milliseconds, however few: only people forget a unit. Throws REQUEST_INVALID.
 */
export function momentAsked(name: string, text: string, now: EpochMs): EpochMs {
  const written = text.replace(/^(now)? (?=\d)/, "$1+").replace(/ (\d{2}:?\d{2})$/, "+$1"); // a `+` that a URL made a space
  const isZoneless = /^[\d-]+T[\d:.,]+$/i.test(text);
  const time = /^\d{1,11}$/.test(text) ? Number(text) : isZoneless ? null : momentIn(written, now, "back");
  if (time !== null && time >= 0 && time < ASKED_MAX) return time;
  const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  const reason = `'${name}' is '${shown}'; it must be epoch milliseconds, ISO 8601 with a zone (2026-01-31T12:00:00Z) or relative (-1h, -1h30m, now)`;
  throw new TidewireError("REQUEST_INVALID", { reason });
}

/** `2026-12`, `2026-12-31T08:00`. */
function localTimeIn(text: string): EpochMs | null {
  // `Date.parse` takes much more, and guesses; and 31 February for 3 March.
  const day = /^(\d{4}-\d\d)(?:(-\d\d)T[\d:.]+)?$/.exec(text);
  if (day === null || parseIsoTime(`${day[1]}${day[2] ?? "-01"}`) === null) return null;
  const time = Date.parse(text);
  return Number.isNaN(time) ? null : time;
}
