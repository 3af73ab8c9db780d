import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import { TidewireError } from "../base/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import { answers, kept, numbers, quiet } from "./exactly-once.fixture.ts";

describe("a PUBLISH at QoS 2", () => {
  for (const version of [4, 5] as const) {
    test(`is answered once it is on disk, and released once that is on disk [MQTT-4.3.3-8], [MQTT-4.3.3-11], [MQTT-4.3.3-13], [MQTT311-4.3.3-2], version ${version}`, async () => {
      const world = await BrokerWorld.started();
      const publisher = await quiet(world, "pub", { version });
      world.journal.mode = "held";
      publisher.publish("a", "x", { qos: 2, packetId: 7 });
      await world.run(100);
      assert.deepEqual(answers(publisher), []);
      world.journal.sync();
      await world.run();
      assert.deepEqual(answers(publisher), ["pubrec 7"]);
      publisher.acknowledge("pubrel", 7);
      await world.run(100);
      assert.deepEqual(answers(publisher), [], "PUBCOMP before the disk knows would lose the next message under 7");
      world.journal.sync();
      await world.run();
      assert.deepEqual(answers(publisher), ["pubcomp 7"]);
      assert.equal(world.journal.packetIds.get(0), 7);
      assert.deepEqual(world.journal.notes.get(1), {
        clientId: "pub",
        released: [7],
        received: [],
        sent: [],
        finished: null,
      });
    });
  }

  test("goes on at once to those who subscribed at QoS 0 and 1", async () => {
    const world = await BrokerWorld.started();
    const zero = (await world.connected("zero")).subscribe("a", { qos: 0 });
    const one = (await world.connected("one")).subscribe("a", { qos: 1 });
    world.journal.mode = "held";
    (await world.connected("pub")).publish("a", "x", { qos: 2 });
    await world.run();
    assert.deepEqual([zero.publishes[0]?.qos, one.publishes[0]?.qos], [0, 1]);
  });

  test("that comes again is answered again, and is no new message, with DUP or without, also on the next connection [MQTT-4.3.3-10]", async () => {
    const world = await BrokerWorld.started();
    const subscriber = (await world.connected("sub")).subscribe("a", { qos: 1 });
    const first = await quiet(world, "pub");
    first.publish("a", "x", { qos: 2, packetId: 7 }).publish("a", "x", { qos: 2, packetId: 7, dup: true });
    await world.run();
    assert.deepEqual(answers(first), ["pubrec 7", "pubrec 7"]);
    first.cut();
    const second = await quiet(world, "pub");
    second.publish("a", "x", { qos: 2, packetId: 7, dup: true });
    await world.run();
    assert.deepEqual(answers(second), ["pubrec 7"]);
    assert.deepEqual(subscriber.take(), ["a=x"]);
    assert.equal(world.journal.messages.length, 1);
  });

  test("that comes again before the first is on disk waits with it", async () => {
    const world = await BrokerWorld.started();
    const publisher = await quiet(world, "pub");
    world.journal.mode = "held";
    for (const dup of [false, true]) publisher.publish("a", "x", { qos: 2, packetId: 7, dup });
    await world.run(50);
    assert.deepEqual(answers(publisher), []);
    world.journal.sync();
    await world.run();
    assert.deepEqual(answers(publisher), ["pubrec 7", "pubrec 7"]);
  });

  test("under an identifier that was released is a new message, also in the same breath [MQTT-4.3.3-12]", async () => {
    const world = await BrokerWorld.started();
    const subscriber = (await world.connected("sub")).subscribe("a", { qos: 1 });
    const publisher = await quiet(world, "pub");
    publisher.publish("a", "1", { qos: 2, packetId: 7 });
    await world.run();
    publisher.acknowledge("pubrel", 7);
    await world.run();
    publisher.publish("a", "2", { qos: 2, packetId: 7 });
    publisher.acknowledge("pubrel", 7);
    publisher.publish("a", "3", { qos: 2, packetId: 7 });
    await world.run();
    assert.deepEqual(answers(publisher), ["pubrec 7", "pubcomp 7", "pubrec 7", "pubcomp 7", "pubrec 7"]);
    assert.deepEqual(subscriber.take(), ["a=1", "a=2", "a=3"]);
    publisher.cut();
    await world.crashAndRestart();
    const back = await quiet(world, "pub");
    back.publish("a", "3", { qos: 2, packetId: 7, dup: true });
    await world.run();
    assert.deepEqual(answers(back), ["pubrec 7"]);
    assert.equal(world.journal.messages.filter((m) => m !== null).length, 3, "the third was still held, not new");
  });

  test("that is refused is not ours, and its identifier is free [MQTT-4.3.3-9]; 3.1.1 cannot be told and is sent away", async () => {
    const world = await BrokerWorld.started();
    let allowed = false;
    for (const clientId of ["five", "four"]) world.policy(clientId).change({ publish: () => allowed });
    const five = await quiet(world, "five");
    const four = await quiet(world, "four", { version: 4 });
    five.publish("a", "x", { qos: 2, packetId: 7 });
    four.publish("a", "x", { qos: 2, packetId: 7 });
    await world.run();
    assert.deepEqual(answers(five), ["pubrec 7 0x87"]);
    assert.equal(four.state, "ended");
    allowed = true;
    world.policy("five").change({});
    five.publish("a", "y", { qos: 2, packetId: 7 });
    await world.run();
    assert.deepEqual(answers(five), ["pubrec 7"]);
    assert.deepEqual(
      world.journal.messages.map((m) => new TextDecoder().decode(m?.payload)),
      ["y"],
    );
  });

  test("that we have is answered although its publisher has lost the right since", async () => {
    const world = await BrokerWorld.started();
    const publisher = await quiet(world, "pub");
    publisher.publish("a", "x", { qos: 2, packetId: 7 });
    world.policy("pub").change({ publish: () => false });
    publisher.publish("a", "x", { qos: 2, packetId: 7, dup: true });
    await world.run();
    assert.deepEqual(answers(publisher), ["pubrec 7", "pubrec 7"]);
  });

  test("that the log does not take is refused in its turn", async () => {
    const world = await BrokerWorld.started();
    const publisher = await quiet(world, "pub");
    world.journal.failure = new TidewireError("LOG_FULL", { free: 1, path: "log" });
    publisher.publish("a", "x", { qos: 2, packetId: 7 });
    await world.run();
    assert.deepEqual(answers(publisher), ["pubrec 7 0x97"]);
    world.journal.failure = null;
    publisher.publish("a", "x", { qos: 2, packetId: 7 });
    await world.run();
    assert.deepEqual(answers(publisher), ["pubrec 7"]);
  });

  test("by a topic alias and with all its properties is kept and passed on as any other", async () => {
    const world = await BrokerWorld.started();
    const subscriber = (await world.connected("sub")).subscribe("a", { qos: 2, identifier: 9 });
    const publisher = await world.connected("pub", kept);
    const properties = { contentType: "text/plain", userProperties: [["k", "v"]] } as const;
    publisher.publish("a", "1", { qos: 2, packetId: 1, topicAlias: 3, properties });
    publisher.publish("", "2", { qos: 2, packetId: 2, topicAlias: 3 });
    await world.run();
    assert.deepEqual(
      subscriber.publishes.map((p) => [p.topic, p.payload, p.qos, p.properties, p.identifiers]),
      [
        ["a", "1", 2, properties, [9]],
        ["a", "2", 2, null, [9]],
      ],
    );
  });
});

