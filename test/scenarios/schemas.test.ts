import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { MqttClient } from "mqtt";
import type { DeadLetterPage, DeadLetterView } from "../../src/cloud/api/contract-rules.ts";
import { addDevice, connectDevice } from "./support/device.ts";
import type { Device } from "./support/device.ts";
import { PlatformProcess, runCli, temporaryFolder, until } from "./support/platform-process.ts";
import type { Exit } from "./support/platform-process.ts";

/** Schemas in front of a real platform: refuse, mark, keep aside; MQTT 5.0 and 3.1.1; the HTTP API; a new version while devices are on. */
const folder = temporaryFolder();
const data = join(folder.path, "data");
const files = join(folder.path, "config");
let platform: PlatformProcess;
let device: Device;
let listening: Device;
let modern: MqttClient;
let old: MqttClient;
/** What a subscriber was given. */
const seen: { topic: string; payload: string; properties: Record<string, string> }[] = [];

const cli = (...args: string[]): Promise<Exit> => runCli([...args, "--data", data], folder.path);
const topicOf = (last: string): string => `telemetry/weather-1/${last}`;
const send = (client: MqttClient, last: string, value: unknown, qos: 0 | 1 | 2 = 1): Promise<unknown> =>
  client.publishAsync(topicOf(last), JSON.stringify(value), { qos });

const schemaFile = (topic: string, onViolation: string, max: number): string => `kind: schema
topic: telemetry/+/${topic}
onViolation: ${onViolation}
schema:
  type: object
  required: [t]
  properties:
    t: { type: number, maximum: ${max}, x-unit: "°C" }
`;

before(async () => {
  mkdirSync(data);
  mkdirSync(files);
  platform = await PlatformProcess.start(data);
  device = await addDevice(platform, folder.path, "weather-1");
  for (const [name, outcome] of [
    ["strict", "reject"],
    ["lenient", "flag"],
    ["aside", "deadletter"],
  ] as const) {
    writeFileSync(join(files, `${name}.yaml`), schemaFile(name, outcome, 60));
  }
  const applied = await cli("apply", files);
  assert.equal(applied.code, 0, applied.stderr);
  modern = await connectDevice(platform, device);
  old = await connectDevice(platform, await addDevice(platform, folder.path, "weather-2"), { protocolVersion: 4 });
  listening = await addDevice(platform, folder.path, "listener");
  const listener = await connectDevice(platform, listening);
  listener.on("message", (topic, payload, packet) => {
    const properties = { ...(packet.properties?.userProperties as Record<string, string> | undefined) };
    seen.push({ topic, payload: payload.toString(), properties });
  });
  await platform.api("PUT", "/api/policies/listen", {
    policyDocument: JSON.stringify({
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Action: "iot:*", Resource: "*" }],
    }),
  });
  for (const thing of ["listener", "weather-1", "weather-2"]) await cli("policy", "attach", "listen", "--thing", thing);
  await listener.subscribeAsync("telemetry/#", { qos: 1 });
});
after(async () => {
  for (const client of [modern, old]) client?.end(true);
  await platform?.stop();
  folder.remove();
});

test("what does not fit is refused with 0x99 and the reason, before anybody sees it; what fits goes on", async () => {
  for (const qos of [1, 2] as const) {
    await assert.rejects(send(modern, "strict", { t: 61, qos }, qos), (error: Error & { code?: number }) => {
      assert.equal(error.code, 0x99, error.message);
      return true;
    });
  }
  await assert.rejects(modern.publishAsync(topicOf("strict"), "no json", { qos: 1 }));
  await send(modern, "strict", { t: 60 });
  await until("the one that fits", async () => seen.some(({ payload }) => payload === '{"t":60}'));
  assert.equal(seen.filter(({ topic }) => topic.endsWith("/strict")).length, 1);
  assert.equal(await platform.metric('tidewire_schema_unfit_total{outcome="reject"}'), 3);
  const refused = await cli("refused");
  assert.match(refused.stdout, /publish telemetry\/weather-1\/strict, 3 times\n.*\n.*schema strict v1: it is no JSON/);
});

