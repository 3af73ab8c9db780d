import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connectAsync } from "mqtt";
import type { ForgetReport, ForgottenThings, SeriesResult } from "../../src/cloud/api/contract.ts";
import { addDevice, connectDevice, openDevice } from "./support/device.ts";
import type { Device } from "./support/device.ts";
import { PlatformProcess, runCli, temporaryFolder, until } from "./support/platform-process.ts";
import { tracesIn } from "./support/traces.ts";

/** `tidewire forget` beside a platform in traffic, its stores and its log; and what is left after it was killed in the middle. */
const folder = temporaryFolder();
const data = join(folder.path, "data");
const OPEN = ["--listen", "mqtt://127.0.0.1:0?auth=none"];
/** Young enough that no retention has taken it. */
const BEGUN = Date.now() - 3_600_000;
const SECRET = "what-nobody-shall-know";
let platform: PlatformProcess;
let gone: Device;
let kept: Device;

before(async () => {
  mkdirSync(data);
  platform = await PlatformProcess.start(data, OPEN);
  gone = await addDevice(platform, folder.path, "gone-meter");
  kept = await addDevice(platform, folder.path, "kept-meter");
  await platform.api("POST", "/rules/hot", {
    sql: "SELECT * FROM 'telemetry/+/m' WHERE n > 5 AND n < 50",
    actions: [
      { alert: { severity: "warning", summary: "${thing} has ${n}" } },
      { webhook: { url: "http://127.0.0.1:9/nobody-listens" } },
    ],
  });
});

after(async () => {
  await platform?.stop();
  folder.remove();
});

async function say(device: Device, from: number, below: number): Promise<void> {
  const client = await connectDevice(platform, device, {
    clean: false,
    properties: { sessionExpiryInterval: 3600 },
  });
  await client.subscribeAsync(`commands/${device.thing}/#`, { qos: 1 });
  for (let n = from; n < below; n++) {
    const payload = JSON.stringify({ ts: BEGUN + n * 1000, n, words: `${SECRET} ${device.thing}` });
    await client.publishAsync(`telemetry/${device.thing}/m`, payload, { qos: 1, retain: n % 2 === 0 });
  }
  await client.endAsync();
}

async function numbersOf(thing: string): Promise<readonly unknown[]> {
  const path = `/api/series?thing=${thing}&measurement=m&fields=n&from=${BEGUN}&to=${BEGUN + 900_000}`;
  const { series } = await platform.api<SeriesResult>("GET", path);
  return series[0]?.values ?? [];
}

/** What is acknowledged is among them within about a second, so later than its points: who counts up waits. */
async function eventsOf(thing: string, topics = `starts_with(topic, 'telemetry/${thing}/')`): Promise<number> {
  const sql = `SELECT count(*) AS n FROM events WHERE thing = '${thing}' OR ${topics}`;
  const { rows } = await platform.api<{ rows: [[number]] }>("POST", "/api/query", { sql });
  return rows[0][0];
}

async function retainedTopics(): Promise<readonly string[]> {
  const client = await connectAsync(platform.ready.listen[0]!, { reconnectPeriod: 0 });
  const topics: string[] = [];
  client.on("message", (topic) => topics.push(topic));
  await client.subscribeAsync("telemetry/#");
  await client.publishAsync("marker", "", { qos: 1 }); // behind them
  await until("the retained messages", async () => topics.includes(`telemetry/${kept.thing}/m`));
  await client.endAsync();
  return topics;
}

async function logLines(): Promise<string> {
  const { stdout } = await runCli(["log", "tail", "-n", "1000", "--json", "--data", data], folder.path);
  return stdout;
}

const upTo = (from: number, below: number): number[] => Array.from({ length: below - from }, (_, n) => from + n);

async function forgottenIsGone(later: readonly number[]): Promise<void> {
  await until("what came later", async () => (await numbersOf(gone.thing)).length >= later.length);
  await until("its events", async () => (await eventsOf(gone.thing)) >= later.length);
  await until("the other's events", async () => (await eventsOf(kept.thing)) >= 10);
  assert.deepEqual(await numbersOf(gone.thing), later);
  assert.equal(await eventsOf(gone.thing), later.length);
  assert.deepEqual(await numbersOf(kept.thing), upTo(0, 10));
  assert.equal(await eventsOf(kept.thing), 10);
  const { alerts } = await platform.api<{ alerts: { thing: string }[] }>("GET", "/api/alerts?state=all");
  assert.deepEqual([...new Set(alerts.map(({ thing }) => thing))], [kept.thing]);
  const inLog = (await logLines()).split("\n").filter((line) => line.includes(`telemetry/${gone.thing}/`));
  assert.equal(inLog.length, later.length);
}

