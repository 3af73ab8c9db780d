/** Limits as an operator sets them, on the real platform with clients that we did not write. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { addDevice, connectDevice, openDevice } from "./support/device.ts";
import { PlatformProcess, runCli, temporaryFolder, until } from "./support/platform-process.ts";

const BIG_BYTES = 200 * 1024 * 1024;
const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const reached = 'tidewire_mqtt_limit_reached_total{limit="packetBytesMax"}';

test("--limits protocol: 200 MiB in one message arrive whole; the log that holds them serves a platform without it", async () => {
  const folder = temporaryFolder();
  let platform = await PlatformProcess.start(folder.path, ["--limits", "protocol"]);
  try {
    const device = await addDevice(platform, folder.path, "giant");
    const kept = { protocolVersion: 5, clean: false, properties: { sessionExpiryInterval: 3_600 } } as const;
    const client = await connectDevice(platform, device, kept);
    const topic = "$aws/things/giant/blob";
    await client.subscribeAsync(topic, { qos: 1 });
    const payload = randomBytes(BIG_BYTES);
    const wanted = digest(payload);
    const arrived = new Promise<string>((resolve) => {
      client.once("message", (_topic, bytes) => resolve(digest(bytes)));
    });
    await client.publishAsync(topic, payload, { qos: 1 });
    assert.equal(await arrived, wanted);
    await until("its acknowledgement", async () => (await platform.metric("tidewire_mqtt_queued_messages")) === 0);
    await client.endAsync();
    const { code } = await platform.end("SIGTERM");
    assert.equal(code, 0);

    platform = await PlatformProcess.start(folder.path);
    const refused = openDevice(platform, device, { protocolVersion: 5, reconnectPeriod: 0 });
    const reason = new Promise<number>((resolve) => {
      refused.on("disconnect", ({ reasonCode }) => resolve(reasonCode ?? 0));
    });
    refused.on("error", () => {});
    // 0x95 Packet too large: the default limit is in force again.
    refused.on("connect", () => refused.publish(topic, Buffer.alloc(2 * 1024 * 1024), { qos: 1 }, () => {}));
    assert.equal(await reason, 0x95);
    await refused.endAsync(true);
    assert.equal(await platform.metric(reached), 1);
    const { stdout } = await runCli(["log", "verify", "--data", folder.path], folder.path);
    assert.match(
      stdout,
      /^\S+\.seg: \d+ records in \d+ batches, offsets 0 to \d+, 2097\d{5} bytes\n/,
      "whole, and readable",
    );
  } finally {
    await platform.end("SIGKILL");
    folder.remove();
  }
});

test("one limit from the configuration file, another as a flag; a wrong one is told before anything is started", async () => {
  const folder = temporaryFolder();
  const config = join(folder.path, "tidewire.yaml");
  writeFileSync(config, "limit:\n  mqtt.topicLevelsMax: 9\n  mqtt.packetBytesMax: 8KiB\n");
  const options = ["--config", config, "--limit", "mqtt.packetBytesMax=16KiB", "mqtt.keepAliveSecondsMax=100"];
  const platform = await PlatformProcess.start(folder.path, options);
  try {
    const device = await addDevice(platform, folder.path, "small");
    const client = openDevice(platform, device, { protocolVersion: 5, keepalive: 600, reconnectPeriod: 0 });
    const properties = await new Promise<{ maximumPacketSize?: number; serverKeepAlive?: number } | undefined>(
      (resolve, reject) => {
        client.once("connect", (connack) => resolve(connack.properties));
        client.once("error", reject);
      },
    );
    assert.equal(properties?.maximumPacketSize, 16_384, "a flag wins over the file");
    assert.equal(properties?.serverKeepAlive, 100);
    const suback = await client.subscribeAsync(`$aws/things/small/${"a/".repeat(9)}b`).catch((error: unknown) => error);
    assert.ok(suback instanceof Error || JSON.stringify(suback).includes("143"), "0x8F: deeper than the file allows");
    await client.endAsync(true);
  } finally {
    await platform.end("SIGKILL");
    folder.remove();
  }
  const { code, stderr } = await runCli(["up", "--limit", "mqtt.packetByteMax=5", "--data", folder.path], "/tmp");
  assert.equal(code, 2);
  assert.match(stderr, /mqtt\.packetBytesMax/);
});
