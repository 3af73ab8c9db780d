/** What a back-test found, in sentences. */
import type { EpochMs, JsonValue } from "../../base/mod.ts";
import type { BackTestOfRule, BackTestProgress, BackTestResult } from "../../cloud/api/contract.ts";
import { plural } from "../format/labels.ts";
import { formatTime } from "../format/time.ts";
import { formatDuration } from "../format/units.ts";

export interface PastRange {
  readonly name: string;
  readonly label: string;
  readonly span: number;
}

const HOUR = 3_600_000;

export const PAST_RANGES: readonly PastRange[] = [
  { name: "1h", label: "1 hour", span: HOUR },
  { name: "1d", label: "1 day", span: 24 * HOUR },
  { name: "7d", label: "7 days", span: 7 * 24 * HOUR },
];

/** `would have fired 12 times on 3 things`. */
export function firedWords({ findings: { fired, thingsCounted, thingsUncounted } }: BackTestOfRule): string {
  if (fired === 0) return "would not have fired";
  const more = thingsUncounted > 0 ? " or more" : "";
  return `would have fired ${plural(fired, "time")} on ${plural(thingsCounted, "thing")}${more}`;
}

/** Everything that was looked at and did not fire, so that nobody wonders. */
export function restWords({ counts, filter, failure, windows, unasked, askedToday }: BackTestOfRule): string[] {
  const { evaluated, unmatched, undecided, failed } = counts;
  if (evaluated === 0) return [`There was no message of ${filter} in that time.`];
  const found = [
    `${plural(evaluated, "message")} of ${filter}: ${plural(unmatched, "did not match", "did not match")}`,
  ];
  if (undecided > 0) found.push(`${count(undecided)} undecided, because a key is missing or of another type`);
  const words = [`${found.join(", ")}.`];
  if (failed > 0) words.push(`It failed on ${count(failed)}; the first time: ${failure ?? "unknown"}`);
  if (windows !== null) {
    const { late, crowded, keyless, evicted } = windows;
    const lost = [
      late > 0 ? `${count(late)} late` : "",
      crowded > 0 ? `${count(crowded)} too many at once` : "",
      keyless > 0 ? `${count(keyless)} without a key` : "",
      evicted > 0 ? `${count(evicted)} keys evicted` : "",
    ].filter((part) => part !== "");
    if (lost.length > 0) words.push(`Its windows left out: ${lost.join(", ")}.`);
  }
  if (unasked.length > 0) words.push(`${unasked.join(", ")} cannot be asked about the past: Undefined.`);
  if (askedToday.length > 0) words.push(`Answers of ${askedToday.join(", ")} are today's, not those of then.`);
  return words;
}

export function readWords({
  messages: { log, archive, unreadable, forgotten },
  took,
  complete,
}: BackTestResult): string {
  const read = log + archive;
  const words = [`${plural(read, "message")} read in ${took < 1000 ? "less than a second" : formatDuration(took)}`];
  if (archive > 0) words.push(`${count(archive)} of them from the archive`);
  if (forgotten > 0) words.push(`${count(forgotten)} of forgotten things skipped`);
  if (unreadable > 0) words.push(`${count(unreadable)} unreadable`);
  return `${words.join(", ")}.${complete ? "" : " The time was up before the end: this is what was found by then."}`;
}

/** How far it is, 0 to 1, by the time of the messages; null where that says nothing yet. */
export function shareOf({ at }: BackTestProgress, from: EpochMs, to: EpochMs): number | null {
  return at === null ? null : Math.min(1, Math.max(0, (at - from) / (to - from)));
}

export function progressWords({ counts: { log, archive }, at }: BackTestProgress): string {
  const read = plural(log + archive, "message");
  return at === null ? `${read} read …` : `${read} read, at ${formatTime(at, "day-minute")} …`;
}

export function valueText(value: JsonValue): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

export interface Bar {
  readonly x: number;
  /** From the top. */
  readonly y: number;
  readonly height: number;
  readonly count: number;
  readonly from: EpochMs;
}

/** Bars of a unit's width each, with a gap; `max` is `height` high, and whatever is not nothing is seen. */
export function barsOf(
  { from, step, counts }: BackTestOfRule["findings"]["histogram"],
  { max, height, least }: { readonly max: number; readonly height: number; readonly least: number },
): Bar[] {
  return counts.map((fired, i) => {
    const high = fired === 0 || max === 0 ? 0 : Math.max(least, (fired / max) * height);
    return { x: i, y: height - high, height: high, count: fired, from: from + i * step };
  });
}

function count(value: number): string {
  return value.toLocaleString("en");
}
