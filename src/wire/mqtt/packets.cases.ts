/** Every packet of MQTT 3.1.1 and 5.0, byte by byte, and the value that it is. */
import { listing } from "../../../sim/listing.ts";
import { CONNECT_CASES } from "./connect.cases.ts";
import type { PacketCase } from "./connect.cases.ts";
import type { PublishValue } from "./packets.fixture.ts";

export type { PacketCase } from "./connect.cases.ts";

const ascii = new TextEncoder();
const payload = (text: string): Uint8Array => ascii.encode(text);

const publish = (fields: Partial<PublishValue>): PublishValue => ({
  type: "publish",
  topic: "a/b",
  payload: payload("hi"),
  qos: 0,
  retain: false,
  dup: false,
  packetId: 0,
  topicAlias: 0,
  properties: null,
  subscriptionIdentifiers: [],
  ...fields,
});

const request = (filter: string, qos: 0 | 1 | 2) =>
  ({ filter, qos, noLocal: false, retainAsPublished: false, retainHandling: 0 }) as const;

const PUBLISH_CASES: readonly PacketCase[] = [
  {
    title: "PUBLISH 3.1.1 QoS 0",
    version: 4,
    to: "server",
    bytes: listing(`
      30 07          // PUBLISH, remaining length 7
      00 03 'a/b'    // topic
      'hi'           // payload
    `),
    value: publish({}),
  },
  {
    title: "PUBLISH 3.1.1 QoS 1, sent again, retained",
    version: 4,
    to: "server",
    bytes: listing(`
      3b 09          // PUBLISH, DUP, QoS 1, retain; remaining length 9
      00 03 'a/b'    // topic
      00 0a          // packet identifier 10
      'hi'           // payload
    `),
    value: publish({ qos: 1, dup: true, retain: true, packetId: 10 }),
  },
  {
    title: "PUBLISH 3.1.1 QoS 2 with an empty payload to a client",
    version: 4,
    to: "client",
    bytes: listing(`
      34 07          // PUBLISH, QoS 2; remaining length 7
      00 03 'a/b'    // topic
      ff ff          // packet identifier 65535
    `),
    value: publish({ qos: 2, packetId: 65_535, payload: payload("") }),
  },
  {
    title: "PUBLISH 3.1.1 with a topic of 2-, 3- and 4-byte characters and a leading U+FEFF [MQTT-1.5.4-3]",
    version: 4,
    to: "server",
    bytes: listing(`
      30 0e                               // PUBLISH, remaining length 14
      00 0c ef bb bf c3 a4 e2 82 ac f0 9f 98 80   // topic: U+FEFF ä € 😀
    `),
    value: publish({ topic: "\uFEFFä€😀", payload: payload("") }),
  },
  {
    title: "PUBLISH 3.1.1 with a remaining length of four bytes where one would do",
    version: 4,
    to: "server",
    bytes: listing(`
      30 87 80 80 00 // PUBLISH, remaining length 7 in four bytes
      00 03 'a/b' 'hi'
    `),
    value: publish({}),
    rewritten: "the writer uses as few length bytes as it can",
  },
  {
    title: "PUBLISH 5.0 QoS 0 without properties",
    version: 5,
    to: "server",
    bytes: listing(`
      30 08          // PUBLISH, remaining length 8
      00 03 'a/b'    // topic
      00             // no properties
      'hi'           // payload
    `),
    value: publish({}),
  },
  {
    title: "PUBLISH 5.0 QoS 1 with every property that a client may send",
    version: 5,
    to: "server",
    bytes: listing(`
      32 31             // PUBLISH, QoS 1; remaining length 49
      00 03 'a/b'       // topic
      12 34             // packet identifier
      27                // property length 39
      01 01             // payload format: UTF-8
      02 00 00 00 3c    // message expiry 60 s
      03 00 01 'j'      // content type
      08 00 03 'r/t'    // response topic
      09 00 02 00 ff    // correlation data
      26 00 01 'k' 00 01 'v'    // user property
      26 00 01 'k' 00 01 'w'    // user property, same name
      23 00 07          // topic alias
      'hi'
    `),
    value: publish({
      qos: 1,
      packetId: 0x1234,
      topicAlias: 7,
      properties: {
        payloadFormat: 1,
        messageExpirySeconds: 60,
        contentType: "j",
        responseTopic: "r/t",
        correlationData: Uint8Array.of(0, 0xff),
        userProperties: [
          ["k", "v"],
          ["k", "w"],
        ],
      },
    }),
  },
  {
    title: "PUBLISH 5.0 with a topic alias in the topic's place",
    version: 5,
    to: "server",
    bytes: listing(`
      30 08          // PUBLISH, remaining length 8
      00 00          // empty topic
      03             // property length 3
      23 00 01       // topic alias 1
      'hi'
    `),
    value: publish({ topic: "", topicAlias: 1 }),
  },
  {
    title: "PUBLISH 5.0 to a client with two subscription identifiers",
    version: 5,
    to: "client",
    bytes: listing(`
      31 0f             // PUBLISH, retain; remaining length 15
      00 03 'a/b'       // topic
      07                // property length 7
      0b 01             // subscription identifier 1
      0b ff ff ff 7f    // subscription identifier 268435455
      'hi'
    `),
    value: publish({ retain: true, subscriptionIdentifiers: [1, 268_435_455] }),
  },
];

