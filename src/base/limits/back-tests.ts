/** Limits of rules that are tried on the past on a platform that runs: part of `limits.ts`. */
import { mib, minutes, seconds } from "../units.ts";

export const BACK_TEST_LIMITS = {
  /** Then it ends with what it has found: at a million messages a second that is more than a small machine keeps. */
  testTimeMax: minutes(10),
  /** Shorter than a page waits for an answer. */
  explainTimeMax: seconds(10),
  /** From being told to stop until it is killed: it looks up after each batch. */
  stopGrace: seconds(3),
  /** V8's heap of its process: 100,000 keys of a window take a tenth of it. */
  heapBytesMax: mib(512),
  /** Firings that are shown at each end. */
  examplesMax: 20,
  /** Characters of one value or body that is shown. */
  shownCharsMax: 4_000,
  /** How often it says how far it is; a person's eye follows no faster. */
  progressPeriod: 250,
  /** Messages that are explained at a time. */
  explainedMax: 20,
  /** Records of the log that are looked at for them, from its end backwards: a second of work. */
  explainRecordsMax: 1_000_000,
  /** Parts of one WHERE that are shown. */
  explainPartsMax: 200,
} as const;
