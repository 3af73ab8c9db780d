/** The tables of one file as relations; nothing has been removed from them, and nothing is rolled up yet. */
import { mergedRollup, numbersAsRollup, textsAsRollup } from "./rollup.ts";
import type { Relations } from "./series-reader.ts";

const NUMBERS = "SELECT series, time, value, rowid AS arrival FROM points";
const TEXTS = "SELECT series, time, value, rowid AS arrival FROM texts";

export const relationsOfTables: Relations = {
  knownFrom: () => 0,
  numbers: async () => NUMBERS,
  texts: async () => TEXTS,
  rollup: async (rollup) =>
    mergedRollup(`${numbersAsRollup(rollup, NUMBERS)} UNION ALL ${textsAsRollup(rollup, TEXTS)}`),
};
