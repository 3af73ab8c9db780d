import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { listing } from "../../../sim/listing.ts";
import { LIMITS } from "../../base/mod.ts";
import type { MessageProperties } from "../../base/mod.ts";
import { connectPacket } from "./connect-packet.ts";
import { PacketError } from "./fault.ts";
import { BufferPool } from "./output.ts";
import { openReader, packetBytes, recording } from "./packets.fixture.ts";
import type { PublishValue } from "./packets.fixture.ts";
import { PacketReader } from "./reader.ts";
import { REASON, connackV3 } from "./reason.ts";
import type { ProtocolVersion, PublishView } from "./types.ts";
import { PacketWriter } from "./writer.ts";
import type { ForwardFields } from "./writer.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

const MESSAGE: PublishValue = {
  type: "publish",
  topic: "a/b",
  payload: bytesOf("hi"),
  qos: 1,
  retain: true,
  dup: true,
  packetId: 10,
  topicAlias: 0,
  properties: null,
  subscriptionIdentifiers: [],
};

const PROPERTIES: MessageProperties = {
  payloadFormat: 1,
  messageExpirySeconds: 60,
  contentType: "j",
  responseTopic: "r/t",
  correlationData: Uint8Array.of(0, 0xff),
  userProperties: [
    ["k", "v"],
    ["k", "w".repeat(200)],
  ],
};

/** Lets a reader of `from` receive the packet and a writer of `to` forward it; gives what comes out at the other end. */
function forwarded(
  value: PublishValue,
  from: ProtocolVersion,
  to: ProtocolVersion,
  fields: ForwardFields,
): PublishValue {
  const bytes = forwardedBytes(packetBytes(from, value), from, to, fields);
  const { reader, values } = openReader("client", to);
  reader.push(bytes);
  assert.equal(values.length, 1);
  const [delivered] = values;
  assert.ok(delivered?.type === "publish");
  return delivered;
}

function forwardedBytes(
  bytes: Uint8Array,
  from: ProtocolVersion,
  to: ProtocolVersion,
  fields: ForwardFields,
): Uint8Array {
  const writer = new PacketWriter(to);
  const reader = new PacketReader(
    { ...recording([]), publish: (view: PublishView) => writer.forward(view, fields) },
    { role: "server", limits: LIMITS.mqtt },
  );
  reader.push(packetBytes(from, { type: "connect", packet: connectPacket({ version: from, clientId: "c" }) }));
  reader.push(bytes);
  return writer.take();
}

/** The same with `forwardAliased`, both ends MQTT 5.0. */
function aliased(value: PublishValue, fields: ForwardFields, alias: number, named: boolean): PublishValue {
  const writer = new PacketWriter(5);
  const handler = {
    ...recording([]),
    publish: (view: PublishView) => writer.forwardAliased(view, fields, alias, named),
  };
  const source = new PacketReader(handler, { role: "server", limits: LIMITS.mqtt });
  source.push(packetBytes(5, { type: "connect", packet: connectPacket({ version: 5, clientId: "c" }) }));
  source.push(packetBytes(5, value));
  const { reader, values } = openReader("client", 5);
  reader.push(writer.take());
  const [delivered] = values;
  assert.ok(delivered?.type === "publish" && values.length === 1);
  return delivered;
}

