/** A small client beside the flood: publishes to itself at QoS 1 ten times a second, and keeps the slowest round trip. */
import { connect } from "mqtt";

const PERIOD_MS = 100;

export interface Prober {
  /** The slowest round trip since the last call, in milliseconds; one that is still under way counts as far as it is. */
  readonly takeSlowest: () => number;
  readonly close: () => void;
}

export async function prober(port: number): Promise<Prober> {
  const client = connect({ host: "127.0.0.1", port, protocolVersion: 5, clientId: "prober" });
  const sentAt = new Map<number, number>();
  let slowest = 0;
  let number = 0;
  client.on("message", (_topic, payload) => {
    const at = sentAt.get(Number(payload.toString()));
    sentAt.delete(Number(payload.toString()));
    if (at !== undefined) slowest = Math.max(slowest, performance.now() - at);
  });
  await new Promise<void>((resolve) => {
    client.once("connect", () => resolve());
  });
  await client.subscribeAsync("prober", { qos: 1 });
  const timer = setInterval(() => {
    sentAt.set(++number, performance.now());
    client.publish("prober", String(number), { qos: 1 });
  }, PERIOD_MS);
  return {
    takeSlowest: () => {
      const [oldest] = sentAt.values();
      const waiting = oldest === undefined ? 0 : performance.now() - oldest;
      const answer = Math.max(slowest, waiting);
      slowest = 0;
      return answer;
    },
    close: () => {
      clearInterval(timer);
      client.end(true);
    },
  };
}
