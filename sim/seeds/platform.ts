/** Seeds of `sim/platform-story.ts` that failed once. `platform.test.ts` plays each of them, for ever. */
export const FAILED_SEEDS: readonly { readonly seed: number; readonly what: string }[] = [
  { seed: 46, what: "the store counted offsets as lost that the log had left out on purpose after a power cut" },
  { seed: 129, what: "the same, in the middle of the log" },
  { seed: 228, what: "the same, at the very beginning" },
  {
    seed: 767,
    what: "of a torn group of batches a later one was whole: its readings stand before those that come again",
  },
];
