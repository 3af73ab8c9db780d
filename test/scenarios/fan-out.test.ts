/** What many subscribers are sent from the same memory arrives whole and in order, over every kind of connection. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connectAsync } from "mqtt";
import type { MqttClient } from "mqtt";
import { addDevice } from "./support/device.ts";
import { PlatformProcess, temporaryFolder, until } from "./support/platform-process.ts";

const COUNT = 12_000;
/** Every so many a message is at QoS 1, of which each subscriber has a copy of its own. */
const ACKNOWLEDGED_EVERY = 40;
const SCHEMES = ["mqtt", "mqtts", "ws", "wss"] as const;
const LISTENERS = ["mqtt://127.0.0.1:0?auth=none", "ws://127.0.0.1:0?auth=none", "wss://127.0.0.1:0"];
const ARN = "arn:aws:iot:local:000000000000";
const TAKES_ALL = {
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: ["iot:Connect", "iot:Subscribe", "iot:Receive"], Resource: "*" }],
};

const payloadOf = (number: number): string => `${number}:`.padEnd(20 + ((number * 7919) % 300), `${number} `);

/** What has arrived: which messages, and whether one was not as it was sent, or out of turn. */
class Arrivals {
  readonly numbers: number[] = [];
  readonly faults: string[] = [];

  take(payload: string): void {
    const number = Number.parseInt(payload, 10);
    if (payload !== payloadOf(number)) this.faults.push(`not as it was sent: ${payload.slice(0, 40)}`);
    if (number <= (this.numbers.at(-1) ?? -1)) this.faults.push(`${number} behind ${this.numbers.at(-1)}`);
    this.numbers.push(number);
  }
}

test("to sixteen clients over TCP, TLS and WebSocket, MQTT 3.1.1 and 5.0", async () => {
  const folder = temporaryFolder();
  const listeners = LISTENERS.flatMap((url) => ["--listen", url]);
  const platform = await PlatformProcess.start(folder.path, listeners);
  const clients: MqttClient[] = [];
  try {
    const { ca, cert, key, certificateId } = await addDevice(platform, folder.path, "peer");
    await platform.api("POST", "/policies/takes-all", { policyDocument: JSON.stringify(TAKES_ALL) });
    await platform.api("PUT", "/target-policies/takes-all", { target: `${ARN}:cert/${certificateId}` });
    const connect = async (scheme: string, protocolVersion: 4 | 5, clientId: string): Promise<MqttClient> => {
      const own = platform.ready.listen.find((one) => one.startsWith(`${scheme}:`));
      const at = own?.replace(/\?.*/, "") ?? `mqtts://127.0.0.1:${platform.mqttsPort}`;
      const identity = scheme === "mqtts" || scheme === "wss" ? { ca, cert, key } : {};
      const url = `${at}${scheme.startsWith("ws") ? "/mqtt" : ""}`;
      const client = await connectAsync(url, { protocolVersion, clientId, reconnectPeriod: 0, ...identity });
      clients.push(client);
      return client;
    };
    const all: Arrivals[] = [];
    for (let i = 0; i < 16; i++) {
      const arrivals = new Arrivals();
      all.push(arrivals);
      const client = await connect(SCHEMES[i % 4]!, i < 8 ? 4 : 5, `subscriber-${i}`);
      client.on("message", (_topic, payload) => arrivals.take(payload.toString()));
      await client.subscribeAsync("many", { qos: 1 });
    }
    const publisher = await connect("mqtt", 5, "publisher");
    for (let number = 0; number < COUNT; number++) {
      if (number % ACKNOWLEDGED_EVERY === 0) await publisher.publishAsync("many", payloadOf(number), { qos: 1 });
      else publisher.publish("many", payloadOf(number));
    }
    await publisher.publishAsync("many", payloadOf(COUNT), { qos: 1 });
    await until("the last one at all", async () => all.every(({ numbers }) => numbers.at(-1) === COUNT));
    assert.deepEqual(
      all.flatMap(({ faults }) => faults),
      [],
    );
    const arrived = all.reduce((sum, { numbers }) => sum + numbers.length, 0);
    const dropped = await platform.metric(`tidewire_mqtt_dropped_total{reason="slow-subscriber"}`);
    assert.equal(arrived + dropped, 16 * (COUNT + 1));
    for (const { numbers } of all) {
      const acknowledged = numbers.filter((number) => number % ACKNOWLEDGED_EVERY === 0).length;
      assert.equal(acknowledged, Math.floor(COUNT / ACKNOWLEDGED_EVERY) + 1, "at QoS 1 none is missing");
    }
  } finally {
    for (const client of clients) client.end(true);
    await platform.stop();
    folder.remove();
  }
});
