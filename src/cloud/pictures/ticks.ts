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

/** At most `count`, in UTC. */
export function timeTicks(from: EpochMs, to: EpochMs, count: number): TimeTick[] {
  const step = TIME_STEPS.find((one) => (to - from) / one <= count) ?? (to - from) / count;
  const ticks: TimeTick[] = [];
  for (let at = Math.ceil(from / step) * step; at <= to && ticks.length <= count; at += step) {
    ticks.push({ at, label: step >= days(1) ? dayText(at) : clockText(at, step < minutes(1)) });
  }
  return ticks;
}

export function clockText(at: EpochMs, withSeconds = false): string {
  return new Date(at).toISOString().slice(11, withSeconds ? 19 : 16);
}

export function dayText(at: EpochMs): string {
  const date = new Date(at);
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]!}`;
}
