/** What a reader refuses, byte by byte, and the reason code. Byte counts are right unless the title says otherwise. */
import { listing } from "../../../sim/listing.ts";
import type { ProtocolVersion, Role } from "./types.ts";

export interface MalformedCase {
  readonly title: string;
  readonly version: ProtocolVersion;
  readonly to: Role;
  readonly opening?: true;
  readonly bytes: Uint8Array;
  readonly reasonCode: number;
}

type Row = readonly [title: string, reasonCode: number, bytes: string];

const MALFORMED = 0x81;
const PROTOCOL = 0x82;

/** The first packet of a connection, at a server. */
const FIRST: readonly Row[] = [
  ["first packet is PUBLISH [MQTT-3.1.0-1], [MQTT311-3.1.0-1]", PROTOCOL, "30 05 00 01 'a' 'hi'"],
  ["first packet is PINGREQ [MQTT-3.1.0-1]", PROTOCOL, "c0 00"],
  ["first packet is AUTH", PROTOCOL, "f0 00"],
  ["first packet is of a server", PROTOCOL, "20 02 00 00"],
  ["a TLS ClientHello", MALFORMED, "16 03 01 02 00"],
  ["an HTTP request", MALFORMED, "'GET / HTTP/1.1'"],
  ["CONNECT with fixed header flags [MQTT-2.1.3-1]", MALFORMED, "11 0d 00 04 'MQTT' 04 02 00 3c 00 01 'c'"],
  ["256 MB announced before CONNECT", 0x95, "10 ff ff ff 7f"],
  ["CONNECT one byte above its limit", 0x95, "10 fd ff 03"],
  ["remaining length of five bytes", MALFORMED, "10 80 80 80 80 01"],
  ["MQTT 3.1", 0x84, "10 0f 00 06 'MQIsdp' 03 02 00 3c 00 01 'c'"],
  ["protocol level 3 by the name of MQTT [MQTT-3.1.2-2]", 0x84, "10 0d 00 04 'MQTT' 03 02 00 3c 00 01 'c'"],
  ["protocol level 6 [MQTT-3.1.2-2]", 0x84, "10 0d 00 04 'MQTT' 06 02 00 3c 00 01 'c'"],
  ["a bridge's protocol level 0x84", 0x84, "10 0d 00 04 'MQTT' 84 02 00 3c 00 01 'c'"],
  ["another protocol name [MQTT-3.1.2-1]", 0x84, "10 0d 00 04 'mqtt' 04 02 00 3c 00 01 'c'"],
  ["a protocol name that is not UTF-8", MALFORMED, "10 0d 00 04 'MQT' ff 04 02 00 3c 00 01 'c'"],
  ["CONNECT without a body", MALFORMED, "10 00"],
  ["CONNECT that ends after its flags", MALFORMED, "10 08 00 04 'MQTT' 04 02"],
  ["the reserved connect flag [MQTT-3.1.2-3]", MALFORMED, "10 0d 00 04 'MQTT' 04 03 00 3c 00 01 'c'"],
  ["will QoS without a will, 3.1.1 [MQTT311-3.1.2-13]", MALFORMED, "10 0d 00 04 'MQTT' 04 0a 00 3c 00 01 'c'"],
  ["will retain without a will, 3.1.1 [MQTT311-3.1.2-15]", MALFORMED, "10 0d 00 04 'MQTT' 04 22 00 3c 00 01 'c'"],
  ["will QoS 3, 3.1.1 [MQTT311-3.1.2-14]", MALFORMED, "10 12 00 04 'MQTT' 04 1e 00 3c 00 01 'c' 00 01 'w' 00 00"],
  [
    "3.1.1: password without user name [MQTT311-3.1.2-22]",
    MALFORMED,
    "10 10 00 04 'MQTT' 04 42 00 3c 00 01 'c' 00 01 'p'",
  ],
  [
    "a byte after the last field: a user name or a password without its flag [MQTT311-3.1.2-18], [MQTT311-3.1.2-20]",
    MALFORMED,
    "10 0e 00 04 'MQTT' 04 02 00 3c 00 01 'c' 00",
  ],
  ["a client identifier that is not UTF-8 [MQTT311-3.1.3-4]", MALFORMED, "10 0d 00 04 'MQTT' 04 02 00 3c 00 01 80"],
  ["a client identifier with U+0000 [MQTT-1.5.4-2]", MALFORMED, "10 0d 00 04 'MQTT' 04 02 00 3c 00 01 00"],
  ["a client identifier longer than the packet", MALFORMED, "10 0d 00 04 'MQTT' 04 02 00 3c 00 02 'c'"],
  ["a client identifier above its limit", 0x85, `10 8d 02 00 04 'MQTT' 04 02 00 3c 01 01 ${"'c' ".repeat(257)}`],
  ["a will topic with a wildcard", 0x90, "10 12 00 04 'MQTT' 04 06 00 3c 00 01 'c' 00 01 '#' 00 00"],
  ["an empty will topic [MQTT-4.7.3-1]", 0x90, "10 11 00 04 'MQTT' 04 06 00 3c 00 01 'c' 00 00 00 00"],
  ["a will without its payload [MQTT311-3.1.2-9]", MALFORMED, "10 10 00 04 'MQTT' 04 06 00 3c 00 01 'c' 00 01 'w'"],
  [
    "a user name with a surrogate [MQTT-1.5.4-1], [MQTT311-3.1.3-11]",
    MALFORMED,
    "10 12 00 04 'MQTT' 04 82 00 3c 00 01 'c' 00 03 ed a0 80",
  ],
  [
    "a user name with an overlong slash [MQTT-1.5.4-1]",
    MALFORMED,
    "10 11 00 04 'MQTT' 04 82 00 3c 00 01 'c' 00 02 c0 af",
  ],
  ["a user name above U+10FFFF", MALFORMED, "10 13 00 04 'MQTT' 04 82 00 3c 00 01 'c' 00 04 f4 90 80 80"],
  [
    "a will topic that is not UTF-8 [MQTT311-3.1.3-10]",
    MALFORMED,
    "10 12 00 04 'MQTT' 04 06 00 3c 00 01 'c' 00 01 ff 00 00",
  ],
  ["a user name that is not there [MQTT311-3.1.2-19]", MALFORMED, "10 0d 00 04 'MQTT' 04 82 00 3c 00 01 'c'"],
  ["a password that is not there [MQTT311-3.1.2-21]", MALFORMED, "10 10 00 04 'MQTT' 04 c2 00 3c 00 01 'c' 00 01 'u'"],
  ["no client identifier [MQTT311-3.1.3-3]", MALFORMED, "10 0a 00 04 'MQTT' 04 02 00 3c"],
  ["5.0: no client identifier [MQTT-3.1.3-3]", MALFORMED, "10 0b 00 04 'MQTT' 05 02 00 3c 00"],
  [
    "5.0: a client identifier that is not UTF-8 [MQTT-3.1.3-4]",
    MALFORMED,
    "10 0e 00 04 'MQTT' 05 02 00 3c 00 00 01 ff",
  ],
  ["5.0: a will without its topic [MQTT-3.1.2-9]", MALFORMED, "10 0e 00 04 'MQTT' 05 06 00 3c 00 00 00 00"],
  [
    "5.0: a will topic that is not UTF-8 [MQTT-3.1.3-11]",
    MALFORMED,
    "10 13 00 04 'MQTT' 05 06 00 3c 00 00 00 00 00 01 ff 00 00",
  ],
  ["5.0: a user name that is not UTF-8 [MQTT-3.1.3-12]", MALFORMED, "10 10 00 04 'MQTT' 05 82 00 3c 00 00 00 00 01 ff"],
  ["5.0: a user name that is not there [MQTT-3.1.2-17]", MALFORMED, "10 0d 00 04 'MQTT' 05 82 00 3c 00 00 00"],
  ["5.0: a password that is not there [MQTT-3.1.2-19]", MALFORMED, "10 0d 00 04 'MQTT' 05 42 00 3c 00 00 00"],
  [
    "5.0: a user name or a password without its flag [MQTT-3.1.2-16], [MQTT-3.1.2-18]",
    MALFORMED,
    "10 10 00 04 'MQTT' 05 02 00 3c 00 00 00 00 01 'u'",
  ],
  ["5.0: overlong remaining length [MQTT-1.5.5-1]", MALFORMED, "10 8d 00 00 04 'MQTT' 05 02 00 3c 00 00 00"],
  ["5.0: will QoS without a will [MQTT-3.1.2-11]", MALFORMED, "10 0d 00 04 'MQTT' 05 0a 00 3c 00 00 00"],
  ["5.0: will retain without a will [MQTT-3.1.2-13]", MALFORMED, "10 0d 00 04 'MQTT' 05 22 00 3c 00 00 00"],
  ["5.0: will QoS 3 [MQTT-3.1.2-12]", MALFORMED, "10 13 00 04 'MQTT' 05 1e 00 3c 00 00 00 00 00 01 'w' 00 00"],
  ["5.0: property length beyond the packet", MALFORMED, "10 0d 00 04 'MQTT' 05 02 00 3c 03 00 00"],
  ["5.0: overlong property length [MQTT-1.5.5-1]", MALFORMED, "10 0e 00 04 'MQTT' 05 02 00 3c 80 00 00 00"],
  ["5.0: unknown property 0x05", MALFORMED, "10 0f 00 04 'MQTT' 05 02 00 3c 02 05 00 00 00"],
  ["5.0: a property of another packet", MALFORMED, "10 10 00 04 'MQTT' 05 02 00 3c 03 23 00 01 00 00"],
  ["5.0: a property cut off", MALFORMED, "10 0f 00 04 'MQTT' 05 02 00 3c 02 21 00 00 00"],
  ["5.0: receive maximum 0", PROTOCOL, "10 10 00 04 'MQTT' 05 02 00 3c 03 21 00 00 00 00"],
  ["5.0: receive maximum twice", PROTOCOL, "10 13 00 04 'MQTT' 05 02 00 3c 06 21 00 01 21 00 01 00 00"],
  ["5.0: maximum packet size 0", PROTOCOL, "10 12 00 04 'MQTT' 05 02 00 3c 05 27 00 00 00 00 00 00"],
  ["5.0: session expiry twice", PROTOCOL, "10 17 00 04 'MQTT' 05 02 00 3c 0a 11 00 00 00 01 11 00 00 00 01 00 00"],
  ["5.0: request problem information 2", PROTOCOL, "10 0f 00 04 'MQTT' 05 02 00 3c 02 17 02 00 00"],
  ["5.0: authentication data without a method", PROTOCOL, "10 11 00 04 'MQTT' 05 02 00 3c 04 16 00 01 'd' 00 00"],
  ["5.0: will delay among CONNECT's properties", MALFORMED, "10 12 00 04 'MQTT' 05 02 00 3c 05 18 00 00 00 01 00 00"],
  [
    "5.0: will with a payload format of 2",
    PROTOCOL,
    "10 15 00 04 'MQTT' 05 06 00 3c 00 00 00 02 01 02 00 01 'w' 00 00",
  ],
];

