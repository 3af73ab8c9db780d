/**
 * One of those who publish beside what is measured, open loop at QoS 1: `node bench/background-publisher.ts URL TOPIC RATE SECONDS
 * NAME`. It needs little of its core, so that what shares that with it measures the platform, and ends when all is acknowledged.
 */
import { MqttPipe, publishPacket } from "./storage/mqtt-pipe.ts";

const [url = "", topic = "", ...rest] = process.argv.slice(2);
const [rate, seconds] = rest.slice(0, 2).map(Number) as [number, number];
const { hostname, port } = new URL(url);
const pipe = await MqttPipe.open(hostname, Number(port), rest[2]!);
const packets = Array.from({ length: rate * seconds }, (_, n) =>
  publishPacket({ topic, payload: JSON.stringify({ t: ((n + 1) * 1000) / rate, n }) }, n),
);
await pipe.publishPaced(packets, rate, 1);
pipe.close();
process.stdout.write(`${JSON.stringify({ sent: packets.length })}\n`);