const VERSIONS = [
  [4, "3.1.1"],
  [5, "5.0"],
] as const;

/** The four acknowledgements are the same in both versions and both directions, where 5.0 leaves out Success. */
const BARE_ACKNOWLEDGE_CASES: readonly PacketCase[] = (
  [
    ["puback", "40"],
    ["pubrec", "50"],
    ["pubrel", "62"], // with its flags 0010
    ["pubcomp", "70"],
  ] as const
).flatMap(([kind, first]) =>
  VERSIONS.flatMap(([version, name]) =>
    (["server", "client"] as const).map((to): PacketCase => ({
      title: `${kind.toUpperCase()} ${name} to a ${to}`,
      version,
      to,
      bytes: listing(`${first} 02 01 0a // remaining length 2, packet identifier 266`),
      value: { type: "acknowledge", kind, packetId: 266, reasonCode: 0 },
    })),
  ),
);

const ACKNOWLEDGE_CASES: readonly PacketCase[] = [
  ...BARE_ACKNOWLEDGE_CASES,
  {
    title: "PUBACK 5.0 with a reason code and no property length",
    version: 5,
    to: "client",
    bytes: listing("40 03 00 0a 10 // PUBACK, remaining length 3, packet identifier 10, No matching subscribers"),
    value: { type: "acknowledge", kind: "puback", packetId: 10, reasonCode: 0x10 },
  },
  {
    title: "PUBACK 5.0 with a property length of 0",
    version: 5,
    to: "client",
    bytes: listing(
      "40 04 00 0a 87 00 // PUBACK, remaining length 4, packet identifier 10, Not authorized, no properties",
    ),
    value: { type: "acknowledge", kind: "puback", packetId: 10, reasonCode: 0x87 },
    rewritten: "the writer leaves out an empty property length",
  },
  {
    title: "PUBREC 5.0 with a reason string",
    version: 5,
    to: "server",
    bytes: listing(`
      50 0a          // PUBREC, remaining length 10
      00 0a          // packet identifier 10
      97             // Quota exceeded
      06             // property length 6
      1f 00 03 'why' // reason string
    `),
    value: { type: "acknowledge", kind: "pubrec", packetId: 10, reasonCode: 0x97, reasonString: "why" },
  },
  {
    title: "PUBREL 5.0, packet identifier not found",
    version: 5,
    to: "client",
    bytes: listing("62 03 00 0a 92 // PUBREL, remaining length 3, packet identifier 10, not found"),
    value: { type: "acknowledge", kind: "pubrel", packetId: 10, reasonCode: 0x92 },
  },
  {
    title: "PUBCOMP 5.0 with a user property",
    version: 5,
    to: "client",
    bytes: listing(`
      70 0b          // PUBCOMP, remaining length 11
      00 0a          // packet identifier 10
      92             // Packet Identifier not found
      07             // property length 7
      26 00 01 'k' 00 01 'v'
    `),
    value: { type: "acknowledge", kind: "pubcomp", packetId: 10, reasonCode: 0x92 },
    rewritten: "user properties of an acknowledgement are checked and dropped",
  },
];

