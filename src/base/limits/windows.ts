/** Part of the limits in `limits.ts`: windows and keyed state of rules. */
import { days, mib, minutes, seconds } from "../units.ts";

export const WINDOW_LIMITS = {
  /** Keys of one rule; beyond, those go that were not seen for longest. */
  windowKeysMax: 250_000,
  /** Memory of one rule's state; beyond, the same. */
  windowBytesMax: mib(128),
  /** Windows (of overlapping ones: panes), sessions or sliding messages that one key may have. */
  windowOpenMax: 1_024,
  windowSpanMax: days(31),
  windowLatenessDefault: seconds(5),
  windowLatenessMax: days(1),
  /** Messages of one COUNT window. */
  windowCountMax: 1_000_000,
  /** Values that `lag` and `zscore` look back. */
  keyedValuesMax: 1_000,
  /** Things that THEN may ask for in a row. */
  sequenceStepsMax: 8,
  /** State of windows is saved this often, and a crash costs reading the log again from there. */
  stateSavePeriod: seconds(10),
  /** … or less often, so that saving takes at most a fiftieth of the time; but at least this often. */
  stateSavePeriodMax: minutes(5),
  /** It is saved in slices of about this long, and of so many pages at most: messages wait for a slice. */
  stateSaveSlice: 2,
  stateSaveSlicePages: 256,
  /** Between slices: at least so long, and three times what the slice took. */
  stateSavePause: 5,
  /** State that the store does not take is tried again this much later, twice as late each time: it is written out for it. */
  stateRetryMin: seconds(1),
  stateRetryMax: minutes(5),
  /**
   * How far behind the clock time goes on where no message comes: an accepted message reaches the rules once it is on disk,
   * and must not find its window closed.
   */
  tickDelay: seconds(1),
} as const;

/** Rules that move between runtimes; see docs/decisions/0009-moving-rules.md. */
export const MOVE_LIMITS = {
  /** How far apart two runtimes may accept the same message, their clocks' difference included. */
  overlap: seconds(10),
  overlapMax: minutes(10),
  /** A rule with its state, as it travels: 250,000 keys with room to spare. It is in memory while it arrives. */
  fileBytesMax: mib(256),
  /** Messages that a rule has seen within the overlap and that are named to its target, 20 bytes each. */
  seenMax: 1_000_000,
  /** What a rule does while it catches up with the target's log: it goes into one save. */
  findingsMax: 50_000,
  /** What a rule that asks is given for its answers before it goes. Each takes 2 s at most; the CLI waits for 15 s. */
  answersWaitMax: seconds(10),
  /** Moves that were taken back and are never taken any more: the newest are remembered. */
  refusedMax: 1_000,
} as const;
