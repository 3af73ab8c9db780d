import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import type { SimClient } from "../../sim/mqtt-client.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import { JOBS, ascending, kept, payloads, upTo, work, workers } from "./shared-group.fixture.ts";

describe("shared subscriptions", () => {
  test("each message goes to one member, in turn where all have the same to do (section 4.8.2)", async () => {
    for (const qos of [0, 1] as const) {
      const world = await BrokerWorld.started();
      const members = await workers(world, 4);
      await work(world, 100, 0, qos);
      assert.deepEqual(ascending(members.flatMap(payloads)), upTo(100));
      for (const member of members) assert.equal(member.publishes.length, 25);
    }
  });

  test("another name or another filter is another group; a subscription of one's own delivers besides, each copy with its own identifier [MQTT-3.3.4-5]", async () => {
    const world = await BrokerWorld.started();
    const one = await world.connected("one");
    one.subscribe("$share/a/t/#", { identifier: 1 }).subscribe("t/x", { identifier: 268_435_455 });
    const two = (await world.connected("two")).subscribe("$share/a/t/+").subscribe("$share/b/t/#");
    (await world.connected("pub")).publish("t/x", "1", { qos: 1 });
    await world.run();
    assert.deepEqual(new Set(one.publishes.map((p) => p.identifiers.join())), new Set(["1", "268435455"]));
    assert.deepEqual(
      [one.take(), two.take()],
      [
        ["t/x=1", "t/x=1"],
        ["t/x=1", "t/x=1"],
      ],
    );
    assert.equal(world.metrics.value("tidewire_mqtt_shared_subscriptions"), 3);
    assert.equal(world.metrics.value("tidewire_mqtt_subscriptions"), 4);
  });

  test("need a name without wildcards and a filter behind it [MQTT-4.8.2-1], [MQTT-4.8.2-2]", async () => {
    const world = await BrokerWorld.started();
    const wrong = [
      "$share/",
      "$share//a",
      "$share/g",
      "$share/g/",
      "$share/+/a",
      "$share/#",
      "$share/g#/a",
      "$share/g/a#",
    ];
    const right = ["$share/g/a", "$share/g//", "$share/$x/#", "$share/g/$share/h/a", "$shared/a", "$share"];
    for (const version of [4, 5] as const) {
      const client = await world.connected(`v${version}`, { version });
      for (const filter of [...wrong, ...right]) client.subscribe(filter);
      await world.run();
      const codes = client.received.filter((p) => p.type === "suback").flatMap((p) => p.reasonCodes);
      const refused = version === 5 ? REASON.topicFilterInvalid : 0x80;
      assert.deepEqual(codes, [...wrong.map(() => refused), ...right.map(() => 1)]);
      client.disconnect();
    }
    await world.run();
    assert.equal(world.metrics.value("tidewire_mqtt_subscriptions"), 0);
  });

  test("with No Local are a protocol error [MQTT-3.8.3-4]", async () => {
    const world = await BrokerWorld.started();
    const client = (await world.connected("c")).subscribe(JOBS, { noLocal: true });
    await world.run();
    assert.equal(client.last("disconnect")?.reasonCode, REASON.protocolError);
  });

  test("bring no retained messages, but what is published with RETAIN from then on", async () => {
    const world = await BrokerWorld.started();
    const publisher = (await world.connected("pub")).publish("jobs/1", "old", { retain: true });
    const client = (await world.connected("c")).subscribe(JOBS, { retainAsPublished: true });
    await world.run();
    publisher.publish("jobs/1", "new", { retain: true });
    await world.run();
    assert.deepEqual(
      client.publishes.map((p) => [p.payload, p.retain]),
      [["new", true]],
    );
  });

  test("each member has its own QoS, identifier and options [MQTT-4.8.2-3]; subscribing again changes them", async () => {
    const world = await BrokerWorld.started();
    const one = (await world.connected("one")).subscribe(JOBS, { qos: 0, identifier: 7 });
    const two = (await world.connected("two")).subscribe(JOBS, { qos: 1, identifier: 8 });
    const seen = (client: SimClient): unknown => {
      const [first] = client.publishes;
      client.received.length = 0;
      return [first?.qos, first?.identifiers];
    };
    await work(world, 2);
    assert.deepEqual(
      [seen(one), seen(two)],
      [
        [0, [7]],
        [1, [8]],
      ],
    );
    one.subscribe(JOBS, { qos: 1, identifier: 9 });
    await work(world, 2);
    assert.deepEqual(
      [seen(one), seen(two)],
      [
        [1, [9]],
        [1, [8]],
      ],
    );
    assert.equal(world.metrics.value("tidewire_mqtt_shared_subscriptions"), 2);
  });

  test("are few per session, because each that matches is a copy of its own", async () => {
    const world = await BrokerWorld.started({ limits: { sharedSubscriptionsPerSessionMax: 2 } });
    const client = await world.connected("c");
    for (const filter of ["own", "$share/a/t", "$share/b/t", "$share/c/t", "$share/b/t", "other"])
      client.subscribe(filter);
    await world.run();
    const codes = client.received.filter((p) => p.type === "suback").flatMap((p) => p.reasonCodes);
    assert.deepEqual(codes, [1, 1, 1, REASON.quotaExceeded, 1, 1]);
  });

  test("work for 3.1.1 clients, also together with those of 5.0", async () => {
    const world = await BrokerWorld.started();
    const four = (await world.connected("four", { version: 4 })).subscribe(JOBS);
    const five = (await world.connected("five")).subscribe(JOBS);
    await work(world, 10);
    assert.deepEqual([four.publishes.length, five.publishes.length], [5, 5]);
  });

  test("UNSUBSCRIBE takes the whole filter; the member gets nothing new, the others all", async () => {
    const world = await BrokerWorld.started();
    const [one, two] = (await workers(world, 2)) as [SimClient, SimClient];
    one.unsubscribe("jobs/+").unsubscribe(JOBS);
    await work(world, 10);
    const answers = one.received.filter((p) => p.type === "unsuback").flatMap((p) => p.reasonCodes);
    assert.deepEqual(answers, [REASON.noSubscriptionExisted, 0]);
    assert.deepEqual([one.publishes.length, two.publishes.length], [0, 10]);
    two.unsubscribe(JOBS);
    await work(world, 10);
    assert.equal(two.publishes.length, 10);
    assert.equal(world.metrics.value("tidewire_mqtt_shared_subscriptions"), 0);
  });
});

