import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { listing } from "../../../sim/listing.ts";
import { LIMITS } from "../../base/mod.ts";
import { connectPacket } from "./connect-packet.ts";
import { PacketError } from "./fault.ts";
import { BufferPool } from "./output.ts";
import { newReader, openReader, packetBytes, recording } from "./packets.fixture.ts";
import type { PacketValue } from "./packets.fixture.ts";
import { topicOf } from "./publish-view.ts";
import { PacketReader } from "./reader.ts";
import { REASON } from "./reason.ts";
import type { PublishView } from "./types.ts";

const SERVER_4 = { role: "server", version: 4, limits: LIMITS.mqtt } as const;
const CONNECT_4 = packetBytes(4, { type: "connect", packet: connectPacket({ version: 4, clientId: "c" }) });

function publishBytes(version: 4 | 5, payloadBytes: number): Uint8Array {
  return packetBytes(version, {
    type: "publish",
    topic: "a/b",
    payload: new Uint8Array(payloadBytes).fill(7),
    qos: 1,
    retain: false,
    dup: false,
    packetId: 9,
    topicAlias: 0,
    properties: null,
    subscriptionIdentifiers: [],
  });
}

function refusedWith(reasonCode: number): (error: unknown) => boolean {
  return (error) => error instanceof PacketError && error.reasonCode === reasonCode;
}

suite("a packet that comes in pieces", () => {
  test("is assembled from chunks of every size, and what follows it is read too", () => {
    const bytes = Uint8Array.from([...publishBytes(4, 3000), 0xc0, 0, ...publishBytes(4, 20)]);
    for (const size of [1, 2, 3, 7, 255, 256, 257, 1000, 3010, 5000]) {
      const { reader, values } = openReader("server", 4);
      for (let at = 0; at < bytes.length; at += size) reader.push(bytes.slice(at, at + size));
      assert.deepEqual(
        values.map((value) => (value.type === "publish" ? value.payload.length : value.type)),
        [3000, "pingreq", 20],
        `chunks of ${size}`,
      );
      assert.equal(reader.keptBytes, 0);
    }
  });

  test("reserves no memory that it only announces", () => {
    const { reader } = openReader("server", 4);
    reader.push(Uint8Array.of(0x30, 0x80, 0x80, 0x3f)); // almost 1 MiB to come
    assert.ok(reader.keptBytes <= 8);
    reader.push(new Uint8Array(1000));
    assert.ok(reader.keptBytes <= 4096, `${reader.keptBytes} bytes kept for 1004`);
  });

  test("does not hold on to the chunk that it came in", () => {
    const chunk = publishBytes(4, 10);
    let seen: PublishView | null = null;
    const reader = new PacketReader({ ...recording([]), publish: (view) => (seen = view) }, SERVER_4);
    reader.push(CONNECT_4);
    reader.push(chunk);
    assert.equal(seen!.buffer.length, 0);
  });
});

suite("limits", () => {
  test("a packet of exactly the limit is taken, one byte more is refused before its body is kept", () => {
    // 4 bytes of fixed header, 5 of topic, 2 of packet identifier
    const fits = publishBytes(4, LIMITS.mqtt.packetBytesMax - 11);
    assert.equal(fits.length, LIMITS.mqtt.packetBytesMax);
    const { reader, values } = openReader("server", 4);
    reader.push(fits);
    assert.equal(values.length, 1);
    assert.throws(() => reader.push(publishBytes(4, LIMITS.mqtt.packetBytesMax - 10).slice(0, 4)), {
      reasonCode: REASON.packetTooLarge,
    });
    assert.equal(reader.keptBytes, 0);
  });

  test("CONNECT has a limit of its own, which ends with it", () => {
    const { reader } = newReader("server", 4);
    assert.throws(() => reader.push(Uint8Array.of(0x10, 0xfd, 0xff, 0x03)), refusedWith(REASON.packetTooLarge));
    const opened = openReader("server", 4);
    opened.reader.push(publishBytes(4, LIMITS.mqtt.connectBytesMax));
    assert.equal(opened.values.length, 1);
  });

  test("a client takes a CONNACK above the limit of a CONNECT", () => {
    const { reader, values } = newReader("client", 5);
    const text = "x".repeat(40_000);
    reader.push(
      packetBytes(5, {
        type: "connack",
        packet: { sessionPresent: false, reasonCode: 0, reasonString: text, serverReference: text },
      }),
    );
    assert.equal(values.length, 1);
  });
});

