/** Sections 3.8 to 3.11 and 4.7: subscriptions, and what their filters match. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { BrokerWorld } from "../../sim/broker.ts";
import { LIMITS, topicMatches } from "../../src/base/mod.ts";
import { KEPT, VERSIONS, connected, publishHex, world } from "./raw-client.ts";
import type { Publication, RawClient } from "./raw-client.ts";

for (const { version, name } of VERSIONS) {
  const five = version === 5;
  const sent = (message: Publication): string => publishHex(version, message);
  const request = (filter: string, qos: 0 | 1 | 2) =>
    ({ filter, qos, noLocal: false, retainAsPublished: false, retainHandling: 0 }) as const;

  /** One SUBACK or UNSUBACK, its codes only. */
  const codes = (packet: string | undefined): string =>
    packet!
      .split(" ")
      .slice(five ? 5 : 4)
      .join(" ");

  describe(`SUBSCRIBE, ${name}`, () => {
    test("is answered with SUBACK of its packet identifier, a code for each filter, in order: granted or refused [MQTT-3.8.4-1], [MQTT311-3.8.4-1], [MQTT-3.8.4-2], [MQTT311-3.8.4-2], [MQTT-3.8.4-6], [MQTT-3.8.4-7], [MQTT311-3.8.4-5], [MQTT-3.9.3-1], [MQTT311-3.9.3-1], [MQTT-3.9.3-2], [MQTT311-3.9.3-2]", async () => {
      const at = await world();
      at.policy("c").change({ subscribe: (filter) => filter !== "forbidden" });
      const client = await connected(at, version, "c", { requestProblemInformation: false });
      const requests = [request("a", 1), request("forbidden", 1), request("b/#/c", 0), request("b", 0)];
      await client.say((w) => w.subscribe({ packetId: 0x1234, requests, subscriptionIdentifier: 0 }));
      const [suback] = client.take();
      assert.equal(suback!.split(" ").slice(2, 4).join(" "), "12 34");
      assert.equal(codes(suback), five ? "01 87 8f 00" : "01 80 80 00");
    });

    test("of several filters is as several, answered at once [MQTT-3.8.4-5], [MQTT311-3.8.4-4]; UNSUBSCRIBE too [MQTT-3.10.4-6], [MQTT311-3.10.4-6]", async () => {
      const at = await world();
      const client = await connected(at, version, "c");
      const filters = ["a", "b/+", "a", "c"];
      const requests = filters.map((filter, i) => request(filter, i === 2 ? 0 : 1));
      await client.say((w) => w.subscribe({ packetId: 1, requests, subscriptionIdentifier: 0 }));
      assert.deepEqual(client.take().map(codes), ["01 01 00 01"]);
      const publisher = await connected(at, version, "p");
      for (const topic of ["a", "b/x"]) await publisher.publish({ topic, qos: 1 });
      assert.deepEqual(
        client.take(),
        [sent({ topic: "a" }), sent({ topic: "b/x", qos: 1 })],
        "the third took the first's place",
      );
      await client.say((w) => w.unsubscribe({ packetId: 2, filters: ["b/+", "none", "c"] }));
      assert.deepEqual(client.take().map(codes), [five ? "00 11 00" : ""]);
      for (const topic of ["a", "b/x", "c"]) await publisher.publish({ topic });
      assert.deepEqual(client.take(), [sent({ topic: "a" })]);
    });

    test("of a filter that is subscribed replaces the subscription; retained messages come again, nothing is lost or doubled [MQTT-3.8.4-3], [MQTT-3.8.4-4], [MQTT311-3.8.4-3]", async () => {
      const at = await world();
      const publisher = await connected(at, version, "p");
      await publisher.publish({ topic: "a/r", retain: true });
      const client = await connected(at, version, "c");
      await client.subscribe("a/+", { qos: 1 });
      assert.deepEqual(client.take().slice(1), [sent({ topic: "a/r", retain: true })]);
      await publisher.publish({ topic: "a/1", qos: 1 });
      await client.subscribe("a/+", { qos: 0 });
      await publisher.publish({ topic: "a/2", qos: 1 });
      const packets = client.take();
      assert.equal(packets.length, 4);
      for (const packet of [
        sent({ topic: "a/1", qos: 1 }),
        sent({ topic: "a/r", retain: true }),
        sent({ topic: "a/2" }),
      ]) {
        assert.ok(packets.includes(packet), packet);
      }
    });

    test("delivers at the lower of the message's QoS and the granted one [MQTT-3.8.4-8], [MQTT311-3.8.4-6]", async () => {
      const at = await world();
      for (const granted of [0, 1] as const) {
        for (const qos of [0, 1] as const) {
          const client = await connected(at, version, "c");
          await client.subscribe("a", { qos: granted });
          client.take();
          await (await connected(at, version, "p")).publish({ topic: "a", qos });
          assert.deepEqual(client.take(), [sent({ topic: "a", qos: granted === 1 && qos === 1 ? 1 : 0 })]);
        }
      }
    });

    test("with overlapping filters delivers once, at the highest QoS [MQTT-3.3.4-2], [MQTT311-3.3.5-1]", async () => {
      const at = await world();
      const client = await connected(at, version, "c");
      const requests = [request("a/b", 0), request("a/+", 1), request("#", 0)];
      await client.say((w) => w.subscribe({ packetId: 1, requests, subscriptionIdentifier: 0 }));
      client.take();
      await (await connected(at, version, "p")).publish({ topic: "a/b", qos: 1 });
      assert.deepEqual(client.take(), [sent({ topic: "a/b", qos: 1 })]);
    });

    for (const [title, body] of [
      ["without a filter [MQTT-3.8.3-2], [MQTT311-3.8.3-3]", five ? "82 03 00 01 00" : "82 02 00 01"],
      ["for QoS 3 [MQTT311-3.8.3-4]", five ? "82 07 00 01 00 00 01 'a' 03" : "82 06 00 01 00 01 'a' 03"],
      [
        "with a reserved option [MQTT-3.8.3-5], [MQTT311-3.8.3-4]",
        five ? "82 07 00 01 00 00 01 'a' 80" : "82 06 00 01 00 01 'a' 80",
      ],
    ] as const) {
      test(`${title} ends the connection`, async () => {
        const client = await connected(await world(), version, "c");
        await client.send(body);
        assert.equal(client.open, false);
      });
    }
  });

  describe(`UNSUBSCRIBE, ${name}`, () => {
    test("takes filters as they are written [MQTT-3.10.4-1], [MQTT311-3.10.4-1], and is answered also where nothing was deleted [MQTT-3.10.4-4], [MQTT-3.10.4-5], [MQTT311-3.10.4-4], [MQTT311-3.10.4-5], in the order of the filters [MQTT-3.11.3-1] with codes of its own [MQTT-3.11.3-2]", async () => {
      const at = await world();
      const client = await connected(at, version, "c");
      for (const filter of ["a/+", "A/b"]) await client.subscribe(filter, { qos: 0 });
      client.take();
      await client.say((w) => w.unsubscribe({ packetId: 0x0a0b, filters: ["a/b", "#", "A/b", "a/+ "] }));
      assert.deepEqual(client.take(), [five ? "b0 07 0a 0b 00 11 11 00 11" : "b0 02 0a 0b"]);
      const publisher = await connected(at, version, "p");
      for (const topic of ["a/b", "A/b"]) await publisher.publish({ topic });
      assert.deepEqual(client.take(), [sent({ topic: "a/b" })]);
    });

    test("stops new messages [MQTT-3.10.4-2], [MQTT311-3.10.4-2], and lets those that were begun come to their end [MQTT-3.10.4-3], [MQTT311-3.10.4-3]", async () => {
      const at = await world({ limits: { deliveriesInflightMax: 1 } });
      const client = await connected(at, version, "c", KEPT);
      await client.subscribe("a");
      client.take();
      const publisher = await connected(at, version, "p");
      await publisher.publish({ topic: "a", qos: 1, payload: "begun" });
      await client.say((w) => w.unsubscribe({ packetId: 2, filters: ["a"] }));
      await publisher.publish({ topic: "a", qos: 1, payload: "late" });
      assert.deepEqual(client.takeTypes(), "3b");
      await client.cut();
      const back = await connected(at, version, "c", KEPT);
      assert.deepEqual(back.take(), [sent({ topic: "a", qos: 1, payload: "begun", dup: true })]);
    });

    test("without a filter ends the connection [MQTT-3.10.3-2], [MQTT311-3.10.3-2]", async () => {
      const client = await connected(await world(), version, "c");
      await client.send(five ? "a2 03 00 02 00" : "a2 02 00 02");
      assert.equal(client.open, false);
    });
  });

  describe(`topics and filters, ${name}`, () => {
    test("a filter that is none is refused: # not last or not alone [MQTT-4.7.1-1], [MQTT311-4.7.1-2], + not alone [MQTT-4.7.1-2], [MQTT311-4.7.1-3], empty [MQTT-4.7.3-1], [MQTT311-4.7.3-1], too long [MQTT-4.7.3-3], [MQTT311-4.7.3-3]", async () => {
      const wrong = [
        "a/#/b",
        "a#",
        "#/a",
        "##",
        "a/b#",
        "a+",
        "+a",
        "a/+b/c",
        "++",
        "+#",
        "",
        "x".repeat(LIMITS.mqtt.topicBytesMax + 1),
      ];
      const right = [
        "#",
        "+",
        "a/#",
        "+/a",
        "a/+/b",
        "/",
        "/+",
        "+/+",
        "//#",
        " ",
        "a b",
        "$SYS/#",
        "x".repeat(LIMITS.mqtt.topicBytesMax),
      ];
      const client = await connected(await world(), version, "c", { requestProblemInformation: false });
      const answers = async (filters: readonly string[]): Promise<string> => {
        const requests = filters.map((filter) => request(filter, 0));
        await client.say((w) => w.subscribe({ packetId: 1, requests, subscriptionIdentifier: 0 }));
        return codes(client.take()[0]);
      };
      assert.equal(await answers(wrong), wrong.map(() => (five ? "8f" : "80")).join(" "));
      assert.equal(await answers(right), right.map(() => "00").join(" "));
    });

    /** Who has which filter gets which topics: the rules of section 4.7 by their examples and around them. */
    const matching: readonly (readonly [filter: string, yes: readonly string[], no: readonly string[]])[] = [
      [
        "sport/tennis/player1/#",
        ["sport/tennis/player1", "sport/tennis/player1/ranking", "sport/tennis/player1/score/wimbledon"],
        ["sport/tennis/player2", "sport/tennis"],
      ],
      ["sport/#", ["sport", "sport/"], ["sports", "Sport"]],
      ["sport/tennis/+", ["sport/tennis/player1", "sport/tennis/"], ["sport/tennis", "sport/tennis/player1/ranking"]],
      ["+", ["finance", " "], ["/finance", "$x"]],
      ["+/+", ["/finance", "a/b", "/"], ["finance", "a/b/c", "$x/x"]],
      ["/+", ["/finance", "/"], ["finance"]],
      ["#", ["a", "/", "a/b/c"], ["$SYS/monitor/Clients", "$x"]],
      ["+/monitor/Clients", ["a/monitor/Clients"], ["$SYS/monitor/Clients"]],
      ["$SYS/#", ["$SYS/monitor", "$SYS"], ["SYS/monitor"]],
      ["$SYS/monitor/+", ["$SYS/monitor/Clients"], ["$SYS/monitor/a/b"]],
      ["a//b", ["a//b"], ["a/b", "a/x/b"]],
      ["a/+/b", ["a//b", "a/x/b", "a/$x/b"], ["a/b", "a/x/y/b"]],
    ];

    test("match as section 4.7 says; a leading wildcard sees no $ [MQTT-4.7.2-1], [MQTT311-4.7.2-1]; every character counts [MQTT-4.7.3-4], [MQTT311-4.7.3-4]", async () => {
      const at = await world();
      for (const [filter, yes, no] of matching) {
        const subscriber = await connected(at, version, "s");
        await subscriber.subscribe(filter, { qos: 0 });
        subscriber.take();
        for (const topic of [...yes, ...no]) publishWithin(at, topic, false);
        await at.run();
        assert.deepEqual(
          subscriber.take(),
          yes.map((topic) => sent({ topic })),
          filter,
        );
        for (const topic of yes) assert.ok(topicMatches(filter, topic), `${filter} ${topic}`);
        for (const topic of no) assert.ok(!topicMatches(filter, topic), `${filter} ${topic}`);
      }
    });

    test("match retained messages in the same way [MQTT-4.7.2-1], [MQTT311-4.7.2-1], [MQTT-3.3.2-3], [MQTT311-3.3.2-3]", async () => {
      const at = await world();
      const topics = [...new Set(matching.flatMap(([, yes, no]) => [...yes, ...no]))];
      for (const topic of topics) publishWithin(at, topic, true);
      await at.run();
      for (const [filter] of matching) {
        const found = await retainedFor(at, filter);
        const expected = topics
          .filter((topic) => topicMatches(filter, topic))
          .map((topic) => sent({ topic, retain: true }));
        assert.deepEqual(found.sort(), expected.sort(), filter);
      }
    });

    /** A server may keep topics that begin with $ to itself. */
    function publishWithin(at: BrokerWorld, topic: string, retain: boolean): void {
      const payload = new TextEncoder().encode("x");
      const from = { clientId: "server", thing: null, receivedAt: at.clock.now() };
      at.broker.publishLocal({ topic, payload, qos: 0, retain, ...from, properties: null });
    }

    async function retainedFor(at: BrokerWorld, filter: string): Promise<string[]> {
      const subscriber: RawClient = await connected(at, version, "s");
      await subscriber.subscribe(filter, { qos: 0 });
      return subscriber.take().slice(1);
    }
  });
}

describe("5.0 only", () => {
  test("overlapping subscriptions: one copy with the identifiers of all [MQTT-3.3.4-3], [MQTT-3.3.4-4]", async () => {
    const at = await world();
    const client = await connected(at, 5, "c");
    await client.send(
      "82 09 00 01 02 0b 07 00 01 'a' 00",
      "82 0a 00 02 03 0b 80 01 00 01 '#' 00",
      "82 07 00 03 00 00 01 '+' 00",
    );
    client.take();
    await (await connected(at, 5, "p")).publish({ topic: "a" });
    const [packet, ...rest] = client.take();
    assert.deepEqual(rest, []);
    const identifiers = packet!.slice("30 0a 00 01 61 05 ".length, -" 78".length);
    assert.ok(["0b 07 0b 80 01", "0b 80 01 0b 07"].includes(identifiers), packet);
  });
});