describe("who of a group gets a message", () => {
  test("not who has its window full or takes no data, while others have room", async () => {
    const world = await BrokerWorld.started({ limits: { outputBytesMax: 8_000 } });
    const [quick, slow] = (await workers(world, 2)) as [SimClient, SimClient];
    const small = world.client();
    small.acknowledges = false;
    small.connect({ clientId: "small", receiveMaximum: 3 }).subscribe(JOBS);
    await world.run();
    slow.stall();
    for (let i = 0; i < 20; i++) await work(world, 10, i * 10);
    slow.unstall();
    await world.run();
    assert.equal(small.publishes.length, 3);
    assert.ok(slow.publishes.length < 60, `${slow.publishes.length}`);
    assert.deepEqual(ascending([quick, slow, small].flatMap(payloads)), upTo(200));
  });

  test("who has least to do: the one that is behind gets less until it has caught up", async () => {
    const world = await BrokerWorld.started();
    const [busy, free] = (await workers(world, 2)) as [SimClient, SimClient];
    busy.subscribe("own");
    busy.acknowledges = false;
    const boss = await world.connected("own-boss");
    for (let i = 0; i < 10; i++) boss.publish("own", `${i}`, { qos: 1, packetId: 1 + i });
    await world.run();
    busy.received.length = 0;
    await work(world, 8);
    assert.deepEqual([busy.publishes.length, free.publishes.length], [0, 8]);
  });

  test("who may receive the topic; where nobody may, the message is dropped and counted", async () => {
    const world = await BrokerWorld.started();
    world.policy("w0").change({ receive: (topic) => topic !== "jobs/1" });
    world.policy("w1").change({ receive: (topic) => topic !== "jobs/1" });
    const [one, two, all] = (await workers(world, 3)) as [SimClient, SimClient, SimClient];
    const publisher = await world.connected("pub");
    for (let i = 0; i < 6; i++) publisher.publish("jobs/1", `${i}`, { qos: 1, packetId: 1 + i });
    await world.run();
    assert.deepEqual([one.take(), two.take(), all.take().length], [[], [], 6]);
    world.policy("w2").change({ receive: () => false });
    publisher.publish("jobs/1", "x", { qos: 1 }).publish("jobs/1", "y");
    await world.run();
    assert.equal(world.metrics.value("tidewire_mqtt_dropped_total", { reason: "share-unclaimed" }), 2);
    world.policy("w0").change({ receive: () => true });
    publisher.publish("jobs/1", "z", { qos: 1 });
    await world.run();
    assert.deepEqual(one.take(), ["jobs/1=z"]);
  });

  test("who can take a packet that large", async () => {
    const world = await BrokerWorld.started();
    const small = (await world.connected("small", { maximumPacketSize: 50 })).subscribe(JOBS);
    const large = (await world.connected("large")).subscribe(JOBS);
    const publisher = await world.connected("pub");
    for (let i = 0; i < 4; i++) publisher.publish("jobs/1", "x".repeat(100), { qos: 1, packetId: 1 + i });
    await world.run();
    assert.deepEqual([small.publishes.length, large.publishes.length], [0, 4]);
  });

  test("the one member that has room among hundreds that have none", async () => {
    const world = await BrokerWorld.started();
    for (let i = 0; i < 200; i++) {
      const full = world.client();
      full.acknowledges = false;
      full.connect({ clientId: `full${i}`, receiveMaximum: 1 }).subscribe(JOBS);
    }
    await work(world, 200);
    const free = (await world.connected("free")).subscribe(JOBS);
    await work(world, 20);
    assert.equal(free.publishes.length, 20);
  });

  test("while all are away, kept sessions, spread evenly; one that is back has its share and all that is new", async () => {
    const world = await BrokerWorld.started();
    const gone = await workers(world, 3, kept);
    for (const client of gone) client.disconnect();
    await world.run();
    await work(world, 30);
    const first = await world.connected("w0", kept);
    await work(world, 5, 30);
    assert.deepEqual(payloads(first).length, 15);
    const others = [await world.connected("w1", kept), await world.connected("w2", kept)];
    await world.run();
    assert.deepEqual(ascending([first, ...others].flatMap(payloads)), upTo(35));
    for (const other of others) assert.equal(other.publishes.length, 10);
  });

  test("nobody away takes QoS 0, and a full queue drops, counted", async () => {
    const world = await BrokerWorld.started({ limits: { queuedMessagesMax: 4 } });
    for (const client of await workers(world, 2, kept)) client.disconnect();
    await world.run();
    await work(world, 5, 0, 0);
    await work(world, 11);
    assert.equal(world.metrics.value("tidewire_mqtt_queued_messages"), 8);
    assert.equal(world.metrics.value("tidewire_mqtt_dropped_total", { reason: "queue-full" }), 3);
  });
});

