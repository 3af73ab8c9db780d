/** What a clock on the wall shows in a time zone, by the engine's own tables (IANA names). */
import type { Zones } from "../rules/mod.ts";

const WEEKDAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
/** Formats that are kept; the configuration names few zones. */
const KEPT_MAX = 64;

export function zonedTime(): Zones {
  const kept = new Map<string, Intl.DateTimeFormat>();
  const formatOf = (zone: string): Intl.DateTimeFormat => {
    let format = kept.get(zone);
    if (format === undefined) {
      if (kept.size >= KEPT_MAX) kept.clear();
      const fields = { weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
      format = new Intl.DateTimeFormat("en-US", { ...fields, timeZone: zone });
      kept.set(zone, format);
    }
    return format;
  };
  return {
    knows(zone) {
      try {
        formatOf(zone);
        return true;
      } catch {
        return false;
      }
    },
    at(time, zone) {
      const parts = new Map(
        formatOf(zone)
          .formatToParts(time)
          .map(({ type, value }) => [type, value]),
      );
      return {
        weekday: WEEKDAYS.indexOf(parts.get("weekday") ?? ""),
        minuteOfDay: Number(parts.get("hour")) * 60 + Number(parts.get("minute")),
      };
    },
  };
}