describe("PUBREL", () => {
  test("for an identifier that nobody holds: PUBCOMP says so in 5.0, and is the plain one in 3.1.1", async () => {
    const world = await BrokerWorld.started();
    const five = await quiet(world, "five");
    const four = await quiet(world, "four", { version: 4 });
    for (const client of [five, four]) client.acknowledge("pubrel", 9);
    await world.run();
    assert.deepEqual([answers(five), answers(four)], [["pubcomp 9 0x92"], ["pubcomp 9"]]);
    assert.equal(world.journal.messages.length, 0);
  });

  test("that comes again on the next connection does not overtake the disk either", async () => {
    const world = await BrokerWorld.started();
    const first = await quiet(world, "pub");
    first.publish("a", "x", { qos: 2, packetId: 7 });
    await world.run();
    world.journal.mode = "held";
    first.acknowledge("pubrel", 7);
    await world.run();
    first.cut();
    const second = await quiet(world, "pub");
    second.acknowledge("pubrel", 7);
    await world.run(100);
    assert.deepEqual(answers(second), [], "a crash now, and 7 is still held");
    world.journal.sync();
    await world.run();
    assert.deepEqual(answers(second), ["pubcomp 7"], "its PUBCOMP was lost, which is no error of anybody's");
  });

  test("waits for a log that takes no note, and is answered once it does", async () => {
    const world = await BrokerWorld.started();
    const publisher = await quiet(world, "pub");
    publisher.publish("a", "x", { qos: 2, packetId: 7 });
    await world.run();
    world.journal.failure = new TidewireError("LOG_FULL", { free: 1, path: "log" });
    publisher.received.length = 0;
    publisher.acknowledge("pubrel", 7);
    await world.run(2_000);
    assert.deepEqual(answers(publisher), []);
    assert.ok(world.metrics.value("tidewire_mqtt_refused_total", { reason: "journal-full" }) > 0);
    world.journal.failure = null;
    await world.run(2_000);
    assert.deepEqual(answers(publisher), ["pubcomp 7"]);
  });

  test("of a session that is not kept needs no note", async () => {
    const world = await BrokerWorld.started();
    const publisher = await quiet(world, "pub", { sessionExpirySeconds: 0 });
    publisher.publish("a", "x", { qos: 2, packetId: 7 });
    publisher.acknowledge("pubrel", 7);
    await world.run();
    assert.deepEqual(answers(publisher), ["pubrec 7", "pubcomp 7"]);
    assert.deepEqual([world.journal.messages.length, world.journal.packetIds.size], [1, 0]);
  });
});

