import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LIMITS } from "../../base/mod.ts";
import type { SeriesQuery } from "../../telemetry/mod.ts";
import { Platform, START, message } from "./store.scenario.ts";

async function onPlatform(work: (platform: Platform) => Promise<void>): Promise<void> {
  const platform = await Platform.make();
  try {
    await work(platform);
  } finally {
    await platform.close();
  }
}

function all(thing = "press-1"): SeriesQuery {
  const { pointsPerQueryMax: limit } = LIMITS.telemetry;
  return { thing, measurement: null, fields: null, from: 0, to: START + 1e12, window: null, aggregate: null, limit };
}

describe("from the log into the store", () => {
  test("a message becomes points that can be asked for", () =>
    onPlatform(async (platform) => {
      await platform.start();
      platform.append(message({ ts: START, cpu: { percent: 12.5 }, ok: true, state: "läuft" }));
      await platform.stored();
      const { series } = await platform.client.query(all());
      assert.deepEqual(series.map(({ field, type, times, values }) => [field, type, times, values]), [
        ["cpu.percent", "number", [START], [12.5]],
        ["ok", "boolean", [START], [true]],
        ["state", "string", [START], ["läuft"]],
      ]);
      assert.deepEqual(await platform.client.things(), ["press-1"]);
    }));
});
