import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import type { TestContext } from "node:test";
import type { MqttClient } from "mqtt";
import { addDevice, openDevice } from "./support/device.ts";
import type { Device } from "./support/device.ts";
import { PlatformProcess, temporaryFolder, until } from "./support/platform-process.ts";

/** QoS 2 with clients that we did not write, and SIGKILLs in full traffic: every message arrives, and once. */
const folder = temporaryFolder();
let platform: PlatformProcess;
let publisher: Device;
let subscriber: Device;

/** Both come back by themselves, and keep what they have under way. */
const STEADY = { clean: false, reconnectPeriod: 100, properties: { sessionExpiryInterval: 3600 } } as const;
const ARN = "arn:aws:iot:local:000000000000";
const KILLS = 3;
const AT_ONCE = 50;
const BETWEEN_KILLS = 800;

before(async () => {
  platform = await PlatformProcess.start(folder.path);
  publisher = await addDevice(platform, folder.path, "publisher");
  subscriber = await addDevice(platform, folder.path, "subscriber");
  const policyDocument = JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Action: ["iot:Publish", "iot:Receive"], Resource: `${ARN}:topic/plant/*` },
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

/** Ends with its test, however that ends: a client that goes on trying keeps the process, and takes others' sessions over. */
async function connected(device: Device, context: TestContext): Promise<MqttClient> {
  const client = openDevice(platform, device, STEADY);
  context.after(() => client.endAsync(true));
  await new Promise((resolve, reject) => client.once("connect", resolve).once("error", reject));
  client.on("error", () => {}); // the platform is away for a moment
  return client;
}

/** Every number from 0 to `count`, `AT_ONCE` of them under way; `progress` is told how many are complete. */
async function publishAll(client: MqttClient, topic: string, count: number, progress: (done: number) => void) {
  let next = 0;
  let done = 0;
  const one = async (): Promise<void> => {
    while (next < count) {
      await client.publishAsync(topic, `${next++}`, { qos: 2 });
      progress(++done);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const sorted = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b);

test("MQTT.js at both ends, the platform killed again and again: every message once [MQTT-4.3.3-10], [MQTT-4.3.3-4]", async (context) => {
  const count = (KILLS + 1) * BETWEEN_KILLS;
  const got: number[] = [];
  const receiver = await connected(subscriber, context);
  receiver.on("message", (_topic, payload) => got.push(Number(payload.toString())));
  const [granted] = await receiver.subscribeAsync("plant/line", { qos: 2 });
  assert.equal(granted?.qos, 2);
  const sender = await connected(publisher, context);
  let killing: Promise<void> = Promise.resolve();
  let kills = 0;
  await publishAll(sender, "plant/line", count, (done) => {
    if (done % BETWEEN_KILLS !== 0 || kills === KILLS) return;
    kills++;
    killing = killing.then(killAndRestart);
  });
  await killing;
  assert.equal(kills, KILLS);
  await until("every message", async () => got.length >= count);
  await until("nothing under way", async () => (await platform.metric("tidewire_mqtt_exchanges")) === 0);
  assert.deepEqual(sorted(got), upTo(count));
  await Promise.all([sender.endAsync(), receiver.endAsync()]);
});

test("mosquitto_pub and mosquitto_sub, and a kill while messages wait: every message once, in order", async (context) => {
  if (spawnSync("sh", ["-c", "command -v mosquitto_pub"]).status !== 0) {
    context.skip("mosquitto_pub is not on this machine (Debian: mosquitto-clients)");
    return;
  }
  const got: number[] = [];
  const first = listen(got);
  context.after(() => first.kill());
  await until("the subscription", async () => (await counted()).connections >= 1);
  await publishRow(0, 500);
  await until("the first half, to the end", async () => got.length >= 500 && (await counted()).exchanges === 0);
  first.kill();
  await once(first, "exit");
  await publishRow(500, 1_000);
  await killAndRestart();
  const second = listen(got);
  context.after(() => second.kill());
  await until("every message", async () => got.length >= 1_000 && (await counted()).exchanges === 0);
  assert.deepEqual(got, upTo(1_000));
});

/** `mosquitto_sub` with a session that outlives it; it keeps nothing itself, so it goes when nothing is under way. */
function listen(got: number[]) {
  const child = mosquitto("mosquitto_sub", subscriber, "-t", "plant/row", "-q", "2", "-c", "-x", "3600", "-F", "%q %p");
  createInterface(child.stdout).on("line", (line) => {
    const [qos, payload] = line.split(" ");
    assert.equal(qos, "2");
    got.push(Number(payload));
  });
  return child;
}

async function counted(): Promise<{ readonly connections: number; readonly exchanges: number }> {
  const connections = await platform.metric("tidewire_mqtt_connections");
  return { connections, exchanges: await platform.metric("tidewire_mqtt_exchanges") };
}

function mosquitto(program: string, device: Device, ...more: readonly string[]) {
  const file = (name: string): string => join(device.folder, name);
  const tls = ["--cafile", file("ca.pem"), "--cert", file("certificate.pem"), "--key", file("private-key.pem")];
  const where = ["-h", "127.0.0.1", "-p", `${platform.mqttsPort}`, "-i", device.thing, "-V", "mqttv5"];
  return spawn(program, [...where, ...tls, ...more], { stdio: ["pipe", "pipe", "inherit"] });
}

/** One message per line. */
async function publishRow(from: number, to: number): Promise<void> {
  const child = mosquitto("mosquitto_pub", publisher, "-t", "plant/row", "-q", "2", "-l");
  child.stdin.end(upTo(to).slice(from).join("\n") + "\n");
  const [code] = (await once(child, "exit")) as [number];
  assert.equal(code, 0);
}
