/** Messages that come together go out together where that is cheaper, and nobody can tell but by the number of writes. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import type { SimClient } from "../../sim/mqtt-client.ts";
import { SimRandom } from "../../sim/world.ts";
import type { PacketWriter } from "../wire/mqtt/mod.ts";

type Send = (writer: PacketWriter) => void;

const SUBSCRIBERS = 12;
const TOPICS = ["f/1", "f/1", "f/1", "f/1", "f/2", "f/3", "alone"];

function message(random: SimRandom, number: number): Send {
  const qos = random.chance(0.85) ? 0 : random.chance(0.5) ? 1 : 2;
  const size = random.chance(0.05) ? 20_000 : random.below(300);
  const fields = {
    topic: random.pick(TOPICS),
    payload: Buffer.from(`${number} `.padEnd(size, "x")),
    retain: random.chance(0.05),
    packetId: 1 + number,
    dup: false,
    properties: random.chance(0.1) ? { contentType: "text" } : null,
  };
  return (writer) => writer.publish({ ...fields, qos });
}

function control(random: SimRandom, number: number): Send {
  const packetId = 10_000 + number;
  const filter = random.pick(["f/+", "f/1"]);
  if (random.chance(0.3)) return (writer) => writer.pingreq();
  if (random.chance(0.5)) return (writer) => writer.unsubscribe({ packetId, filters: [filter] });
  const options = { noLocal: random.chance(0.5), retainAsPublished: false, retainHandling: 2 } as const;
  return (writer) =>
    writer.subscribe({ packetId, requests: [{ filter, qos: 0, ...options }], subscriptionIdentifier: 0 });
}

/** What the publisher sends, in packets that arrive together. */
function script(seed: number): readonly (readonly Send[])[] {
  const random = new SimRandom(seed);
  let number = 0;
  return Array.from({ length: 15 }, () =>
    Array.from({ length: 1 + random.below(40) }, () => {
      number++;
      return random.chance(0.9) ? message(random, number) : control(random, number);
    }),
  );
}

async function subscribers(world: BrokerWorld, random: SimRandom): Promise<SimClient[]> {
  const all: SimClient[] = [];
  for (let i = 0; i < SUBSCRIBERS; i++) {
    const version = random.chance(0.5) ? 5 : 4;
    const options =
      version === 4 || random.chance(0.7)
        ? {}
        : random.chance(0.5)
          ? { topicAliasMaximum: 2 }
          : { maximumPacketSize: 500 };
    const client = await world.connected(`s${i}`, { version, ...options });
    const qos = random.chance(0.7) ? 0 : 1;
    const kind = random.next();
    if (kind < 0.1) client.subscribe("$share/g/f/+");
    else if (kind < 0.2 && version === 5) client.subscribe("f/+", { qos, identifier: 7 });
    else client.subscribe(kind < 0.8 ? "f/+" : "f/1", { qos, retainAsPublished: version === 5 });
    all.push(client);
  }
  await world.run();
  return all;
}

/** What everybody receives, if the packets of a turn arrive together, or each by itself. */
async function told(seed: number, together: boolean): Promise<unknown> {
  const world = await BrokerWorld.started({ seed });
  const random = new SimRandom(seed);
  if (random.chance(0.3)) world.policy("s1").change({ receive: (topic) => topic !== "f/1" });
  const clients = await subscribers(world, random);
  const publisher = await world.connected("publisher", { keepAliveSeconds: 3600 });
  for (const batch of script(seed)) {
    if (together) {
      publisher.send((writer) => {
        for (const send of batch) send(writer);
      });
    } else for (const send of batch) publisher.send(send);
    await world.run(5);
  }
  assert.equal(publisher.state, "open", JSON.stringify(publisher.last("disconnect")));
  const dropped = ["receive-forbidden", "too-large", "slow-subscriber"].map((reason) =>
    world.metrics.valueOr(0, "tidewire_mqtt_dropped_total", { reason }),
  );
  return {
    dropped,
    sent: world.metrics.value("tidewire_mqtt_messages_sent_total"),
    received: [...clients, publisher].map((client) => client.received),
  };
}

function publish(writer: PacketWriter, text: string, qos: 0 | 1 = 0): void {
  const payload = Buffer.from(text);
  writer.publish({ topic: "a", payload, qos, retain: false, dup: false, packetId: 1, properties: null });
}

