/** Silences in order, and what a user wrote as one. */
import type { EpochMs } from "../../base/mod.ts";
import type { Silence } from "../../cloud/api/contract.ts";

export type SilencePhase = "now" | "later" | "over";

export function phaseOf({ startsAt, endsAt }: Silence, now: EpochMs): SilencePhase {
  if (now >= endsAt) return "over";
  return now < startsAt ? "later" : "now";
}

const RANKS: Readonly<Record<SilencePhase, number>> = { now: 0, later: 1, over: 2 };

/** What holds now before what is planned; what ends first, first; of what is over, the newest. */
export function inOrder(silences: readonly Silence[], now: EpochMs): Silence[] {
  return silences.toSorted((a, b) => {
    const [one, other] = [phaseOf(a, now), phaseOf(b, now)];
    if (one !== other) return RANKS[one] - RANKS[other];
    return one === "over" ? b.endsAt - a.endsAt : a.endsAt - b.endsAt;
  });
}

/** One condition a line. */
export function matchersIn(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}
