/** Clients of one shared subscription, and numbered work for them. */
import type { BrokerWorld } from "../../sim/broker.ts";
import type { SimClient } from "../../sim/mqtt-client.ts";

export const kept = { cleanStart: false, sessionExpirySeconds: 600, keepAliveSeconds: 3600 } as const;
export const JOBS = "$share/workers/jobs/+";

export async function workers(world: BrokerWorld, count: number, options = {}): Promise<SimClient[]> {
  const all: SimClient[] = [];
  for (let i = 0; i < count; i++) all.push((await world.connected(`w${i}`, options)).subscribe(JOBS));
  await world.run();
  return all;
}

/** Publishes `count` jobs at QoS 1 and lets them arrive. */
export async function work(world: BrokerWorld, count: number, from = 0, qos: 0 | 1 = 1): Promise<void> {
  const publisher = await world.connected("boss");
  for (let i = from; i < from + count; i++) publisher.publish(`jobs/${i % 7}`, `${i}`, { qos, packetId: 1 + i });
  await world.run();
  publisher.disconnect();
}

export const payloads = (client: SimClient): number[] => client.publishes.map((p) => Number(p.payload));
export const ascending = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b);
export const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
