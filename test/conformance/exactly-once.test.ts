/** Section 4.3.3: QoS 2, both ways, packet by packet. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { KEPT, VERSIONS, connected, publishHex, world } from "./raw-client.ts";
import type { Publication } from "./raw-client.ts";

for (const { version, name } of VERSIONS) {
  const five = version === 5;
  const sent = (message: Publication): string => publishHex(version, message);

  describe(`QoS 2 to the server, ${name}`, () => {
    test("PUBREC, once on disk; the same again is answered and not delivered; PUBCOMP; then the identifier is a new message's [MQTT-4.3.3-8], [MQTT-4.3.3-10], [MQTT-4.3.3-11], [MQTT-4.3.3-12], [MQTT311-4.3.3-2], [MQTT-2.2.1-5], [MQTT311-2.3.1-6], [MQTT-3.3.4-1], [MQTT311-3.3.4-1]", async () => {
      const at = await world();
      const subscriber = await connected(at, version, "s");
      await subscriber.subscribe("a", { qos: 0 });
      subscriber.take();
      const publisher = await connected(at, version, "p", KEPT);
      at.journal.mode = "held";
      await publisher.publish({ topic: "a", qos: 2, packetId: 0x0abc, payload: "1" });
      assert.deepEqual(publisher.take(), [], "not before it is on disk");
      at.journal.sync();
      at.journal.mode = "automatic";
      await at.run();
      assert.deepEqual(publisher.take(), ["50 02 0a bc"]);
      for (const dup of [true, false]) {
        await publisher.publish({ topic: "a", qos: 2, packetId: 0x0abc, payload: "1", dup });
        assert.deepEqual(publisher.take(), ["50 02 0a bc"]);
      }
      await publisher.cut();
      const again = await connected(at, version, "p", KEPT);
      await again.publish({ topic: "a", qos: 2, packetId: 0x0abc, payload: "1", dup: true });
      await again.send("62 02 0a bc");
      assert.deepEqual(again.take(), ["50 02 0a bc", "70 02 0a bc"]);
      assert.deepEqual(subscriber.take(), [sent({ topic: "a", payload: "1" })]);
      await again.publish({ topic: "a", qos: 2, packetId: 0x0abc, payload: "2" });
      assert.deepEqual([again.take(), subscriber.take()], [["50 02 0a bc"], [sent({ topic: "a", payload: "2" })]]);
    });

    test("PUBRECs come in the order of their messages [MQTT-4.6.0-3], [MQTT311-4.6.0-3]", async () => {
      const at = await world();
      const client = await connected(at, version, "c");
      at.journal.mode = "held";
      for (const packetId of [9, 3, 7]) await client.publish({ topic: "a", qos: 2, packetId });
      at.journal.sync();
      await at.run();
      assert.deepEqual(client.take(), ["50 02 00 09", "50 02 00 03", "50 02 00 07"]);
    });

    test("the exchange comes to its end also where the message has expired meanwhile [MQTT-4.3.3-13]", async () => {
      const at = await world();
      const client = await connected(at, version, "c", { keepAliveSeconds: 0 });
      if (five) await client.send("34 0c 00 01 'a' 00 05 05 02 00 00 00 01 'x'");
      else await client.publish({ topic: "a", qos: 2, packetId: 5 });
      await at.run(10_000);
      await client.send("62 02 00 05");
      assert.deepEqual(client.take(), ["50 02 00 05", "70 02 00 05"]);
    });
  });

  describe(`QoS 2 to a client, ${name}`, () => {
    /** Two messages on their way to a client with a session, and their identifiers in hex. */
    const underWay = async () => {
      const at = await world();
      const client = await connected(at, version, "s", KEPT);
      await client.subscribe("a", { qos: 2 });
      client.take();
      const publisher = await connected(at, 4, "p");
      for (const packetId of [1, 2]) {
        await publisher.publish({ topic: "a", qos: 2, packetId, payload: `${packetId}` });
      }
      const messages = client.take();
      const ids = messages.map((packet) => packet.split(" ").slice(5, 7).join(" "));
      return { at, client, messages, ids };
    };
    const numbers = (ids: readonly string[]): number[] => ids.map((id) => Number.parseInt(id.replace(" ", ""), 16));

    test("each PUBLISH has an identifier of its own, and DUP 0 [MQTT-4.3.3-1], [MQTT-4.3.3-2], [MQTT311-4.3.3-1]", async () => {
      const { messages, ids } = await underWay();
      const [first, second] = numbers(ids);
      assert.ok(first !== second && first !== 0 && second !== 0);
      assert.deepEqual(messages, [
        sent({ topic: "a", qos: 2, payload: "1", packetId: first! }),
        sent({ topic: "a", qos: 2, payload: "2", packetId: second! }),
      ]);
    });

    test("is owed until PUBREC, as PUBREL until PUBCOMP, and never again as PUBLISH after that [MQTT-4.3.3-3], [MQTT-4.3.3-4], [MQTT-4.3.3-5], [MQTT-4.3.3-6], [MQTT311-4.3.3-1], [MQTT-4.4.0-1], [MQTT311-4.4.0-1]", async () => {
      const { at, client, ids } = await underWay();
      const [first, second] = ids;
      await client.cut();
      const back = await connected(at, version, "s", KEPT);
      const [one, two] = numbers(ids);
      assert.deepEqual(back.take(), [
        sent({ topic: "a", qos: 2, payload: "1", packetId: one!, dup: true }),
        sent({ topic: "a", qos: 2, payload: "2", packetId: two!, dup: true }),
      ]);
      await back.send(`50 02 ${first}`);
      assert.deepEqual(back.take(), [`62 02 ${first}`]);
      await at.run(60_000);
      assert.deepEqual(back.take(), [], "nothing is repeated on the same connection");
      await back.cut();
      const third = await connected(at, version, "s", KEPT);
      const again = third.take().sort();
      assert.deepEqual(
        again,
        [sent({ topic: "a", qos: 2, payload: "2", packetId: two!, dup: true }), `62 02 ${first}`].sort(),
      );
      await third.send(`70 02 ${first}`, `50 02 ${second}`, `70 02 ${second}`);
      await third.cut();
      assert.deepEqual((await connected(at, version, "s", KEPT)).take(), []);
    });

    test("PUBRELs come in the order of the PUBRECs [MQTT-4.6.0-4], [MQTT311-4.6.0-4]", async () => {
      const { at, client, ids } = await underWay();
      const [first, second] = ids;
      await client.send(`50 02 ${second}`, `50 02 ${first}`);
      assert.deepEqual(client.take(), [`62 02 ${second}`, `62 02 ${first}`]);
      await client.cut();
      const back = await connected(at, version, "s", KEPT);
      assert.deepEqual(back.take(), [`62 02 ${second}`, `62 02 ${first}`]);
    });

    test("does not expire once it was sent [MQTT-4.3.3-7]", async () => {
      const at = await world();
      const client = await connected(at, version, "s", KEPT);
      await client.subscribe("a", { qos: 2 });
      client.take();
      const publisher = await connected(at, 5, "p");
      await publisher.send("34 0c 00 01 'a' 00 05 05 02 00 00 00 02 'x'");
      assert.equal(client.takeTypes(), "3");
      await client.cut();
      await at.run(10_000);
      assert.equal((await connected(at, version, "s", KEPT)).takeTypes(), "3");
    });
  });
}

