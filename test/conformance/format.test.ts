/** Chapters 1 and 2: text, flags, packet identifiers, property lengths, as they lie on the wire. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { KEPT, VERSIONS, connected, publishHex, world } from "./raw-client.ts";

/** Nothing of the packet was taken, and the connection is gone. */
const CLOSED_V5 = /^e0 [0-9a-f]{2} 8[12] /;

for (const { version, name } of VERSIONS) {
  const five = version === 5;
  /** A property length of 0 where the version has properties. */
  const none = five ? "00" : "";
  const length = (bytes: number): string => (bytes + (five ? 1 : 0)).toString(16).padStart(2, "0");

  describe(`text, ${name}`, () => {
    const places = [
      [
        "the topic of PUBLISH [MQTT-3.3.2-1], [MQTT311-3.3.2-1]",
        (bad: string) => `30 ${length(5)} 00 03 ${bad} ${none}`,
      ],
      ["SUBSCRIBE [MQTT-3.8.3-1], [MQTT311-3.8.3-1]", (bad: string) => `82 ${length(8)} 00 01 ${none} 00 03 ${bad} 00`],
      [
        "UNSUBSCRIBE [MQTT-3.10.3-1], [MQTT311-3.10.3-1]",
        (bad: string) => `a2 ${length(7)} 00 01 ${none} 00 03 ${bad}`,
      ],
    ] as const;
    const faults = [
      ["ill-formed UTF-8 [MQTT-1.5.4-1], [MQTT311-1.5.3-1]", "61 ff 62"],
      ["a surrogate [MQTT-1.5.4-1], [MQTT311-1.5.3-1]", "ed a0 80"],
      ["U+0000 [MQTT-1.5.4-2], [MQTT311-1.5.3-2], [MQTT-4.7.3-2], [MQTT311-4.7.3-2]", "61 00 62"],
    ] as const;
    for (const [place, packet] of places) {
      for (const [fault, bytes] of faults) {
        test(`${fault} in ${place} ends the connection`, async () => {
          const client = await connected(await world(), version, "c");
          await client.send(packet(bytes));
          assert.equal(client.open, false);
          if (five) assert.match(client.packets[0]!, CLOSED_V5);
          else assert.deepEqual(client.packets, []);
        });
      }
    }

    test("U+FEFF is a character like any other [MQTT-1.5.4-3], [MQTT311-1.5.3-3], and no name is normalized [MQTT-4.7.3-4], [MQTT311-4.7.3-4]", async () => {
      const at = await world();
      const everything = await connected(at, version, "everything");
      await everything.subscribe("#", { qos: 0 });
      const composed = await connected(at, version, "composed");
      await composed.subscribe("\u00e9", { qos: 0 });
      everything.take();
      composed.take();
      const publisher = await connected(at, version, "publisher");
      for (const topic of ["\uFEFFa", "a", "e\u0301", "\u00e9", "\u00c9"]) await publisher.publish({ topic });
      assert.deepEqual(
        everything.take(),
        ["\uFEFFa", "a", "e\u0301", "\u00e9", "\u00c9"].map((topic) => publishHex(version, { topic })),
      );
      assert.deepEqual(composed.take(), [publishHex(version, { topic: "\u00e9" })]);
    });
  });

  describe(`flags, ${name}`, () => {
    const packets = [
      ["PUBREL with 0000 [MQTT-3.6.1-1], [MQTT311-3.6.1-1]", "60 02 00 01"],
      ["SUBSCRIBE with 0000 [MQTT-3.8.1-1], [MQTT311-3.8.1-1]", `80 ${length(6)} 00 01 ${none} 00 01 'a' 00`],
      ["UNSUBSCRIBE with 0000 [MQTT-3.10.1-1], [MQTT311-3.10.1-1]", `a0 ${length(5)} 00 01 ${none} 00 01 'a'`],
      ["PINGREQ with 0001", "c1 00"],
      ["PUBACK with 0010", "42 02 00 01"],
      ["DISCONNECT with 0001 [MQTT-3.14.1-1], [MQTT311-3.14.1-1]", "e1 00"],
      ["AUTH with 0001 [MQTT-3.15.1-1]", "f1 00"],
      ["PUBLISH of QoS 3 [MQTT-3.3.1-4], [MQTT311-3.3.1-4]", `36 ${length(5)} 00 01 'a' 00 01 ${none}`],
      ["PUBLISH of QoS 0 with DUP [MQTT-3.3.1-2], [MQTT311-3.3.1-2]", `38 ${length(3)} 00 01 'a' ${none}`],
    ] as const;
    for (const [title, bytes] of packets) {
      test(`${title} is malformed and ends the connection [MQTT-2.1.3-1], [MQTT311-2.2.2-1], [MQTT311-2.2.2-2], [MQTT-4.13.1-1], [MQTT311-4.8.0-1]`, async () => {
        const client = await connected(await world(), version, "c");
        await client.send(bytes);
        assert.equal(client.open, false);
        if (five) assert.match(client.packets[0]!, /^e0 [0-9a-f]{2} 81 /, "Malformed Packet");
        else assert.deepEqual(client.packets, []);
      });
    }

    test("a length in more bytes than it needs is malformed in 5.0 [MQTT-1.5.5-1], and taken in 3.1.1, which has no such rule", async () => {
      const client = await connected(await world(), version, "c");
      await client.send("c0 80 80 00");
      assert.equal(client.open, !five);
      assert.match(client.packets[0]!, five ? /^e0 .. 81/ : /^d0 00$/);
    });
  });

  describe(`packet identifiers, ${name}`, () => {
    test("QoS 0 has none, and DUP 0 [MQTT-2.2.1-2], [MQTT311-2.3.1-5], [MQTT-4.3.1-1], [MQTT311-4.3.1-1]; no properties are a length of 0 [MQTT-2.2.2-1]", async () => {
      const at = await world();
      const subscriber = await connected(at, version, "s");
      await subscriber.subscribe("a/b");
      subscriber.take();
      const publisher = await connected(at, 5, "p");
      await publisher.send("30 08 00 03 'a/b' 00 'hi'");
      assert.deepEqual(subscriber.take(), [five ? "30 08 00 03 61 2f 62 00 68 69" : "30 07 00 03 61 2f 62 68 69"]);
      if (five) assert.deepEqual((await subscriber.subscribe("c", { packetId: 3 })).take(), ["90 04 00 03 00 01"]);
    });

    test("a server's own are not 0 and not in use [MQTT-2.2.1-4], [MQTT311-2.3.1-4]", async () => {
      const at = await world();
      const subscriber = await connected(at, version, "s");
      await subscriber.subscribe("a");
      subscriber.take();
      const publisher = await connected(at, version, "p");
      for (let i = 1; i <= 5; i++) await publisher.publish({ topic: "a", qos: 1, packetId: i });
      const expected = [1, 2, 3, 4, 5].map((packetId) => publishHex(version, { topic: "a", qos: 1, packetId }));
      assert.deepEqual(subscriber.take(), expected, "none is acknowledged, so none is used again");
    });

    test("answers carry that of their request: PUBACK [MQTT-2.2.1-5], [MQTT311-2.3.1-6], SUBACK and UNSUBACK [MQTT-2.2.1-6], [MQTT311-2.3.1-7]", async () => {
      const client = await connected(await world(), version, "c");
      await client.publish({ topic: "t", qos: 1, packetId: 0xabcd });
      await client.subscribe("a", { packetId: 0xbcde });
      await client.say((w) => w.unsubscribe({ packetId: 0xcdef, filters: ["a"] }));
      assert.deepEqual(
        client.take(),
        five
          ? ["40 02 ab cd", "90 04 bc de 00 01", "b0 04 cd ef 00 00"]
          : ["40 02 ab cd", "90 03 bc de 01", "b0 02 cd ef"],
      );
    });

    for (const [title, bytes] of [
      ["PUBLISH", `32 ${length(5)} 00 01 'a' 00 00 ${none}`],
      ["SUBSCRIBE", `82 ${length(6)} 00 00 ${none} 00 01 'a' 00`],
      ["UNSUBSCRIBE", `a2 ${length(5)} 00 00 ${none} 00 01 'a'`],
    ] as const) {
      test(`0 in ${title} ends the connection [MQTT-2.2.1-3], [MQTT311-2.3.1-1]`, async () => {
        const client = await connected(await world(), version, "c");
        await client.send(bytes);
        assert.equal(client.open, false);
        if (five) assert.match(client.packets[0]!, /^e0 .. 82/, "Protocol Error");
      });
    }

    test("what is sent again has the one that it had [MQTT311-2.3.1-4], [MQTT-4.4.0-1], [MQTT311-4.4.0-1]", async () => {
      const at = await world();
      const subscriber = await connected(at, version, "s", KEPT);
      await subscriber.subscribe("a");
      const publisher = await connected(at, version, "p");
      for (const payload of ["1", "2", "3"]) await publisher.publish({ topic: "a", qos: 1, payload });
      await subscriber.say((w) => w.acknowledge("puback", 2));
      await subscriber.cut();
      const back = await connected(at, version, "s", KEPT);
      assert.deepEqual(
        back.take(),
        [1, 3].map((packetId) =>
          publishHex(version, { topic: "a", qos: 1, payload: `${packetId}`, packetId, dup: true }),
        ),
      );
    });
  });
}

describe("properties, 5.0", () => {
  test("both texts of a user property are checked [MQTT-1.5.7-1]", async () => {
    for (const pair of [
      "26 00 01 ff 00 01 'v'",
      "26 00 01 'k' 00 01 ff",
      "26 00 01 00 00 01 'v'",
      "26 00 01 'k' 00 01 00",
    ]) {
      const client = await connected(await world(), 5, "c");
      await client.send(`30 0b 00 01 'a' 07 ${pair}`);
      assert.equal(client.open, false, pair);
      assert.match(client.packets[0]!, /^e0 .. 81/);
    }
  });

  test("response topic [MQTT-3.3.2-13] and content type [MQTT-3.3.2-19] are UTF-8; a response topic has no wildcard [MQTT-3.3.2-14]", async () => {
    for (const property of ["08 00 01 ff", "03 00 01 ff", "08 00 01 '#'", "08 00 01 '+'"]) {
      const client = await connected(await world(), 5, "c");
      await client.send(`30 08 00 01 'a' 04 ${property}`);
      assert.equal(client.open, false, property);
      assert.match(client.packets[0]!, CLOSED_V5);
    }
  });
});