suite("forward", () => {
  const to1: ForwardFields = { qos: 1, retain: false, packetId: 0x0203 };
  const to0: ForwardFields = { qos: 0, retain: false, packetId: 0 };

  test("a plain packet is copied, with another first byte and packet identifier; DUP is not passed on [MQTT-3.3.1-3]", () => {
    const bytes = listing("3b 09 00 03 'a/b' 00 0a 'hi'");
    assert.deepEqual(forwardedBytes(bytes, 4, 4, to1), listing("32 09 00 03 'a/b' 02 03 'hi'"));
    assert.deepEqual(forwardedBytes(bytes, 4, 4, { ...to1, retain: true }), listing("33 09 00 03 'a/b' 02 03 'hi'"));
    assert.deepEqual(forwardedBytes(bytes, 4, 4, to0), listing("30 07 00 03 'a/b' 'hi'"));
    assert.deepEqual(forwardedBytes(bytes, 4, 5, to1), listing("32 0a 00 03 'a/b' 02 03 00 'hi'"));
    assert.deepEqual(forwardedBytes(bytes, 4, 5, to0), listing("30 08 00 03 'a/b' 00 'hi'"));
  });

  test("a padded remaining length of a 3.1.1 client is not passed on", () => {
    assert.deepEqual(
      forwardedBytes(listing("30 87 80 80 00 00 03 'a/b' 'hi'"), 4, 4, to0),
      listing("30 07 00 03 'a/b' 'hi'"),
    );
  });

  for (const from of [4, 5] as const) {
    for (const to of [4, 5] as const) {
      for (const fields of [to0, to1, { ...to1, qos: 2 } as const]) {
        for (const qos of [0, 1, 2] as const) {
          for (const properties of [null, PROPERTIES]) {
            for (const size of [0, 1, 100, 127, 20_000]) {
              const payload = new Uint8Array(size).fill(0x5a);
              const title = `${from} QoS ${qos} to ${to} QoS ${fields.qos}, ${size} bytes, ${properties === null ? "no" : "with"} properties`;
              test(title, () => {
                const value = { ...MESSAGE, payload, qos, dup: false, packetId: qos === 0 ? 0 : 10, properties };
                assert.deepEqual(forwarded(value, from, to, fields), {
                  ...value,
                  qos: fields.qos,
                  retain: false,
                  packetId: fields.qos === 0 ? 0 : fields.packetId,
                  properties: from === 5 && to === 5 ? properties : null,
                });
              });
            }
          }
        }
      }
    }
  }

  test("payload format [MQTT-3.3.2-4], response topic [MQTT-3.3.2-15], correlation data [MQTT-3.3.2-16], user properties [MQTT-3.3.2-17] in their order [MQTT-3.3.2-18] and content type [MQTT-3.3.2-20] go on unaltered", () => {
    const message = { ...MESSAGE, properties: PROPERTIES };
    assert.deepEqual(forwarded(message, 5, 5, to1).properties, PROPERTIES);
    assert.deepEqual(forwarded({ ...message, topicAlias: 2 }, 5, 5, to0).properties, PROPERTIES);
  });

  for (const qos of [0, 1, 2] as const) {
    for (const properties of [null, PROPERTIES]) {
      for (const identifiers of [undefined, [5, 300_000]]) {
        for (const size of [0, 119, 20_000]) {
          const title = `with an alias: QoS ${qos}, ${size} bytes, ${properties === null ? "no" : "with"} properties, ${identifiers === undefined ? "no" : "with"} identifiers`;
          test(title, () => {
            const value = { ...MESSAGE, dup: false, payload: new Uint8Array(size).fill(0x5a), properties };
            const to = { ...to1, qos, ...(identifiers === undefined ? {} : { subscriptionIdentifiers: identifiers }) };
            const fields = { retain: false, qos, packetId: qos === 0 ? 0 : to1.packetId };
            const told = { ...value, ...fields, topicAlias: 7, subscriptionIdentifiers: identifiers ?? [] };
            assert.deepEqual(aliased({ ...value, topicAlias: 3 }, to, 7, true), told);
            assert.deepEqual(aliased(value, to, 7, false), { ...told, topic: "" });
          });
        }
      }
    }
  }

  test("subscription identifiers are added for 5.0 and left out for 3.1.1", () => {
    const fields = { ...to1, subscriptionIdentifiers: [5, 300_000] };
    assert.deepEqual(forwarded(MESSAGE, 4, 5, fields).subscriptionIdentifiers, [5, 300_000]);
    const both = forwarded({ ...MESSAGE, properties: PROPERTIES }, 5, 5, fields);
    assert.deepEqual(both.subscriptionIdentifiers, [5, 300_000]);
    assert.deepEqual(both.properties, PROPERTIES);
    assert.deepEqual(forwarded(MESSAGE, 5, 4, fields).subscriptionIdentifiers, []);
  });

  test("a topic alias stays on its connection; the topic is the packet's, or the caller's where that is empty", () => {
    const named = forwarded({ ...MESSAGE, topicAlias: 3, properties: PROPERTIES }, 5, 5, to1);
    assert.deepEqual([named.topic, named.topicAlias, named.properties], ["a/b", 0, PROPERTIES]);
    const known = { ...MESSAGE, topic: "", topicAlias: 3, properties: PROPERTIES };
    const resolved = forwarded(known, 5, 5, { ...to1, topic: bytesOf("known/by/alias") });
    assert.deepEqual([resolved.topic, resolved.topicAlias, resolved.properties], ["known/by/alias", 0, PROPERTIES]);
    assert.equal(forwarded(known, 5, 4, { ...to0, topic: bytesOf("x") }).topic, "x");
    assert.throws(() => forwarded(known, 5, 5, to1), PacketError);
  });
});

