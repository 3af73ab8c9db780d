import assert from "node:assert/strict";
import { test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import { CarefulClient } from "../../sim/careful-client.ts";
import { SimRandom } from "../../sim/world.ts";
import type { QoS } from "../base/mod.ts";

/**
 * Random clients that publish and receive at QoS 0, 1 and 2, lose their connections and take each other's over, on a disk
 * that syncs a record at a time and a broker that dies again and again. In the end everybody is back, and has: at QoS 2
 * every message once, at QoS 1 at least once, both in the order of each publisher and topic.
 */
const CLIENTS = 4;
const STEPS = 150;
const TOPICS = ["a", "b"];

interface Subscriber {
  readonly client: CarefulClient;
  readonly granted: ReadonlyMap<string, QoS>;
}

interface Published {
  readonly payload: string;
  readonly publisher: string;
  readonly topic: string;
  readonly qos: 1 | 2;
}

function step(world: BrokerWorld, clients: readonly CarefulClient[], random: SimRandom, published: Published[]) {
  const client = random.pick(clients);
  const action = random.next();
  if (action < 0.5) {
    const topic = random.pick(TOPICS);
    const qos = random.chance(0.7) ? 2 : 1;
    const payload = `${published.length}`;
    const before = client.publications.length;
    client.publish(topic, payload, qos);
    if (client.publications.length > before) published.push({ payload, publisher: client.clientId, topic, qos });
  } else if (action < 0.75) world.journal.sync(world.journal.durable + random.below(5));
  else if (action < 0.83) client.cut();
  else if (action < 0.96) {
    client.receiveMaximum = 1 + random.below(3);
    return client.connect();
  } else if (action < 0.98) return world.run(random.below(2_500)); // so that something is saved
  else {
    for (const each of clients) each.lost();
    return world.crashAndRestart();
  }
  return random.chance(0.7) ? world.run() : Promise.resolve();
}

function check({ client, granted }: Subscriber, published: readonly Published[], context: string): void {
  const count = new Map<string, number>();
  for (const { payload } of client.got) count.set(payload, (count.get(payload) ?? 0) + 1);
  const lost: string[] = [];
  const twice: string[] = [];
  for (const { payload, topic, qos } of published) {
    const expected = Math.min(qos, granted.get(topic) ?? 0);
    if (expected > 0 && !count.has(payload)) lost.push(payload);
    if (expected === 2 && count.get(payload)! > 1) twice.push(payload);
  }
  const seen = [...count.keys()].map((payload) => published[Number(payload)]!);
  const owed = seen.filter(({ topic }) => granted.get(topic)! > 0); // QoS 0 is for those who are there
  assert.deepEqual({ lost, twice, wrong: client.wrong }, { lost: [], twice: [], wrong: [] }, context);
  for (const { clientId } of new Set(published.map(({ publisher }) => ({ clientId: publisher })))) {
    for (const topic of TOPICS) {
      for (const qos of [1, 2]) {
        const own = owed.filter((m) => m.publisher === clientId && m.topic === topic && m.qos === qos);
        const order = own.map(({ payload }) => Number(payload));
        assert.deepEqual(order, order.toSorted((a, b) => a - b), `order of ${clientId} on ${topic}, ${context}`); // prettier-ignore
      }
    }
  }
}

async function run(seed: number): Promise<void> {
  const random = new SimRandom(seed);
  const limits = { recentBytesMax: random.chance(0.5) ? 512 : 65_536, routesCachedMax: 8, queuedMessagesMax: 160 };
  const world = await BrokerWorld.started({ seed, limits });
  const clients = Array.from({ length: CLIENTS }, (_, i) => new CarefulClient(world, `c${i}`, 1 + random.below(3)));
  const subscribers: Subscriber[] = [];
  for (const client of clients) {
    const connection = await client.connect();
    const granted = new Map(TOPICS.map((topic) => [topic, random.below(3) as QoS]));
    for (const [topic, qos] of granted) connection.subscribe(topic, { qos });
    await world.run();
    subscribers.push({ client, granted });
  }
  world.journal.mode = "held";
  const published: Published[] = [];
  for (let i = 0; i < STEPS; i++) await step(world, clients, random, published);
  world.journal.mode = "automatic";
  world.journal.sync();
  for (const client of clients) await client.connect();
  await world.run(100);
  assert.ok(published.length > 20, "something was published");
  for (const client of clients) assert.deepEqual(client.publications, [], `${client.clientId}, seed ${seed}`);
  for (const subscriber of subscribers) check(subscriber, published, `${subscriber.client.clientId}, seed ${seed}`);
  assert.equal(world.metrics.value("tidewire_mqtt_exchanges"), 0, `nothing is left over, seed ${seed}`);
}

test("random clients, cuts and crashes: QoS 2 once, QoS 1 at least once, in order [MQTT-4.3.3-10], [MQTT-4.6.0-6]", async () => {
  const from = Number(process.env["SEED"] ?? 1);
  const count = process.env["SEED"] === undefined ? 30 : Number(process.env["SEEDS"] ?? 1);
  for (let seed = from; seed < from + count; seed++) {
    await run(seed).catch((error: unknown) => {
      throw new Error(`replay with SEED=${seed} node --test src/broker/exactly-once.model.test.ts`, { cause: error });
    });
  }
});