/** At a server, after CONNECT of either version: what has no properties, or never comes to them. */
const SERVER: readonly Row[] = [
  ["second CONNECT [MQTT-3.1.0-2], [MQTT311-3.1.0-2]", PROTOCOL, "10 0d 00 04 'MQTT' 04 02 00 3c 00 01 'c'"],
  ["packet type 0", MALFORMED, "00 00"],
  ["CONNACK to a server", PROTOCOL, "20 02 00 00"],
  ["SUBACK to a server", PROTOCOL, "90 03 00 01 00"],
  ["UNSUBACK to a server", PROTOCOL, "b0 02 00 01"],
  ["PINGRESP to a server", PROTOCOL, "d0 00"],
  ["PUBLISH QoS 3 [MQTT-3.3.1-4], [MQTT311-3.3.1-4]", MALFORMED, "36 07 00 03 'a/b' 00 01"],
  ["PUBLISH QoS 0 with DUP [MQTT-3.3.1-2], [MQTT311-3.3.1-2]", MALFORMED, "38 05 00 03 'a/b'"],
  ["PUBLISH that ends within the topic's length", MALFORMED, "30 01 00"],
  ["PUBLISH that ends within its topic", MALFORMED, "30 04 00 03 'a/'"],
  ["PUBLISH that ends within its packet identifier", MALFORMED, "32 06 00 03 'a/b' 00"],
  ["PUBLISH above the packet limit", 0x95, "30 fd ff 3f"],
  ["PUBACK with flags [MQTT-2.1.3-1], [MQTT311-2.2.2-2]", MALFORMED, "41 02 00 01"],
  ["PUBACK with packet identifier 0", PROTOCOL, "40 02 00 00"],
  ["PUBACK of one byte", MALFORMED, "40 01 00"],
  ["PUBREL without its flags [MQTT-3.6.1-1], [MQTT311-3.6.1-1]", MALFORMED, "60 02 00 01"],
  ["SUBSCRIBE without its flags [MQTT-3.8.1-1], [MQTT311-3.8.1-1]", MALFORMED, "80 06 00 01 00 01 'a' 00"],
  ["UNSUBSCRIBE without its flags [MQTT-3.10.1-1], [MQTT311-3.10.1-1]", MALFORMED, "a0 05 00 01 00 01 'a'"],
  ["PINGREQ with a body", MALFORMED, "c0 01 00"],
  ["DISCONNECT with flags [MQTT-3.14.1-1], [MQTT311-3.14.1-1]", MALFORMED, "e1 00"],
];

