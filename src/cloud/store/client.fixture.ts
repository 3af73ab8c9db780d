/** A store process behind a played platform, for one test. */
import { LIMITS } from "../../base/mod.ts";
import type { Limits } from "../../base/mod.ts";
import type { SeriesQuery, SeriesResult } from "../../telemetry/mod.ts";
import { Platform, START, STORE_ALL } from "./store.scenario.ts";

/** A hang must fail, not wait for ever. */
export const TIMEOUT = { timeout: 120_000 };

export async function onPlatform(
  work: (platform: Platform) => Promise<void>,
  rules = [STORE_ALL],
  limits: Limits = LIMITS,
): Promise<void> {
  const platform = await Platform.make(rules, { limits });
  try {
    await work(platform);
  } finally {
    await platform.close();
  }
}

export function all(thing = "press-1"): SeriesQuery {
  const { pointsPerQueryMax: limit } = LIMITS.telemetry;
  return { thing, measurement: null, fields: null, from: 0, to: START + 1e12, window: null, aggregate: null, limit };
}

export function valuesOf(result: SeriesResult, field: string): readonly unknown[] {
  return result.series.find((series) => series.field === field)?.values ?? [];
}