describe("tidewire forget", () => {
  test("asks first; where nobody can answer, it does nothing", async () => {
    const { code, stderr } = await runCli(["forget", "gone-meter", "--data", data], folder.path);
    assert.equal(code, 2);
    assert.match(stderr, /CONFIRMATION_MISSING/);
    assert.deepEqual((await platform.api<ForgottenThings>("GET", "/api/forgotten")).things, []);
  });

  test("removes what the device said from every store and answer, says how much, and keeps what others said and it says later", async () => {
    await say(gone, 0, 10);
    await say(kept, 0, 10);
    const commands = await connectAsync(platform.ready.listen[0]!, { reconnectPeriod: 0 });
    for (let n = 0; n < 3; n++) await commands.publishAsync(`commands/${gone.thing}/x`, SECRET, { qos: 1 });
    await commands.endAsync();
    await until("its points", async () => (await numbersOf(gone.thing)).length === 10);
    // Three commands were said to it, and the platform told of its connection: events of it as well.
    const named = `list_contains(string_split(topic, '/'), '${gone.thing}')`;
    await until("its events", async () => (await eventsOf(gone.thing, named)) === 16);
    assert.equal(await eventsOf(gone.thing), 10);
    await until("its alert", async () => {
      const { alerts } = await platform.api<{ alerts: unknown[] }>("GET", "/api/alerts?state=all");
      return alerts.length === 2;
    });

    const { code, stdout, stderr } = await runCli(
      ["forget", gone.thing, "--yes", "--json", "--data", data],
      folder.path,
    );
    assert.equal(code, 0, stderr);
    const report = JSON.parse(stdout) as ForgetReport;
    assert.deepEqual([report.thing, report.state, report.reason, report.missing], [gone.thing, "done", null, []]);
    const { points, series, events, alerts, sessions, queued, retained } = report.removed;
    assert.deepEqual(
      { points, series, events, alerts, sessions, queued, retained },
      {
        points: 20,
        series: 2,
        events: 16,
        alerts: 1,
        sessions: 1,
        queued: 3,
        retained: 1,
      },
    );
    const log = report.remains.find(({ where }) => where === "log");
    assert.ok(log?.until !== null && log !== undefined && log.until > report.requestedAt);

    await forgottenIsGone([]);
    assert.deepEqual(await retainedTopics(), [`telemetry/${kept.thing}/m`]);
    await say(gone, 100, 105);
    await forgottenIsGone(upTo(100, 105));
    const { thingName } = await platform.api<{ thingName: string }>("GET", `/things/${gone.thing}`);
    assert.equal(thingName, gone.thing, "its registration stays");
  });

  test("does not come back: killed, without its database, rebuilt from files and log", async () => {
    await platform.kill();
    for (const name of readdirSync(data)) if (name.startsWith("telemetry.duckdb")) rmSync(join(data, name));
    platform = await PlatformProcess.start(data, OPEN);
    await until("its rebuilding", async () => (await numbersOf(kept.thing)).length === 10);
    await forgottenIsGone(upTo(100, 105));
    const files = readdirSync(join(data, "archive"), { recursive: true, withFileTypes: true });
    for (const file of files.filter(({ name }) => name.endsWith(".parquet"))) {
      const text = readFileSync(join(file.parentPath, file.name), "latin1");
      assert.ok(!text.includes(`${SECRET} x`), file.name);
    }
  });

  test("killed right behind the request, the next start finishes it", async () => {
    await say(gone, 200, 260);
    await until("its points", async () => (await numbersOf(gone.thing)).length === 65);
    const report = await platform.api<ForgetReport>("DELETE", `/api/things/${gone.thing}/data`);
    await platform.kill();
    platform = await PlatformProcess.start(data, OPEN);
    await until("the end of it", async () => {
      return (await platform.api<ForgetReport>("GET", `/api/forgotten/${report.id}`)).state === "done";
    });
    await forgottenIsGone([]);
    const { stdout } = await runCli(["forget", "--list", "--data", data], folder.path);
    assert.equal(stdout.split("\n").filter((line) => /gone-meter +done/.test(line)).length, 2);
  });

  test("with its registration: the certificate is revoked, the device is sent away, the thing is gone", async () => {
    const client = await connectDevice(platform, gone);
    const closed = new Promise<void>((resolve) => client.once("close", () => resolve()));
    const { code, stderr } = await runCli(
      ["forget", gone.thing, "--yes", "--with-registration", "--data", data],
      folder.path,
    );
    assert.equal(code, 0, stderr);
    await closed;
    client.end(true);
    const again = openDevice(platform, gone);
    again.on("error", () => {});
    let greeted = false;
    again.once("connect", () => (greeted = true));
    await new Promise<void>((resolve) => again.once("close", () => resolve()));
    again.end(true);
    assert.equal(greeted, false);
    await assert.rejects(platform.api("GET", `/things/${gone.thing}`), /404/);
    await connectDevice(platform, kept).then((other) => other.endAsync());
  });

  test("what the report says remains is all that the data folder still has of it", async () => {
    const { things } = await platform.api<ForgottenThings>("GET", "/api/forgotten");
    const { remains } = await platform.api<ForgetReport>("GET", `/api/forgotten/${things[0]!.id}`);
    const places = ["log", "registry", "audit log, platform.log and this report", "backups"];
    assert.deepEqual(
      remains.map(({ where }) => where),
      places,
    );
    await platform.stop();
    const told = /^(?:log\/|audit\/|platform\.log|forgotten\.json|registry\.db: certificates$)/;
    const found = await tracesIn(data, gone.thing);
    assert.deepEqual(
      found.filter((place) => !told.test(place)),
      [],
    );
    for (const place of [/^log\//, /^audit\//, /certificates$/])
      assert.ok(
        found.some((one) => place.test(one)),
        String(place),
      );
    assert.ok((await tracesIn(data, kept.thing)).includes("telemetry.duckdb: series"), "it would be found");
    platform = await PlatformProcess.start(data, OPEN);
  });
});
