/**
 * Golden bytes of what came with QoS 2: messages with their packet identifier, and notes. As with `record.cases.ts`, these
 * bytes never change.
 */
import type { Message } from "../../base/mod.ts";
import type { Logged } from "./note.ts";

export interface LoggedCase {
  readonly title: string;
  readonly hex: string;
  readonly logged: Logged;
  /** As an earlier Tidewire wrote it: read for ever, and never written. */
  readonly earlier?: boolean;
  /** Where it may be cut and still be whole: the payload, or a part, ends where the log says. */
  readonly wholeAt: readonly number[];
}

const message: Message = {
  topic: "t/p",
  payload: Uint8Array.of(0x7b, 0x7d),
  qos: 2,
  retain: true,
  clientId: "p1",
  thing: "P1",
  receivedAt: 0x019b_76da_89ff,
  properties: { messageExpirySeconds: 60 },
};

export const LOGGED_CASES: readonly LoggedCase[] = [
  {
    title: "a message that came by QoS 2 in a kept session",
    hex: `
      2e                        // a message with its packet identifier, QoS 2, retain, thing
      01 9b 76 da 89 ff         // 2026-01-01T00:00:00.511Z
      00 03 74 2f 70            // topic "t/p"
      00 02 70 31               // client identifier "p1"
      00 02 50 31               // thing "P1"
      12 34                     // packet identifier 0x1234
      05                        // property length
      02 00 00 00 3c            // message expiry 60 s
      7b 7d                     // payload "{}"
    `,
    logged: { kind: "message", packetId: 0x1234, message },
    wholeAt: [28, 29],
  },
  {
    title: "a note of everything at once, with the origins of what was sent",
    hex: `
      30                        // a note
      01 9b 76 da 89 ff         // 2026-01-01T00:00:00.511Z
      00 03 63 c3 a4            // client identifier "cä"
      01 00 02                  // released: two identifiers
      00 01 ff ff               // 1 and 65535
      02 00 01                  // received: one identifier
      80 00                     // 32768
      04 00 03                  // sent: three identifiers, their messages and origins
      80 01 00 00 00 00 00 00 00 00 00 00 00 00   // 32769: offset 0, a subscription of its own
      80 02 00 00 00 00 00 00 01 00 00 00 08 03   // 32770: offset 256, origin 2051
      ff ff 00 1f ff ff ff ff ff ff 7f ff ff ff   // 65535: offset 2^53 - 1, origin 2^31 - 1
    `,
    logged: {
      kind: "note",
      note: {
        clientId: "cä",
        released: [1, 65_535],
        received: [32_768],
        sent: [32_769, 0, 0, 32_770, 256, 2051, 65_535, Number.MAX_SAFE_INTEGER, 0x7fff_ffff],
        finished: null,
      },
    },
    wholeAt: [19, 24],
  },
  {
    title: "a note of how far a client has come, beside what it received",
    hex: `
      30                        // a note
      01 9b 76 da 89 ff         // 2026-01-01T00:00:00.511Z
      00 01 63                  // client identifier "c"
      02 00 01                  // received: one identifier
      80 00                     // 32768
      05 00 01                  // finished
      00 00 00 01 00 00 00 02   // before place 2^32 + 2 of its queue
      00 1f ff ff ff ff ff ff   // and below offset 2^53 - 1
    `,
    logged: {
      kind: "note",
      note: {
        clientId: "c",
        released: [],
        received: [32_768],
        sent: [],
        finished: { place: 0x1_0000_0002, offset: Number.MAX_SAFE_INTEGER },
      },
    },
    wholeAt: [15],
  },
  {
    title: "a note of how far a client has come, and nothing else",
    hex: `
      30                        // a note
      00 00 00 00 00 00         // 1970-01-01
      00 01 63                  // client identifier "c"
      05 00 01                  // finished
      00 00 00 00 00 00 00 07   // before place 7 of its queue
      00 00 00 00 00 00 00 00   // and below offset 0: nothing is said of offsets
    `,
    logged: {
      kind: "note",
      note: { clientId: "c", released: [], received: [], sent: [], finished: { place: 7, offset: 0 } },
    },
    wholeAt: [],
  },
  {
    title: "a note of everything at once, as it was before there were origins",
    hex: `
      30                        // a note
      01 9b 76 da 89 ff         // 2026-01-01T00:00:00.511Z
      00 03 63 c3 a4            // client identifier "cä"
      01 00 02                  // released: two identifiers
      00 01 ff ff               // 1 and 65535
      02 00 01                  // received: one identifier
      80 00                     // 32768
      03 00 02                  // sent: two identifiers and their messages
      80 01 00 00 00 00 00 00 00 00   // 32769: offset 0
      ff ff 00 1f ff ff ff ff ff ff   // 65535: offset 2^53 - 1
    `,
    logged: {
      kind: "note",
      note: {
        clientId: "cä",
        released: [1, 65_535],
        received: [32_768],
        sent: [32_769, 0, -1, 65_535, Number.MAX_SAFE_INTEGER, -1],
        finished: null,
      },
    },
    earlier: true,
    wholeAt: [19, 24],
  },
  {
    title: "a note of one release, by a client with an empty identifier",
    hex: `
      30                        // a note
      00 00 00 00 00 00         // 1970-01-01
      00 00                     // client identifier ""
      01 00 01                  // released: one identifier
      00 07                     // 7
    `,
    logged: { kind: "note", note: { clientId: "", released: [7], received: [], sent: [], finished: null } },
    wholeAt: [],
  },
];
