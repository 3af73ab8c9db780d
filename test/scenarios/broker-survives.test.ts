import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { MqttClient } from "mqtt";
import { addDevice, connectDevice, openDevice } from "./support/device.ts";
import type { Device } from "./support/device.ts";
import { PlatformProcess, temporaryFolder, until } from "./support/platform-process.ts";

/** The platform dies by SIGKILL in full traffic; devices notice nothing but the interruption. */
const folder = temporaryFolder();
let platform: PlatformProcess;
let publisher: Device;
let subscriber: Device;

const KEPT = { clean: false, properties: { sessionExpiryInterval: 3600 } } as const;
const ARN = "arn:aws:iot:local:000000000000";

before(async () => {
  platform = await PlatformProcess.start(folder.path);
  publisher = await addDevice(platform, folder.path, "publisher");
  subscriber = await addDevice(platform, folder.path, "subscriber");
  const policyDocument = JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Action: ["iot:Publish", "iot:RetainPublish", "iot:Receive"],
        Resource: `${ARN}:topic/plant/*`,
      },
      { Effect: "Allow", Action: "iot:Subscribe", Resource: `${ARN}:topicfilter/plant/*` },
    ],
  });
  await platform.api("POST", "/policies/plant", { policyDocument });
  for (const { certificateId } of [publisher, subscriber]) {
    await platform.api("PUT", "/target-policies/plant", { target: `${ARN}:cert/${certificateId}` });
  }
});

after(async () => {
  await platform?.stop();
  folder.remove();
});

async function killAndRestart(): Promise<void> {
  const ports = platform.samePorts();
  await platform.kill();
  platform = await PlatformProcess.start(folder.path, ports);
}

/** `got`: the numbers of its messages, as they come. */
async function connectSubscriber(got: number[]): Promise<MqttClient> {
  const client = openDevice(platform, subscriber, KEPT);
  client.on("message", (_topic, payload) => got.push(Number(payload.toString())));
  await new Promise((resolve, reject) => client.once("connect", resolve).once("error", reject));
  return client;
}

/** Publishes with many on the way at once; returns what was acknowledged until the connection broke. */
async function publishUntilCut(client: MqttClient, from: number, enough: () => unknown): Promise<number[]> {
  const acknowledged: number[] = [];
  client.on("error", () => {});
  let next = from;
  const one = async (): Promise<void> => {
    while (client.connected) {
      const number = next++;
      try {
        await client.publishAsync("plant/line", `${number}`, { qos: 1 });
      } catch {
        return; // the connection is gone, and this one was not acknowledged
      }
      acknowledged.push(number);
      if (acknowledged.length === 1500) enough();
    }
  };
  const closed = new Promise<void>((resolve) => client.once("close", () => client.end(true, () => resolve())));
  await Promise.all([closed, ...Array.from({ length: 50 }, one)]);
  return acknowledged;
}

test("what publishers were told is safe reaches an absent subscriber, in order, however often the platform is killed [MQTT-4.3.2-4], [MQTT-4.5.0-1]", async () => {
  const got: number[] = [];
  const first = await connectSubscriber(got);
  await first.subscribeAsync("plant/line", { qos: 1 });
  await first.endAsync();
  const acknowledged: number[] = [];
  let killed: Promise<void> = Promise.resolve();
  for (let round = 0; round < 3; round++) {
    const client = await connectDevice(platform, publisher);
    const from = 1 + Math.max(0, ...acknowledged) + 1000;
    acknowledged.push(
      ...(await publishUntilCut(client, from, () => {
        killed = killAndRestart();
      })),
    );
    await killed;
  }
  assert.ok(acknowledged.length >= 4500, `${acknowledged.length} were acknowledged`);
  const back = await connectSubscriber(got);
  const seen = new Set<number>();
  await until("every acknowledged message", async () => {
    for (const number of got) seen.add(number);
    return acknowledged.every((number) => seen.has(number));
  });
  const order = [...seen];
  assert.deepEqual(
    order,
    order.toSorted((a, b) => a - b),
    "in the order in which they were published",
  );
  await back.endAsync();
});

test("a subscriber that is there when the platform is killed finds its session, and the rest, when it returns", async () => {
  const got: number[] = [];
  const there = await connectSubscriber(got);
  await there.subscribeAsync("plant/line", { qos: 1 });
  there.on("error", () => {});
  const client = await connectDevice(platform, publisher);
  let killed: Promise<void> = Promise.resolve();
  const acknowledged = await publishUntilCut(client, 1_000_000, () => {
    killed = killAndRestart();
  });
  await killed;
  there.end(true);
  const back = await connectSubscriber(got);
  const seen = new Set<number>();
  await until("every acknowledged message", async () => {
    for (const number of got) seen.add(number);
    return acknowledged.every((number) => seen.has(number));
  });
  await back.endAsync();
});

test("retained messages survive: the last one that was acknowledged, and no removed one [MQTT-3.3.1-5], [MQTT-3.3.1-6]", async () => {
  const client = await connectDevice(platform, publisher);
  for (let i = 0; i < 300; i++) await client.publishAsync(`plant/state/${i % 3}`, `${i}`, { qos: 1, retain: true });
  await client.publishAsync("plant/state/2", "", { qos: 1, retain: true });
  client.on("error", () => {});
  await killAndRestart();
  client.end(true);
  const got = new Map<string, string>();
  const late = await connectDevice(platform, subscriber, { clean: true });
  late.on("message", (topic, payload) => got.set(topic, payload.toString()));
  await late.subscribeAsync("plant/state/+", { qos: 1 });
  await until("the retained messages", async () => got.size >= 2);
  assert.deepEqual(Object.fromEntries(got), { "plant/state/0": "297", "plant/state/1": "298" });
  await late.endAsync();
});

test("a client that is cut leaves its will, one that says good-bye does not [MQTT-3.1.2-8]", async () => {
  const got: string[] = [];
  const watcher = await connectDevice(platform, subscriber, { clean: true });
  watcher.on("message", (topic, payload) => got.push(`${topic}=${payload.toString()}`));
  await watcher.subscribeAsync("plant/gone", { qos: 1 });
  const will = { topic: "plant/gone", qos: 1, retain: false } as const;
  const polite = await connectDevice(platform, publisher, { will: { ...will, payload: Buffer.from("polite") } });
  await polite.endAsync();
  const cut = await connectDevice(platform, publisher, { will: { ...will, payload: Buffer.from("cut") } });
  cut.on("error", () => {});
  cut.stream.destroy();
  await until("the will", async () => got.length > 0);
  assert.deepEqual(got, ["plant/gone=cut"]);
  cut.end(true);
  await watcher.endAsync();
});
