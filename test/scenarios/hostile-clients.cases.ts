/** Packets that brought other brokers down, and what has to come back for them; MQTT 5.0 unless told. */

/** What ends the story, or that it goes on. */
export type Outcome =
  /** The packet that says no, and the reason codes that are right for it. */
  | { readonly packet: "connack" | "disconnect" | "puback" | "suback" | "unsuback"; readonly codes: readonly number[] }
  /** Cut without a word: nothing that MQTT knows had begun, or 3.1.1 has no word for it. */
  | { readonly packet: "none" }
  /** Nothing wrong: a PINGREQ behind it is answered. */
  | { readonly packet: "pingresp" };

/** Whether that is a refusal, which has to be counted. */
export function isRefusal(outcome: Outcome): boolean {
  const told = outcome.packet === "puback" || outcome.packet === "suback";
  return told ? outcome.codes[0]! >= 0x80 : !["unsuback", "pingresp"].includes(outcome.packet);
}

export interface HostileCase {
  readonly title: string;
  /** `id`: the only client id that this client's certificate may use. */
  readonly bytes: (id: string) => readonly Uint8Array[];
  readonly outcome: Outcome;
  /** Where there is no identity there are no policies, and more is allowed. */
  readonly anonymousOutcome?: Outcome;
}

export function utf8(text: string | Uint8Array): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 0xff), bytes]);
}

export function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.of(...bytes, rest);
    bytes.push((rest % 128) | 0x80);
  }
}

export function packet(first: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.of(first), varint(body.length), body]);
}

function properties(...parts: readonly Uint8Array[]): Buffer {
  const all = Buffer.concat(parts);
  return Buffer.concat([varint(all.length), all]);
}

interface ConnectParts {
  readonly flags?: number;
  readonly keepAlive?: number;
  readonly properties?: Buffer;
  /** Will and user name, as the flags say. */
  readonly rest?: readonly Uint8Array[];
}

const CLEAN = 0x02;
const WILL = 0x04;
const USER_NAME = 0x80;

export function connect(clientId: string | Uint8Array, parts: ConnectParts = {}): Buffer {
  const { flags = CLEAN, keepAlive = 60, properties: given = properties(), rest = [] } = parts;
  const head = [utf8("MQTT"), Buffer.of(5, flags, keepAlive >> 8, keepAlive & 0xff), given];
  return packet(0x10, ...head, utf8(clientId), ...rest);
}

export function publish(topic: Uint8Array, given: Buffer = properties(), payload = "x"): Buffer {
  return packet(0x32, topic, Buffer.of(0, 1), given, Buffer.from(payload));
}

function subscribe(filter: string | Uint8Array, packetId = 1): Buffer {
  return packet(0x82, Buffer.of(packetId >> 8, packetId & 0xff), properties(), utf8(filter), Buffer.of(1));
}

function unsubscribe(filter: string | Uint8Array, packetId = 1): Buffer {
  return packet(0xa2, Buffer.of(packetId >> 8, packetId & 0xff), properties(), utf8(filter));
}

function willOf(topic: string | Uint8Array, given: Buffer = properties()): ConnectParts {
  return { flags: CLEAN | WILL, rest: [given, utf8(topic), utf8("gone")] };
}

const PINGREQ = Buffer.of(0xc0, 0);
const userProperty = (name: string | Uint8Array, value = ""): Buffer =>
  Buffer.concat([Buffer.of(0x26), utf8(name), utf8(value)]);
const DEEP = `telemetry/${"x/".repeat(150)}x`;
const SLASHES = "/".repeat(65_535);
const NOT_UTF8 = Buffer.from([0x61, 0xc3, 0x28]);
const SURROGATE = Buffer.from([0x61, 0xed, 0xa0, 0x80]);
const NULL = "a\u0000b";

const MALFORMED = 0x81;
const PROTOCOL_ERROR = 0x82;
const CLIENT_ID = 0x85;
const NOT_AUTHORIZED = 0x87;
const FILTER = 0x8f;
const TOPIC = 0x90;
const RECEIVE_MAXIMUM = 0x93;
const TOO_LARGE = 0x95;

const disconnect = (...codes: readonly number[]): Outcome => ({ packet: "disconnect", codes });
const connack = (...codes: readonly number[]): Outcome => ({ packet: "connack", codes });
const NOTHING: Outcome = { packet: "none" };
const SERVED: Outcome = { packet: "pingresp" };