suite("the end of reading", () => {
  const three = Uint8Array.from([0xc0, 0, 0xc0, 0, 0xc0, 0]);

  test("stop, called by a handler, lets nothing more through, of this chunk or later", () => {
    let pings = 0;
    const reader: PacketReader = new PacketReader(
      {
        ...recording([]),
        pingreq: () => {
          if (++pings === 2) reader.stop();
        },
      },
      SERVER_4,
    );
    reader.push(CONNECT_4);
    reader.push(three);
    reader.push(three);
    assert.equal(pings, 2);
  });

  test("what a handler throws leaves push, and the reader takes no more", () => {
    const values: PacketValue[] = [];
    const reader = new PacketReader(
      {
        ...recording(values),
        pingreq: () => {
          throw new RangeError("handler's own");
        },
      },
      SERVER_4,
    );
    reader.push(CONNECT_4);
    assert.throws(() => reader.push(three), RangeError);
    reader.push(three);
    assert.deepEqual(
      values.map((value) => value.type),
      ["connect"],
    );
  });

  test("packets before a malformed one are delivered, and the refusal is repeated", () => {
    const { reader, values } = openReader("server", 4);
    assert.throws(() => reader.push(Uint8Array.of(0xc0, 0, 0x00, 0, 0xc0, 0)), refusedWith(REASON.malformedPacket));
    assert.throws(() => reader.push(Uint8Array.of(0xc0, 0)), refusedWith(REASON.malformedPacket));
    assert.equal(values.length, 1);
  });

  test("a handler that pushes into its own reader is told so", () => {
    const reader: PacketReader = new PacketReader(
      { ...recording([]), pingreq: () => reader.push(three) },
      { role: "server", limits: LIMITS.mqtt },
    );
    reader.push(CONNECT_4);
    assert.throws(() => reader.push(three), /its own reader/);
  });
});

suite("the version", () => {
  test("is what CONNECT says, also one that is refused, so that its CONNACK can be understood", () => {
    const { reader } = newReader("server", 4);
    assert.equal(reader.version, 4);
    const connect = packetBytes(5, { type: "connect", packet: connectPacket({ version: 5, clientId: "" }) });
    connect[9]! |= 1; // the reserved connect flag
    assert.throws(() => reader.push(connect), refusedWith(REASON.malformedPacket));
    assert.equal(reader.version, 5);
  });

  test("a persistent session of 3.1.1 never expires by itself, one of 5.0 at once", () => {
    for (const [version, expiry] of [
      [4, 0xffff_ffff],
      [5, 0],
    ] as const) {
      const { reader, values } = newReader("server", version);
      const packet = connectPacket({ version, clientId: "c", cleanStart: false, sessionExpirySeconds: 0 });
      reader.push(packetBytes(version, { type: "connect", packet }));
      assert.equal(values[0]?.type === "connect" && values[0].packet.sessionExpirySeconds, expiry);
    }
  });
});

