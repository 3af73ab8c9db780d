/** What the options of `tidewire log tail` and `export` may say. */
import { InvalidArgumentError } from "commander";
import { LIMITS, momentIn, topicFilterFault } from "../base/mod.ts";
import type { EpochMs } from "../base/mod.ts";

export type Place = { readonly offset: number } | { readonly time: EpochMs };

/** `now`: what "ago" counts from. */
export function placeOf(text: string, now: EpochMs): Place {
  if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return { offset: Number(text) };
  const time = momentIn(text, now, "back");
  if (time === null) {
    throw new InvalidArgumentError(
      "It must be a time ago (10m, 2h, 3d), a time (2027-01-31T08:00Z), or an offset (4711).",
    );
  }
  return { time };
}

export function filterOf(text: string): string {
  const fault = topicFilterFault(text, LIMITS.mqtt);
  if (fault !== null) throw new InvalidArgumentError("It must be a topic filter as in MQTT, such as 'telemetry/+/#'.");
  return text;
}

/** How many lines may be held back to be shown in order. */
const LINES_MAX = 100_000;

export function countOf(text: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(count >= 0 && count <= LINES_MAX)) {
    throw new InvalidArgumentError(`It must be a number from 0 to ${LINES_MAX}.`);
  }
  return count;
}
