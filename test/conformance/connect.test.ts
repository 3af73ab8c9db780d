/** Sections 3.1, 3.2 and 3.14: how connections begin and end, sessions, wills. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { BrokerWorld } from "../../sim/broker.ts";
import { REASON } from "../../src/wire/mqtt/mod.ts";
import { KEPT, RawClient, VERSIONS, connected, publishHex, will, world } from "./raw-client.ts";

for (const { version, name } of VERSIONS) {
  const five = version === 5;
  const level = five ? "05" : "04";
  const none = five ? "00" : "";
  const plus = five ? 1 : 0;
  /** A minimal CONNECT with these flags and fields behind the client identifier `c`. */
  const connect = (flags: string, fields = "", fieldBytes = 0): string =>
    `10 ${(13 + plus + fieldBytes).toString(16).padStart(2, "0")} 00 04 'MQTT' ${level} ${flags} 00 3c ${none} 00 01 'c' ${fields}`;
  const accepted = (packet: string | undefined): boolean => packet !== undefined && /^20 .. 0[01] 00/.test(packet);

  describe(`CONNECT, ${name}`, () => {
    test("is answered with CONNACK 0, first and once [MQTT-3.1.4-5], [MQTT311-3.1.4-4], [MQTT-3.2.0-1], [MQTT311-3.2.0-1], [MQTT-3.2.0-2]", async () => {
      const at = await world();
      const subscriber = await connected(at, version, "c", KEPT);
      await subscriber.subscribe("a");
      await subscriber.cut();
      await (await connected(at, version, "p")).publish({ topic: "a", qos: 1 });
      const back = await new RawClient(at, version).connect("c", KEPT);
      assert.ok(accepted(back.packets[0]), "before what waits for it");
      assert.equal(back.packets.filter((packet) => packet.startsWith("20")).length, 1);
      assert.equal(back.packets[1], publishHex(version, { topic: "a", qos: 1 }));
    });

    test("a second one ends the connection [MQTT-3.1.0-2], [MQTT311-3.1.0-2]", async () => {
      const client = await connected(await world(), version, "c");
      await client.send(connect("02"));
      assert.equal(client.open, false);
      if (five) assert.match(client.packets[0]!, /^e0 .. 82/);
      else assert.deepEqual(client.packets, []);
    });

    const malformed = [
      ["the reserved flag [MQTT-3.1.2-3], [MQTT311-3.1.2-3]", connect("03")],
      ["a will QoS without a will", connect("0a")],
      [
        "no client identifier at all",
        `10 ${(10 + plus).toString(16).padStart(2, "0")} 00 04 'MQTT' ${level} 02 00 3c ${none}`,
      ],
      ["a user name that is not there", connect("82")],
      ["a byte too many", connect("02", "00", 1)],
    ] as const;
    for (const [title, bytes] of malformed) {
      test(`with ${title} is not accepted, and the connection ends [MQTT-3.1.4-1], [MQTT311-3.1.4-1], [MQTT311-3.2.2-6]`, async () => {
        const client = await new RawClient(await world(), version).send(bytes);
        assert.equal(client.open, false);
        if (five) assert.match(client.packets[0]!, /^20 .. 00 81/);
        else assert.deepEqual(client.packets, [], "3.1.1: without a CONNACK");
      });
    }

    test("by another protocol's name is not served [MQTT-3.1.2-1], [MQTT311-3.1.2-1]", async () => {
      const client = await new RawClient(await world(), version).send(`10 0d 00 04 'MQTX' ${level} 02 00 3c 00 01 'c'`);
      assert.equal(client.open, false);
      assert.deepEqual(client.packets, ["20 02 00 01"]);
    });

    test("with a version that is not served is answered so, and the connection ends [MQTT-3.1.2-2], [MQTT311-3.1.2-2]", async () => {
      const client = await new RawClient(await world(), version).send("10 0d 00 04 'MQTT' 06 02 00 3c 00 01 'c'");
      assert.equal(client.open, false);
      assert.deepEqual(client.packets, ["20 02 00 01"]);
    });

    test("that is refused: Session Present 0, no DISCONNECT, the end, and nothing behind it is looked at [MQTT-3.2.2-6], [MQTT311-3.2.2-4], [MQTT-3.2.2-7], [MQTT311-3.2.2-5], [MQTT-3.1.4-2], [MQTT-3.1.4-6], [MQTT311-3.1.4-5], [MQTT-3.14.0-1]", async () => {
      const at = await world();
      const kept = await connected(at, version, "c", KEPT);
      await kept.cut();
      const watcher = await connected(at, version, "w");
      await watcher.subscribe("#");
      watcher.take();
      at.admit = () => ({ admitted: false, reasonCode: REASON.notAuthorized, reason: "not here" });
      const publish = five ? "30 04 00 01 'a' 00" : "30 03 00 01 'a'";
      const refused = await new RawClient(at, version).send(`${connect("00")} ${publish} c0 00`);
      assert.match(refused.packets[0]!, five ? /^20 .. 00 87/ : /^20 02 00 05$/);
      assert.equal(refused.packets.length, 1);
      assert.equal(refused.state, "ended");
      assert.deepEqual(watcher.take(), []);
    });

    test("takes a client identifier of 23 letters and digits, of one too [MQTT-3.1.3-5], [MQTT311-3.1.3-5]", async () => {
      for (const id of ["0", "ABCDEFGHIJKLMNOPQRSTUVW", "XYZabcdefghijklmnopqrst", "uvwxyz0123456789"]) {
        assert.ok(accepted((await new RawClient(await world(), version).connect(id)).packets[0]), id);
      }
    });

    test("with a client identifier that is refused is told so, and the connection ends [MQTT-3.1.3-8], [MQTT311-3.1.3-9]", async () => {
      const at = await world({ limits: { clientIdBytesMax: 10 } });
      const client = await new RawClient(at, version).connect("more than ten bytes");
      assert.match(client.packets[0]!, five ? /^20 .. 00 85/ : /^20 02 00 02$/);
      assert.equal(client.open, false);
    });

    test("without a client identifier gets one that nobody has [MQTT-3.1.3-6], [MQTT311-3.1.3-6], [MQTT-3.1.3-7], [MQTT-3.2.2-16]", async () => {
      const at = await world();
      const clients = [await new RawClient(at, version).connect(""), await new RawClient(at, version).connect("")];
      for (const client of clients) assert.ok(accepted(client.packets[0]));
      const ids = [...at.broker.connections()].map(({ clientId }) => clientId);
      assert.equal(new Set(ids).size, 2);
      const assigned = /12 00 1d (61 75 74 6f 2d (?:.. ){24})/;
      for (const [i, client] of clients.entries()) {
        const told = assigned.exec(`${client.packets[0]} `)?.[1];
        const text =
          told === undefined
            ? null
            : String.fromCharCode(
                ...told
                  .trim()
                  .split(" ")
                  .map((b) => Number.parseInt(b, 16)),
              );
        assert.equal(text, five ? ids[i] : null);
      }
    });

    if (!five) {
      test("without a client identifier, for a session that is to be kept, is answered with 2 [MQTT311-3.1.3-8]", async () => {
        const client = await new RawClient(await world(), 4).connect("", { cleanStart: false });
        assert.deepEqual(client.packets, ["20 02 00 02"]);
        assert.equal(client.open, false);
      });
    }

    test("of a client that is there takes its place [MQTT-3.1.4-3], [MQTT311-3.1.4-2]", async () => {
      const at = await world();
      const first = await connected(at, version, "c");
      const second = await connected(at, version, "c");
      assert.deepEqual([first.open, second.open], [false, true]);
      if (five) assert.match(first.packets[0]!, /^e0 .. 8e/, "Session taken over");
      else assert.deepEqual(first.packets, []);
      assert.deepEqual((await second.send("c0 00")).take(), ["d0 00"]);
    });
  });

  describe(`sessions, ${name}`, () => {
    const present = async (at: BrokerWorld, clientId: string, fields: object): Promise<number> => {
      const client = await new RawClient(at, version).connect(clientId, fields);
      const [first] = client.packets;
      await client.cut();
      return Number(first!.split(" ")[2]);
    };

    test("without Clean Start a session is made, outlives its connection and goes on, with what came meanwhile [MQTT-3.1.2-5], [MQTT-3.1.2-6], [MQTT-3.1.2-23], [MQTT311-3.1.2-4], [MQTT311-3.1.2-5], [MQTT-3.2.2-3], [MQTT311-3.2.2-2], [MQTT311-3.2.2-3], [MQTT311-4.1.0-1], [MQTT311-4.5.0-1]", async () => {
      const at = await world();
      assert.equal(await present(at, "c", KEPT), 0);
      const client = await connected(at, version, "c", KEPT);
      await client.subscribe("a");
      await client.cut();
      await (await connected(at, version, "p")).publish({ topic: "a", qos: 1, payload: "meanwhile" });
      const back = await new RawClient(at, version).connect("c", KEPT);
      assert.match(back.packets[0]!, /^20 .. 01 00/);
      assert.equal(back.packets[1], publishHex(version, { topic: "a", qos: 1, payload: "meanwhile" }));
    });

    test("lasts as long as its connection, whatever its expiry [MQTT-4.1.0-1], [MQTT311-4.1.0-2]", async () => {
      const at = await world({ limits: { sessionExpirySecondsMax: 5 } });
      const client = await connected(at, version, "c", KEPT);
      await client.subscribe("a");
      client.take();
      await at.run(20_000);
      await (await connected(at, version, "p")).publish({ topic: "a" });
      assert.equal(client.take().at(-1), publishHex(version, { topic: "a" }));
    });

    test("Clean Start discards it [MQTT-3.1.2-4], [MQTT311-3.1.2-6], [MQTT-3.1.4-4], [MQTT311-3.1.4-3], [MQTT-3.2.2-2], [MQTT311-3.2.2-1]", async () => {
      const at = await world();
      const client = await connected(at, version, "c", KEPT);
      await client.subscribe("a");
      await client.cut();
      const clean = await new RawClient(at, version).connect("c", { cleanStart: true });
      assert.match(clean.packets[0]!, /^20 .. 00 00/);
      clean.take();
      await (await connected(at, version, "p")).publish({ topic: "a", qos: 1 });
      assert.deepEqual(clean.take(), []);
      await clean.cut();
      assert.equal(await present(at, "c", KEPT), 0, "a clean session ends with its connection");
    });

    test("belongs to its client identifier alone [MQTT-3.1.3-2], [MQTT311-3.1.3-2]", async () => {
      const at = await world();
      const client = await connected(at, version, "c", KEPT);
      await client.subscribe("a");
      await client.cut();
      for (const other of ["C", "c ", "cc"]) assert.equal(await present(at, other, KEPT), 0, other);
      assert.equal(await present(at, "c", KEPT), 1);
    });

    test("does not take retained messages along when it ends [MQTT311-3.1.2-7]", async () => {
      const at = await world();
      const client = await connected(at, version, "c", { cleanStart: true });
      await client.publish({ topic: "a", retain: true });
      await client.cut();
      const late = await connected(at, version, "late");
      await late.subscribe("a");
      assert.equal(late.take()[1], publishHex(version, { topic: "a", retain: true }));
    });
  });

  describe(`wills, ${name}`, () => {
    const watched = async (): Promise<{ at: BrokerWorld; watcher: RawClient }> => {
      const at = await world();
      const watcher = await connected(at, version, "watcher");
      await watcher.subscribe("#", { qos: 1 });
      watcher.take();
      return { at, watcher };
    };
    const gone = (packetId = 1): string => publishHex(version, { topic: "w", qos: 1, payload: "gone", packetId });

    test("are published when the connection is lost, once [MQTT-3.1.2-7], [MQTT-3.1.2-8], [MQTT311-3.1.2-8], [MQTT-3.1.2-10], [MQTT311-3.1.2-10]", async () => {
      const { at, watcher } = await watched();
      for (let i = 0; i < 2; i++) {
        const client = await connected(at, version, "c", { ...KEPT, ...(i === 0 ? { will: will() } : {}) });
        assert.deepEqual(watcher.take(), []);
        await client.cut();
        assert.deepEqual(watcher.take(), i === 0 ? [gone()] : [], "the next connection has none [MQTT311-3.1.2-12]");
      }
    });

    test("are not there where none was set [MQTT311-3.1.2-12]", async () => {
      const { at, watcher } = await watched();
      await (await connected(at, version, "c")).cut();
      assert.deepEqual(watcher.take(), []);
    });

    test("are discarded by DISCONNECT [MQTT-3.14.4-3], [MQTT311-3.14.4-3], [MQTT311-3.1.2-10]", async () => {
      const { at, watcher } = await watched();
      const client = await connected(at, version, "c", { will: will() });
      await client.send("e0 00");
      assert.equal(client.open, false);
      await at.run(60_000);
      assert.deepEqual(watcher.take(), []);
    });

    for (const retain of [false, true]) {
      test(`are ${retain ? "" : "not "}retained as their client asked ${retain ? "[MQTT-3.1.2-15], [MQTT311-3.1.2-17]" : "[MQTT-3.1.2-14], [MQTT311-3.1.2-16]"}`, async () => {
        const { at } = await watched();
        await (await connected(at, version, "c", { will: will({ retain, qos: 0 }) })).cut();
        const late = await connected(at, version, "late");
        await late.subscribe("w");
        const expected = retain ? [publishHex(version, { topic: "w", payload: "gone", retain: true })] : [];
        assert.deepEqual(late.take().slice(1), expected);
      });
    }

    test("are published for a client that is silent for one and a half keep-alives, not before [MQTT-3.1.2-22], [MQTT311-3.1.2-24]", async () => {
      const { at, watcher } = await watched();
      const client = await connected(at, version, "c", { will: will(), keepAliveSeconds: 10 });
      await at.run(14_000);
      assert.equal(client.open, true);
      await client.send("c0 00");
      await at.run(14_000);
      assert.equal(client.open, true, "any packet counts");
      await at.run(2_000);
      assert.equal(client.open, false);
      assert.deepEqual(watcher.take(), [gone()]);
    });
  });

  describe(`the end, ${name}`, () => {
    test("PINGREQ is answered with PINGRESP [MQTT-3.12.4-1], [MQTT311-3.12.4-1]", async () => {
      const client = await connected(await world(), version, "c");
      assert.deepEqual((await client.send("c0 00 c0 00")).take(), ["d0 00", "d0 00"]);
    });

    test("where the log takes nothing, nothing is acknowledged and the connection ends [MQTT311-4.8.0-2]", async () => {
      const at = await world();
      const client = await connected(at, version, "c");
      at.journal.append = () => {
        throw new Error("EIO");
      };
      await client.publish({ topic: "a", qos: 1 });
      assert.equal(client.open, false);
      if (five) assert.match(client.packets[0]!, /^e0 .. 8[08]|^e0 .. 83/);
      else assert.deepEqual(client.packets, []);
    });
  });
}