suite("topicOf", () => {
  function topic(bytes: readonly number[], limits = LIMITS.mqtt as { topicBytesMax: number; topicLevelsMax: number }) {
    let result = "";
    const reader = new PacketReader(
      { ...recording([]), publish: (view) => (result = topicOf(view, limits)) },
      SERVER_4,
    );
    reader.push(CONNECT_4);
    reader.push(Uint8Array.from([0x30, bytes.length + 2, bytes.length >> 8, bytes.length, ...bytes]));
    return result;
  }
  const ascii = (text: string): number[] => Array.from(text, (c) => c.charCodeAt(0));

  test("gives the text, of any length and alphabet", () => {
    assert.equal(topic(ascii("$aws/things/p1/shadow/update")), "$aws/things/p1/shadow/update");
    assert.equal(topic([0xc3, 0xa4]), "ä");
    assert.equal(topic(ascii("a".repeat(100))), "a".repeat(100));
  });

  test("refuses ill-formed UTF-8 [MQTT-1.5.4-1] and U+0000 [MQTT-1.5.4-2] as malformed", () => {
    for (const bytes of [[0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xff], [0x61, 0xc3], [0x61, 0], [0xf5, 0x80, 0x80, 0x80]]) {
      assert.throws(() => topic(bytes), refusedWith(REASON.malformedPacket), String(bytes));
    }
  });

  test("refuses wildcards [MQTT-3.3.2-2], depth and length as an invalid topic name", () => {
    assert.throws(() => topic(ascii("a/+")), refusedWith(REASON.topicNameInvalid));
    assert.throws(() => topic(ascii("a/#")), refusedWith(REASON.topicNameInvalid));
    assert.throws(() => topic(ascii("/".repeat(64))), refusedWith(REASON.topicNameInvalid));
    assert.throws(
      () => topic(ascii("ab"), { topicBytesMax: 1, topicLevelsMax: 9 }),
      refusedWith(REASON.topicNameInvalid),
    );
  });
});

test("a Buffer as chunk reaches the handler as a plain array, whose slice is a copy", () => {
  const chunk = Buffer.from(publishBytes(4, 4));
  let kept: Uint8Array = new Uint8Array(0);
  const reader = new PacketReader(
    { ...recording([]), publish: (view) => (kept = view.buffer.slice(view.payloadStart, view.payloadEnd)) },
    SERVER_4,
  );
  reader.push(CONNECT_4);
  reader.push(chunk);
  chunk.fill(0);
  assert.deepEqual(kept, new Uint8Array(4).fill(7));
});

test("what a paused reader keeps is copied once, into memory that is lent, and given back when all of it is delivered", () => {
  const pool = new BufferPool({ bufferBytes: 4_096, keepMax: 4 });
  const first = pool.lend();
  pool.giveBack(first);
  const seen: number[] = [];
  const memory = new Set<ArrayBufferLike>();
  const reader: PacketReader = new PacketReader(
    {
      ...recording([]),
      publish: (view) => {
        memory.add(view.buffer.buffer);
        seen.push(view.buffer[view.payloadStart]!);
        reader.pause();
      },
    },
    { role: "server", limits: LIMITS.mqtt, pool },
  );
  reader.push(CONNECT_4);
  const chunk = Uint8Array.from(Array.from({ length: 200 }, (_, i) => [0x30, 8, 0, 1, 0x78, i, 0, 0, 0, 0]).flat());
  reader.push(chunk);
  chunk.fill(0);
  while (seen.length < 200) {
    const before = pool.lend();
    assert.notEqual(before.buffer, first.buffer, "it is in use");
    reader.resume();
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 200 }, (_, i) => i),
  );
  assert.deepEqual([...memory], [chunk.buffer, first.buffer]);
  reader.resume();
  assert.equal(pool.lend().buffer, first.buffer);
});

test("a paused reader keeps what follows, at whatever byte the chunks are cut, and goes on in order", () => {
  const connect = packetBytes(5, { type: "connect", packet: connectPacket({ version: 5, clientId: "c" }) });
  const rest = listing("c0 00 30 05 00 01 'a' 00 'x' c0 00");
  for (let cut = 0; cut <= rest.length; cut++) {
    const seen: string[] = [];
    const reader: PacketReader = new PacketReader(
      {
        ...recording([]),
        connect: () => reader.pause(),
        pingreq: () => seen.push("pingreq"),
        publish: () => seen.push("publish"),
      },
      { role: "server", limits: LIMITS.mqtt },
    );
    reader.push(Uint8Array.from([...connect, ...rest.subarray(0, cut)]));
    reader.push(rest.subarray(cut));
    assert.deepEqual(seen, []);
    assert.equal(reader.keptBytes, rest.length);
    reader.resume();
    assert.deepEqual(seen, ["pingreq", "publish", "pingreq"]);
    assert.equal(reader.keptBytes, 0);
    reader.push(Uint8Array.of(0xc0, 0));
    assert.equal(seen.length, 4);
  }
});
