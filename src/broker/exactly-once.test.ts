import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import type { SimClient } from "../../sim/mqtt-client.ts";
import { TidewireError } from "../base/mod.ts";
import type { Message, QoS } from "../base/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import type { ConnectPacket } from "../wire/mqtt/mod.ts";

const kept = { cleanStart: false, sessionExpirySeconds: 600, keepAliveSeconds: 3_600 } as const;
const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `${from + i}`);

/** Acknowledgements that came, in order, as "pubrec 7" or "pubrec 7 0x91"; forgets them. */
function answers(client: SimClient): string[] {
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
async function quiet(
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

async function subscribed(world: BrokerWorld, clientId: string, options = {}): Promise<SimClient> {
  const client = await quiet(world, clientId, options);
  client.subscribe("a", { qos: 2 });
  await world.run();
  client.received.length = 0;
  return client;
}

const sent = (client: SimClient): (readonly [string, QoS, boolean, number])[] =>
  client.publishes.map(({ payload, qos, dup, packetId }) => [payload, qos, dup, packetId]);

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
      assert.deepEqual(world.journal.notes.get(1), { clientId: "pub", released: [7], received: [], sent: [] });
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
      { clientId: "sub", released: [], received: [], sent: [32_768, 0, 0] },
      { clientId: "sub", released: [], received: [32_768], sent: [] },
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
