/** Where the lines of a grid go: at numbers and times that a person would choose. */
import { days, hours, minutes, seconds } from "../../base/mod.ts";
import type { EpochMs, Millis } from "../../base/mod.ts";

/** About `count` round numbers within, ascending. */
export function valueTicks(from: number, to: number, count: number): number[] {
  const raw = (to - from) / count;
  const magnitude = 10 ** Math.floor(Math.log10(raw));
  const step = magnitude * ([1, 2, 2.5, 5].find((factor) => factor * magnitude >= raw) ?? 10);
  const ticks: number[] = [];
  for (let i = Math.ceil(from / step); i * step <= to && ticks.length <= 2 * count; i++) ticks.push(i * step);
  return ticks;
}

/** With no more digits than the steps between them need. */
export function valueLabel(value: number, ticks: readonly number[]): string {
  const step = ticks.length > 1 ? ticks[1]! - ticks[0]! : Math.abs(value);
  if (Math.abs(value) >= 1e6 || (value !== 0 && Math.abs(value) < 1e-4))
    return value.toPrecision(3).replace(/\.?0+(?=e|$)/, "");
  const digits = Math.max(0, Math.min(6, 1 - Math.floor(Math.log10(step === 0 ? 1 : step))));
  return String(Number(value.toFixed(digits)));
}

const TIME_STEPS: readonly Millis[] = [
  ...[1, 2, 5, 10, 15, 30].map(seconds),
  ...[1, 2, 5, 10, 15, 30].map(minutes),
  ...[1, 2, 3, 6, 12].map(hours),
  ...[1, 2, 7, 14, 28, 91].map(days),
];

export interface TimeTick {
  readonly at: EpochMs;
  readonly label: string;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** What clocks on the wall show: UTC and so much. */
export type Wall = (at: EpochMs) => EpochMs;

export const UTC: Wall = (at) => at;

/** In a time zone (IANA's names), with its summer time. */
export function wallIn(zone: string): Wall {
  if (zone === "UTC") return UTC;
  const fields = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" } as const;
  const format = new Intl.DateTimeFormat("en-US", { ...fields, hourCycle: "h23", timeZone: zone });
  return (at) => {
    const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
    const part = (name: Intl.DateTimeFormatPartTypes): number => parts.get(name)!;
    const minute = Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute"));
    return minute + (at - Math.floor(at / minutes(1)) * minutes(1));
  };
}

/** At most `count`. Where clocks are changed in between, the ticks after it stand at other hours, and say so. */
export function timeTicks(from: EpochMs, to: EpochMs, count: number, wall: Wall = UTC): TimeTick[] {
  const step = TIME_STEPS.find((one) => (to - from) / one <= count) ?? (to - from) / count;
  const ahead = wall(from) - from;
  const ticks: TimeTick[] = [];
  for (let at = Math.ceil((from + ahead) / step) * step - ahead; at <= to && ticks.length <= count; at += step) {
    ticks.push({ at, label: step >= days(1) ? dayText(wall(at)) : clockText(wall(at), step < minutes(1)) });
  }
  return ticks;
}

/** Of a wall's time. */
export function clockText(shown: EpochMs, withSeconds = false): string {
  return new Date(shown).toISOString().slice(11, withSeconds ? 19 : 16);
}

export function dayText(shown: EpochMs): string {
  const date = new Date(shown);
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]!}`;
}
