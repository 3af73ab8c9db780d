/** When something is due that is done again and again: every so often, or at a time of the day (UTC). */
import { days } from "../../base/mod.ts";
import type { EpochMs, Millis } from "../../base/mod.ts";

export type Times =
  | { readonly kind: "every"; readonly period: Millis }
  /** Milliseconds since midnight, UTC. */
  | { readonly kind: "at"; readonly timeOfDay: Millis };

/** `02:30`; null where it is no time of a day. */
export function timeOfDay(text: string): Millis | null {
  const match = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(text);
  return match === null ? null : (Number(match[1]) * 60 + Number(match[2])) * 60_000;
}

export function periodOf(times: Times): Millis {
  return times.kind === "every" ? times.period : days(1);
}

/** When the next one is due after the last, which may be long past; at once where there was none. A clock that was set back delays nothing. */
export function dueAfter(times: Times, last: EpochMs | null, now: EpochMs): EpochMs {
  if (last === null) return now;
  if (last > now) return now;
  if (times.kind === "every") return last + times.period;
  const day = days(1);
  const sameDay = Math.floor(last / day) * day + times.timeOfDay;
  return sameDay > last ? sameDay : sameDay + day;
}