describe("messages that arrive together", () => {
  test("are what each subscriber would have got one by one, in the same order", async () => {
    const from = Number(process.env["SEED"] ?? 1);
    const count = process.env["SEED"] === undefined ? 40 : 1;
    for (let seed = from; seed < from + count; seed++) {
      const replay = `SEED=${seed} node --test src/broker/fan-out.test.ts`;
      assert.deepEqual(await told(seed, true), await told(seed, false), replay);
    }
  });

  test("cost a subscriber that keeps up nothing; one that does not misses some, each counted", async () => {
    const world = await BrokerWorld.started({ limits: { outputBytesMax: 64_000 } });
    const clients = await Promise.all(Array.from({ length: 6 }, (_, i) => world.connected(`s${i}`)));
    for (const client of clients) client.subscribe("a");
    await world.run();
    const stalled = clients[0]!;
    stalled.stall();
    const publisher = await world.connected("publisher");
    const [BATCHES, IN_ONE] = [10, 300];
    for (let batch = 0; batch < BATCHES; batch++) {
      publisher.send((writer) => {
        for (let i = 0; i < IN_ONE; i++) publish(writer, `${batch * IN_ONE + i}`.padEnd(100));
      });
      await world.run(1_000);
    }
    stalled.unstall();
    await world.run(5_000);
    const [some, ...all] = clients.map((client) => client.publishes.map(({ payload }) => Number(payload.trim())));
    for (const numbers of all) assert.deepEqual(numbers, [...Array(BATCHES * IN_ONE).keys()]);
    const dropped = world.metrics.value("tidewire_mqtt_dropped_total", { reason: "slow-subscriber" });
    assert.ok(dropped > 0 && some!.length > 300);
    assert.equal(some!.length + dropped, BATCHES * IN_ONE);
    assert.deepEqual(
      some,
      some!.toSorted((x, y) => x - y),
    );
  });

  test("keep their place among those at QoS 1, of which each subscriber has a copy of its own", async () => {
    const world = await BrokerWorld.started();
    const clients = await Promise.all(Array.from({ length: 5 }, (_, i) => world.connected(`s${i}`)));
    for (const client of clients) client.subscribe("a", { qos: 1 });
    await world.run();
    const publisher = await world.connected("publisher");
    for (let round = 0; round < 3; round++) {
      publisher.send((writer) => {
        for (let i = 0; i < 10; i++) publish(writer, `${round * 10 + i}`, i % 4 === 3 ? 1 : 0);
      });
      if (round > 0) await world.run();
    }
    for (const { publishes } of clients) {
      assert.deepEqual(
        publishes.map(({ payload }) => Number(payload)),
        [...Array(30).keys()],
      );
    }
  });

  test("leave in one write to each, which all share", async () => {
    const world = await BrokerWorld.started();
    const clients = await Promise.all(Array.from({ length: 5 }, (_, i) => world.connected(`s${i}`)));
    for (const client of clients) client.subscribe("a");
    await world.run();
    const writes = new Set<ArrayBufferLike>();
    let count = 0;
    for (const client of clients) {
      const write = client.write.bind(client);
      client.write = (bytes) => {
        count++;
        writes.add(bytes.buffer);
        write(bytes);
      };
    }
    const publisher = await world.connected("publisher");
    publisher.send((writer) => {
      for (let i = 0; i < 10; i++) publish(writer, `${i}`);
    });
    await world.run();
    for (const client of clients) assert.equal(client.publishes.length, 10);
    assert.deepEqual([count, writes.size], [5, 1]);
  });

  test("are copied for a subscriber that is still taking what came before: it holds no memory of others'", async () => {
    const world = await BrokerWorld.started();
    const clients = await Promise.all(Array.from({ length: 5 }, (_, i) => world.connected(`s${i}`)));
    for (const client of clients) client.subscribe("a");
    await world.run();
    const stalled = clients[0]!;
    const publisher = await world.connected("publisher");
    const flood = (): void =>
      void publisher.send((writer) => {
        for (let i = 0; i < 10; i++) publish(writer, `${i}`);
      });
    stalled.stall();
    flood();
    await world.run();
    const memory = clients.map((client) => {
      const blocks: ArrayBufferLike[] = [];
      const write = client.write.bind(client);
      client.write = (bytes) => {
        blocks.push(bytes.buffer);
        write(bytes);
      };
      return blocks;
    });
    flood();
    await world.run();
    stalled.unstall();
    await world.run();
    const [own, ...shared] = memory;
    assert.equal(stalled.publishes.length, 20);
    assert.deepEqual([own!.length, new Set(shared.flat()).size], [1, 1]);
    assert.notEqual(own![0], shared[0]![0]);
  });
});