/** At a server, after CONNECT 3.1.1. */
const SERVER_4: readonly Row[] = [
  ["AUTH in 3.1.1", MALFORMED, "f0 00"],
  ["PUBLISH with packet identifier 0 [MQTT311-2.3.1-1]", PROTOCOL, "32 07 00 03 'a/b' 00 00"],
  ["PUBLISH without a topic", PROTOCOL, "30 02 00 00"],
  ["PUBACK 3.1.1 with a reason code", MALFORMED, "40 03 00 01 00"],
  ["SUBSCRIBE with packet identifier 0", PROTOCOL, "82 06 00 00 00 01 'a' 00"],
  ["SUBSCRIBE without a filter [MQTT311-3.8.3-3]", PROTOCOL, "82 02 00 01"],
  ["SUBSCRIBE for QoS 3 [MQTT311-3.8.3-4]", MALFORMED, "82 06 00 01 00 01 'a' 03"],
  ["SUBSCRIBE with options that only 5.0 has [MQTT311-3.8.3-4]", MALFORMED, "82 06 00 01 00 01 'a' 04"],
  ["SUBSCRIBE without options", MALFORMED, "82 05 00 01 00 01 'a'"],
  ["SUBSCRIBE to what is not UTF-8 [MQTT311-3.8.3-1]", MALFORMED, "82 06 00 01 00 01 ff 00"],
  ["SUBSCRIBE with more filters than we take", 0x97, `82 86 04 00 01 ${"00 01 'a' 00 ".repeat(129)}`],
  ["UNSUBSCRIBE without a filter [MQTT311-3.10.3-2]", PROTOCOL, "a2 02 00 01"],
  ["UNSUBSCRIBE with more filters than we take", 0x97, `a2 85 03 00 01 ${"00 01 'a' ".repeat(129)}`],
  ["DISCONNECT 3.1.1 with a reason code", MALFORMED, "e0 01 00"],
];

