import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import { REASON } from "../wire/mqtt/mod.ts";

describe("SUBSCRIBE and UNSUBSCRIBE", () => {
  test("each filter gets its own answer, in order [MQTT-3.8.4-1], [MQTT-3.8.4-2], [MQTT-3.8.4-5], [MQTT-3.8.4-6], [MQTT-3.8.4-7], [MQTT-3.9.3-1]", async () => {
    const world = await BrokerWorld.started({ limits: { subscriptionsPerSessionMax: 3 } });
    const policy = (filter: string): boolean => !filter.startsWith("secret/");
    world.policy("five").change({ subscribe: policy });
    world.policy("four").change({ subscribe: policy });
    const filters = ["a", "secret/b", "c/#", "bad#", "$share//d", "e", "f"];
    const requests = filters.map((filter, i) => ({
      filter,
      qos: (i % 3) as 0 | 1 | 2,
      noLocal: false,
      retainAsPublished: false,
      retainHandling: 0 as const,
    }));
    const five = await world.connected("five");
    const four = await world.connected("four", { version: 4 });
    for (const client of [five, four]) {
      client.send((w) => w.subscribe({ packetId: 9, requests, subscriptionIdentifier: 0 }));
    }
    await world.run();
    assert.equal(five.last("suback")?.packetId, 9);
    assert.deepEqual(five.last("suback")?.reasonCodes, [
      0,
      REASON.notAuthorized,
      2,
      REASON.topicFilterInvalid,
      REASON.topicFilterInvalid,
      2,
      REASON.quotaExceeded,
    ]);
    assert.deepEqual(four.last("suback")?.reasonCodes, [0, 0x80, 2, 0x80, 0x80, 2, 0x80]);
    assert.equal(four.state, "open");
    const line = world.logger.lines.find((l) => l.fields["reason"] === "subscribe-forbidden");
    assert.equal(line?.fields["filter"], "secret/b");
  });

  test("UNSUBSCRIBE stops deliveries and says what there was [MQTT-3.10.4-2], [MQTT-3.10.4-4], [MQTT-3.10.4-5]", async () => {
    const world = await BrokerWorld.started();
    const client = (await world.connected("c1")).subscribe("a/+").unsubscribe("a/+").unsubscribe("a/+");
    const publisher = await world.connected("pub");
    publisher.publish("a/b", "x", { qos: 1 });
    await world.run();
    const answers = client.received.filter((p) => p.type === "unsuback").map((p) => p.reasonCodes);
    assert.deepEqual(answers, [[0], [REASON.noSubscriptionExisted]]);
    assert.deepEqual(client.take(), []);
  });

  test("UNSUBSCRIBE takes filters as they are written, not what they match [MQTT-3.10.4-1], [MQTT-3.10.4-6], [MQTT-3.11.3-1]", async () => {
    const world = await BrokerWorld.started();
    const client = (await world.connected("c1")).subscribe("a/+").subscribe("a/b").subscribe("c");
    client.send((w) => w.unsubscribe({ packetId: 77, filters: ["a/#", "a/b", "A/+", "a/b", "c"] }));
    const publisher = await world.connected("pub");
    for (const topic of ["a/b", "c"]) publisher.publish(topic, "x");
    await world.run();
    const none = REASON.noSubscriptionExisted;
    assert.deepEqual(client.last("unsuback")?.reasonCodes, [none, 0, none, none, 0]);
    assert.equal(client.last("unsuback")?.packetId, 77);
    assert.deepEqual(client.take(), ["a/b=x"], "by a/+, once");
  });

  test("UNSUBSCRIBE does not take back what is on its way [MQTT-3.10.4-3]", async () => {
    const world = await BrokerWorld.started();
    const kept = { cleanStart: false, sessionExpirySeconds: 600 } as const;
    const client = (await world.connected("c1", kept)).subscribe("a");
    client.acknowledges = false;
    (await world.connected("pub")).publish("a", "x", { qos: 1 });
    await world.run();
    client.unsubscribe("a");
    client.cut();
    const back = await world.connected("c1", kept);
    await world.run();
    assert.deepEqual(back.take(), ["a=x"]);
  });

  test("the same filter again replaces the subscription, and gaps nothing [MQTT-3.8.4-3]", async () => {
    const world = await BrokerWorld.started();
    const client = (await world.connected("c1")).subscribe("a", { qos: 0 }).subscribe("a", { qos: 1 });
    const publisher = await world.connected("pub");
    publisher.publish("a", "x", { qos: 1 });
    await world.run();
    assert.deepEqual(
      client.publishes.map((p) => p.qos),
      [1],
    );
    assert.equal([...world.broker.connections()].find((c) => c.clientId === "c1")?.subscriptions, 1);
  });

  test("identifiers from 1 to 268,435,455 come back with what they stand for; without one there is none, and a new SUBSCRIBE replaces it", async () => {
    const world = await BrokerWorld.started();
    const client = await world.connected("c1");
    const publisher = await world.connected("pub");
    for (const [identifier, expected] of [
      [1, [1]],
      [127, [127]],
      [16_384, [16_384]],
      [268_435_455, [268_435_455]],
      [0, []],
    ] as const) {
      client.subscribe("a/b", { identifier });
      publisher.publish("a/b", "x");
      await world.run();
      assert.deepEqual(client.publishes.at(-1)?.identifiers, expected);
    }
    assert.equal(client.publishes.length, 5, "one copy each, whatever the subscription was before");
    client.sendBytes(Uint8Array.of(0x82, 9, 0, 1, 2, 0x0b, 0, 0, 1, 0x61, 0));
    await world.run();
    assert.equal(client.last("disconnect")?.reasonCode, REASON.protocolError, "0 is none (section 3.8.2.1.2)");
  });

  test("a thousand overlapping subscriptions are one copy with a thousand identifiers, and cost no more than that", async () => {
    const world = await BrokerWorld.started();
    const client = await world.connected("c1");
    const combination = (bits: number): string =>
      Array.from({ length: 10 }, (_, i) => ((bits >> i) & 1 ? "+" : "a")).join("/");
    for (let bits = 0; bits < 1_000; bits++) client.subscribe(combination(bits), { identifier: 1 + bits });
    (await world.connected("pub")).publish("a/a/a/a/a/a/a/a/a/a", "x");
    await world.run();
    assert.equal(client.publishes.length, 1);
    assert.equal(new Set(client.publishes[0]!.identifiers).size, 1_000);
  });

  test("a filter is compared character by character, nothing is normalised [MQTT-4.7.3-4]", async () => {
    const world = await BrokerWorld.started();
    const client = await world.connected("c1");
    for (const filter of ["/a", "a/", "A", "é", "a//b", "%41"]) client.subscribe(filter);
    const publisher = await world.connected("pub");
    for (const topic of ["a", "/A", "a//", "e\u0301", "a/b", "%61"]) publisher.publish(topic, "no");
    for (const topic of ["/a", "a/", "A", "é", "a//b", "%41"]) publisher.publish(topic, "yes");
    await world.run();
    assert.deepEqual(client.take(), ["/a=yes", "a/=yes", "A=yes", "é=yes", "a//b=yes", "%41=yes"]);
  });

  test("a wildcard in the first level does not see $-topics [MQTT-4.7.2-1]", async () => {
    const world = await BrokerWorld.started();
    const all = (await world.connected("all")).subscribe("#").subscribe("+/x");
    const named = (await world.connected("named")).subscribe("$aws/#");
    const publisher = await world.connected("pub");
    publisher.publish("$aws/x", "1");
    publisher.publish("b/x", "2");
    await world.run();
    assert.deepEqual(all.take(), ["b/x=2"]);
    assert.deepEqual(named.take(), ["$aws/x=1"]);
  });

  test("delivered QoS is the lower of published and granted [MQTT-3.8.4-8]", async () => {
    const world = await BrokerWorld.started();
    const zero = (await world.connected("zero")).subscribe("a", { qos: 0 });
    const two = (await world.connected("two")).subscribe("a", { qos: 2 });
    const publisher = await world.connected("pub");
    publisher.publish("a", "x", { qos: 0 });
    publisher.publish("a", "y", { qos: 1 });
    await world.run();
    assert.deepEqual(
      zero.publishes.map((p) => p.qos),
      [0, 0],
    );
    assert.deepEqual(
      two.publishes.map((p) => p.qos),
      [0, 1],
    );
  });

  test("overlapping subscriptions: one copy, the highest QoS, all identifiers [MQTT-3.3.4-2], [MQTT-3.3.4-4]", async () => {
    const world = await BrokerWorld.started();
    const client = await world.connected("c1");
    client.subscribe("a/#", { qos: 0, identifier: 7 });
    client.subscribe("a/+", { qos: 1, identifier: 9 });
    client.subscribe("a/b", { qos: 0 });
    (await world.connected("pub")).publish("a/b", "x", { qos: 1 });
    await world.run();
    assert.deepEqual(
      client.publishes.map((p) => [p.qos, p.identifiers.toSorted((a, b) => a - b)]),
      [[1, [7, 9]]],
    );
  });

  test("No Local keeps a client's own messages from it [MQTT-3.8.3-3], unless another subscription wants them", async () => {
    const world = await BrokerWorld.started();
    const client = await world.connected("c1");
    client.subscribe("a/#", { noLocal: true, identifier: 1 });
    client.publish("a/own", "1");
    client.subscribe("a/+", { identifier: 2, qos: 0 });
    client.publish("a/own", "2", { qos: 1 });
    (await world.connected("pub")).publish("a/other", "3", { qos: 1 });
    await world.run();
    assert.deepEqual(
      client.publishes.map((p) => [p.payload, p.qos, p.identifiers]),
      [
        ["2", 0, [2]],
        ["3", 1, [1, 2]],
      ],
    );
  });

  test("Retain As Published keeps the flag, its absence clears it [MQTT-3.3.1-12], [MQTT-3.3.1-13]", async () => {
    const world = await BrokerWorld.started();
    const keeps = (await world.connected("keeps")).subscribe("a", { retainAsPublished: true });
    const clears = (await world.connected("clears")).subscribe("a");
    (await world.connected("pub")).publish("a", "x", { retain: true, qos: 1 });
    await world.run();
    assert.deepEqual(
      keeps.publishes.map((p) => p.retain),
      [true],
    );
    assert.deepEqual(
      clears.publishes.map((p) => p.retain),
      [false],
    );
  });

  test("properties travel to 5.0 and are left out for 3.1.1 [MQTT-3.3.2-4], [MQTT-3.3.2-15], [MQTT-3.3.2-17]", async () => {
    const world = await BrokerWorld.started();
    const five = (await world.connected("five")).subscribe("a");
    const four = (await world.connected("four", { version: 4 })).subscribe("a");
    const properties = {
      payloadFormat: 1,
      contentType: "text/plain",
      responseTopic: "r",
      correlationData: Uint8Array.of(1, 2),
      userProperties: [
        ["k", "1"],
        ["k", "2"],
      ],
    } as const;
    (await world.connected("pub")).publish("a", "x", { qos: 1, properties });
    await world.run();
    assert.deepEqual(five.publishes[0]?.properties, properties);
    assert.deepEqual(four.take(), ["a=x"]);
  });

  test("3.1.1 and 5.0 understand each other, both ways and at both qualities", async () => {
    const world = await BrokerWorld.started();
    const five = (await world.connected("five")).subscribe("#");
    const four = (await world.connected("four", { version: 4 })).subscribe("#");
    for (const [i, client] of [five, four].entries()) {
      client.publish("t/0", `${i}`, { qos: 0 });
      client.publish("t/1", `${i}`, { qos: 1 });
    }
    await world.run();
    const expected = ["t/0=0", "t/1=0", "t/0=1", "t/1=1"];
    assert.deepEqual([five.take(), four.take()], [expected, expected]);
  });
});