test("MQTT 3.1.1 has no word for it: acknowledged, counted, and given to nobody", async () => {
  const before = await platform.metric('tidewire_schema_unfit_total{outcome="reject"}');
  const topic = `telemetry/old/strict`;
  await old.publishAsync(topic, '{"t":99}', { qos: 1 });
  await old.publishAsync(topic, '{"t":98}', { qos: 2 });
  await old.publishAsync(topic, '{"t":1}', { qos: 1 });
  await until("the one that fits", async () => seen.some(({ payload }) => payload === '{"t":1}'));
  assert.deepEqual(
    seen.filter(({ topic: at }) => at === topic).map(({ payload }) => payload),
    ['{"t":1}'],
  );
  assert.equal(await platform.metric('tidewire_schema_unfit_total{outcome="reject"}'), before + 2);
});

test("flag: it is taken, with a mark that says why", async () => {
  await send(modern, "lenient", { t: 99 }, 2);
  const found = await until("it arrives", async () => seen.find(({ topic }) => topic.endsWith("/lenient")) ?? null);
  assert.deepEqual(found.properties, { "tw-schema": "lenient v1", "tw-unfit": "/t must be <= 60" });
});

test("deadletter: acknowledged, kept with the reason over a crash, given to nobody", async () => {
  await send(modern, "aside", { t: 70 });
  await send(modern, "aside", { t: 71 }, 2);
  await send(modern, "aside", { t: 7 });
  await until("the one that fits", async () => seen.some(({ payload }) => payload === '{"t":7}'));
  const options = platform.samePorts();
  await platform.kill();
  platform = await PlatformProcess.start(data, options);
  const heads = await until("both are letters", async () => {
    const page = await platform.api<DeadLetterPage>("GET", "/api/dead-letters");
    return page.letters.length === 2 ? page.letters : null;
  });
  const oldest = heads.at(-1)!.number; // the newest comes first
  const letter = await platform.api<DeadLetterView>("GET", `/api/dead-letters/${oldest}`);
  assert.equal(letter.body, '{"t":70}');
  assert.equal(letter.fields["topic"], "telemetry/weather-1/aside");
  assert.equal(letter.lastError, "from weather-1: schema aside v1: /t must be <= 60");
  assert.deepEqual(
    seen.filter(({ topic }) => topic.endsWith("/aside")).map(({ payload }) => payload),
    ['{"t":7}'],
  );
});

test("once the schema is mended, dead letters are sent again and arrive", async () => {
  const first = await platform.api<{ replayed: number }>("POST", "/api/dead-letters/replay", { all: true });
  assert.equal(first.replayed, 2);
  await until("they do not fit yet, and are letters again", async () => {
    const { letters } = await platform.api<{ letters: { lastError: string }[] }>("GET", "/api/dead-letters");
    return letters.length >= 2 && letters.every(({ lastError }) => lastError.includes("aside v1"));
  });
  writeFileSync(join(files, "aside.yaml"), schemaFile("aside", "deadletter", 100));
  const applied = await cli("apply", files);
  assert.equal(applied.code, 0, applied.stderr);
  const listener = await connectDevice(platform, listening);
  const given: string[] = [];
  listener.on("message", (_topic, payload) => given.push(payload.toString()));
  await listener.subscribeAsync("telemetry/#", { qos: 1 });
  await platform.api("POST", "/api/dead-letters/replay", { all: true });
  await until("both", async () => given.includes('{"t":70}') && given.includes('{"t":71}'));
  await listener.endAsync();
});