/** At a server, after CONNECT 5.0. */
const SERVER_5: readonly Row[] = [
  ["overlong remaining length [MQTT-1.5.5-1]", MALFORMED, "c0 80 00"],
  ["PUBLISH with packet identifier 0 [MQTT-2.2.1-3]", PROTOCOL, "32 06 00 01 'a' 00 00 00"],
  ["SUBSCRIBE with packet identifier 0 [MQTT-2.2.1-3]", PROTOCOL, "82 07 00 00 00 00 01 'a' 00"],
  ["UNSUBSCRIBE with packet identifier 0 [MQTT-2.2.1-3]", PROTOCOL, "a2 06 00 00 00 00 01 'a'"],
  ["PUBLISH with neither topic nor alias", PROTOCOL, "30 03 00 00 00"],
  ["SUBSCRIBE to what is not UTF-8 [MQTT-3.8.3-1]", MALFORMED, "82 07 00 01 00 00 01 ff 00"],
  ["SUBSCRIBE with more filters than we take", 0x97, `82 87 04 00 01 00 ${"00 01 'a' 00 ".repeat(129)}`],
  ["UNSUBSCRIBE from what is not UTF-8 [MQTT-3.10.3-1]", MALFORMED, "a2 06 00 01 00 00 01 ff"],
  ["UNSUBSCRIBE with nothing but properties [MQTT-3.10.3-2]", PROTOCOL, "a2 03 00 01 00"],
  ["AUTH with flags [MQTT-3.15.1-1]", MALFORMED, "f1 00"],
  ["PUBLISH with topic alias 0 [MQTT-3.3.2-8]", 0x94, "30 07 00 01 'a' 03 23 00 00"],
  ["PUBLISH with two topic aliases", PROTOCOL, "30 0a 00 01 'a' 06 23 00 01 23 00 01"],
  ["PUBLISH with a payload format of 2", PROTOCOL, "30 06 00 01 'a' 02 01 02"],
  ["PUBLISH with a subscription identifier of a client [MQTT-3.3.4-6]", PROTOCOL, "30 06 00 01 'a' 02 0b 01"],
  ["PUBLISH with a response topic that has a wildcard [MQTT-3.3.2-14]", PROTOCOL, "30 08 00 01 'a' 04 08 00 01 '+'"],
  ["PUBLISH with an empty response topic", PROTOCOL, "30 07 00 01 'a' 03 08 00 00"],
  ["PUBLISH with a content type that is not UTF-8", MALFORMED, "30 08 00 01 'a' 04 03 00 01 ff"],
  ["PUBLISH with a reason string", MALFORMED, "30 07 00 01 'a' 03 1f 00 00"],
  ["PUBLISH without a property length", MALFORMED, "30 03 00 01 'a'"],
  ["PUBLISH with properties longer than itself", MALFORMED, "30 05 00 01 'a' 05 01"],
  ["PUBLISH with a property length of five bytes", MALFORMED, "30 08 00 01 'a' ff ff ff ff 01"],
  ["PUBLISH with a user property that has no value", MALFORMED, "30 08 00 01 'a' 04 26 00 01 'k'"],
  ["PUBLISH with more user properties than we take", 0x97, `30 ca 02 00 01 'a' c5 02 ${"26 00 00 00 00 ".repeat(65)}`],
  ["PUBACK with a reason code it does not know [MQTT-3.4.2-1]", PROTOCOL, "40 03 00 01 92"],
  ["PUBACK with bytes after its properties", MALFORMED, "40 05 00 01 00 00 00"],
  ["PUBACK with two reason strings", PROTOCOL, "40 0a 00 01 00 06 1f 00 00 1f 00 00"],
  ["PUBREC with a reason code it does not know [MQTT-3.5.2-1]", PROTOCOL, "50 03 00 01 92"],
  ["PUBCOMP with a reason code it does not know [MQTT-3.7.2-1]", PROTOCOL, "70 03 00 01 10"],
  ["PUBREL with a reason code it does not know [MQTT-3.6.2-1]", PROTOCOL, "62 03 00 01 10"],
  ["SUBSCRIBE with a reserved option [MQTT-3.8.3-5]", MALFORMED, "82 07 00 01 00 00 01 'a' 40"],
  ["SUBSCRIBE for QoS 3", PROTOCOL, "82 07 00 01 00 00 01 'a' 03"],
  ["SUBSCRIBE with retain handling 3", PROTOCOL, "82 07 00 01 00 00 01 'a' 30"],
  ["SUBSCRIBE with no local on a shared filter [MQTT-3.8.3-4]", PROTOCOL, "82 0f 00 01 00 00 09 '$share/g/' 04"],
  ["SUBSCRIBE with subscription identifier 0", PROTOCOL, "82 09 00 01 02 0b 00 00 01 'a' 00"],
  ["SUBSCRIBE with two subscription identifiers", PROTOCOL, "82 0b 00 01 04 0b 01 0b 02 00 01 'a' 00"],
  [
    "SUBSCRIBE with a subscription identifier of five bytes",
    MALFORMED,
    "82 0d 00 01 06 0b ff ff ff ff 01 00 01 'a' 00",
  ],
  ["SUBSCRIBE with an overlong subscription identifier", MALFORMED, "82 0a 00 01 03 0b 81 00 00 01 'a' 00"],
  ["SUBSCRIBE with nothing but properties [MQTT-3.8.3-2]", PROTOCOL, "82 03 00 01 00"],
  ["UNSUBSCRIBE with a subscription identifier", MALFORMED, "a2 08 00 01 02 0b 01 00 01 'a'"],
  ["DISCONNECT with a reason code it does not know [MQTT-3.14.2-1]", PROTOCOL, "e0 01 01"],
  ["DISCONNECT with bytes after its properties", MALFORMED, "e0 03 00 00 00"],
  ["AUTH with a reason code it does not know [MQTT-3.15.2-1]", PROTOCOL, "f0 06 01 04 15 00 01 'm'"],
  ["AUTH without a method", PROTOCOL, "f0 02 18 00"],
  ["AUTH without a property length", MALFORMED, "f0 01 18"],
];

