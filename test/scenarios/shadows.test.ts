/** Shadows on a real platform: the command line, forged answers, things that go, and kill -9 in the middle of updates. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import type { MqttClient } from "mqtt";
import { LIMITS } from "../../src/base/mod.ts";
import { addDevice, connectDevice, openDevice } from "./support/device.ts";
import { PlatformProcess, ROOT, runCli, temporaryFolder, until } from "./support/platform-process.ts";

const folder = temporaryFolder();
let platform: PlatformProcess;

before(async () => {
  platform = await PlatformProcess.start(folder.path);
});

after(async () => {
  await platform?.stop();
  folder.remove();
});

/** On the platform of this machine, in the folder of a user; what it prints. */
async function cli(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runCli(["shadow", ...args, "--data", folder.path], folder.path, {
    NO_COLOR: "1",
  });
  assert.deepEqual([code, stderr], [0, ""]);
  return stdout.trimEnd();
}

test("tidewire shadow: update, get, list, delete; numbers as they were written; what is refused is explained", async () => {
  await platform.api("POST", "/things/valve", {});
  const desired = '{"open":true,"serial":12345678901234567890}';
  assert.equal(await cli("update", "valve", "--desired", desired), "Updated shadow of valve; it has version 1 now.");
  const lines = await cli("get", "valve");
  assert.match(
    lines,
    /^shadow of valve, version 1\n\{\n {2}"desired": \{\n {4}"open": true,\n {4}"serial": 12345678901234567890\n/,
  );
  const reported = ["update", "valve", "--name", "net", "--reported", '{"ip":"10.0.0.7"}', "--version", "0", "--json"];
  assert.equal((JSON.parse(await cli(...reported)) as { version: number }).version, 1);
  assert.equal(await cli("list", "valve"), "net");
  assert.equal(await cli("delete", "valve", "--name", "net", "--yes"), "Deleted shadow net of valve.");
  const gone = await runCli(["shadow", "get", "valve", "--name", "net", "--data", folder.path], folder.path);
  assert.deepEqual([gone.code, gone.stdout], [1, ""]);
  assert.match(gone.stderr, /No shadow exists with name: net[^]*SHADOW_NOT_FOUND/);
  const wrong = await runCli(["shadow", "update", "valve", "--desired", "{on:1}", "--data", folder.path], folder.path);
  assert.match(wrong.stderr, /'--desired': it is no JSON/);
});

test("a rule updates a shadow, 200 at once; two rules that feed each other through it end [AWS: $$aws/things/…/shadow/update]", async () => {
  const device = await addDevice(platform, folder.path, "lamp");
  const client = await connectDevice(platform, device);
  await platform.api("POST", "/rules/report", {
    sql: "SELECT {'reported': {'n': n}} AS state FROM 'telemetry/lamp/count'",
    actions: [{ republish: { topic: "$$aws/things/lamp/shadow/update", qos: 1, roleArn: "arn:aws:iam::1:role/r" } }],
  });
  for (let n = 1; n <= 200; n++) client.publish("telemetry/lamp/count", JSON.stringify({ n }), { qos: 1 });
  await until("all updates", async () => (JSON.parse(await cli("get", "lamp", "--json")) as Shadow).version === 200);
  await platform.api("POST", "/rules/echo", {
    sql: "SELECT {'reported': {'n': current.state.reported.n + 1}} AS state FROM '$aws/things/lamp/shadow/update/documents'",
    actions: [{ republish: { topic: "$$aws/things/lamp/shadow/update", qos: 1 } }],
  });
  await client.publishAsync("telemetry/lamp/count", JSON.stringify({ n: 1 }), { qos: 1 });
  const ended = "tidewire_republish_hops_exceeded_total";
  await until("the end of the loop", async () => (await platform.metric(ended)) === 1);
  const { version } = JSON.parse(await cli("get", "lamp", "--json")) as Shadow;
  assert.equal(version, 200 + LIMITS.rules.republishHopsMax);
  await client.endAsync(true);
  for (const rule of ["report", "echo"]) await platform.api("DELETE", `/rules/${rule}`);
});

interface Shadow {
  readonly version: number;
}

test("tidewire shadow watch: every change as it comes, also of what a device reports", async () => {
  const device = await addDevice(platform, folder.path, "meter");
  const watcher = spawn(
    process.execPath,
    [join(ROOT, "src/main.ts"), "shadow", "watch", "meter", "--json", "--data", folder.path],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  try {
    const seen: unknown[] = [];
    createInterface(watcher.stdout).on("line", (line) => seen.push((JSON.parse(line) as { state: unknown }).state));
    const notes = createInterface(watcher.stderr);
    await once(notes, "line"); // there is none yet
    await cli("update", "meter", "--desired", '{"unit":"kWh"}');
    await until("the change", async () => seen.length === 1);
    const client = await connectDevice(platform, device);
    await client.publishAsync("$aws/things/meter/shadow/update", '{"state":{"reported":{"unit":"kWh"}}}', { qos: 1 });
    await until("the report", async () => seen.length === 2);
    await client.endAsync();
    assert.deepEqual(seen, [
      { desired: { unit: "kWh" }, delta: { unit: "kWh" } },
      { desired: { unit: "kWh" }, reported: { unit: "kWh" } },
    ]);
  } finally {
    watcher.kill("SIGINT");
    await once(watcher, "exit");
  }
});

test("no client can say what became of a request, whatever its policy allows", async () => {
  const device = await addDevice(platform, folder.path, "liar");
  const client = await connectDevice(platform, device);
  for (const answer of ["update/accepted", "update/delta", "name/n/get/rejected"]) {
    const forged = client.publishAsync(`$aws/things/liar/shadow/${answer}`, "{}", { qos: 1 });
    await assert.rejects(forged, /Not authorized/);
  }
  await client.endAsync();
});

test("a thing that is deleted takes its shadows along", async () => {
  await platform.api("POST", "/things/gone", {});
  await cli("update", "gone", "--desired", '{"a":1}');
  await platform.api("DELETE", "/things/gone");
  await platform.api("POST", "/things/gone", {});
  await assert.rejects(platform.api("GET", "/things/gone/shadow"), /No shadow exists/);
});

test("killed in the middle of updates: each PUBACKed one is applied once, and the answer to each comes", async () => {
  const data = temporaryFolder();
  try {
    const first = await PlatformProcess.start(data.path);
    const device = await addDevice(first, data.path, "counter");
    const topic = "$aws/things/counter/shadow/update";
    const answered = new Set<string>();
    const connect = (platformNow: PlatformProcess): MqttClient => {
      const client = openDevice(platformNow, device, { clean: false, properties: { sessionExpiryInterval: 3_600 } });
      client.on("error", () => {});
      client.on("message", (_topic, payload) => {
        answered.add((JSON.parse(payload.toString()) as { clientToken: string }).clientToken);
      });
      return client;
    };
    const client = connect(first);
    await until("the connection", async () => client.connected);
    await client.subscribeAsync(`${topic}/accepted`, { qos: 1 });
    let acknowledged = 0;
    for (let n = 1; n <= 60; n++) {
      const payload = JSON.stringify({ state: { reported: { [`k${n}`]: n } }, clientToken: `k${n}` });
      const sent = client.publishAsync(topic, payload, { qos: 1 });
      sent.then(
        () => acknowledged++,
        () => {},
      );
      if (n % 5 === 0) await until("an acknowledgement", async () => acknowledged >= n - 4);
    }
    await first.kill();
    client.end(true);
    const second = await PlatformProcess.start(data.path, first.samePorts());
    interface Got {
      readonly state: { readonly reported: Readonly<Record<string, number>> };
      readonly version: number;
    }
    const { state, version } = await second.api<Got>("GET", "/things/counter/shadow");
    const keys = Object.keys(state.reported);
    assert.ok(keys.length >= acknowledged, `${keys.length} of ${acknowledged}`);
    assert.equal(version, keys.length, "each once");
    const back = connect(second);
    await until("every answer", async () => keys.every((key) => answered.has(key)));
    await back.endAsync();
    await second.stop();
  } finally {
    data.remove();
  }
});
