/** What the tests of generations that become files share: readings of a few days, and the answers that they must give. */
import assert from "node:assert/strict";
import { SimRandom } from "../../../sim/world.ts";
import { LIMITS, days, hours, minutes } from "../../base/mod.ts";
import type { SequenceRow, SeriesQuery } from "../../telemetry/mod.ts";
import type { DuckStore, DuckStoreOptions } from "./duck-store.ts";
import type { RollupRange } from "./layout.ts";
import { START, StoreFolder, aMoment, commit, everything, modelAnswer } from "./store.scenario.ts";
import type { Reading } from "./store.scenario.ts";

export const SMALL: Partial<DuckStoreOptions> = { limits: { ...LIMITS.telemetry, generationRowsMax: 600 } };

export async function inFolder(work: (folder: StoreFolder) => Promise<void>): Promise<void> {
  const folder = await StoreFolder.make();
  try {
    await work(folder);
  } finally {
    await folder.remove();
  }
}

export function wholly(from: number, to: number): RollupRange {
  return { from, to, pointsFrom: from, pointsTo: to };
}

/** Readings of three things over a few days, equal times, every type, not in order. */
export function readingsOf(seed: number, count: number, span = days(3)): Reading[] {
  const random = new SimRandom(seed);
  return Array.from({ length: count }, () => ({
    thing: random.pick(["a", "b", "c"]),
    measurement: "m",
    field: random.pick(["x", "y"]),
    time: START + random.below(span / minutes(1)) * minutes(1),
    value: random.pick<Reading["value"]>([random.below(1000) / 10, random.chance(0.5), `s${random.below(5)}`]),
  }));
}

const QUERIES: readonly SeriesQuery[] = ["a", "b", "c"].flatMap((thing): SeriesQuery[] => [
  everything(thing),
  { ...everything(thing), from: START + hours(20), to: START + hours(30), window: hours(1), aggregate: "last" },
  { ...everything(thing), window: minutes(7), aggregate: "count" },
  { ...everything(thing), window: days(1), aggregate: "max" },
]);

export async function answersAsThe(model: readonly Reading[], store: DuckStore): Promise<void> {
  for (const query of QUERIES) {
    const answer = await store.query(query);
    assert.deepEqual(answer.series, modelAnswer(model, query));
    assert.equal(answer.incomplete, false);
  }
}

export const STATE: SequenceRow = { source: "thing a", outbox: "o", state: "7:3-4" };

/** Commits the readings 200 at a time; offsets count readings. */
export async function fill(store: DuckStore, readings: readonly Reading[], from = 0): Promise<void> {
  for (let at = from; at < readings.length; at += 200) {
    const end = Math.min(at + 200, readings.length);
    await commit(store, readings.slice(at, end), end, [{ ...STATE, state: `${end}:` }]);
  }
}

export async function told(folder: StoreFolder, level: string, what: string): Promise<void> {
  while (!folder.logger.lines.some((line) => line.level === level && line.message.includes(what))) await aMoment();
}
