/** Times of the day and week in somebody's time zone, and maintenance windows. */
import type { EpochMs, Millis } from "../../base/mod.ts";
import { matchesAll } from "./matchers.ts";
import type { Matcher } from "./matchers.ts";
import type { Alert } from "./model.ts";

/** What a clock on the wall shows there; summer time is the port's affair. */
export interface WallTime {
  /** 0: Sunday. */
  readonly weekday: number;
  readonly minuteOfDay: number;
}

export interface Zones {
  knows(zone: string): boolean;
  at(time: EpochMs, zone: string): WallTime;
}

/** Cron patterns. `adapters/cron-times.ts` does it with croner. */
export interface CronTimes {
  /** Why the pattern or zone is wrong; null where it is right. */
  fault(pattern: string, zone: string): string | null;
  /** The first time after `after` (not at it); null: never again. */
  next(pattern: string, zone: string, after: EpochMs): EpochMs | null;
}

const MINUTES_PER_DAY = 1440;

/** Where nobody has asked for other zones. */
export const UTC_ONLY: Zones = {
  knows: (zone) => zone === "UTC",
  at: (time) => ({
    weekday: new Date(time).getUTCDay(),
    minuteOfDay: Math.floor(time / 60_000) % MINUTES_PER_DAY,
  }),
};

export const NO_CRON: CronTimes = { fault: () => "there are no cron patterns here", next: () => null };

/** Where `from` is later than `to` it ends on the day after; equal: all day. */
export interface TimeRange {
  readonly name: string;
  /** 0: Sunday; the day on which it begins. */
  readonly days: readonly number[];
  readonly fromMinute: number;
  readonly toMinute: number;
  readonly zone: string;
}

export function isWithin(range: TimeRange, time: EpochMs, zones: Zones): boolean {
  const { weekday, minuteOfDay } = zones.at(time, range.zone);
  const { days, fromMinute, toMinute } = range;
  const yesterday = (weekday + 6) % 7;
  if (fromMinute < toMinute) return days.includes(weekday) && minuteOfDay >= fromMinute && minuteOfDay < toMinute;
  return (days.includes(weekday) && minuteOfDay >= fromMinute) || (days.includes(yesterday) && minuteOfDay < toMinute);
}

export type MaintenanceTimes =
  | { readonly type: "once"; readonly from: EpochMs; readonly to: EpochMs }
  | { readonly type: "recurring"; readonly cron: string; readonly zone: string; readonly lasts: Millis };

export interface Maintenance {
  readonly name: string;
  readonly matchers: readonly Matcher[];
  readonly times: MaintenanceTimes;
}

/** Which maintenance is going on. The next times are asked for only when they are reached. */
export class MaintenanceCalendar {
  readonly #cron: CronTimes;
  readonly #windows: readonly { readonly window: Maintenance; known: Known | null }[];

  constructor(windows: readonly Maintenance[], cron: CronTimes) {
    this.#cron = cron;
    this.#windows = windows.map((window) => ({ window, known: null }));
  }

  /** The name of the window that covers the alert now; null: none does. */
  covering(alert: Alert, now: EpochMs): string | null {
    for (const entry of this.#windows) {
      if (entry.known === null || now < entry.known.from || now >= entry.known.to) {
        entry.known = knownAt(entry.window.times, now, this.#cron);
      }
      if (entry.known.active && matchesAll(entry.window.matchers, alert)) return entry.window.name;
    }
    return null;
  }
}

/** From `from` until `to` nothing changes. */
interface Known {
  readonly active: boolean;
  readonly from: EpochMs;
  readonly to: EpochMs;
}

function knownAt(times: MaintenanceTimes, now: EpochMs, cron: CronTimes): Known {
  if (times.type === "once") {
    const { from, to } = times;
    if (now < from) return { active: false, from: now, to: from };
    return now < to ? { active: true, from, to } : { active: false, from: to, to: Infinity };
  }
  const { cron: pattern, zone, lasts } = times;
  // The oldest window that is not over; windows are absolute spans, so a night that lacks an hour moves no end.
  const start = cron.next(pattern, zone, now - lasts);
  if (start === null) return { active: false, from: now, to: Infinity };
  return start <= now ? { active: true, from: start, to: start + lasts } : { active: false, from: now, to: start };
}
