/** What tests of deliveries ask of a receiver and of a world of rules. */
import type { Receiver, World } from "../rules.fixture.ts";

export function webhookRule(url: string, sql = "SELECT * FROM 'a/#'", more: object = {}): object {
  return { sql, actions: [{ webhook: { url, ...more } }] };
}

/** Ids that the receiver saw. */
export function idsAt(receiver: Receiver): Set<unknown> {
  return new Set(receiver.received.map((request) => request.headers["webhook-id"]));
}

/** The `n` of every request, in the order in which they were started. */
export function startedIn(world: World): unknown[] {
  return world.http.started.map((body) => (JSON.parse(body) as { n: unknown }).n);
}

export function deliveredIn(world: World): number {
  return world.metrics.value("tidewire_delivery_attempts_total", { kind: "webhook", outcome: "delivered" });
}

export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}
