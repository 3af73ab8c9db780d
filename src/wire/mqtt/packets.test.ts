/** Walks the case tables. What is special to one behaviour stands in `reader.test.ts` and `writer.test.ts`. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { PacketError } from "./fault.ts";
import { MALFORMED_CASES } from "./malformed.cases.ts";
import { PACKET_CASES } from "./packets.cases.ts";
import type { PacketCase } from "./packets.cases.ts";
import { fuzz } from "./packets.fuzz.ts";
import { newReader, openReader, packetBytes } from "./packets.fixture.ts";
import type { ReaderUnderTest } from "./packets.fixture.ts";

function readerFor(packet: { to: PacketCase["to"]; version: PacketCase["version"]; opening?: true }): ReaderUnderTest {
  return packet.opening === true ? newReader(packet.to, packet.version) : openReader(packet.to, packet.version);
}

/** Where the rest of a case is one thing again and again. */
const SPLITS_MAX = 64;

function twice(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from([...bytes, ...bytes]);
}

for (const packet of PACKET_CASES) {
  suite(packet.title, () => {
    test("is read from one chunk", () => {
      const { reader, values } = readerFor(packet);
      reader.push(packet.bytes);
      assert.deepEqual(values, [packet.value]);
      assert.equal(reader.keptBytes, 0);
      assert.equal(reader.version, packet.version);
    });

    test("is written as it was", () => {
      const written = packetBytes(packet.version, packet.value);
      if (packet.rewritten === undefined) assert.deepEqual(written, packet.bytes);
      else assert.notDeepEqual(written, packet.bytes, packet.rewritten);
      const { reader, values } = readerFor(packet);
      reader.push(written);
      assert.deepEqual(values, [packet.value]);
    });

    test("cut off anywhere, delivers nothing; with the rest, itself", () => {
      for (let cut = 0; cut < packet.bytes.length; cut++) {
        const { reader, values } = readerFor(packet);
        reader.push(packet.bytes.slice(0, cut));
        assert.deepEqual(values, [], `after ${cut} bytes`);
        reader.push(packet.bytes.slice(cut));
        assert.deepEqual(values, [packet.value], `split after ${cut} bytes`);
      }
    });

    test("is read byte by byte, and so are two of it", () => {
      const { reader, values } = readerFor(packet);
      for (const byte of packet.bytes) reader.push(Uint8Array.of(byte));
      assert.deepEqual(values, [packet.value]);
      if (packet.opening === true) return;
      for (const byte of packet.bytes) reader.push(Uint8Array.of(byte));
      assert.deepEqual(values, [packet.value, packet.value]);
    });

    test("with one byte changed, is read or refused with a reason, never half", () => {
      for (let at = 0; at < packet.bytes.length; at++) {
        for (let bit = 0; bit < 8; bit++) {
          const bytes = packet.bytes.slice();
          bytes[at]! ^= 1 << bit;
          const { reader, values } = readerFor(packet);
          try {
            reader.push(bytes);
          } catch (error) {
            assert.ok(error instanceof PacketError, `bit ${bit} of byte ${at}: ${String(error)}`);
            assert.ok(error.reasonCode >= 0x80 && error.detail.length > 0);
          }
          // A smaller length may make two packets of one: the rest is then read for itself.
          if (at > 4) assert.ok(values.length <= 1, `bit ${bit} of byte ${at}`);
        }
      }
    });

    test("is read beside another in one chunk, at any split", () => {
      if (packet.opening === true) return;
      const two = twice(packet.bytes);
      for (let cut = 0; cut <= two.length; cut++) {
        const { reader, values } = readerFor(packet);
        reader.push(two.slice(0, cut));
        reader.push(two.slice(cut));
        assert.deepEqual(values, [packet.value, packet.value], `split after ${cut} bytes`);
      }
    });
  });
}

for (const { title, bytes, reasonCode, ...where } of MALFORMED_CASES) {
  suite(`refused: ${title}`, () => {
    const refusal = (error: unknown): boolean => {
      assert.ok(error instanceof PacketError, String(error));
      assert.equal(`0x${error.reasonCode.toString(16)}: ${error.detail}`.slice(0, 4), `0x${reasonCode.toString(16)}`);
      return true;
    };

    test("in one chunk, and everything after it", () => {
      const { reader, values } = readerFor(where);
      assert.throws(() => reader.push(bytes), refusal);
      assert.throws(() => reader.push(Uint8Array.of(0xc0, 0)), refusal, "the reader refuses all input after a refusal");
      assert.deepEqual(values, []);
      assert.equal(reader.keptBytes, 0);
    });

    test("byte by byte", () => {
      const { reader, values } = readerFor(where);
      assert.throws(() => {
        for (const byte of bytes) reader.push(Uint8Array.of(byte));
      }, refusal);
      assert.deepEqual(values, []);
    });

    test("split anywhere", () => {
      for (let cut = 1; cut < Math.min(bytes.length, SPLITS_MAX); cut++) {
        const { reader, values } = readerFor(where);
        assert.throws(
          () => {
            reader.push(bytes.slice(0, cut));
            reader.push(bytes.slice(cut));
          },
          refusal,
          `after ${cut} bytes`,
        );
        assert.deepEqual(values, []);
      }
    });
  });
}

test("the table has every packet of either version, to whoever may be sent it", () => {
  const names = new Set(
    PACKET_CASES.map(({ value, version, to }) => {
      return `${value.type === "acknowledge" ? value.kind : value.type} ${version} ${to}`;
    }),
  );
  const both = ["publish", "puback", "pubrec", "pubrel", "pubcomp"];
  const toServer = [...both, "connect", "subscribe", "unsubscribe", "pingreq", "disconnect"];
  const toClient = [...both, "connack", "suback", "unsuback", "pingresp"];
  const expected = [
    ...toServer.flatMap((name) => [`${name} 4 server`, `${name} 5 server`]),
    ...toClient.flatMap((name) => [`${name} 4 client`, `${name} 5 client`]),
    "auth 5 server",
    "auth 5 client",
    "disconnect 5 client",
  ];
  assert.deepEqual([...names].sort(), expected.sort());
});

for (const version of [4, 5] as const) {
  for (const to of ["server", "client"] as const) {
    test(`all packets ${version === 4 ? "3.1.1" : "5.0"} to a ${to} in one chunk, in two and byte by byte`, () => {
      const later = PACKET_CASES.filter((one) => one.version === version && one.to === to && one.opening !== true);
      const bytes = Uint8Array.from(later.flatMap((one) => [...one.bytes]));
      const expected = later.map(({ value }) => value);
      for (let cut = 0; cut <= bytes.length; cut++) {
        const { reader, values } = openReader(to, version);
        reader.push(bytes.slice(0, cut));
        reader.push(bytes.slice(cut));
        assert.deepEqual(values, expected, `split after ${cut} bytes`);
      }
      const { reader, values } = openReader(to, version);
      for (const byte of bytes) reader.push(Uint8Array.of(byte));
      assert.deepEqual(values, expected);
      assert.equal(reader.keptBytes, 0);
    });
  }
}

suite("broken packets", () => {
  for (const seed of [1, 2, 3]) {
    test(`never break the reader (seed ${seed})`, () => {
      const { delivered, refused } = fuzz(seed, (rounds) => rounds < 3000);
      assert.ok(
        delivered > 1000 && refused > 1000,
        `${delivered} delivered, ${refused} refused: the fuzz reaches nothing`,
      );
    });
  }
});