describe("5.0 only", () => {
  test("after a PUBREC that refuses, the same identifier is a new message [MQTT-4.3.3-9]", async () => {
    const at = await world();
    const subscriber = await connected(at, 5, "s");
    await subscriber.subscribe("#", { qos: 0 });
    subscriber.take();
    at.policy("c").change({ publish: (topic) => topic !== "no" });
    const client = await connected(at, 5, "c", { requestProblemInformation: false });
    await client.publish({ topic: "no", qos: 2, packetId: 5 });
    await client.publish({ topic: "yes", qos: 2, packetId: 5 });
    assert.deepEqual(client.take(), ["50 03 00 05 87", "50 02 00 05"]);
    assert.deepEqual(subscriber.take(), [publishHex(5, { topic: "yes" })]);
  });

  test("a PUBREC that refuses ends the exchange, and the message is not sent again [MQTT-4.4.0-2]", async () => {
    const at = await world();
    const client = await connected(at, 5, "s", KEPT);
    await client.subscribe("a", { qos: 2 });
    client.take();
    await (await connected(at, 5, "p")).publish({ topic: "a", qos: 2 });
    const id = client.take()[0]!.split(" ").slice(5, 7).join(" ");
    await client.send(`50 03 ${id} 97`);
    await client.cut();
    assert.deepEqual((await connected(at, 5, "s", KEPT)).take(), []);
  });

  test("an identifier that nobody knows is answered with 0x92, in a packet that fits [MQTT-3.6.2-2], [MQTT-3.6.2-3], [MQTT-3.7.2-2], [MQTT-3.7.2-3]; a refusal in PUBREC too [MQTT-3.5.2-2], [MQTT-3.5.2-3]", async () => {
    for (const maximumPacketSize of [40, 0xffff_ffff]) {
      const at = await world();
      at.policy("c").change({ publish: () => false });
      const client = await connected(at, 5, "c", {
        maximumPacketSize,
        requestProblemInformation: maximumPacketSize > 40,
      });
      await client.send("62 02 00 07", "50 02 00 08");
      assert.deepEqual(client.take().sort(), ["62 03 00 08 92", "70 03 00 07 92"]);
      await client.publish({ topic: "no", qos: 2, packetId: 9 });
      const [pubrec] = client.take();
      assert.match(pubrec!, maximumPacketSize === 40 ? /^50 03 00 09 87$/ : /^50 .. 00 09 87/);
    }
  });
});
