/** Times as people write them: a span (`90s`, `15m`, `24h`, `14d`) or a moment (ISO 8601, or milliseconds since 1970). */
import type { EpochMs, Millis } from "./units.ts";

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Null where it is no span. */
export function spanIn(text: string): Millis | null {
  const [, number, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  return number === undefined ? null : Number(number) * UNITS[unit!]!;
}

/** A span counts from `now`, back or ahead; a minus before it always counts back. Null where it is neither span nor moment. */
export function momentIn(text: string, now: EpochMs, direction: "back" | "ahead"): EpochMs | null {
  const minus = text.startsWith("-");
  const span = spanIn(minus ? text.slice(1) : text);
  if (span !== null) return minus || direction === "back" ? now - span : now + span;
  if (/^\d{1,16}$/.test(text)) return Number(text);
  // `Date.parse` takes much more, and guesses.
  if (!/^\d{4}-\d\d(?:-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?)?$/.test(text)) return null;
  const time = Date.parse(text);
  return Number.isNaN(time) ? null : time;
}
