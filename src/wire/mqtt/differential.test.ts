/** Held against mqtt-packet, which most clients of the field use: what either writes, both read as the same packet. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import mqttPacket from "mqtt-packet";
import type { Packet } from "mqtt-packet";
import { laterPacket, openingPacket, theirs } from "./arbitrary.fixture.ts";
import { PACKET_CASES } from "./packets.cases.ts";
import { newReader, openReader, packetBytes } from "./packets.fixture.ts";
import type { PacketValue } from "./packets.fixture.ts";
import type { ProtocolVersion, Role } from "./types.ts";

const RUNS = 400;

/** What mqtt-packet reads; without the length, which differs where one leaves out what the other writes. */
function readByThem(bytes: Uint8Array, version: ProtocolVersion): object {
  const packets: object[] = [];
  const parser = mqttPacket.parser({ protocolVersion: version });
  parser.on("packet", (packet) => packets.push(packet));
  parser.on("error", (error) => {
    throw error;
  });
  parser.parse(Buffer.from(bytes));
  assert.equal(packets.length, 1);
  const { length: _, ...rest } = packets[0] as { length: number };
  return rest;
}

function compare(value: PacketValue, version: ProtocolVersion, to: Role, opening: boolean): void {
  const written = mqttPacket.generate(theirs(value, version), { protocolVersion: version });
  const { reader, values } = opening ? newReader(to, version) : openReader(to, version);
  reader.push(written);
  assert.deepEqual(values, [value], "what they write is read as it was meant");
  const ours = packetBytes(version, value);
  const again = opening ? newReader(to, version) : openReader(to, version);
  again.reader.push(ours);
  assert.deepEqual(again.values, [value], "what we write is read as it was meant");
  if (value.type === "connect" || value.type === "disconnect") {
    // They write the defaults that we leave out, so only what both write can be equal.
    const read = readByThem(ours, version) as Record<string, unknown>;
    assert.equal(read["cmd"], value.type);
    if (value.type === "connect") {
      assert.equal(read["clientId"], value.packet.clientId);
      assert.equal(read["keepalive"], value.packet.keepAliveSeconds);
      assert.deepEqual(read["username"] ?? null, value.packet.username);
    }
    return;
  }
  assert.deepEqual(readByThem(ours, version), readByThem(written, version), "they read both the same");
}

/** Cases that mqtt-packet refuses, with its words. Ours are right: sections 3.1.2.9 and 3.15.2.1 of MQTT 5.0. */
const THEY_REFUSE: Readonly<Record<string, RegExp>> = {
  "CONNECT 5.0 with every property, and its payload in order [MQTT-3.1.3-1]": /Username is required to use password/,
  "AUTH 5.0 that says nothing but Success": /Invalid auth reason code/,
};

for (const { title, version, to, bytes, value, opening } of PACKET_CASES) {
  const refusal = THEY_REFUSE[title];
  test(`mqtt-packet ${refusal === undefined ? "reads" : "refuses"}: ${title}`, () => {
    const theirs = (): Buffer =>
      mqttPacket.generate(readByThem(bytes, version) as Packet, { protocolVersion: version });
    if (refusal !== undefined) {
      assert.throws(theirs, refusal);
      return;
    }
    const { reader, values } = opening === true ? newReader(to, version) : openReader(to, version);
    reader.push(theirs());
    assert.deepEqual(values, [value], "what they made of it is what it was");
  });
}

suite("mqtt-packet and we understand each other", () => {
  for (const version of [4, 5] as const) {
    for (const to of ["server", "client"] as const) {
      test(`${version === 4 ? "3.1.1" : "5.0"}, the packet that opens a connection, to a ${to}`, () => {
        fc.assert(
          fc.property(openingPacket(version, to), (value) => compare(value, version, to, true)),
          { numRuns: RUNS, seed: 1 },
        );
      });

      test(`${version === 4 ? "3.1.1" : "5.0"}, later packets to a ${to}`, () => {
        fc.assert(
          fc.property(laterPacket(version, to), (value) => compare(value, version, to, false)),
          { numRuns: 3 * RUNS, seed: 1 },
        );
      });
    }
  }
});
