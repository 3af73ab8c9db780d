/** Clients at QoS 2 that answer only what a test tells them to, and what they saw. */
import type { BrokerWorld } from "../../sim/broker.ts";
import type { SimClient } from "../../sim/mqtt-client.ts";
import type { QoS } from "../base/mod.ts";
import type { ConnectPacket } from "../wire/mqtt/mod.ts";

export const kept = { cleanStart: false, sessionExpirySeconds: 600, keepAliveSeconds: 3_600 } as const;
export const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => `${from + i}`);

/** Acknowledgements that came, in order, as "pubrec 7" or "pubrec 7 0x91"; forgets them. */
export function answers(client: SimClient): string[] {
  const texts = client.received.flatMap((packet) => {
    if (packet.type !== "puback" && packet.type !== "pubrec" && packet.type !== "pubrel" && packet.type !== "pubcomp") {
      return [];
    }
    const reason = packet.reasonCode === 0 ? "" : ` 0x${packet.reasonCode.toString(16)}`;
    return [`${packet.type} ${packet.packetId}${reason}`];
  });
  client.received.length = 0;
  return texts;
}

/** A client that answers nothing by itself. */
export async function quiet(
  world: BrokerWorld,
  clientId: string,
  { version = 5, ...options }: Partial<ConnectPacket> = {},
): Promise<SimClient> {
  const client = world.client({ version });
  client.acknowledges = false;
  client.connect({ clientId, ...kept, ...options });
  await world.run();
  return client;
}

export async function subscribed(world: BrokerWorld, clientId: string, options = {}): Promise<SimClient> {
  const client = await quiet(world, clientId, options);
  client.subscribe("a", { qos: 2 });
  await world.run();
  client.received.length = 0;
  return client;
}

export const sent = (client: SimClient): (readonly [string, QoS, boolean, number])[] =>
  client.publishes.map(({ payload, qos, dup, packetId }) => [payload, qos, dup, packetId]);
