import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import { TidewireError } from "../base/mod.ts";
import type { Message } from "../base/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import { answers, kept, numbers, quiet, sent, subscribed } from "./exactly-once.fixture.ts";

describe("a delivery at QoS 2", () => {
  test("has the lower QoS of publisher and subscriber [MQTT-3.8.4-8]", async () => {
    const world = await BrokerWorld.started();
    const clients = [];
    for (const qos of [0, 1, 2] as const) clients.push((await world.connected(`s${qos}`)).subscribe("a", { qos }));
    const publisher = await world.connected("pub");
    for (const qos of [0, 1, 2] as const) publisher.publish("a", `${qos}`, { qos, packetId: 1 + qos });
    await world.run();
    const rows = clients.map((client) => client.publishes.map(({ payload, qos }) => `${payload}→${qos}`));
    assert.deepEqual(rows, [
      ["0→0", "1→0", "2→0"],
      ["0→0", "1→1", "2→1"],
      ["0→0", "1→1", "2→2"],
    ]);
  });

  test("leaves with an identifier that the disk knows; PUBREL too [MQTT-4.3.3-1], [MQTT-4.3.3-2], [MQTT-4.3.3-4], [MQTT-4.3.3-6], [MQTT311-4.3.3-1]", async () => {
    const world = await BrokerWorld.started();
    const subscriber = await subscribed(world, "sub");
    const publisher = await world.connected("pub");
    world.journal.mode = "held";
    publisher.publish("a", "x", { qos: 2, packetId: 1 });
    await world.run();
    world.journal.sync(1);
    await world.run();
    assert.deepEqual(sent(subscriber), [], "the message is on disk, its identifier not");
    world.journal.sync(2);
    await world.run();
    assert.deepEqual(sent(subscriber), [["x", 2, false, 32_768]]);
    subscriber.received.length = 0;
    subscriber.acknowledge("pubrec", 32_768);
    await world.run();
    assert.deepEqual(answers(subscriber), []);
    world.journal.sync();
    await world.run();
    assert.deepEqual(answers(subscriber), ["pubrel 32768"]);
    subscriber.acknowledge("pubcomp", 32_768);
    assert.equal([...world.broker.connections()].find((c) => c.clientId === "sub")?.owed, 0);
    assert.deepEqual([...world.journal.notes.values()].filter((n) => n.clientId === "sub"), [
      { clientId: "sub", released: [], received: [], sent: [32_768, 0, 0], finished: null },
      { clientId: "sub", released: [], received: [32_768], sent: [], finished: null },
    ]); // prettier-ignore
  });

  test("to a session that is not kept waits for the message alone, and writes no notes", async () => {
    const world = await BrokerWorld.started();
    const subscriber = await subscribed(world, "sub", { sessionExpirySeconds: 0 });
    const publisher = await world.connected("pub");
    world.journal.mode = "held";
    publisher.publish("a", "x", { qos: 2, packetId: 1 });
    await world.run(50);
    assert.deepEqual(sent(subscriber), []);
    world.journal.sync();
    await world.run();
    assert.deepEqual(sent(subscriber), [["x", 2, false, 32_768]]);
    subscriber.received.length = 0;
    subscriber.acknowledge("pubrec", 32_768);
    await world.run();
    assert.deepEqual(answers(subscriber), ["pubrel 32768"]);
    assert.equal(world.journal.notes.size, 0);
  });

  test("comes in the order of the log, whatever the QoS of its neighbours [MQTT-4.6.0-6]", async () => {
    const world = await BrokerWorld.started();
    const subscriber = (await world.connected("sub", kept)).subscribe("a", { qos: 2 });
    const publisher = await world.connected("pub");
    await world.run();
    for (const n of numbers(0, 50))
      publisher.publish("a", n, { qos: Number(n) % 3 === 0 ? 1 : 2, packetId: 1 + Number(n) });
    await world.run();
    assert.deepEqual(subscriber.publishes.map((p) => p.payload), numbers(0, 50)); // prettier-ignore
  });

  test("counts against the client's Receive Maximum until PUBCOMP [MQTT-3.3.4-9], [MQTT-4.9.0-2]", async () => {
    const world = await BrokerWorld.started();
    const subscriber = await subscribed(world, "sub", { receiveMaximum: 2 });
    const publisher = await world.connected("pub");
    for (const n of numbers(0, 4)) publisher.publish("a", n, { qos: 2, packetId: 1 + Number(n) });
    await world.run();
    assert.deepEqual(subscriber.take(), ["a=0", "a=1"]);
    for (const packetId of [32_768, 32_769]) subscriber.acknowledge("pubrec", packetId);
    await world.run();
    assert.deepEqual(sent(subscriber), []);
    subscriber.acknowledge("pubcomp", 32_769);
    await world.run();
    assert.deepEqual(sent(subscriber), [["2", 2, false, 32_770]]);
    subscriber.acknowledge("pubcomp", 32_768);
    await world.run();
    assert.deepEqual(subscriber.take(), ["a=2", "a=3"]);
  });

  test("is taken up again where it was: PUBREL in the order of the PUBRECs, PUBLISH with DUP, all under their identifiers [MQTT-4.3.3-3], [MQTT-4.3.3-5], [MQTT-4.4.0-1], [MQTT-4.6.0-1], [MQTT-4.6.0-4]", async () => {
    for (const dies of ["the network", "the broker", "the broker, saved"]) {
      const world = await BrokerWorld.started();
      const first = await subscribed(world, "sub");
      const publisher = await world.connected("pub");
      for (const n of numbers(0, 5)) publisher.publish("a", n, { qos: 2, packetId: 1 + Number(n) });
      await world.run();
      for (const packetId of [32_770, 32_768]) first.acknowledge("pubrec", packetId);
      await world.run(dies.endsWith("saved") ? 2_000 : 1);
      if (dies === "the network") first.cut();
      else await world.crashAndRestart();
      const second = await quiet(world, "sub");
      const third = await quiet(world, "sub"); // and once more, because nothing was answered
      assert.deepEqual([second.state, third.state], ["ended", "open"]);
      assert.deepEqual(
        sent(third),
        [
          ["1", 2, true, 32_769],
          ["3", 2, true, 32_771],
          ["4", 2, true, 32_772],
        ],
        dies,
      );
      assert.deepEqual(answers(third), ["pubrel 32770", "pubrel 32768"], dies);
    }
  });

  test("that the client refuses is over, and is not sent again [MQTT-4.4.0-2]", async () => {
    const world = await BrokerWorld.started();
    const subscriber = await subscribed(world, "sub", { receiveMaximum: 1 });
    const publisher = await world.connected("pub");
    for (const n of numbers(0, 2)) publisher.publish("a", n, { qos: 2, packetId: 1 + Number(n) });
    await world.run();
    subscriber.acknowledge("pubrec", 32_768, REASON.quotaExceeded);
    await world.run();
    assert.deepEqual(subscriber.take(), ["a=0", "a=1"], "and the next one has its place");
    assert.deepEqual(answers(subscriber), []);
    subscriber.cut();
    const back = await world.connected("sub", kept);
    await world.run();
    assert.deepEqual(back.take(), ["a=1"]);
  });

  test("answers that fit nothing: PUBREC gets PUBREL, which in 5.0 says so; PUBACK and PUBCOMP change nothing", async () => {
    const world = await BrokerWorld.started();
    const five = await subscribed(world, "five");
    const four = await subscribed(world, "four", { version: 4 });
    (await world.connected("pub")).publish("a", "x", { qos: 2 });
    await world.run();
    for (const client of [five, four]) {
      client.received.length = 0;
      client.acknowledge("pubrec", 40_000);
      client.acknowledge("pubrec", 1);
      client.acknowledge("pubcomp", 32_768);
      client.acknowledge("puback", 32_768);
      client.acknowledge("puback", 1);
      client.acknowledge("pubcomp", 5);
    }
    await world.run();
    assert.deepEqual(answers(five), ["pubrel 40000 0x92", "pubrel 1 0x92"]);
    assert.deepEqual(answers(four), ["pubrel 40000", "pubrel 1"]);
    for (const client of [five, four]) client.acknowledge("pubrec", 32_768);
    await world.run();
    assert.deepEqual([answers(five), answers(four)], [["pubrel 32768"], ["pubrel 32768"]]);
    for (const client of [five, four]) client.acknowledge("pubrec", 32_768);
    await world.run();
    assert.deepEqual(
      [answers(five), answers(four)],
      [["pubrel 32768"], ["pubrel 32768"]],
      "once more, if asked once more",
    );
  });

  test("whose PUBREC comes again and again, while the disk stands still, piles nothing up", async () => {
    const world = await BrokerWorld.started();
    const subscriber = await subscribed(world, "sub");
    (await world.connected("pub")).publish("a", "x", { qos: 2 });
    await world.run();
    world.journal.mode = "held";
    for (let i = 0; i < 1_000; i++) {
      subscriber.acknowledge("pubrec", 32_768);
      if (i % 100 === 0) await world.run();
    }
    assert.equal(world.metrics.value("tidewire_mqtt_acknowledgements_waiting"), 1);
    world.journal.sync();
    await world.run();
    assert.deepEqual(answers(subscriber), ["pubrel 32768"]);
  });

  test("that was on its way and may not be sent again is released instead, so that the identifier means nothing old", async () => {
    const world = await BrokerWorld.started();
    const subscriber = await subscribed(world, "sub");
    const publisher = await world.connected("pub");
    for (const n of numbers(0, 2)) publisher.publish("a", n, { qos: 2, packetId: 1 + Number(n) });
    await world.run();
    assert.equal(subscriber.publishes.length, 2);
    subscriber.cut();
    world.policy("sub").change({ receive: () => false });
    const back = await quiet(world, "sub");
    await world.run();
    assert.deepEqual(sent(back), []);
    assert.equal(world.metrics.value("tidewire_mqtt_dropped_total", { reason: "receive-forbidden" }), 2);
    const again = await quiet(world, "sub");
    assert.deepEqual(answers(again), ["pubrel 32768", "pubrel 32769"]);
    for (const packetId of [32_768, 32_769]) again.acknowledge("pubcomp", packetId, REASON.packetIdentifierNotFound);
    await world.run();
    assert.equal(world.metrics.value("tidewire_mqtt_exchanges"), 0);
  });

  test("is the client's once it says so, also before it was sent again", async () => {
    const world = await BrokerWorld.started();
    const first = await subscribed(world, "sub");
    const publisher = await world.connected("pub");
    for (const n of numbers(0, 3)) publisher.publish("a", n, { qos: 2, packetId: 1 + Number(n) });
    await world.run();
    first.cut();
    const second = await quiet(world, "sub", { receiveMaximum: 1 });
    second.acknowledge("pubrec", 32_770);
    await world.run();
    assert.deepEqual(sent(second).map(([text]) => text), ["0"]); // prettier-ignore
    assert.deepEqual(answers(second), ["pubrel 32770"]);
    for (const packetId of [32_770, 32_768]) second.acknowledge("pubcomp", packetId);
    second.acknowledge("pubrec", 32_768);
    await world.run();
    second.acknowledge("pubcomp", 32_768);
    await world.run();
    assert.deepEqual(sent(second).map(([text]) => text), ["1"], "and the third does not come again"); // prettier-ignore
  });

  test("that was refused does not come back with a crash, once its identifier stands for another message", async () => {
    const world = await BrokerWorld.started();
    const first = await subscribed(world, "sub");
    const publisher = await world.connected("pub");
    publisher.publish("a", "refused", { qos: 2, packetId: 1 });
    await world.run();
    first.acknowledge("pubrec", 32_768, REASON.quotaExceeded);
    first.cut();
    const second = await quiet(world, "sub");
    publisher.publish("a", "taken", { qos: 2, packetId: 2 });
    await world.run();
    assert.deepEqual(sent(second), [["taken", 2, false, 32_768]], "the same identifier");
    await world.crashAndRestart();
    const third = await quiet(world, "sub");
    await world.run();
    assert.deepEqual(sent(third), [["taken", 2, true, 32_768]]);
  });

  test("keeps PUBREL back from a new connection, too, while the log takes no note", async () => {
    const world = await BrokerWorld.started();
    const first = await subscribed(world, "sub");
    (await world.connected("pub", kept)).publish("a", "x", { qos: 2 });
    await world.run();
    world.journal.failure = new TidewireError("LOG_FULL", { free: 1, path: "log" });
    first.acknowledge("pubrec", 32_768);
    await world.run();
    first.cut();
    const second = await quiet(world, "sub");
    await world.run(1_000);
    assert.deepEqual(answers(second), []);
    world.journal.failure = null;
    await world.run(1_000);
    assert.deepEqual(answers(second), ["pubrel 32768"]);
  });

  test("expires while it waits, but not once it was sent [MQTT-4.3.3-7]", async () => {
    const world = await BrokerWorld.started();
    const subscriber = await subscribed(world, "sub", { receiveMaximum: 1 });
    const publisher = await world.connected("pub", { keepAliveSeconds: 3_600 });
    const properties = { messageExpirySeconds: 10 };
    for (const n of numbers(0, 2)) publisher.publish("a", n, { qos: 2, packetId: 1 + Number(n), properties });
    await world.run();
    subscriber.cut();
    await world.run(20_000);
    const back = await world.connected("sub", kept);
    await world.run();
    assert.deepEqual(back.publishes.map((p) => [p.payload, p.dup]), [["0", true]]); // prettier-ignore
    assert.equal(world.metrics.value("tidewire_mqtt_dropped_total", { reason: "expired" }), 1);
  });

  test("larger than the client takes is not sent, and those behind it are", async () => {
    const world = await BrokerWorld.started();
    const subscriber = (await world.connected("sub", { ...kept, maximumPacketSize: 60 })).subscribe("a", { qos: 2 });
    const publisher = await world.connected("pub");
    await world.run();
    publisher.publish("a", "x".repeat(100), { qos: 2, packetId: 1 });
    publisher.publish("a", "small", { qos: 2, packetId: 2 });
    await world.run();
    assert.deepEqual(subscriber.take().slice(-1), ["a=small"]);
    assert.equal(world.metrics.value("tidewire_mqtt_dropped_total", { reason: "too-large" }), 1);
  });

  test("waits with its note for a log that takes none", async () => {
    const world = await BrokerWorld.started();
    const subscriber = await subscribed(world, "sub");
    const publisher = await world.connected("pub");
    const append = world.journal.appendNote.bind(world.journal);
    world.journal.appendNote = () => {
      throw new TidewireError("LOG_FULL", { free: 1, path: "log" });
    };
    publisher.publish("a", "x", { qos: 2 });
    await world.run(1_000);
    assert.deepEqual(sent(subscriber), []);
    world.journal.appendNote = append;
    await world.run(1_000);
    assert.deepEqual(sent(subscriber), [["x", 2, false, 32_768]]);
  });

  test("is held for an absent client as others are, up to the queue's limit, and read back from the log", async () => {
    const world = await BrokerWorld.started({ limits: { queuedMessagesMax: 5, recentBytesMax: 256 } });
    (await subscribed(world, "sub")).cut();
    const publisher = await world.connected("pub");
    for (const n of numbers(0, 7)) publisher.publish("a", n, { qos: 2, packetId: 1 + Number(n) });
    await world.run();
    assert.equal(world.metrics.value("tidewire_mqtt_dropped_total", { reason: "queue-full" }), 2);
    const back = await world.connected("sub", kept);
    await world.run();
    assert.deepEqual(back.publishes.map((p) => [p.payload, p.qos]), numbers(0, 5).map((n) => [n, 2])); // prettier-ignore
    assert.ok(world.journal.reads > 0);
  });

  test("never gets an identifier that is still in use, however they go round [MQTT-4.3.3-1], [MQTT-2.2.1-4]", async () => {
    const world = await BrokerWorld.started();
    const subscriber = await subscribed(world, "sub", { sessionExpirySeconds: 0 });
    const publisher = await world.connected("pub", { sessionExpirySeconds: 0 });
    const held = 32_770; // stays without PUBCOMP
    const seen: number[] = [];
    subscriber.listener = (packet) => {
      if (packet.type === "publish") subscriber.acknowledge("pubrec", packet.packetId);
      else if (packet.type === "pubrel" && packet.packetId !== held) subscriber.acknowledge("pubcomp", packet.packetId);
      if (packet.type === "publish") seen.push(packet.packetId);
    };
    for (let round = 0; round < 40; round++) {
      for (let i = 0; i < 900; i++) publisher.publish("a", "x", { qos: 2, packetId: 1 + i });
      await world.run();
      publisher.received.length = 0;
    }
    assert.equal(seen.length, 36_000);
    assert.ok(seen.every((id) => id >= 32_768 && id <= 65_535));
    assert.equal(seen.filter((id) => id === held).length, 1);
    assert.equal(seen.filter((id) => id === held + 1).length, 2);
  });
});