test("through the HTTP API: 400 with the reason; a new version holds at once, and the one before is kept", async () => {
  const publish = (value: unknown): Promise<unknown> =>
    platform.api("POST", `/topics/${topicOf("strict")}?qos=1`, value);
  await assert.rejects(publish({ t: 65 }), /400 .*PAYLOAD_UNFIT.*strict v1/);
  const tried = await cli("schemas", "test", "strict", "-").catch(() => null);
  assert.notEqual(tried?.code, 0, "nothing is no JSON");
  writeFileSync(join(files, "strict.yaml"), schemaFile("strict", "reject", 80));
  const shown = await cli("diff", files);
  assert.match(shown.stdout, /^-      maximum: 60$\n^\+      maximum: 80$/m);
  assert.match(
    (await cli("schemas", "put", "strict", join(files, "strict.yaml"))).stdout,
    /Version 2 of schema strict/,
  );
  await publish({ t: 65 });
  const view = await platform.api<{ version: number; versions: { version: number }[] }>("GET", "/api/schemas/strict");
  assert.deepEqual(
    view.versions.map(({ version }) => version),
    [1, 2],
  );
  assert.match((await cli("schemas", "list")).stdout, /strict +2 +telemetry\/\+\/strict +reject/);
});

test("a schema that cannot be used is told with its place; deleted, its topic takes everything", async () => {
  writeFileSync(join(files, "strict.yaml"), schemaFile("strict", "reject", 80).replace("type: number", "type: numbre"));
  const wrong = await cli("apply", files);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /^strict\.yaml:8:\d+: schema\.properties\.t\.type: /m);
  assert.equal((await cli("schemas", "delete", "strict", "--yes")).code, 0);
  await platform.api("POST", `/topics/${topicOf("strict")}?qos=1`, "anything");
});

test("units of a schema stand beside the values: latest, series in every format, and what an alert tells; another schema, another unit", async () => {
  const rule = {
    sql: "SELECT * FROM 'telemetry/+/oven' WHERE t > 50",
    actions: [{ alert: { severity: "warning", summary: "hot", value: "${t}", threshold: "50" } }],
  };
  await platform.api("POST", "/rules/hot", rule);
  const put = (unit: string): Promise<unknown> => {
    const schema = { type: "object", properties: { t: { type: "number", "x-unit": unit } } };
    return platform.api("PUT", "/api/schemas/oven", { topic: "telemetry/+/oven", onViolation: "reject", schema });
  };
  await put("°C");
  await platform.api("POST", "/topics/telemetry/weather-1/oven?qos=1", { t: 55 });
  const latest = (): Promise<{ values: { measurement: string; value: number; unit?: string }[] }> =>
    platform.api("GET", "/api/things/weather-1/latest");
  const value = await until("the reading", async () =>
    (await latest()).values.find((one) => one.measurement === "oven" && one.value === 55),
  );
  assert.equal(value.unit, "°C");
  const path = "/api/series?thing=weather-1&measurement=oven&fields=t&from=-1h";
  const units = async (more: string): Promise<unknown[]> =>
    (await platform.api<{ series: { unit?: string }[] }>("GET", `${path}${more}`)).series.map(({ unit }) => unit);
  assert.deepEqual(await units(""), ["°C"]);
  assert.deepEqual(await units("&window=1h&aggregate=max,count"), ["°C", undefined]);
  const csv = await fetch(`${platform.ready.http}${path}&format=csv`, {
    headers: { authorization: `Bearer ${platform.ready.adminToken}` },
  });
  assert.deepEqual(JSON.parse(csv.headers.get("x-tidewire-units")!), { "oven/t": "°C" });
  assert.match(await csv.text(), /^time,thing,measurement,field,aggregate,value\r\n/, "the table is as it was");
  const { alerts } = await until("the alert", async () => {
    const page = await platform.api<{ alerts: { value: string; threshold: string }[] }>("GET", "/api/alerts?rule=hot");
    return page.alerts.length === 1 && page;
  });
  assert.deepEqual([alerts[0]!.value, alerts[0]!.threshold], ["55 °C", "50 °C"]);
  await put("K");
  assert.deepEqual(await units(""), ["K"]);
});
