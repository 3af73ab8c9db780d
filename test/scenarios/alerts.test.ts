import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, Server } from "node:http";
import { after, before, test } from "node:test";
import type { MqttClient } from "mqtt";
import { addDevice, connectDevice } from "./support/device.ts";
import { PlatformProcess, temporaryFolder, until } from "./support/platform-process.ts";

interface Delivery {
  readonly id: string;
  readonly type: string;
  readonly status: number;
}

interface AlertPage {
  readonly active: number;
  readonly alerts: readonly {
    readonly rule: string;
    readonly thing: string;
    readonly state: string;
    readonly summary: string;
  }[];
}

const folder = temporaryFolder();
const deliveries: Delivery[] = [];
/** What the receiver answers at the moment. */
let answer = 500;
let port = 0;
let receiver: Server | null = null;
let platform: PlatformProcess;
let client: MqttClient;

async function openReceiver(): Promise<void> {
  receiver = createServer((request, response) => void receive(request).then(() => response.writeHead(answer).end()));
  receiver.listen(port, "127.0.0.1");
  await once(receiver, "listening");
  port = (receiver.address() as { port: number }).port;
}

async function receive(request: IncomingMessage): Promise<void> {
  let body = "";
  for await (const chunk of request) body += String(chunk);
  const { type } = JSON.parse(body) as { type: string };
  deliveries.push({ id: String(request.headers["webhook-id"]), type, status: answer });
}

async function closeReceiver(): Promise<void> {
  if (receiver === null) return;
  receiver.closeAllConnections();
  receiver.close();
  await once(receiver, "close");
  receiver = null;
}

before(async () => {
  await openReceiver();
  await closeReceiver(); // the port is known, and nobody listens there: the receiver is down
  platform = await PlatformProcess.start(folder.path, ["--webhook", `http://127.0.0.1:${port}/hook`]);
  const device = await addDevice(platform, folder.path, "press-1");
  client = await connectDevice(platform, device);
});

after(async () => {
  await client?.endAsync(true);
  await platform?.stop();
  await closeReceiver();
  folder.remove();
});

function reading(cpuPercent: number): Promise<unknown> {
  return client.publishAsync(
    "telemetry/press-1/system",
    JSON.stringify({ ts: Date.now(), cpu: { percent: cpuPercent } }),
    { qos: 1 },
  );
}

async function storedCount(): Promise<number> {
  const { series } = await platform.api<{ series: { times: number[] }[] }>(
    "GET",
    "/api/series?thing=press-1&measurement=system&fields=cpu.percent&from=-1h&to=%2B1h",
  );
  return series[0]?.times.length ?? 0;
}

test("the default rule raises an alert above 90 %, and not at 90", async () => {
  await reading(90);
  await reading(96);
  const page = await until("the alert", async () => {
    const found = await platform.api<AlertPage>("GET", "/api/alerts");
    return found.active > 0 && found;
  });
  assert.equal(page.alerts.length, 1);
  assert.equal(page.alerts[0]!.rule, "cpu_high");
  assert.equal(page.alerts[0]!.thing, "press-1");
  assert.match(page.alerts[0]!.summary, /CPU at 96 % on press-1/);
});

test("the receiver is down, then answers 500, then 200: the alert arrives; telemetry is not delayed", async () => {
  const before = await storedCount();
  for (let i = 0; i < 20; i++) await reading(50 + i);
  await until("20 readings stored while the receiver is down", async () => (await storedCount()) >= before + 20);
  assert.equal(deliveries.length, 0);

  await openReceiver();
  await until("a delivery answered 500", async () => deliveries.some(({ status }) => status === 500), 600);
  answer = 200;
  const done = await until(
    "the delivery answered 200",
    async () => deliveries.find(({ status }) => status === 200),
    900,
  );
  assert.equal(done.type, "alert.raised");
  const raised = deliveries.filter(({ type }) => type === "alert.raised");
  assert.equal(new Set(raised.map(({ id }) => id)).size, 1, "every try carries the same webhook-id");
});

test("an alert that could not be sent yet survives SIGKILL and is sent by the next start", async () => {
  await closeReceiver();
  answer = 200;
  const before = deliveries.length;
  await client.publishAsync("telemetry/press-1/system", JSON.stringify({ memory: { percent: 99 } }), { qos: 1 });
  await until("the alert", async () => {
    const { alerts } = await platform.api<AlertPage>("GET", "/api/alerts");
    return alerts.some(({ rule, state }) => rule === "memory_high" && state === "active");
  });
  await client.endAsync(true);
  await platform.kill();
  await openReceiver();
  platform = await PlatformProcess.start(folder.path, ["--webhook", `http://127.0.0.1:${port}/hook`]);
  await until("the delivery after the restart", async () => deliveries.length > before, 900);
  const { alerts } = await platform.api<AlertPage>("GET", "/api/alerts");
  assert.equal(alerts.filter(({ rule }) => rule === "memory_high").length, 1, "raised once, not again by the replay");
});