const SUBSCRIBE_CASES: readonly PacketCase[] = [
  {
    title: "SUBSCRIBE 3.1.1 with two filters",
    version: 4,
    to: "server",
    bytes: listing(`
      82 0c          // SUBSCRIBE with its flags 0010, remaining length 12
      00 01          // packet identifier
      00 03 'a/#'    // topic filter
      01             // QoS 1
      00 01 '+'      // topic filter
      02             // QoS 2
    `),
    value: {
      type: "subscribe",
      packet: { packetId: 1, requests: [request("a/#", 1), request("+", 2)], subscriptionIdentifier: 0 },
    },
  },
  {
    title: "SUBSCRIBE 5.0 with all options and an identifier",
    version: 5,
    to: "server",
    bytes: listing(`
      82 0c          // SUBSCRIBE, remaining length 12
      00 01          // packet identifier
      03             // property length 3
      0b 80 01       // subscription identifier 128
      00 03 'a/#'    // topic filter
      2d             // retain handling 2, retain as published, no local, QoS 1
    `),
    value: {
      type: "subscribe",
      packet: {
        packetId: 1,
        requests: [{ filter: "a/#", qos: 1, noLocal: true, retainAsPublished: true, retainHandling: 2 }],
        subscriptionIdentifier: 128,
      },
    },
  },
  {
    title: "SUBACK 3.1.1",
    version: 4,
    to: "client",
    bytes: listing("90 05 00 01 01 02 80 // SUBACK, remaining length 5, packet identifier 1, QoS 1, QoS 2, failure"),
    value: { type: "suback", packet: { packetId: 1, reasonCodes: [1, 2, 0x80] } },
  },
  {
    title: "SUBACK 5.0 with a reason string",
    version: 5,
    to: "client",
    bytes: listing(`
      90 0a          // SUBACK, remaining length 10
      00 01          // packet identifier
      05             // property length 5
      1f 00 02 'no'  // reason string
      00 87          // QoS 0, Not authorized
    `),
    value: { type: "suback", packet: { packetId: 1, reasonCodes: [0, 0x87], reasonString: "no" } },
  },
  {
    title: "UNSUBSCRIBE 3.1.1",
    version: 4,
    to: "server",
    bytes: listing(`
      a2 0a          // UNSUBSCRIBE with its flags 0010, remaining length 10
      00 02          // packet identifier
      00 03 'a/#'    // topic filter
      00 01 '+'      // topic filter
    `),
    value: { type: "unsubscribe", packet: { packetId: 2, filters: ["a/#", "+"] } },
  },
  {
    title: "UNSUBSCRIBE 5.0",
    version: 5,
    to: "server",
    bytes: listing(`
      a2 08          // UNSUBSCRIBE, remaining length 8
      00 02          // packet identifier
      00             // no properties
      00 03 'a/#'    // topic filter
    `),
    value: { type: "unsubscribe", packet: { packetId: 2, filters: ["a/#"] } },
  },
  {
    title: "UNSUBACK 3.1.1",
    version: 4,
    to: "client",
    bytes: listing("b0 02 00 02 // UNSUBACK, remaining length 2, packet identifier 2"),
    value: { type: "unsuback", packet: { packetId: 2, reasonCodes: [] } },
  },
  {
    title: "UNSUBACK 5.0",
    version: 5,
    to: "client",
    bytes: listing(
      "b0 05 00 02 00 00 11 // UNSUBACK, remaining length 5, no properties, Success, No subscription existed",
    ),
    value: { type: "unsuback", packet: { packetId: 2, reasonCodes: [0, 0x11] } },
  },
];