describe("identifiers that a client holds", () => {
  test("survive its connection and a crash; a clean start forgets them", async () => {
    for (const saved of [false, true]) {
      const world = await BrokerWorld.started();
      const publisher = await quiet(world, "pub");
      for (const n of numbers(1, 40)) publisher.publish("a", n, { qos: 2, packetId: Number(n) });
      await world.run();
      for (const n of numbers(1, 20)) publisher.acknowledge("pubrel", Number(n));
      await world.run(saved ? 2_000 : 1);
      await world.crashAndRestart();
      assert.equal(world.metrics.value("tidewire_mqtt_exchanges"), 20);
      const back = await quiet(world, "pub");
      for (const n of numbers(1, 40)) back.publish("a", n, { qos: 2, packetId: Number(n), dup: true });
      await world.run();
      const taken = world.journal.messages.slice(39).filter((m) => m !== null).length; // prettier-ignore
      assert.equal(taken, 19, `those that were released are new messages, saved: ${saved}`);
      const clean = await quiet(world, "pub", { cleanStart: true });
      clean.publish("a", "again", { qos: 2, packetId: 39 });
      await world.run();
      assert.equal(new TextDecoder().decode(world.journal.messages.at(-1)?.payload), "again");
    }
  });

  test("survive although saving them failed in between", async () => {
    const world = await BrokerWorld.started();
    const publisher = await quiet(world, "pub");
    publisher.publish("a", "x", { qos: 2, packetId: 7 });
    world.state.failure = new Error("disk full");
    await world.run(1_500);
    world.state.failure = null;
    await world.run(5_000);
    assert.equal(world.state.appliedOffset, 1);
    await world.crashAndRestart();
    const back = await quiet(world, "pub");
    back.publish("a", "x", { qos: 2, packetId: 7, dup: true });
    await world.run();
    assert.equal(world.journal.messages.length, 1);
  });

  test("survive where the session itself was still on its way to the store", async () => {
    const world = await BrokerWorld.started();
    const other = await world.connected("other", kept);
    await world.run(950);
    const save = world.state.saveSessions.bind(world.state);
    world.state.saveSessions = async (...given) => {
      await new Promise<void>((resolve) => void world.clock.after(100, resolve));
      await save(...given);
    };
    other.subscribe("b");
    await world.run(60); // saving is due, and the store busy
    const publisher = world.client();
    publisher.acknowledges = false;
    publisher.connect({ clientId: "pub", ...kept }).publish("a", "x", { qos: 2, packetId: 7 });
    await world.run(200);
    assert.deepEqual(answers(publisher), ["pubrec 7"]);
    await world.crashAndRestart();
    const back = await quiet(world, "pub");
    back.publish("a", "x", { qos: 2, packetId: 7, dup: true });
    await world.run(200);
    assert.deepEqual(answers(back), ["pubrec 7"]);
    assert.equal(world.journal.messages.length, 1);
  });

  test("of an earlier session never come back with a crash: what the log says of them is older than the session", async () => {
    const world = await BrokerWorld.started();
    const subscriber = (await world.connected("sub", kept)).subscribe("a", { qos: 1 });
    const first = await quiet(world, "pub");
    first.publish("a", "first", { qos: 2, packetId: 7 });
    await world.run();
    await quiet(world, "pub", { cleanStart: true });
    await world.crashAndRestart();
    const back = await quiet(world, "pub");
    back.publish("a", "second", { qos: 2, packetId: 7 });
    await world.run();
    assert.deepEqual(answers(back), ["pubrec 7"]);
    const receiver = await world.connected("sub", kept);
    await world.run();
    assert.ok([...subscriber.take(), ...receiver.take()].includes("a=second"));
  });

  test("count against Receive Maximum until PUBCOMP, together with QoS 1 [MQTT-3.3.4-7]", async () => {
    const world = await BrokerWorld.started({ limits: { inflightMax: 3 } });
    const publisher = await quiet(world, "pub");
    for (const packetId of [1, 2, 3]) publisher.publish("a", "x", { qos: 2, packetId });
    publisher.publish("a", "x", { qos: 2, packetId: 2, dup: true }); // known: no fourth one
    await world.run();
    assert.deepEqual(answers(publisher), ["pubrec 1", "pubrec 2", "pubrec 3", "pubrec 2"]);
    publisher.acknowledge("pubrel", 1);
    await world.run();
    publisher.publish("a", "x", { qos: 1, packetId: 4 });
    await world.run();
    assert.deepEqual(answers(publisher), ["pubcomp 1", "puback 4"]);
    publisher.publish("a", "x", { qos: 2, packetId: 5 });
    publisher.publish("a", "x", { qos: 1, packetId: 6 });
    await world.run();
    assert.equal(publisher.last("disconnect")?.reasonCode, REASON.receiveMaximumExceeded);
    const back = await quiet(world, "pub");
    back.acknowledge("pubrel", 2); // its quota began anew: what is left from before takes none of it
    for (const packetId of [7, 8, 9]) back.publish("a", "x", { qos: 2, packetId });
    await world.run();
    assert.equal(back.state, "open");
  });

  test("a refused one gives its place back at once", async () => {
    const world = await BrokerWorld.started({ limits: { inflightMax: 2 } });
    world.policy("pub").change({ publish: () => false });
    const publisher = await quiet(world, "pub");
    for (let i = 0; i < 10; i++) {
      publisher.publish("a", "x", { qos: 2, packetId: 1 + i });
      await world.run();
    }
    assert.equal(answers(publisher).length, 10);
    assert.equal(publisher.state, "open");
  });

  for (const version of [4, 5] as const) {
    test(`and never releases are bounded: the connection ends with a reason, version ${version}`, async () => {
      const limits = { inflightMax: 1_000, identifiersUnreleasedMax: 100 };
      const world = await BrokerWorld.started({ limits });
      const publisher = await quiet(world, "pub", { version });
      for (const n of numbers(1, 101)) publisher.publish("a", n, { qos: 2, packetId: Number(n) });
      await world.run();
      publisher.publish("a", "known", { qos: 2, packetId: 50 });
      await world.run();
      assert.equal(publisher.state, "open");
      publisher.publish("a", "one too many", { qos: 2, packetId: 101 });
      await world.run();
      assert.equal(publisher.state, "ended");
      assert.equal(world.metrics.value("tidewire_mqtt_refused_total", { reason: "receive-maximum" }), 1);
      const back = await quiet(world, "pub", { version });
      back.acknowledge("pubrel", 1);
      back.publish("a", "there is room again", { qos: 2, packetId: 101 });
      await world.run();
      assert.equal(back.state, "open");
      assert.equal(world.journal.messages.filter((m) => m !== null).length, 101);
    });
  }

  test("and asks about again and again, while the disk stands still, are not read on for ever", async () => {
    const world = await BrokerWorld.started({ limits: { inflightMax: 10 } });
    const publisher = await quiet(world, "pub", { version: 4 });
    world.journal.mode = "held";
    for (let i = 0; i < 10; i++) publisher.publish("a", "x", { qos: 2, packetId: 7 });
    assert.equal(publisher.paused, true);
    world.journal.sync();
    await world.run();
    assert.equal(publisher.paused, false);
  });
});
