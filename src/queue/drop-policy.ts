/** Which readings go when space runs out: lowest priority first, then oldest. */
import type { Bytes } from "../base/mod.ts";
import type { QueueStore, Reading, StoredSize } from "./store.ts";
import { sizeOf } from "./store.ts";

export interface Shortage {
  readonly needed: { readonly count: number; readonly bytes: Bytes };
  readonly store: Pick<QueueStore, "expendable">;
  /** Accepted in this turn, not in the store yet. */
  readonly unsaved: readonly Reading[];
  /** On the way, or gone already. */
  readonly untouchable: (sequence: number) => boolean;
}

export interface Victims {
  readonly saved: readonly StoredSize[];
  readonly unsaved: readonly Reading[];
}

/** The fewest readings, in the order of the policy, that free what is needed; all there are where that is not enough. */
export function chooseVictims(shortage: Shortage): Victims {
  const { needed, unsaved } = shortage;
  const saved: StoredSize[] = [];
  const fresh: Reading[] = [];
  const freshLine = unsaved.toSorted((a, b) => a.priority - b.priority || a.sequence - b.sequence);
  const savedLine = savedCandidates(shortage);
  let candidate = savedLine.next();
  let count = needed.count;
  let bytes = needed.bytes;
  while (count > 0 || bytes > 0) {
    const next = freshLine[fresh.length];
    const stored = candidate.done === true ? null : candidate.value;
    if (stored !== null && (next === undefined || stored.priority <= next.priority)) {
      saved.push(stored);
      bytes -= stored.size;
      candidate = savedLine.next();
    } else if (next === undefined) break;
    else {
      fresh.push(next);
      bytes -= sizeOf(next);
    }
    count--;
  }
  return { saved, unsaved: fresh };
}

/** Asks the store in growing portions, since a few readings nearly always suffice. */
function* savedCandidates(shortage: Shortage): Generator<StoredSize, void> {
  let seen = 0;
  for (let portion = 128; ; portion *= 4) {
    const line = shortage.store.expendable(portion);
    for (const stored of line.slice(seen)) if (!shortage.untouchable(stored.sequence)) yield stored;
    if (line.length < portion) return;
    seen = line.length;
  }
}