const REST_CASES: readonly PacketCase[] = [
  ...VERSIONS.map(([version, name]): PacketCase => ({
    title: `PINGREQ ${name}`,
    version,
    to: "server",
    bytes: listing("c0 00"),
    value: { type: "pingreq" },
  })),
  ...VERSIONS.map(([version, name]): PacketCase => ({
    title: `PINGRESP ${name}`,
    version,
    to: "client",
    bytes: listing("d0 00"),
    value: { type: "pingresp" },
  })),
  {
    title: "DISCONNECT 3.1.1",
    version: 4,
    to: "server",
    bytes: listing("e0 00"),
    value: { type: "disconnect", packet: { reasonCode: 0, sessionExpirySeconds: null, reasonString: null } },
  },
  {
    title: "DISCONNECT 5.0 that leaves out Normal disconnection",
    version: 5,
    to: "server",
    bytes: listing("e0 00"),
    value: { type: "disconnect", packet: { reasonCode: 0, sessionExpirySeconds: null, reasonString: null } },
  },
  {
    title: "DISCONNECT 5.0 with a reason code and no property length",
    version: 5,
    to: "client",
    bytes: listing("e0 01 8e // DISCONNECT, remaining length 1, Session taken over"),
    value: { type: "disconnect", packet: { reasonCode: 0x8e, sessionExpirySeconds: null, reasonString: null } },
  },
  {
    title: "DISCONNECT 5.0 of a client with its properties",
    version: 5,
    to: "server",
    bytes: listing(`
      e0 0c             // DISCONNECT, remaining length 12
      04                // Disconnect with Will Message
      0a                // property length 10
      11 00 00 00 00    // session expiry 0
      1f 00 02 'zz'     // reason string
    `),
    value: { type: "disconnect", packet: { reasonCode: 4, sessionExpirySeconds: 0, reasonString: "zz" } },
  },
  {
    title: "DISCONNECT 5.0 of a server that names another",
    version: 5,
    to: "client",
    bytes: listing(`
      e0 08             // DISCONNECT, remaining length 8
      9c                // Use another server
      06                // property length 6
      1c 00 03 's:1'    // server reference
    `),
    value: {
      type: "disconnect",
      packet: { reasonCode: 0x9c, sessionExpirySeconds: null, reasonString: null, serverReference: "s:1" },
    },
  },
  {
    title: "AUTH 5.0 that says nothing but Success",
    version: 5,
    to: "client",
    bytes: listing("f0 00"),
    value: { type: "auth", packet: { reasonCode: 0, authenticationMethod: null, authenticationData: null } },
  },
  {
    title: "AUTH 5.0 that goes on",
    version: 5,
    to: "server",
    bytes: listing(`
      f0 0f             // AUTH, remaining length 15
      18                // Continue authentication
      0d                // property length 13
      15 00 01 'm'      // authentication method
      16 00 01 2a       // authentication data
      1f 00 02 'go'     // reason string
    `),
    value: {
      type: "auth",
      packet: {
        reasonCode: 0x18,
        authenticationMethod: "m",
        authenticationData: Uint8Array.of(42),
        reasonString: "go",
      },
    },
  },
];

export const PACKET_CASES: readonly PacketCase[] = [
  ...CONNECT_CASES,
  ...PUBLISH_CASES,
  ...ACKNOWLEDGE_CASES,
  ...SUBSCRIBE_CASES,
  ...REST_CASES,
];
