/** Seeds of `sim/platform-story.ts` that failed once. `platform.test.ts` plays each of them, for ever. */
export const FAILED_SEEDS: readonly { readonly seed: number; readonly what: string }[] = [
  { seed: 59, what: "the store told offsets as lost that the log had left out on purpose after a power cut" },
  { seed: 69, what: "the same, in the middle of the log" },
  { seed: 122, what: "the same, many at once" },
  { seed: 624, what: "of a torn group a later batch was whole: its readings stand before those that come again" },
  { seed: 630, what: "the same" },
  { seed: 1299, what: "the same, and the order of the log shows it" },
  { seed: 1472, what: "the same, and the order of the log shows it" },
  { seed: 4028, what: "an outbox whose unsaved readings were all dropped never noticed that its disk was well again" },
];
