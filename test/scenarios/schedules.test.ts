import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { bytesOf, keysOf } from "../../src/adapters/objects/objects.contract.ts";
import { FaultyS3 } from "../../src/adapters/objects/s3.fixture.ts";
import { addDevice, connectDevice } from "./support/device.ts";
import { PlatformProcess, runCli, temporaryFolder, until } from "./support/platform-process.ts";

/** Exports and backups on schedule and on demand, of a real platform. */
const folder = temporaryFolder();
const data = join(folder.path, "data");
const backups = join(folder.path, "backups");
const exported = join(folder.path, "exported");
const config = join(folder.path, "platform.yaml");
const DAY = 86_400_000;
const TODAY = Math.floor(Date.now() / DAY) * DAY;
const YESTERDAY = new Date(TODAY - DAY).toISOString().slice(0, 10);
const credentials = join(folder.path, "credentials");
let platform: PlatformProcess;
let server: FaultyS3;

before(async () => {
  mkdirSync(data);
  server = await FaultyS3.start();
  writeFileSync(credentials, "[default]\naws_access_key_id = S3RVER\naws_secret_access_key = S3RVER\n", {
    mode: 0o600,
  });
  writeFileSync(
    config,
    `backup: { to: ${backups}, every: 1h, keep: 2 }
exports:
  - { name: daily, format: csv, after: 1s, since: ${YESTERDAY}, things: ["meter-*"], folder: ${exported} }
  - { name: lake, format: ndjson, after: 1s, since: ${YESTERDAY}, s3: { endpoint: "${server.endpoint}", bucket: archive, prefix: plant/7, credentials: ${credentials} } }
  - { name: gone, format: parquet, after: 1s, since: ${YESTERDAY}, folder: ${join(folder.path, "not", "there")} }
`,
  );
  platform = await PlatformProcess.start(data);
  for (const thing of ["meter-1", "other-1"]) {
    const client = await connectDevice(platform, await addDevice(platform, folder.path, thing));
    for (let n = 0; n < 10; n++) {
      for (const day of [TODAY - DAY, TODAY - 2 * DAY]) {
        await client.publishAsync(`telemetry/${thing}/m`, JSON.stringify({ ts: day + n * 1000, n }), { qos: 1 });
      }
    }
    await client.endAsync();
  }
  await platform.stop();
  platform = await PlatformProcess.start(data, ["--config", config]);
});

after(async () => {
  await platform?.stop();
  await server?.stop();
  folder.remove();
});

const daily = join(exported, `daily-${YESTERDAY}.csv`);

test("each range is one file, whole, of the things that were asked for; a start later leaves it alone", async () => {
  await until("the file", async () => readdirSync(exported).includes(`daily-${YESTERDAY}.csv`)); // not what it is called before
  assert.deepEqual(readdirSync(exported), [`daily-${YESTERDAY}.csv`]);
  const [head, ...rows] = readFileSync(daily, "utf8").trim().split("\r\n");
  assert.equal(head, "time,thing,measurement,field,type,value,text");
  assert.equal(rows.length, 10);
  for (const row of rows) assert.match(row, new RegExp(`^"?${YESTERDAY}.*,meter-1,`));
  const name = `lake-${YESTERDAY}.ndjson`;
  await until("both are counted", async () => (await platform.metric("tidewire_export_files_total")) === 2);
  assert.deepEqual(await keysOf(server.objects(), "lake"), [name], "into the bucket likewise");
  const inBucket = (await bytesOf(server.objects().get(name))).toString().trim().split("\n");
  assert.equal(inBucket.length, 20);
  const written = statSync(daily).mtimeMs;
  await platform.kill();
  platform = await PlatformProcess.start(data, ["--config", config]);
  await until(
    "the other export fails again",
    async () => (await platform.metric("tidewire_export_failures_total")) > 0,
  );
  assert.equal(statSync(daily).mtimeMs, written);
  assert.equal(await platform.metric("tidewire_export_files_total"), 0);
});

test("an export that cannot be written degrades health and says why; nothing of it is left behind", async () => {
  const parts = await until("it is told", async () => {
    const health = await platform.api<{ parts: { name: string; detail: string }[] }>("GET", "/api/health");
    const found = health.parts.filter(({ name }) => name === "export");
    return found.length === 0 ? null : found;
  });
  assert.match(parts[0]!.detail, /gone fails: .*(?:ENOENT|no such)/);
  const left = (): readonly string[] => readdirSync(join(data, "exports")).filter((name) => name.endsWith(".tmp"));
  await until("the end of the attempt that may be under way", async () => left().length === 0);
});

test("a backup is taken at once, verified, and can be restored; its age is a metric", async () => {
  await until(
    "a backup",
    async () =>
      (await platform.metric("tidewire_backups_total")) > 0 || readdirSync(join(backups, "snapshots")).length > 0,
  );
  await until("its time", async () => (await platform.metric("tidewire_backup_last_success_timestamp_seconds")) > 0);
  assert.ok((await platform.metric("tidewire_backup_age_seconds")) < 600);
  const { code, stderr } = await runCli(
    ["restore", "--from", backups, "--data", join(folder.path, "again")],
    folder.path,
  );
  assert.equal(code, 0, stderr);
});

test("tidewire export: a range, some things, every format; a wrong option is told", async () => {
  const run = (...args: readonly string[]) => runCli(["export", ...args, "--data", data], folder.path);
  const range = ["--from", YESTERDAY, "--to", new Date(TODAY).toISOString()];
  const lines = (await run("telemetry", ...range, "--thing", "meter-*")).stdout.trim().split("\n");
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as { thing: string }).thing),
    Array(10).fill("meter-1"),
  );
  assert.equal((await run("telemetry", ...range)).stdout.trim().split("\n").length, 20);
  const events = await run("events", "--from", "1d", "--thing", "other-1", "--format", "csv", "--output", "events.csv");
  assert.equal(events.code, 0, events.stderr);
  assert.equal(readFileSync(join(folder.path, "events.csv"), "utf8").trim().split("\r\n").length, 21);
  const parquet = await run("rollups_1h", "--from", "9d", "--format", "parquet", "--output", "hours.parquet");
  assert.equal(parquet.code, 0, parquet.stderr);
  assert.equal(readFileSync(join(folder.path, "hours.parquet")).toString("latin1", 0, 4), "PAR1");
  const bucket = ["--endpoint", server.endpoint, "--credentials", credentials, "--format", "csv"];
  const put = await run("telemetry", ...range, ...bucket, "--output", "s3://archive/by/hand.csv");
  assert.equal(put.code, 0, put.stderr);
  const stored = await bytesOf(server.objects({ prefix: "" }).get("by/hand.csv"));
  assert.equal(stored.toString().trim().split("\r\n").length, 21);
  const refused = await run("telemetry", ...range, ...bucket, "--output", "s3://nobodys/by/hand.csv");
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /s3:\/\/nobodys .*NoSuchBucket/);
  assert.equal((await run("telemetry", "--output", "s3://archive")).code, 2);
  for (const wrong of [["everything"], ["--from", "4711"], ["events", "--measurement", "m"]]) {
    assert.equal((await run(...wrong)).code, 2, wrong.join(" "));
  }
});
