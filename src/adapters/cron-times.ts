/** Cron patterns with time zones, by croner: a time that a day lacks or has twice comes once. */
import { Cron } from "croner";
import { reasonOf } from "../base/mod.ts";
import type { EpochMs } from "../base/mod.ts";
import type { CronTimes } from "../rules/mod.ts";

/** Compiled patterns that are kept: of all schedules, and the configuration's few. */
const KEPT_MAX = 1_024;

export function cronTimes(): CronTimes {
  const kept = new Map<string, Cron>();
  const cronOf = (pattern: string, zone: string): Cron => {
    const key = `${zone} ${pattern}`;
    let cron = kept.get(key);
    if (cron === undefined) {
      if (kept.size >= KEPT_MAX) kept.clear();
      cron = new Cron(pattern, { timezone: zone, paused: true });
      kept.set(key, cron);
    }
    return cron;
  };
  return {
    fault(pattern, zone) {
      try {
        return cronOf(pattern, zone).nextRun(new Date(0)) === null ? "it never comes" : null;
      } catch (error) {
        return reasonOf(error);
      }
    },
    next(pattern, zone, after): EpochMs | null {
      return cronOf(pattern, zone).nextRun(new Date(after))?.getTime() ?? null;
    },
  };
}