suite("what cannot be said in MQTT", () => {
  test("throws, and leaves nothing of the packet behind", () => {
    const writer = new PacketWriter(5);
    writer.pingreq();
    const huge = "x".repeat(65_536);
    assert.throws(() => writer.publish({ ...MESSAGE, topic: huge }), { reasonCode: REASON.packetTooLarge });
    assert.throws(() => writer.publish({ ...MESSAGE, properties: { contentType: huge } }), PacketError);
    assert.throws(() => writer.publish({ ...MESSAGE, packetId: 0 }), { reasonCode: REASON.protocolError });
    assert.throws(() => writer.unsubscribe({ packetId: 1, filters: ["a", huge] }), PacketError);
    const noName = connectPacket({ version: 4, clientId: "c", password: bytesOf("p") });
    assert.throws(() => new PacketWriter(4).connect(noName), PacketError);
    assert.deepEqual(writer.take(), Uint8Array.of(0xc0, 0));
  });

  test("rewind takes back a packet above the peer's Maximum Packet Size [MQTT-3.1.2-24]", () => {
    const writer = new PacketWriter(4);
    writer.pingresp();
    const before = writer.length;
    writer.publish(MESSAGE);
    writer.rewind(before);
    writer.pingresp();
    assert.deepEqual(writer.take(), Uint8Array.of(0xd0, 0, 0xd0, 0));
  });
});

suite("3.1.1", () => {
  test("CONNACK's reason codes become its return codes, and mapping twice changes nothing (section 3.2.2.3 of 3.1.1)", () => {
    for (const code of Object.values(REASON)) {
      const mapped = connackV3(code);
      assert.ok(mapped >= 0 && mapped <= 5, `0x${code.toString(16)} became ${mapped}`);
      assert.equal(connackV3(mapped), mapped);
      assert.ok(code < 0x80 || mapped > 0, "a refusal stays one");
    }
    const expected = [
      [REASON.unsupportedProtocolVersion, 1],
      [REASON.clientIdentifierNotValid, 2],
      [REASON.serverUnavailable, 3],
      [REASON.badUserNameOrPassword, 4],
      [REASON.notAuthorized, 5],
    ] as const;
    for (const [code, mapped] of expected) assert.equal(connackV3(code), mapped);
  });

  test("a refusal says that there is no session, whatever the caller says [MQTT311-3.2.2-4], [MQTT-3.2.2-6]", () => {
    const refusal = { sessionPresent: true, reasonCode: REASON.notAuthorized };
    assert.deepEqual(packetBytes(4, { type: "connack", packet: refusal }), listing("20 02 00 05"));
    assert.deepEqual(packetBytes(5, { type: "connack", packet: refusal }), listing("20 03 00 87 00"));
  });

  test("what it has no words for is left out", () => {
    const writer = new PacketWriter(4);
    writer.connack({ sessionPresent: false, reasonCode: REASON.notAuthorized, reasonString: "no", receiveMaximum: 3 });
    writer.acknowledge("puback", 1, REASON.quotaExceeded, "no");
    writer.suback({ packetId: 1, reasonCodes: [1, REASON.notAuthorized], reasonString: "no" });
    writer.unsuback({ packetId: 2, reasonCodes: [0] });
    writer.disconnect({ reasonCode: REASON.serverShuttingDown, reasonString: "bye" });
    assert.deepEqual(writer.take(), listing("20 02 00 05  40 02 00 01  90 04 00 01 01 80  b0 02 00 02  e0 00"));
  });
});

