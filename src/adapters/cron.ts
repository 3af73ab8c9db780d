/** Times of cron, with seconds and in a time zone. */
import { Cron } from "croner";
import type { EpochMs } from "../base/mod.ts";

/** The first time after `after`; null where there is none any more. */
export type CronTimes = (after: EpochMs) => EpochMs | null;

/**
 * Five fields, or six with seconds ahead. A time of the day that a change of clocks leaves out is run when the clock has jumped
 * (02:30 at 03:00); one that comes twice is run the first time. What is run every so many minutes goes on through both hours.
 * Throws an Error in words.
 */
export function cronTimes(pattern: string, timezone: string): CronTimes {
  if (!isTimeZone(timezone)) throw new Error(`'${timezone}' is no time zone; write Europe/Berlin, or UTC`);
  const cron = new Cron(pattern, { timezone, paused: true, mode: "5-or-6-parts" });
  return (after) => cron.nextRun(new Date(after))?.getTime() ?? null;
}

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}
