/**
 * Golden bytes of format 1. A log may be years old: these bytes never change, and every later Tidewire reads them. A new
 * format gets a new table beside this one.
 */
import type { Message } from "../../base/mod.ts";

export interface RecordCase {
  readonly title: string;
  readonly hex: string;
  readonly message: Message;
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

export const RECORD_CASES: readonly RecordCase[] = [
  {
    title: "QoS 0 of a client without a thing, no payload",
    hex: `
      10                        // format 1, QoS 0
      00 00 00 00 00 00         // 1970-01-01
      00 01 61                  // topic "a"
      00 01 63                  // client identifier "c"
      00                        // no properties
    `,
    message: {
      topic: "a",
      payload: text(""),
      qos: 0,
      retain: false,
      clientId: "c",
      thing: null,
      receivedAt: 0,
      properties: null,
    },
  },
  {
    title: "QoS 1, retained, of a thing",
    hex: `
      1d                        // format 1, QoS 1, retain, thing
      01 9b 76 da 89 ff         // 2026-01-01T00:00:00.511Z
      00 07 74 2f 70 2f 73 c3 a4   // topic "t/p/sä"
      00 02 70 31               // client identifier "p1"
      00 02 50 31               // thing "P1"
      00                        // no properties
      7b 7d                     // payload "{}"
    `,
    message: {
      topic: "t/p/sä",
      payload: text("{}"),
      qos: 1,
      retain: true,
      clientId: "p1",
      thing: "P1",
      receivedAt: 0x019b_76da_89ff,
      properties: null,
    },
  },
  {
    title: "QoS 2 with every property, of a client with an empty identifier, at the end of time",
    hex: `
      12                        // format 1, QoS 2
      ff ff ff ff ff ff         // 2^48 - 1 ms
      00 01 61                  // topic "a"
      00 00                     // client identifier ""
      29                        // property length 41
      01 01                     // payload format 1
      02 ff ff ff ff            // message expiry 4294967295 s
      03 00 01 6a               // content type "j"
      08 00 03 72 2f 74         // response topic "r/t"
      09 00 02 00 ff            // correlation data
      26 00 01 6b 00 01 76      // user property "k" "v"
      26 00 01 6b 00 01 77      // user property "k" "w"
      26 00 00                  // user property "" …
      00 00                     // … ""
      ff                        // payload
    `,
    message: {
      topic: "a",
      payload: Uint8Array.of(0xff),
      qos: 2,
      retain: false,
      clientId: "",
      thing: null,
      receivedAt: 2 ** 48 - 1,
      properties: {
        payloadFormat: 1,
        messageExpirySeconds: 0xffff_ffff,
        contentType: "j",
        responseTopic: "r/t",
        correlationData: Uint8Array.of(0, 0xff),
        userProperties: [
          ["k", "v"],
          ["k", "w"],
          ["", ""],
        ],
      },
    },
  },
];

/** The bytes of an annotated listing. */
export function recordListing(hex: string): Uint8Array {
  const pairs = hex.replaceAll(/\/\/.*$/gm, "").match(/[0-9a-f]{2}/g) ?? [];
  return Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16));
}