suite("output buffers", () => {
  test("packets of one turn gather in the order of writing, and leave together", () => {
    const writer = new PacketWriter(4, { initialBytes: 64 });
    for (let i = 1; i <= 100; i++) {
      writer.publish({ ...MESSAGE, packetId: i });
      writer.acknowledge("puback", i);
    }
    const taken = writer.take();
    assert.equal(writer.length, 0);
    const { reader, values } = openReader("client", 4);
    reader.push(taken);
    assert.equal(values.length, 200);
    assert.deepEqual(
      values.map((value) => (value.type === "publish" || value.type === "acknowledge" ? value.packetId : 0)),
      Array.from({ length: 200 }, (_, i) => 1 + (i >> 1)),
    );
  });

  test("bytes that were taken do not change until they are given back", () => {
    const writer = new PacketWriter(4);
    writer.publish(MESSAGE);
    const taken = writer.take();
    const copy = taken.slice();
    for (let i = 0; i < 1000; i++) writer.pingreq();
    assert.deepEqual(taken, copy);
  });

  test("a buffer given back is used again, by any writer of the pool", () => {
    const pool = new BufferPool({ bufferBytes: 128 });
    const one = new PacketWriter(4, { pool });
    const two = new PacketWriter(5, { pool });
    one.pingreq();
    const taken = one.take();
    one.giveBack(taken);
    two.pingreq();
    assert.equal(two.take().buffer, taken.buffer);
  });

  test("a buffer given back twice, or never lent, is not lent to two writers", () => {
    const pool = new BufferPool({ bufferBytes: 128 });
    const writer = new PacketWriter(4, { pool });
    writer.pingreq();
    const taken = writer.take();
    writer.giveBack(taken);
    writer.giveBack(taken);
    writer.giveBack(new Uint8Array(128));
    writer.giveBack(new BufferPool({ bufferBytes: 128 }).lend());
    const [a, b] = [pool.lend(), pool.lend()];
    assert.notEqual(a.buffer, b.buffer);
    assert.ok([a, b].some(({ buffer }) => buffer === taken.buffer));
    assert.equal(a.length, 128);
  });

  test("growing beyond a pooled buffer loses nothing, and gives the pooled one back", () => {
    const pool = new BufferPool({ bufferBytes: 64 });
    const writer = new PacketWriter(4, { pool });
    writer.pingreq();
    writer.publish({ ...MESSAGE, payload: new Uint8Array(1000) });
    assert.equal(writer.take().length, 2 + 3 + 5 + 2 + 1000);
    assert.equal(pool.lend().length, 64);
  });

  test("who says little is lent little; who goes on gets a large block in its place, and loses nothing", () => {
    const pool = new BufferPool({ bufferBytes: 1024, smallBytes: 64, keepMax: 1 });
    const small = pool.lendFor(64);
    pool.giveBack(small);
    const writer = new PacketWriter(4, { pool });
    const { reader, values } = openReader("client", 4);
    for (let i = 1; i <= 3; i++) writer.acknowledge("puback", i);
    const few = writer.takeBlock();
    assert.equal(few.buffer, small.buffer);
    reader.push(few);
    writer.giveBack(few);
    for (let i = 4; i <= 50; i++) writer.acknowledge("puback", i);
    assert.equal(pool.lendFor(1).buffer, small.buffer, "it is free again");
    const many = writer.takeBlock();
    assert.equal(many.buffer.byteLength, 1024);
    assert.equal(writer.length, 0, "one block");
    reader.push(many);
    writer.giveBack(many);
    writer.publish({ ...MESSAGE, payload: new Uint8Array(10) });
    writer.publish({ ...MESSAGE, payload: new Uint8Array(1010) });
    const blocks = [writer.takeBlock(), writer.takeBlock()];
    for (const block of blocks) reader.push(block);
    assert.equal(blocks[0]!.buffer.byteLength, 64, "the next packet does not fit a large one with it");
    assert.deepEqual([values.length, writer.length], [52, 0]);
  });

  test("more than a block holds is taken block by block, without a packet torn between two, and copied by none", () => {
    const pool = new BufferPool({ bufferBytes: 64 });
    const writer = new PacketWriter(4, { pool });
    for (let i = 1; i <= 50; i++) writer.publish({ ...MESSAGE, payload: new Uint8Array(i % 7), packetId: i });
    writer.publish({ ...MESSAGE, payload: new Uint8Array(1000), packetId: 51 });
    writer.pingreq();
    const { length } = writer;
    const { reader, values } = openReader("client", 4);
    let taken = 0;
    let pings = 0;
    while (writer.length > 0) {
      const block = writer.takeBlock();
      taken += block.length;
      assert.equal(writer.length, length - taken);
      if (block.at(-2) === 0xc0) {
        pings++; // a client's reader takes none
        reader.push(block.subarray(0, -2));
      } else reader.push(block);
      assert.equal(reader.keptBytes, 0, "whole packets");
      writer.giveBack(block);
    }
    assert.deepEqual([taken, pings, values.length], [length, 1, 51]);
    assert.equal(writer.takeBlock().length, 0);
  });

  test("the same is taken at once where that is wanted; a packet that is taken back leaves the closed blocks alone", () => {
    const [small, large] = [64, 4096].map(
      (bufferBytes) => new PacketWriter(4, { pool: new BufferPool({ bufferBytes }) }),
    );
    for (const writer of [small!, large!]) {
      for (let i = 1; i <= 20; i++) {
        writer.publish({ ...MESSAGE, packetId: i });
        const before = writer.length;
        writer.publish({ ...MESSAGE, payload: new Uint8Array(60) });
        writer.rewind(before);
        assert.equal(writer.length, before);
      }
    }
    assert.deepEqual(small!.take(), large!.take());
  });
});