describe("rights to receive", () => {
  test("are asked per topic; withdrawn, they end a live subscription", async () => {
    const world = await BrokerWorld.started();
    world.policy("sub").change({ receive: (topic) => topic !== "a/secret" });
    const subscriber = (await world.connected("sub")).subscribe("a/#");
    const publisher = await world.connected("pub");
    publisher.publish("a/secret", "1", { qos: 1, packetId: 1 });
    publisher.publish("a/open", "2", { qos: 1, packetId: 2 });
    await world.run();
    assert.deepEqual(subscriber.take(), ["a/open=2"]);
    world.policy("sub").change({ receive: () => false });
    publisher.publish("a/open", "3", { qos: 1, packetId: 3 });
    publisher.publish("a/open", "4", { qos: 0 });
    await world.run();
    assert.deepEqual(subscriber.take(), []);
    assert.equal(world.metrics.value("tidewire_mqtt_dropped_total", { reason: "receive-forbidden" }), 3);
  });

  test("hold for messages that waited and for retained ones", async () => {
    const world = await BrokerWorld.started();
    const publisher = await world.connected("pub");
    publisher.publish("a/secret", "kept", { retain: true });
    const options = { cleanStart: false, sessionExpirySeconds: 600 };
    (await world.connected("sub", options)).subscribe("b/#").disconnect();
    publisher.publish("b/secret", "x", { qos: 1 });
    publisher.publish("b/open", "y", { qos: 1 });
    world.policy("sub").change({ receive: (topic) => !topic.endsWith("secret") });
    const back = (await world.connected("sub", options)).subscribe("a/#");
    await world.run();
    assert.deepEqual(back.take(), ["b/open=y"]);
  });

  test("a kept subscription that the policy no longer allows ends when the client returns", async () => {
    const world = await BrokerWorld.started();
    const options = { cleanStart: false, sessionExpirySeconds: 600 };
    (await world.connected("sub", options)).subscribe("a/#").subscribe("b/#").disconnect();
    world.policy("sub").change({ subscribe: (filter) => filter === "b/#" });
    const back = await world.connected("sub", options);
    const publisher = await world.connected("pub");
    publisher.publish("a/x", "1");
    publisher.publish("b/x", "2");
    await world.run();
    assert.deepEqual(back.take(), ["b/x=2"]);
    assert.equal(world.metrics.value("tidewire_mqtt_refused_total", { reason: "subscription-revoked" }), 1);
    assert.deepEqual([...world.state.sessions.get("sub")!.subscriptions.keys()], ["b/#"]);
  });
});

