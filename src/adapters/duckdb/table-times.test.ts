import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { LIMITS, days, hours, minutes } from "../../base/mod.ts";
import { DEFAULT_RETENTION } from "../../telemetry/mod.ts";
import { SimClock, SimLogger } from "../../../sim/world.ts";
import { DuckStore } from "./duck-store.ts";
import { START, commit, everything } from "./store.scenario.ts";

let folder = "";
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "tidewire-times-"))));
afterEach(() => rmSync(folder, { recursive: true }));

function open(): Promise<DuckStore> {
  const clock = new SimClock();
  return DuckStore.open({
    path: join(folder, "telemetry.duckdb"),
    folder: join(folder, "telemetry"),
    memoryBytes: LIMITS.telemetry.databaseBytesMax,
    retention: DEFAULT_RETENTION,
    room: { diskShare: 0.5 },
    clock,
    scheduler: clock,
    logger: new SimLogger(),
    limits: LIMITS.telemetry,
  });
}

test("rows in tables are found at any time they have, as soon as they are committed and after the next start", async () => {
  let store = await open();
  const put = (time: number, offset: number, value: number | string = offset): Promise<void> =>
    commit(store, [{ thing: "t", measurement: "m", field: "f", time, value }], offset);
  const seen = async (from: number, to: number): Promise<readonly unknown[]> => {
    const { series } = await store.query({ ...everything("t"), from, to });
    return series.flatMap(({ values }) => values);
  };
  await put(START, 1);
  assert.deepEqual(await seen(START - hours(1), START), []);
  assert.deepEqual(await seen(START, START + 1), [1]);
  assert.deepEqual(await seen(START + 1, START + hours(1)), []);
  await put(START - minutes(30), 2); // late
  await put(START + minutes(30), 3, "text");
  assert.deepEqual(await seen(START - hours(1), START), [2]);
  assert.deepEqual(await seen(START + 1, START + hours(1)), ["text"]);
  await store.close();
  store = await open();
  assert.deepEqual(await seen(START - hours(1), START), [2]);
  assert.deepEqual(await seen(START, START + 1), [1]);
  assert.deepEqual(await seen(START + 1, START + hours(1)), ["text"]);
  assert.deepEqual(await seen(START + hours(1), START + days(1)), []);
  await put(START + hours(2), 4);
  assert.deepEqual(await seen(START + hours(1), START + days(1)), [4]);
  await store.close();
});
