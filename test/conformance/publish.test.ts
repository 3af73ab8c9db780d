/** Sections 3.3 and 4.3 to 4.6: messages on their way, QoS 0 and 1, retained ones, order. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { KEPT, VERSIONS, connected, publishHex, world } from "./raw-client.ts";
import type { Publication } from "./raw-client.ts";

for (const { version, name } of VERSIONS) {
  const five = version === 5;
  const sent = (message: Publication): string => publishHex(version, message);

  describe(`PUBLISH, ${name}`, () => {
    test("is answered as its QoS asks: 0 not, 1 with PUBACK once it is on disk [MQTT-3.3.4-1], [MQTT311-3.3.4-1], [MQTT-4.3.2-4], [MQTT311-4.3.2-2]", async () => {
      const at = await world();
      const client = await connected(at, version, "c");
      at.journal.mode = "held";
      await client.publish({ topic: "a", qos: 0 });
      await client.publish({ topic: "a", qos: 1, packetId: 9 });
      assert.deepEqual(client.take(), []);
      at.journal.sync();
      await at.run();
      assert.deepEqual(client.take(), ["40 02 00 09"]);
    });

    test("DUP that came with it is not passed on; what is sent for the first time has none [MQTT-3.3.1-3], [MQTT311-3.3.1-3], [MQTT-4.3.2-2], [MQTT311-4.3.2-1]", async () => {
      const at = await world();
      const subscriber = await connected(at, version, "s");
      await subscriber.subscribe("a");
      subscriber.take();
      await (await connected(at, version, "p")).publish({ topic: "a", qos: 1, dup: true });
      assert.deepEqual(subscriber.take(), [sent({ topic: "a", qos: 1 })]);
    });

    test("the same packet identifier after PUBACK is a new message, whatever DUP says [MQTT-4.3.2-5], [MQTT311-4.3.2-2]", async () => {
      const at = await world();
      const subscriber = await connected(at, version, "s");
      await subscriber.subscribe("a", { qos: 0 });
      subscriber.take();
      const publisher = await connected(at, version, "p");
      for (const dup of [false, true, false]) await publisher.publish({ topic: "a", qos: 1, packetId: 5, dup });
      assert.deepEqual(subscriber.take(), [sent({ topic: "a" }), sent({ topic: "a" }), sent({ topic: "a" })]);
      assert.deepEqual(publisher.take(), ["40 02 00 05", "40 02 00 05", "40 02 00 05"]);
    });

    test("with a wildcard in its topic is not delivered, and ends the connection [MQTT-3.3.2-2], [MQTT311-3.3.2-2], [MQTT-4.7.0-1], [MQTT311-4.7.1-1]", async () => {
      for (const topic of ["a/+", "#", "a#", "+"]) {
        const at = await world();
        const subscriber = await connected(at, version, "s");
        await subscriber.subscribe("#");
        subscriber.take();
        const publisher = await connected(at, version, "p");
        await publisher.publish({ topic });
        assert.deepEqual([publisher.open, subscriber.take()], [false, []], topic);
        if (five) assert.match(publisher.packets[0]!, /^e0 .. 90/, "Topic Name invalid");
      }
    });

    test("without a topic ends the connection [MQTT-4.7.3-1], [MQTT311-4.7.3-1]", async () => {
      const client = await connected(await world(), version, "c");
      await client.send(five ? "30 03 00 00 00" : "30 02 00 00");
      assert.equal(client.open, false);
    });

    test("unacknowledged is sent again when the session goes on: in order, with DUP, under its identifier, and not at any other time [MQTT-3.3.1-1], [MQTT311-3.3.1-1], [MQTT-4.3.2-3], [MQTT311-4.3.2-1], [MQTT-4.4.0-1], [MQTT311-4.4.0-1], [MQTT-4.6.0-1], [MQTT311-4.6.0-1], [MQTT311-2.3.1-4]", async () => {
      const at = await world();
      const subscriber = await connected(at, version, "s", { ...KEPT, keepAliveSeconds: 0 });
      await subscriber.subscribe("a");
      subscriber.take();
      const publisher = await connected(at, version, "p");
      for (const payload of ["1", "2", "3", "4"]) await publisher.publish({ topic: "a", qos: 1, payload });
      assert.equal(subscriber.takeTypes(), "3333");
      await subscriber.send("40 02 00 02");
      await at.run(300_000);
      assert.deepEqual(subscriber.take(), []);
      await subscriber.cut();
      const back = await connected(at, version, "s", KEPT);
      const again = [1, 3, 4].map((n) => sent({ topic: "a", qos: 1, payload: `${n}`, packetId: n, dup: true }));
      assert.deepEqual(back.take(), again);
      await back.send("40 02 00 01", "40 02 00 03", "40 02 00 04");
      await back.cut();
      assert.deepEqual((await connected(at, version, "s", KEPT)).take(), [], "acknowledged is done with");
    });

    test("PUBACKs come in the order of their messages [MQTT-4.6.0-2], [MQTT311-4.6.0-2]", async () => {
      const at = await world();
      const client = await connected(at, version, "c");
      at.journal.mode = "held";
      for (const packetId of [9, 3, 7, 1]) await client.publish({ topic: "a", qos: 1, packetId });
      at.journal.sync();
      await at.run();
      assert.deepEqual(client.take(), ["40 02 00 09", "40 02 00 03", "40 02 00 07", "40 02 00 01"]);
    });

    test("reaches its subscribers in the order in which it came, whatever they are [MQTT-4.6.0-5], [MQTT-4.6.0-6], [MQTT311-4.6.0-5], [MQTT311-4.6.0-6]", async () => {
      const at = await world();
      const absent = await connected(at, version, "absent", KEPT);
      await absent.subscribe("a/#");
      await absent.cut();
      const there = await connected(at, version, "there");
      await there.subscribe("a/#");
      there.take();
      const publishers = [await connected(at, version, "p"), await connected(at, version, "q")];
      const numbers = Array.from({ length: 40 }, (_, i) => `${i}`);
      for (const [i, payload] of numbers.entries()) {
        await publishers[i % 2]!.publish({ topic: `a/${i % 3}`, qos: 1, payload, packetId: i + 1 });
      }
      const inOrder = numbers.map((payload, i) => sent({ topic: `a/${i % 3}`, qos: 1, payload, packetId: i + 1 }));
      assert.deepEqual(there.take(), inOrder);
      assert.deepEqual((await connected(at, version, "absent", KEPT)).take(), inOrder);
    });

    test("is added to the sessions of all whose filters match, and of nobody else [MQTT-4.5.0-1], [MQTT311-4.5.0-1], [MQTT311-3.1.2-5], [MQTT-3.3.2-3], [MQTT311-3.3.2-3]", async () => {
      const at = await world();
      for (const [id, filter] of [
        ["one", "a/+"],
        ["two", "#"],
        ["three", "a/b"],
        ["other", "a"],
        ["another", "+"],
      ] as const) {
        const client = await connected(at, version, id, KEPT);
        await client.subscribe(filter);
        await client.cut();
      }
      await (await connected(at, version, "p")).publish({ topic: "a/b", qos: 1 });
      for (const id of ["one", "two", "three"]) {
        assert.deepEqual((await connected(at, version, id, KEPT)).take(), [sent({ topic: "a/b", qos: 1 })], id);
      }
      for (const id of ["other", "another"]) assert.deepEqual((await connected(at, version, id, KEPT)).take(), [], id);
    });

    test("that is not allowed is not delivered: refused in PUBACK, or the connection ends [MQTT311-3.3.5-2]", async () => {
      const at = await world();
      const subscriber = await connected(at, version, "s");
      await subscriber.subscribe("#");
      subscriber.take();
      at.policy("c").change({ publish: () => false });
      const client = await connected(at, version, "c", { requestProblemInformation: false });
      await client.publish({ topic: "a", qos: 1 });
      assert.deepEqual(client.take(), five ? ["40 03 00 01 87"] : []);
      assert.equal(client.open, five);
      assert.deepEqual(subscriber.take(), []);
    });
  });

  if (five) {
    test("topic aliases stand for their topics on their connection [MQTT-3.3.2-12], [MQTT-3.3.2-7]; the topic is what subscribers get", async () => {
      const at = await world();
      const subscriber = await connected(at, version, "s");
      await subscriber.subscribe("#", { qos: 0 });
      subscriber.take();
      const publisher = await connected(at, version, "p", KEPT);
      const max = at.limits.topicAliasMax;
      for (let alias = 1; alias <= max; alias++) {
        const text = alias.toString(16).padStart(2, "0");
        await publisher.send(`30 0a 00 03 't' ${text} 'x' 03 23 00 ${text} 'x'`);
      }
      subscriber.take();
      for (let alias = max; alias >= 1; alias--) {
        await publisher.send(`30 07 00 00 03 23 00 ${alias.toString(16).padStart(2, "0")} 'x'`);
      }
      const topics = Array.from({ length: max }, (_, i) => `t${String.fromCharCode(max - i)}x`);
      assert.deepEqual(
        subscriber.take(),
        topics.map((topic) => sent({ topic })),
      );
      await publisher.cut();
      const again = await connected(at, version, "p", KEPT);
      await again.send("30 07 00 00 03 23 00 01 'x'");
      assert.deepEqual([again.open, subscriber.take()], [false, []]);
    });
  }

  describe(`retained messages, ${name}`, () => {
    test("wait for new subscribers with their QoS, the last of each topic, RETAIN 1; who was there sees RETAIN 0 [MQTT-3.3.1-5], [MQTT311-3.3.1-5], [MQTT311-3.3.1-6], [MQTT311-3.3.1-8], [MQTT311-3.3.1-9], [MQTT-3.3.1-9], [MQTT-3.3.1-12]", async () => {
      const at = await world();
      const early = await connected(at, version, "early");
      await early.subscribe("a");
      early.take();
      const publisher = await connected(at, version, "p");
      await publisher.publish({ topic: "a", retain: true, payload: "old", qos: 0 });
      await publisher.publish({ topic: "a", retain: true, payload: "new", qos: 1 });
      assert.deepEqual(early.take(), [
        sent({ topic: "a", payload: "old", qos: 0 }),
        sent({ topic: "a", payload: "new", qos: 1 }),
      ]);
      const late = await connected(at, version, "late");
      await late.subscribe("a");
      assert.deepEqual(late.take().slice(1), [sent({ topic: "a", payload: "new", qos: 1, retain: true })]);
    });

    test("of QoS 0 take the place of one of QoS 1 [MQTT311-3.3.1-7]", async () => {
      const at = await world();
      const publisher = await connected(at, version, "p");
      await publisher.publish({ topic: "a", retain: true, payload: "old", qos: 1 });
      await publisher.publish({ topic: "a", retain: true, payload: "new", qos: 0 });
      const late = await connected(at, version, "late");
      await late.subscribe("a");
      assert.deepEqual(late.take().slice(1), [sent({ topic: "a", payload: "new", retain: true })]);
    });

    test("an empty one removes, is delivered and is not kept; one without RETAIN changes nothing [MQTT-3.3.1-6], [MQTT311-3.3.1-10], [MQTT-3.3.1-7], [MQTT311-3.3.1-11], [MQTT-3.3.1-8], [MQTT311-3.3.1-12]", async () => {
      const at = await world();
      const early = await connected(at, version, "early");
      await early.subscribe("#", { qos: 0 });
      early.take();
      const publisher = await connected(at, version, "p");
      const publish = async (message: Publication): Promise<string[]> => {
        await publisher.publish(message);
        assert.deepEqual(early.take(), [sent({ topic: message.topic, payload: message.payload ?? "x" })]);
        const late = await connected(at, version, "late");
        await late.subscribe("#", { qos: 0 });
        return late.take().slice(1);
      };
      const kept = [sent({ topic: "a", payload: "kept", retain: true })];
      assert.deepEqual(await publish({ topic: "a", payload: "kept", retain: true }), kept);
      assert.deepEqual(await publish({ topic: "a", payload: "passing" }), kept);
      assert.deepEqual(await publish({ topic: "a", payload: "" }), kept);
      assert.deepEqual(await publish({ topic: "b", payload: "", retain: true }), kept);
      assert.deepEqual(await publish({ topic: "a", payload: "", retain: true }), []);
    });
  });

  describe(`flow control, ${name}`, () => {
    test("nothing but messages waits for a client that acknowledges nothing [MQTT-3.3.4-9], [MQTT-3.3.4-10], [MQTT-4.9.0-1], [MQTT-4.9.0-2], [MQTT-4.9.0-3]", async () => {
      const at = await world({ limits: { deliveriesInflightMax: 3 } });
      const client = await connected(at, version, "c", five ? { receiveMaximum: 2 } : {});
      await client.subscribe("a");
      client.take();
      const publisher = await connected(at, version, "p");
      for (let i = 1; i <= 10; i++) await publisher.publish({ topic: "a", qos: 1, packetId: i });
      const window = five ? 2 : 3;
      assert.equal(client.takeTypes(), "3".repeat(window));
      await client.send("c0 00");
      await client.subscribe("b", { packetId: 2 });
      await client.publish({ topic: "c", qos: 1, packetId: 7 });
      assert.equal(client.takeTypes(), "d94", "PINGRESP, SUBACK, PUBACK");
      await publisher.publish({ topic: "a", qos: 0 });
      assert.equal(client.takeTypes(), "3", "QoS 0 does not wait");
      await client.send("40 02 00 01");
      assert.equal(client.takeTypes(), "3", "one was acknowledged, one more comes");
    });
  });
}