describe("5.0 only", () => {
  test("answers carry a reason code and nothing else where more would not fit [MQTT-3.4.2-2], [MQTT-3.4.2-3], [MQTT-3.9.2-1], [MQTT-3.9.2-2], [MQTT-3.11.2-1], [MQTT-3.11.2-2], or is not wanted [MQTT-3.1.2-29]", async () => {
    for (const unwanted of [{ maximumPacketSize: 40 }, { requestProblemInformation: false }]) {
      const at = await world();
      at.policy("c").change({ publish: (topic) => topic !== "no", subscribe: (filter) => filter !== "no" });
      const client = await connected(at, 5, "c", unwanted);
      await client.publish({ topic: "no", qos: 1, packetId: 7 });
      await client.subscribe("no", { packetId: 8 });
      await client.say((w) => w.unsubscribe({ packetId: 9, filters: ["no"] }));
      assert.deepEqual(client.take(), ["40 03 00 07 87", "90 04 00 08 00 87", "b0 04 00 09 00 11"]);
    }
  });

  test("a Will whose client is back before its delay has passed is gone for good [MQTT-3.1.2-8], [MQTT-3.1.3-9]", async () => {
    for (const back of [true, false]) {
      const at = await world();
      const watcher = await connected(at, 5, "watcher", { keepAliveSeconds: 0 });
      await watcher.subscribe("w", { qos: 0 });
      watcher.take();
      await (await connected(at, 5, "c", { ...KEPT, will: will({ delaySeconds: 5 }) })).cut();
      await at.run(3_000);
      if (back) await (await connected(at, 5, "c", KEPT)).send("e0 00");
      await at.run(1_000);
      assert.deepEqual(watcher.take(), [], "not before its delay");
      await at.run(30_000);
      assert.deepEqual(watcher.take(), back ? [] : [publishHex(5, { topic: "w", payload: "gone" })]);
    }
  });

  test("the Will's user properties keep their order [MQTT-3.1.3-10]", async () => {
    const at = await world();
    const watcher = await connected(at, 5, "watcher");
    await watcher.subscribe("w", { qos: 0 });
    watcher.take();
    const userProperties = [
      ["b", "1"],
      ["a", "2"],
      ["b", "0"],
    ] as const;
    await (await connected(at, 5, "c", { will: will({ properties: { userProperties } }) })).cut();
    const pairs = userProperties.map(
      ([k, v]) => `26 00 01 ${k.charCodeAt(0).toString(16)} 00 01 ${v.charCodeAt(0).toString(16)}`,
    );
    assert.deepEqual(watcher.take(), [`30 1d 00 01 77 15 ${pairs.join(" ")} 67 6f 6e 65`]);
  });

  test("DISCONNECT of 0x80 or more, from either side, ends the connection [MQTT-4.13.2-1]; ours is the last packet [MQTT-3.14.4-1], [MQTT-3.14.4-2], and carries no session expiry [MQTT-3.14.2-2]", async () => {
    const at = await world();
    const client = await connected(at, 5, "c");
    await client.send("e0 01 80 c0 00");
    assert.deepEqual([client.state, client.take()], ["ended", []]);
    const other = await connected(at, 5, "o");
    await other.subscribe("a");
    other.take();
    at.broker.disconnect(({ clientId }) => clientId === "o", REASON.administrativeAction, "enough");
    await (await connected(at, 5, "p")).publish({ topic: "a" });
    await other.send("c0 00");
    assert.deepEqual([other.state, other.takeTypes()], ["ended", "e"]);
  });

  test("DISCONNECT does not leave where it does not fit, and the connection ends all the same [MQTT-4.13.2-1], [MQTT-3.14.2-3], [MQTT-3.14.2-4]", async () => {
    const at = await world();
    const client = await connected(at, 5, "c", { maximumPacketSize: 40 });
    at.broker.disconnect(() => true, REASON.administrativeAction, "a reason of more than forty bytes, all told");
    await at.run();
    assert.deepEqual([client.take(), client.state], [["e0 01 98"], "ended"]);
  });
});
