/** Holds the codec to the specification's own tables: every property in every packet, every reason code of every packet. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { listing } from "../../../sim/listing.ts";
import { PacketError } from "./fault.ts";
import { newReader, openReader, packetBytes } from "./packets.fixture.ts";
import type { PacketValue } from "./packets.fixture.ts";
import { FRAMES, PLACES, PROPERTY_CASES, REASON_CASES, isForbidden } from "./specification.cases.ts";
import type { PropertyCase, PropertyPlace } from "./specification.cases.ts";
import type { Role } from "./types.ts";

/** The packet at this place with these properties. */
function packet(place: PropertyPlace, ...properties: readonly string[]): Uint8Array {
  const { first, before, behind } = FRAMES[place];
  const bytes = listing(properties.join(" "));
  return framed(first, [...listing(before), bytes.length, ...bytes, ...listing(behind)]);
}

function framed(first: number, body: readonly number[]): Uint8Array {
  assert.ok(body.length < 128, "one length byte");
  return Uint8Array.of(first, body.length, ...body);
}

/** The values that a reader makes of the bytes, or the reason code of its refusal. */
function read(bytes: Uint8Array, to: Role): PacketValue | number {
  const opening = bytes[0] === 0x10 || bytes[0] === 0x20;
  const { reader, values } = opening ? newReader(to, 5) : openReader(to, 5);
  try {
    reader.push(bytes);
  } catch (error) {
    assert.ok(error instanceof PacketError, String(error));
    return error.reasonCode;
  }
  assert.equal(values.length, 1);
  return values[0]!;
}

/** Where the value of a property is found. */
function fieldOf(value: PacketValue, place: PropertyPlace, field: string): unknown {
  const fields = (from: unknown): Record<string, unknown> => (from ?? {}) as Record<string, unknown>;
  const packet = fields("packet" in value ? value.packet : value);
  if (place === "will") return fields(packet["will"])[field] ?? fields(fields(packet["will"])["properties"])[field];
  if (place !== "publish") return packet[field];
  if (field === "subscriptionIdentifier") return (packet["subscriptionIdentifiers"] as readonly number[])[0];
  return packet[field] ?? fields(packet["properties"])[field];
}

function beside(property: PropertyCase, place: PropertyPlace): readonly string[] {
  const { needs } = FRAMES[place];
  const wanted = [needs, property.needs].find((other) => other !== undefined);
  return wanted === undefined || property.field === "authenticationMethod" ? [] : [wanted];
}

for (const place of PLACES) {
  for (const to of FRAMES[place].to) {
    suite(`properties of ${place}, to a ${to}`, () => {
      for (const property of PROPERTY_CASES) {
        const { title, bytes, places, field, value, repeatable = [], dropped = [] } = property;
        const others = beside(property, place);
        if (!places.includes(place) || isForbidden(place, to, title)) {
          test(`${title} does not belong there`, () => {
            const expected = places.includes(place) ? 0x82 : 0x81;
            assert.equal(read(packet(place, ...others, bytes), to), expected);
            assert.equal(read(packet(place, bytes, ...others), to), expected);
          });
          continue;
        }

        test(`${title} is read, and written as it was`, () => {
          const whole = packet(place, ...others, bytes);
          const got = read(whole, to);
          assert.ok(typeof got !== "number", "refused");
          if (dropped.includes(place)) {
            assert.deepEqual(got, read(packet(place, ...others), to), "it changes nothing");
            return;
          }
          assert.deepEqual(fieldOf(got, place, field), value);
          const again = read(packetBytes(5, got), to);
          assert.deepEqual(again, got);
          assert.equal(packetBytes(5, got).length, whole.length, "in as many bytes");
        });

        test(`${title} may ${repeatable.includes(place) ? "" : "not "}stand there twice`, () => {
          const got = read(packet(place, ...others, bytes, bytes), to);
          if (repeatable.includes(place)) assert.ok(typeof got !== "number", "refused");
          else assert.equal(got, 0x82);
        });

        test(`${title} cut off is malformed at any length`, () => {
          const body = listing(bytes);
          for (let length = 1; length < body.length; length++) {
            const cut = Array.from(body.slice(0, length), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
            assert.equal(read(packet(place, ...others, cut), to), 0x81, `${length} bytes`);
          }
        });
      }

      test("whatever is no property identifier is malformed", () => {
        const known = new Set(PROPERTY_CASES.map(({ bytes }) => Number.parseInt(bytes.slice(0, 2), 16)));
        assert.equal(known.size, 27, "table 2-4 has 27 rows");
        const needs = FRAMES[place].needs ?? "";
        for (let id = 0; id < 256; id++) {
          if (known.has(id)) continue;
          assert.equal(
            read(packet(place, needs, id.toString(16).padStart(2, "0"), "00 00 00 00"), to),
            0x81,
            `0x${id.toString(16)}`,
          );
        }
      });

      test("a length that reaches beyond the packet, and one that ends within a property, are malformed", () => {
        const { first, before, behind } = FRAMES[place];
        const property = listing("26 00 01 'k' 00 01 'v'");
        const body = (length: number): Uint8Array =>
          framed(first, [...listing(before), length, ...property, ...listing(behind)]);
        assert.equal(read(body(120), to), 0x81);
        for (const length of [1, 2, 3, 4, 5, 6]) assert.equal(read(body(length), to), 0x81, `${length}`);
      });
    });
  }
}

for (const [name, { first, before, behind, to: roles, codes }] of Object.entries(REASON_CASES)) {
  for (const to of roles) {
    test(`${name} to a ${to} knows the reason codes of its table and no others`, () => {
      for (let code = 0; code < 256; code++) {
        const bytes = framed(first, [...listing(before), code, ...listing(behind)]);
        const got = read(bytes, to);
        if (!codes.includes(code)) {
          assert.equal(got, 0x82, `0x${code.toString(16)}`);
          continue;
        }
        assert.ok(typeof got !== "number", `0x${code.toString(16)} was refused`);
        const fields = ("packet" in got ? got.packet : got) as { reasonCode?: number; reasonCodes?: readonly number[] };
        assert.equal(fields.reasonCode ?? fields.reasonCodes?.[0], code);
        assert.deepEqual(read(packetBytes(5, got), to), got, "and writes them");
      }
    });
  }
}

test("3.1.1 knows six return codes of CONNACK and four of SUBACK", () => {
  for (const [first, before, codes] of [
    [0x20, "00", [0, 1, 2, 3, 4, 5]],
    [0x90, "00 01", [0, 1, 2, 0x80]],
  ] as const) {
    for (let code = 0; code < 256; code++) {
      const { reader, values } = first === 0x20 ? newReader("client", 4) : openReader("client", 4);
      const bytes = framed(first, [...listing(before), code]);
      if ((codes as readonly number[]).includes(code)) {
        reader.push(bytes);
        assert.equal(values.length, 1);
        assert.deepEqual(packetBytes(4, values[0]!), bytes);
      } else assert.throws(() => reader.push(bytes), PacketError, `0x${code.toString(16)}`);
    }
  }
});