describe("retained messages", () => {
  test("wait for later subscribers, by name and by wildcard, one per topic [MQTT-3.3.1-5]", async () => {
    const world = await BrokerWorld.started();
    const publisher = await world.connected("pub");
    publisher.publish("a/1", "old", { retain: true });
    publisher.publish("a/1", "new", { retain: true });
    publisher.publish("a/2", "two", { retain: true, qos: 1 });
    publisher.publish("a/3", "not kept");
    publisher.publish("$aws/4", "reserved", { retain: true });
    const named = (await world.connected("named")).subscribe("a/1");
    const plus = (await world.connected("plus")).subscribe("a/+");
    const all = (await world.connected("all")).subscribe("#");
    const below = (await world.connected("below")).subscribe("a/1/#");
    const reserved = (await world.connected("reserved")).subscribe("$aws/#");
    await world.run();
    assert.deepEqual(
      named.publishes.map((p) => [p.topic, p.payload, p.retain, p.qos]),
      [["a/1", "new", true, 0]],
    );
    assert.deepEqual(plus.take().sort(), ["a/1=new", "a/2=two"]);
    assert.deepEqual(all.take().sort(), ["a/1=new", "a/2=two"], "no $-topics [MQTT-4.7.2-1]");
    assert.deepEqual(below.take(), ["a/1=new"], "a/1/# also matches a/1");
    assert.deepEqual(reserved.take(), ["$aws/4=reserved"]);
  });

  test("an empty payload removes them and is passed on [MQTT-3.3.1-6], [MQTT-3.3.1-7]", async () => {
    const world = await BrokerWorld.started();
    const publisher = await world.connected("pub");
    const live = (await world.connected("live")).subscribe("a");
    publisher.publish("a", "x", { retain: true });
    publisher.publish("a", "", { retain: true });
    const late = (await world.connected("late")).subscribe("a");
    await world.run();
    assert.deepEqual(live.take(), ["a=x", "a="]);
    assert.deepEqual(late.take(), []);
    assert.equal(world.metrics.value("tidewire_mqtt_retained_messages"), 0);
  });

  test("are neither replaced nor removed by messages without RETAIN [MQTT-3.3.1-8]", async () => {
    const world = await BrokerWorld.started();
    const publisher = await world.connected("pub");
    publisher.publish("a", "kept", { retain: true }).publish("a", "passing").publish("a", "");
    const late = (await world.connected("late")).subscribe("a");
    await world.run();
    assert.deepEqual(late.take(), ["a=kept"]);
  });

  test("Retain Handling: always, only when new, never [MQTT-3.3.1-9], [MQTT-3.3.1-10], [MQTT-3.3.1-11], [MQTT-3.8.4-4]", async () => {
    const world = await BrokerWorld.started();
    (await world.connected("pub")).publish("a", "x", { retain: true });
    const client = await world.connected("c1");
    const after = async (retainHandling: 0 | 1 | 2): Promise<string[]> => {
      client.subscribe("a", { retainHandling });
      await world.run();
      return client.take();
    };
    assert.deepEqual(await after(2), []);
    assert.deepEqual(await after(1), []);
    assert.deepEqual(await after(0), ["a=x"]);
    client.unsubscribe("a");
    assert.deepEqual(await after(1), ["a=x"]);
  });

  test("No Local holds for them too", async () => {
    const world = await BrokerWorld.started();
    const client = (await world.connected("c1")).publish("a", "own", { retain: true });
    client.subscribe("a", { noLocal: true });
    await world.run();
    assert.deepEqual(client.take(), []);
  });

  test("more than an output holds arrive all the same, at the client's pace", async () => {
    const world = await BrokerWorld.started({ limits: { outputBytesMax: 4_000 } });
    const publisher = await world.connected("pub");
    for (let i = 0; i < 500; i++) publisher.publish(`r/${i}`, "x".repeat(50), { retain: true, qos: (i % 2) as 0 | 1 });
    await world.run();
    const client = (await world.connected("slow", { receiveMaximum: 3 })).subscribe("r/#");
    await world.run(1_000);
    assert.equal(new Set(client.publishes.map((p) => p.topic)).size, 500);
    assert.equal(client.publishes.length, 500);
  });

  test("subscribing to everything again and again costs one list, and the messages still arrive", async () => {
    const world = await BrokerWorld.started({ limits: { outputBytesMax: 4_000 } });
    const publisher = await world.connected("pub");
    for (let i = 0; i < 200; i++) publisher.publish(`r/${i}`, "x".repeat(50), { retain: true });
    const client = await world.connected("again");
    client.stall();
    for (let i = 0; i < 100; i++) client.subscribe("r/#", { packetId: 1 + i });
    client.unstall();
    await world.run(1_000);
    assert.equal(client.received.filter((p) => p.type === "suback").length, 100);
    assert.equal(new Set(client.publishes.map((p) => p.topic)).size, 200);
    assert.ok(client.publishes.length < 600, `${client.publishes.length}`);
  });

  test("owed at QoS 1 to a kept session that goes away, they wait for it", async () => {
    const world = await BrokerWorld.started();
    const publisher = await world.connected("pub");
    for (let i = 0; i < 20; i++) publisher.publish(`r/${i}`, "x", { retain: true, qos: 1, packetId: 1 + i });
    const kept = { cleanStart: false, sessionExpirySeconds: 600 } as const;
    const client = world.client();
    client.acknowledges = false;
    client.connect({ clientId: "c1", ...kept, receiveMaximum: 5 }).subscribe("r/#");
    await world.run();
    assert.equal(client.publishes.length, 5);
    client.cut();
    const back = await world.connected("c1", kept);
    await world.run();
    assert.equal(new Set(back.publishes.map((p) => p.topic)).size, 20);
    assert.ok(back.publishes.every((p) => p.retain));
  });

  test("too many topics: delivered, not retained, said", async () => {
    const world = await BrokerWorld.started({ limits: { retainedMessagesMax: 2 } });
    const publisher = await world.connected("pub");
    for (const topic of ["a", "b", "c"]) publisher.publish(topic, "1", { retain: true });
    publisher.publish("b", "2", { retain: true });
    await world.run(1_500);
    const late = (await world.connected("late")).subscribe("#");
    await world.run();
    assert.deepEqual(late.take().sort(), ["a=1", "b=2"]);
    assert.equal(world.metrics.value("tidewire_mqtt_refused_total", { reason: "retained-full" }), 1);
  });

  test("expire, and count down while they wait [MQTT-3.3.2-5], [MQTT-3.3.2-6]", async () => {
    const world = await BrokerWorld.started();
    const publisher = await world.connected("pub", { keepAliveSeconds: 3600 });
    publisher.publish("a", "short", { retain: true, properties: { messageExpirySeconds: 10 } });
    publisher.publish("b", "long", { retain: true, properties: { messageExpirySeconds: 100 } });
    await world.run(30_000);
    const late = (await world.connected("late")).subscribe("+");
    await world.run();
    assert.deepEqual(
      late.publishes.map((p) => [p.payload, p.properties?.messageExpirySeconds]),
      [["long", 70]],
    );
  });
});