describe("at QoS 2 as well", () => {
  test("a retained message, which a crash does not double", async () => {
    const world = await BrokerWorld.started();
    const publisher = await world.connected("pub");
    for (const n of numbers(0, 5)) publisher.publish(`r/${n}`, n, { qos: 2, retain: true, packetId: 1 + Number(n) });
    await world.run(2_000);
    const subscriber = await quiet(world, "sub", { receiveMaximum: 3 });
    subscriber.subscribe("r/#", { qos: 2, retainHandling: 0 });
    await world.run();
    assert.equal(subscriber.publishes.length, 3, "no more than its window");
    const [first, second] = subscriber.publishes;
    subscriber.acknowledge("pubrec", first!.packetId);
    await world.run();
    await world.crashAndRestart();
    const back = await quiet(world, "sub");
    await world.run();
    const same = back.publishes.find((p) => p.packetId === second!.packetId);
    assert.deepEqual([same?.payload, same?.dup, same?.retain], [second!.payload, true, true]);
    assert.ok(!back.publishes.some((p) => p.payload === first!.payload), "the client had that one");
  });

  test("a message of the platform's own", async () => {
    const world = await BrokerWorld.started();
    const subscriber = (await world.connected("sub", kept)).subscribe("a", { qos: 2 });
    await world.run();
    const payload = new TextEncoder().encode("x");
    const own: Message = { topic: "a", payload, qos: 2, retain: false, clientId: "", thing: null, receivedAt: 0, properties: null }; // prettier-ignore
    world.broker.publishLocal(own);
    await world.run();
    assert.deepEqual(sent(subscriber).map(([text, qos]) => [text, qos]), [["x", 2]]); // prettier-ignore
  });

  test("a clean start drops what was under way, both ways", async () => {
    const world = await BrokerWorld.started();
    const subscriber = await subscribed(world, "sub");
    (await world.connected("pub")).publish("a", "x", { qos: 2 });
    await world.run();
    subscriber.acknowledge("pubrec", 32_768);
    const clean = await world.connected("sub", { ...kept, cleanStart: true });
    await world.run();
    assert.deepEqual(answers(clean), []);
    await world.crashAndRestart();
    const back = await world.connected("sub", kept);
    await world.run();
    assert.deepEqual([answers(back), back.publishes], [[], []]);
    assert.equal(world.metrics.value("tidewire_mqtt_exchanges"), 0);
  });

  test("a subscription that is raised from QoS 1 still has what it was owed before, after a crash", async () => {
    const world = await BrokerWorld.started();
    const client = await quiet(world, "sub");
    client.subscribe("a", { qos: 1 });
    await world.run();
    (await world.connected("pub")).publish("a", "owed", { qos: 1 });
    await world.run();
    client.subscribe("a", { qos: 2, packetId: 5 });
    await world.run();
    await world.crashAndRestart();
    const back = await world.connected("sub", kept);
    await world.run();
    assert.deepEqual(back.take(), ["a=owed"]);
  });
});
