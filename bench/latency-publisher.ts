/**
 * Publishes at a fixed rate, open loop: a message is due by the clock, whatever became of those before it, and its payload
 * carries the time when it was due, so a late sender counts as latency and is not hidden.
 * `node bench/latency-publisher.ts URL TOPIC RATE SECONDS QOS [DEVICE-FOLDER]`.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { connectAsync } from "mqtt";

const [url = "", topic = "", ...rest] = process.argv.slice(2);
const [rate = 1000, seconds = 10, qos = 1] = rest.slice(0, 3).map(Number);
const folder = rest[3];
const TICK_MS = 1;
const UNACKNOWLEDGED_MAX = 1_000;

const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;
const read = (name: string): Buffer => readFileSync(join(folder!, name));
const identity =
  folder === undefined ? {} : { key: read("private-key.pem"), cert: read("certificate.pem"), ca: read("ca.pem") };
const clientId = folder === undefined ? "bench" : folder.slice(folder.lastIndexOf("/") + 1);
const client = await connectAsync(url, { protocolVersion: 5, clientId, reconnectPeriod: 0, ...identity });

const total = rate * seconds;
const startsAt = nowMs() + 100;
let sent = 0;
let acknowledged = 0;
await new Promise<void>((resolve, reject) => {
  const timer = setInterval(() => {
    // The broker's Receive Maximum, which MQTT.js does not look at; what has to wait is late, and counts as that.
    const due = Math.min(total, acknowledged + UNACKNOWLEDGED_MAX, Math.floor(((nowMs() - startsAt) * rate) / 1000));
    for (; sent < due; sent++) {
      const payload = JSON.stringify({ t: startsAt + ((sent + 1) * 1000) / rate, sent: nowMs(), n: sent });
      client.publish(topic, payload, { qos: qos as 0 | 1 }, (error) => {
        if (error) reject(error);
        else if (++acknowledged === total) resolve();
      });
    }
    if (sent === total) clearInterval(timer);
  }, TICK_MS);
});
await client.endAsync();
process.stdout.write(`${JSON.stringify({ sent, acknowledged, tookMs: nowMs() - startsAt })}\n`);