/** The first packet, at a client. */
const CLIENT_FIRST_5: readonly Row[] = [
  ["PUBLISH before CONNACK [MQTT-3.2.0-1]", PROTOCOL, "30 05 00 01 'a' 00 'x'"],
  ["CONNECT to a client", PROTOCOL, "10 0d 00 04 'MQTT' 04 02 00 3c 00 01 'c'"],
  ["CONNACK with a reserved flag [MQTT-3.2.2-1]", MALFORMED, "20 03 02 00 00"],
  ["CONNACK that refuses with a session present [MQTT-3.2.2-6]", PROTOCOL, "20 03 01 87 00"],
  ["CONNACK with a reason code it does not know [MQTT-3.2.2-8]", PROTOCOL, "20 03 00 01 00"],
  ["CONNACK 5.0 without a property length", MALFORMED, "20 02 00 00"],
  ["CONNACK with maximum QoS 2", PROTOCOL, "20 05 00 00 02 24 02"],
];

/** The first packet, at a client that speaks 3.1.1. */
const CLIENT_FIRST_4: readonly Row[] = [
  ["CONNACK 3.1.1 with a return code above 5", PROTOCOL, "20 02 00 06"],
  ["CONNACK 3.1.1 that refuses with a session present [MQTT311-3.2.2-4]", PROTOCOL, "20 02 01 05"],
  ["CONNACK 3.1.1 with properties", MALFORMED, "20 03 00 00 00"],
  ["AUTH in 3.1.1 before CONNACK", MALFORMED, "f0 00"],
];

