/** Points in time and ages, in the viewer's zone. */
import { formatDuration } from "./units.ts";
import type { EpochMs, Millis } from "../../base/mod.ts";

/** How long ago, for one glance: `just now`, `12 s ago`, `3 min ago`, `5 d ago`. One unit only, so that it stays calm. */
export function formatAge(age: Millis): string {
  const seconds = Math.floor(age / 1000);
  if (seconds < 2) return "just now";
  if (seconds < 60) return `${seconds}\u00a0s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}\u00a0min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}\u00a0h ago`;
  return `${Math.floor(seconds / 86_400)}\u00a0d ago`;
}

/** Time that remains, from now on: `in 364 d`, `in 23 h 10 min`, `5 d ago`. */
export function formatRemaining(remaining: Millis): string {
  const size = Math.abs(remaining);
  const text = size > 3 * 86_400_000 ? `${Math.floor(size / 86_400_000)}\u00a0d` : formatDuration(size);
  return remaining >= 0 ? `in ${text}` : `${text} ago`;
}

/** The time alone where it was today, else with its day. */
export function formatRecent(at: EpochMs, now: EpochMs): string {
  return formatTime(at, "day") === formatTime(now, "day") && Math.abs(now - at) < 86_400_000
    ? formatTime(at, "time")
    : formatTime(at, "day-minute");
}

type Style = "full" | "date" | "time" | "minute" | "day" | "day-minute";

const OPTIONS: Readonly<Record<Style, Intl.DateTimeFormatOptions>> = {
  full: { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" },
  date: { day: "numeric", month: "short", year: "numeric" },
  time: { hour: "2-digit", minute: "2-digit", second: "2-digit" },
  minute: { hour: "2-digit", minute: "2-digit" },
  day: { day: "numeric", month: "short" },
  "day-minute": { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" },
};

const formats = new Map<Style, Intl.DateTimeFormat>();

function formatOf(style: Style): Intl.DateTimeFormat {
  let format = formats.get(style);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-GB", { ...OPTIONS[style], hourCycle: "h23" });
    formats.set(style, format);
  }
  return format;
}

/** A point in time in the viewer's zone: `21 Nov 2026, 19:43:05`, or the part of it that `style` names. */
export function formatTime(at: EpochMs, style: Style = "full"): string {
  return formatOf(style).format(at);
}

/** The viewer's zone as `Europe/Berlin (GMT+1)`. */
export function zoneName(at: EpochMs): string {
  const zone = formatOf("full").resolvedOptions().timeZone;
  const parts = new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" }).formatToParts(at);
  const short = parts.find((part) => part.type === "timeZoneName")?.value ?? "";
  return short === "" || short === zone ? zone : `${zone} (${short})`;
}

/** Labels of a time axis: seconds only where the ticks are closer than a minute, the day where a day begins. */
export function formatTimeTicks(ticks: readonly EpochMs[], step: Millis): string[] {
  let previousDay = "";
  return ticks.map((at, index) => {
    const day = formatTime(at, "day");
    const newDay = index > 0 && day !== previousDay;
    previousDay = day;
    if (step >= 86_400_000) return day;
    if (newDay) return day;
    return formatTime(at, step < 60_000 ? "time" : "minute");
  });
}