/** A case whose CONNECT is good. */
function behind(
  title: string,
  bytes: (id: string) => readonly Uint8Array[],
  outcome: Outcome,
  anonymousOutcome?: Outcome,
): HostileCase {
  const more = anonymousOutcome === undefined ? {} : { anonymousOutcome };
  return { title, bytes: (id) => [connect(id), ...bytes(id)], outcome, ...more };
}

function opening(
  title: string,
  bytes: (id: string) => Uint8Array,
  outcome: Outcome,
  anonymousOutcome?: Outcome,
): HostileCase {
  const more = anonymousOutcome === undefined ? {} : { anonymousOutcome };
  return { title, bytes: (id) => [bytes(id)], outcome, ...more };
}

const BROKEN_TEXTS: readonly (readonly [string, Uint8Array])[] = [
  ["invalid UTF-8 [MQTT-1.5.4-1]", NOT_UTF8],
  ["half a surrogate pair [MQTT-1.5.4-1]", SURROGATE],
  ["U+0000 [MQTT-1.5.4-2]", Buffer.from(NULL)],
];

export const HOSTILE_CASES: readonly HostileCase[] = [
  // ── lengths ────────────────────────────────────────────────────────────────────────────────
  behind(
    "a topic longer than its packet",
    () => [packet(0x30, Buffer.of(0xff, 0xff), Buffer.from("a"))],
    disconnect(MALFORMED),
  ),
  behind(
    "properties longer than their packet",
    (id) => [packet(0x30, utf8(`telemetry/${id}/m`), Buffer.of(0x7f, 0x01))],
    disconnect(MALFORMED),
  ),
  behind(
    "a user property longer than the properties",
    (id) => [packet(0x30, utf8(`telemetry/${id}/m`), properties(Buffer.of(0x26, 0xff, 0xff, 0x61)))],
    disconnect(MALFORMED),
  ),
  opening(
    "a CONNECT that ends within its client id",
    () => packet(0x10, utf8("MQTT"), Buffer.of(5, 2, 0, 60, 0, 0, 9, 0x61)),
    connack(MALFORMED),
  ),
  opening("256 MB announced before CONNECT", () => Buffer.of(0x10, 0xff, 0xff, 0xff, 0x7f), NOTHING),
  behind("256 MB announced behind CONNECT", () => [Buffer.of(0x30, 0xff, 0xff, 0xff, 0x7f)], disconnect(TOO_LARGE)),
  behind(
    "a remaining length of five bytes",
    () => [Buffer.of(0x30, 0xff, 0xff, 0xff, 0xff, 0x01)],
    disconnect(MALFORMED),
  ),
  opening(
    "a remaining length of five bytes, before CONNECT",
    () => Buffer.of(0x10, 0x80, 0x80, 0x80, 0x80, 0x01),
    NOTHING,
  ),
  behind(
    "a property length of five bytes",
    (id) => [packet(0x30, utf8(`telemetry/${id}/m`), Buffer.of(0x80, 0x80, 0x80, 0x80, 0x01))],
    disconnect(MALFORMED),
  ),
  opening(
    "a property length of five bytes in CONNECT",
    (id) => connect(id, { properties: Buffer.of(0xff, 0xff, 0xff, 0xff, 0x01) }),
    connack(MALFORMED),
  ),
  behind(
    "a subscription identifier of five bytes",
    () => [
      packet(0x82, Buffer.of(0, 1), properties(Buffer.of(0x0b, 0xff, 0xff, 0xff, 0xff, 0x01)), utf8("a"), Buffer.of(0)),
    ],
    disconnect(MALFORMED),
  ),

  // ── order ──────────────────────────────────────────────────────────────────────────────────
  opening("PUBLISH first [MQTT-3.1.0-1]", () => publish(utf8("a")), NOTHING),
  opening("PINGREQ first [MQTT-3.1.0-1]", () => PINGREQ, NOTHING),
  opening("a wrong protocol name", (id) => packet(0x10, utf8("MQXX"), Buffer.of(5, 2, 0, 60, 0), utf8(id)), {
    packet: "none",
  }),
  behind("CONNECT twice [MQTT-3.1.0-2]", (id) => [connect(id)], disconnect(PROTOCOL_ERROR)),
  {
    title: "a CONNACK from the client, as it was sent to others",
    bytes: () => [Buffer.from("101000044d5154540502003c03210014000029020001e000", "hex")],
    outcome: connack(CLIENT_ID, NOT_AUTHORIZED), // it names no client id
    anonymousOutcome: disconnect(MALFORMED, PROTOCOL_ERROR),
  },
  behind("a CONNACK behind CONNECT", () => [Buffer.of(0x20, 3, 0, 0, 0)], disconnect(PROTOCOL_ERROR, MALFORMED)),
  behind("reserved flag bits [MQTT-2.1.3-1]", () => [Buffer.of(0xc1, 0)], disconnect(MALFORMED)),

  // ── topics ─────────────────────────────────────────────────────────────────────────────────
  behind("PUBLISH to 152 levels", () => [publish(utf8(DEEP))], disconnect(TOPIC)),
  behind("SUBSCRIBE to 152 levels", () => [subscribe(DEEP)], { packet: "suback", codes: [FILTER] }),
  behind("UNSUBSCRIBE from 152 levels", () => [unsubscribe(DEEP)], { packet: "unsuback", codes: [FILTER, 0x11] }),
  opening("a Will of 152 levels", (id) => connect(id, willOf(DEEP)), connack(TOPIC)),
  behind("PUBLISH to 65,535 slashes", () => [publish(utf8(SLASHES))], disconnect(TOPIC)),
  behind("SUBSCRIBE to 65,535 slashes", () => [subscribe(SLASHES)], { packet: "suback", codes: [FILTER] }),
  behind("UNSUBSCRIBE from 65,535 slashes", () => [unsubscribe(SLASHES)], {
    packet: "unsuback",
    codes: [FILTER, 0x11],
  }),
  behind(
    "PUBLISH to an empty topic, without an alias [MQTT-4.7.3-1]",
    () => [publish(utf8(""))],
    disconnect(PROTOCOL_ERROR, TOPIC),
  ),
  behind("SUBSCRIBE to an empty filter [MQTT-4.7.3-1]", () => [subscribe("")], { packet: "suback", codes: [FILTER] }),
  behind("UNSUBSCRIBE from an empty filter [MQTT-4.7.3-1]", () => [unsubscribe("")], {
    packet: "unsuback",
    codes: [FILTER, 0x11],
  }),
  opening("a Will without a topic [MQTT-4.7.3-1]", (id) => connect(id, willOf("")), connack(TOPIC, PROTOCOL_ERROR)),
  behind("PUBLISH with wildcards [MQTT-3.3.2-2]", () => [publish(utf8("a/#"))], disconnect(TOPIC)),
  opening("a Will with wildcards", (id) => connect(id, willOf("a/+")), connack(TOPIC)),
  behind(
    "PUBLISH to $x/y",
    () => [publish(utf8("$x/y"))],
    { packet: "puback", codes: [NOT_AUTHORIZED] },

    { packet: "puback", codes: [NOT_AUTHORIZED, 0, 0x10] },
  ),
  behind(
    "PUBLISH to $SYS/broker/uptime",
    () => [publish(utf8("$SYS/broker/uptime"))],
    { packet: "puback", codes: [NOT_AUTHORIZED] },

    { packet: "puback", codes: [NOT_AUTHORIZED, 0, 0x10] },
  ),
  behind(
    "a topic alias that was never set [MQTT-3.3.2-8]",
    () => [publish(utf8(""), properties(Buffer.of(0x23, 0, 5)))],
    disconnect(PROTOCOL_ERROR),
  ),
  behind(
    "a topic alias above the maximum [MQTT-3.3.2-9]",
    (id) => [publish(utf8(`telemetry/${id}/m`), properties(Buffer.of(0x23, 0xff, 0xff)))],
    disconnect(0x94),
  ),

  // ── properties ─────────────────────────────────────────────────────────────────────────────
  behind(
    "40,000 user properties in PUBLISH",
    (id) => [
      publish(utf8(`telemetry/${id}/m`), properties(...Array.from({ length: 40_000 }, () => userProperty("k", "v")))),
    ],
    disconnect(0x97, PROTOCOL_ERROR, TOO_LARGE, MALFORMED),
  ),
  opening(
    "9,000 user properties in CONNECT",
    (id) => connect(id, { properties: properties(...Array.from({ length: 9_000 }, () => userProperty("k", "v"))) }),
    connack(0x97, PROTOCOL_ERROR, TOO_LARGE, MALFORMED),
  ),
  opening(
    "20,000 user properties in CONNECT: larger than it may be",
    (id) => connect(id, { properties: properties(...Array.from({ length: 20_000 }, () => userProperty("k", "v"))) }),
    NOTHING,
  ),
  opening(
    "a topic alias in a Will",
    (id) => connect(id, willOf("a", properties(Buffer.of(0x23, 0, 1)))),
    connack(PROTOCOL_ERROR, MALFORMED),
  ),
  opening(
    "a receive maximum in a Will",
    (id) => connect(id, willOf("a", properties(Buffer.of(0x21, 0, 1)))),
    connack(PROTOCOL_ERROR, MALFORMED),
  ),
  opening(
    "a property that nobody knows",
    (id) => connect(id, { properties: properties(Buffer.of(0x7f, 0)) }),
    connack(MALFORMED, PROTOCOL_ERROR),
  ),
  opening(
    "a receive maximum of 0",
    (id) => connect(id, { properties: properties(Buffer.of(0x21, 0, 0)) }),
    connack(PROTOCOL_ERROR),
  ),
  opening(
    "the same property twice",
    (id) => connect(id, { properties: properties(Buffer.of(0x21, 0, 1, 0x21, 0, 1)) }),
    connack(PROTOCOL_ERROR),
  ),

  // ── text ───────────────────────────────────────────────────────────────────────────────────
  ...BROKEN_TEXTS.flatMap(([what, text]) => [
    behind(`a topic with ${what}`, () => [publish(utf8(text))], disconnect(MALFORMED, TOPIC)),
    behind(`a filter with ${what}`, () => [subscribe(text)], disconnect(MALFORMED)),
    behind(
      `a user property with ${what}`,
      (id) => [publish(utf8(`telemetry/${id}/m`), properties(userProperty(text)))],
      disconnect(MALFORMED),
    ),
    opening(`a client id with ${what} [MQTT-3.1.3-4]`, () => connect(text), connack(MALFORMED, CLIENT_ID)),
    opening(
      `a Will's topic with ${what} [MQTT-3.1.3-11]`,
      (id) => connect(id, willOf(text)),
      connack(MALFORMED, TOPIC),
    ),
    opening(
      `a user name with ${what} [MQTT-3.1.3-12]`,
      (id) => connect(id, { flags: CLEAN | USER_NAME, rest: [utf8(text)] }),
      connack(MALFORMED),
    ),
  ]),

  // ── identity ───────────────────────────────────────────────────────────────────────────────
  opening("client id #", () => connect("#"), connack(CLIENT_ID), SERVED),
  opening("client id +", () => connect("+"), connack(CLIENT_ID), SERVED),
  opening("client id with slashes and wildcards", () => connect("a/+/#"), connack(CLIENT_ID), SERVED),
  opening("user name #", (id) => connect(id, { flags: CLEAN | USER_NAME, rest: [utf8("#")] }), SERVED),
  opening("user name +", (id) => connect(id, { flags: CLEAN | USER_NAME, rest: [utf8("+")] }), SERVED),
  opening("a client id of 65,535 bytes", () => connect("x".repeat(65_535 - 20)), connack(CLIENT_ID, TOO_LARGE)),

  behind(
    "QoS 2 identifiers that are never released: no more than our Receive Maximum [MQTT-3.3.4-9]",
    (id) => {
      const unreleased = (i: number): Buffer =>
        packet(0x34, utf8(`telemetry/${id}/m`), Buffer.of(i >> 8, i & 0xff), properties(), Buffer.from("x"));
      return [Buffer.concat(Array.from({ length: 20_000 }, (_, i) => unreleased(i + 1)))];
    },
    disconnect(RECEIVE_MAXIMUM),
  ),

  // ── races ──────────────────────────────────────────────────────────────────────────────────
  behind(
    "500 times SUBSCRIBE, PUBLISH and UNSUBSCRIBE in one breath",
    (id) => {
      const topic = `telemetry/${id}/race`;
      const round = (i: number): Buffer =>
        Buffer.concat([subscribe(topic, 2 * i + 2), publish(utf8(topic)), unsubscribe(topic, 2 * i + 3)]);
      return [Buffer.concat(Array.from({ length: 500 }, (_, i) => round(i)))];
    },
    SERVED,
  ),
];