/** At a client that speaks 3.1.1. */
const CLIENT_4: readonly Row[] = [
  ["second CONNACK [MQTT-3.2.0-2]", PROTOCOL, "20 02 00 00"],
  ["DISCONNECT of a 3.1.1 server", PROTOCOL, "e0 00"],
  ["SUBSCRIBE to a client", PROTOCOL, "82 06 00 01 00 01 'a' 00"],
  ["UNSUBSCRIBE to a client", PROTOCOL, "a2 05 00 01 00 01 'a'"],
  ["PINGREQ to a client", PROTOCOL, "c0 00"],
  ["SUBACK without a code", MALFORMED, "90 02 00 01"],
  ["SUBACK with a code it does not know [MQTT-3.9.3-2]", PROTOCOL, "90 03 00 01 03"],
  ["UNSUBACK 3.1.1 with a body", MALFORMED, "b0 03 00 01 00"],
  ["PINGRESP with a body", MALFORMED, "d0 01 00"],
];

/** At a client that speaks 5.0. */
const CLIENT_5: readonly Row[] = [
  ["DISCONNECT of a server with a session expiry [MQTT-3.14.2-2]", PROTOCOL, "e0 07 00 05 11 00 00 00 01"],
  ["UNSUBACK with a code it does not know [MQTT-3.11.3-2]", PROTOCOL, "b0 04 00 01 00 01"],
  ["PUBLISH of a server with packet identifier 0 [MQTT-2.2.1-4]", PROTOCOL, "32 06 00 01 'a' 00 00 00"],
  ["PUBLISH with subscription identifier 0", PROTOCOL, "30 06 00 01 'a' 02 0b 00"],
];

function at(to: Role, version: ProtocolVersion, rows: readonly Row[], opening?: true): readonly MalformedCase[] {
  return rows.map(([title, reasonCode, bytes]) => ({
    title: `${title} (${to} ${version})`,
    version,
    to,
    reasonCode,
    bytes: listing(bytes),
    ...(opening === undefined ? {} : { opening }),
  }));
}

export const MALFORMED_CASES: readonly MalformedCase[] = [
  ...at("server", 4, FIRST, true),
  ...at("server", 4, SERVER),
  ...at("server", 5, SERVER),
  ...at("server", 4, SERVER_4),
  ...at("server", 5, SERVER_5),
  ...at("client", 5, CLIENT_FIRST_5, true),
  ...at("client", 4, CLIENT_FIRST_4, true),
  ...at("client", 4, CLIENT_4),
  ...at("client", 5, CLIENT_5),
];
