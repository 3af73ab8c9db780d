import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { MqttClient } from "mqtt";
import { addDevice, connectDevice } from "./support/device.ts";
import type { Device } from "./support/device.ts";
import { PlatformProcess, temporaryFolder, until } from "./support/platform-process.ts";

/** Deleting `telemetry.duckdb` under a running platform changes no answer; not then, and not after kill -9. */
const folder = temporaryFolder();
const data = join(folder.path, "data");
const COUNT = 960; // whole minutes, so that no bucket takes part of what comes later
/** Answers are asked for about this range; what devices go on to publish lies behind it. */
const BEGUN = Math.floor(Date.now() / 60_000) * 60_000 - 7_200_000;
const END = BEGUN + COUNT * 1_000;
let platform: PlatformProcess;
let device: Device;

before(async () => {
  mkdirSync(data);
  platform = await PlatformProcess.start(data);
  device = await addDevice(platform, folder.path, "meter-1");
});

after(async () => {
  await platform?.stop();
  folder.remove();
});

const SERIES = [
  "fields=n",
  "fields=n,words,on&window=1m&aggregate=last",
  "fields=n&window=5m&aggregate=avg,min,max,count,p90",
  "fields=n&window=1m&aggregate=rate",
  "fields=words&window=all&aggregate=count",
  "fields=n&points=100",
];

const SQL = [
  "SELECT count(*) AS n, sum(value) AS s FROM telemetry",
  "SELECT field, type, count(*) AS n, min(value) AS a, max(value) AS b, max(text) AS c FROM telemetry GROUP BY ALL ORDER BY ALL",
  "SELECT time, field, count, sum, min, max, first, last FROM rollups_1m ORDER BY ALL",
  "SELECT count(*) AS n, count(DISTINCT text) AS d FROM events WHERE topic = 'telemetry/meter-1/m'",
];

async function answers(): Promise<readonly unknown[]> {
  const found: unknown[] = [];
  for (const asked of SERIES) {
    const path = `/api/series?thing=meter-1&measurement=m&from=${BEGUN}&to=${END}&${asked}`;
    const { series, incomplete } = await platform.api<{ series: unknown; incomplete: boolean }>("GET", path);
    found.push({ asked, series, incomplete });
  }
  for (const asked of SQL) {
    const within = asked.includes("events")
      ? asked
      : asked.replace(/FROM (\w+)/, `FROM $1 WHERE time < make_timestamptz(${END}000)`);
    const { rows, incomplete } = await platform.api<{ rows: unknown; incomplete: boolean }>("POST", "/api/query", {
      sql: within,
      rows: 10_000,
    });
    found.push({ asked, rows, incomplete });
  }
  return found;
}

async function publish(client: MqttClient, topic: string, from: number, below: number): Promise<void> {
  for (let n = from; n < below; n++) {
    const payload = { ts: BEGUN + n * 1_000, n: n / 4, words: `word ${n % 9}`, on: n % 3 === 0 };
    await client.publishAsync(topic, JSON.stringify(payload), { qos: 1 });
  }
}

async function stored(count: number): Promise<void> {
  await until(`${count} are stored`, async () => {
    const path = `/api/series?thing=meter-1&fields=n&from=${BEGUN}&to=now&window=all&aggregate=count`;
    const { series } = await platform.api<{ series: { values: number[] }[] }>("GET", path);
    return series.reduce((sum, { values }) => sum + values[0]!, 0) >= count;
  });
}

function deleteDatabase(): void {
  for (const name of readdirSync(data)) if (name.startsWith("telemetry.duckdb")) rmSync(join(data, name));
}

test("the same answers before, after the deletion while devices go on, and after each of two kills", async () => {
  const client = await connectDevice(platform, device);
  await publish(client, "telemetry/meter-1/m", 0, COUNT);
  await stored(COUNT);
  const before = await answers();
  assert.ok(JSON.stringify(before).length > 10_000);

  deleteDatabase();
  await publish(client, "telemetry/meter-1/other", COUNT, COUNT + 50);
  await stored(COUNT + 50);
  assert.deepEqual(await answers(), before, "under the running platform");

  await client.endAsync();
  await platform.kill();
  platform = await PlatformProcess.start(data);
  await stored(COUNT + 50);
  assert.deepEqual(await answers(), before, "after kill -9");
  assert.ok(existsSync(join(data, "telemetry.duckdb")), "it was made anew");

  deleteDatabase();
  await platform.kill();
  platform = await PlatformProcess.start(data);
  await stored(COUNT + 50);
  assert.deepEqual(await answers(), before, "killed right behind the deletion");
});