describe("a member that leaves", () => {
  test("without a kept session: what it has not acknowledged goes to another one", async () => {
    const world = await BrokerWorld.started();
    const [lost, other] = (await workers(world, 2)) as [SimClient, SimClient];
    lost.acknowledges = false;
    await work(world, 10);
    lost.puback(lost.publishes[0]!.packetId);
    const done = payloads(lost)[0]!;
    lost.cut();
    await world.run(10);
    assert.deepEqual(
      ascending([...payloads(other), done]),
      upTo(10),
      "all but what was acknowledged, and nothing twice",
    );
    assert.ok(other.publishes.every((p) => !p.dup));
  });

  test("for a while: what it has not acknowledged waits for it; once its session ends, another gets that", async () => {
    const world = await BrokerWorld.started();
    const [lost, other] = (await workers(world, 2, kept)) as [SimClient, SimClient];
    lost.acknowledges = false;
    await work(world, 10);
    lost.cut();
    await world.run(500_000);
    assert.equal(other.publishes.length, 5);
    await world.run(200_000);
    assert.deepEqual(ascending(payloads(other)), upTo(10));
    assert.deepEqual([...world.state.sessions.keys()], ["w1"]);
  });

  test("for good: what waited for it in the state store alone goes to another, also over a crash", async () => {
    for (const crash of [false, true]) {
      const world = await BrokerWorld.started();
      const [gone] = await workers(world, 1, { ...kept, sessionExpirySeconds: 60 });
      await world.run();
      gone!.cut();
      await work(world, 20);
      await world.run(5_000); // saved, and out of memory
      if (crash) await world.crashAndRestart();
      await work(world, 10, 20);
      const other = (await world.connected("other", kept)).subscribe(JOBS);
      await world.run(90_000);
      assert.deepEqual(ascending([...new Set(payloads(other))]), upTo(30), crash ? "after a crash" : "");
    }
  });

  test("first its group, and then for good: what waited for it still goes to another, also over a crash", async () => {
    for (const crash of [false, true]) {
      const world = await BrokerWorld.started();
      const [gone] = (await workers(world, 1, { ...kept, sessionExpirySeconds: 60 })) as [SimClient];
      gone.acknowledges = false;
      await work(world, 20);
      (await world.connected("other", kept)).subscribe(JOBS).cut();
      gone.unsubscribe(JOBS);
      await world.run(20);
      assert.equal(gone.last("unsuback")?.reasonCodes[0], REASON.success);
      gone.cut();
      await world.run(5_000); // saved, and out of memory
      if (crash) await world.crashAndRestart();
      await world.run(90_000);
      const other = await world.connected("other", kept);
      await world.run();
      assert.deepEqual(ascending(payloads(other)), upTo(20), crash ? "after a crash" : "");
    }
  });

  test("is kept in the store until others have its messages there, also while the store takes no queues", async () => {
    const world = await BrokerWorld.started();
    const [gone] = (await workers(world, 1, { ...kept, sessionExpirySeconds: 60 })) as [SimClient];
    gone.cut();
    await work(world, 20);
    (await world.connected("other", kept)).subscribe(JOBS).cut();
    await world.run(5_000);
    const save = world.state.saveProgress.bind(world.state);
    world.state.saveProgress = () => Promise.reject(new Error("disk I/O error"));
    await world.run(90_000);
    world.state.saveProgress = save;
    await world.crashAndRestart();
    await world.run(5_000);
    assert.deepEqual([...world.state.sessions.keys()], ["other"]);
    const other = await world.connected("other", kept);
    await world.run();
    assert.deepEqual(ascending(payloads(other)), upTo(20));
  });

  test("hands on what it owed once the log can be read again; what never can is counted", async () => {
    for (const failures of [3, Infinity]) {
      const world = await BrokerWorld.started();
      const [lost, other] = (await workers(world, 2, { receiveMaximum: 20 })) as [SimClient, SimClient];
      lost.acknowledges = false;
      await work(world, 10);
      const read = world.journal.read.bind(world.journal);
      let failed = 0;
      world.journal.read = (offset) => (failed++ < failures ? Promise.reject(new Error("EIO")) : read(offset));
      lost.cut();
      await world.run(120_000);
      const all = ascending(payloads(other));
      const dropped = world.metrics.valueOr(0, "tidewire_mqtt_dropped_total", { reason: "no-longer-kept" });
      assert.equal(all.length + dropped, 10);
      assert.equal(dropped, failures === 3 ? 0 : 5);
    }
  });

  test("what it was sent by a subscription of its own is nobody else's", async () => {
    const world = await BrokerWorld.started();
    const [lost, other] = (await workers(world, 2)) as [SimClient, SimClient];
    lost.acknowledges = false;
    lost.subscribe("jobs/3");
    (await world.connected("boss")).publish("jobs/3", "x", { qos: 1 }).publish("jobs/4", "y", { qos: 1 });
    await world.run();
    const shared = other.take();
    lost.cut();
    await world.run(10);
    assert.deepEqual([...shared, ...other.take()].sort(), ["jobs/3=x", "jobs/4=y"]);
  });

  test("after a refusal: an acknowledgement with an error ends the matter [MQTT-4.8.2-6]", async () => {
    const world = await BrokerWorld.started();
    const [refuses, other] = (await workers(world, 2)) as [SimClient, SimClient];
    refuses.acknowledges = false;
    await work(world, 2);
    refuses.send((w) => w.acknowledge("puback", refuses.publishes[0]!.packetId, REASON.unspecifiedError));
    refuses.cut();
    await world.run(10);
    assert.equal(other.publishes.length, 1);
  });

  test("as the last one takes the group along, and what it owed with it", async () => {
    const world = await BrokerWorld.started();
    const [last] = (await workers(world, 1)) as [SimClient];
    last.acknowledges = false;
    await work(world, 3);
    last.cut();
    await world.run(10);
    const late = (await world.connected("late")).subscribe(JOBS);
    await world.run(10);
    assert.deepEqual(late.take(), []);
  });

  test("too late for a message that expired meanwhile [MQTT-3.3.2-5]; the rest is counted down", async () => {
    const world = await BrokerWorld.started();
    const [lost, other] = (await workers(world, 2, { ...kept, sessionExpirySeconds: 60 })) as [SimClient, SimClient];
    lost.acknowledges = false;
    const boss = await world.connected("boss");
    for (const [i, messageExpirySeconds] of [30, 30, 200, 200].entries()) {
      boss.publish("jobs/1", `${messageExpirySeconds}`, {
        qos: 1,
        packetId: 9 + i,
        properties: { messageExpirySeconds },
      });
    }
    await world.run();
    assert.deepEqual(
      [payloads(lost), payloads(other)],
      [
        [30, 200],
        [30, 200],
      ],
    );
    other.received.length = 0;
    lost.cut();
    await world.run(62_000);
    assert.deepEqual(payloads(other), [200]);
    assert.ok(other.publishes[0]!.properties!.messageExpirySeconds! <= 140);
    assert.equal(world.metrics.value("tidewire_mqtt_dropped_total", { reason: "expired" }), 1);
  });
});
