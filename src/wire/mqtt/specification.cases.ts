/**
 * The tables of MQTT 5.0 that a codec obeys, copied from the specification and not from ours: which property may stand in
 * which packet (table 2-4), and which reason codes a packet knows (sections 3.2.2.2 to 3.15.2.1).
 */
import type { Role } from "./types.ts";

/** Where properties stand. */
export type PropertyPlace =
  | "connect"
  | "connack"
  | "publish"
  | "will"
  | "puback"
  | "pubrec"
  | "pubrel"
  | "pubcomp"
  | "subscribe"
  | "suback"
  | "unsubscribe"
  | "unsuback"
  | "disconnect"
  | "auth";

export interface PropertyCase {
  readonly title: string;
  /** With its identifier. */
  readonly bytes: string;
  readonly places: readonly PropertyPlace[];
  /** What a reader makes of it, at the place's values. */
  readonly field: string;
  readonly value: unknown;
  /** May it stand twice, and where. */
  readonly repeatable?: readonly PropertyPlace[];
  /** Places where it is checked and not delivered, because nobody here has a use for it. */
  readonly dropped?: readonly PropertyPlace[];
  /** Another property that must stand beside it. */
  readonly needs?: string;
}

const MESSAGE = ["publish", "will"] as const;
const ACKNOWLEDGEMENTS = ["puback", "pubrec", "pubrel", "pubcomp"] as const;
const ANSWERS = [...ACKNOWLEDGEMENTS, "suback", "unsuback"] as const;

export const PLACES: readonly PropertyPlace[] = [
  "connect",
  "connack",
  ...MESSAGE,
  ...ANSWERS,
  "subscribe",
  "unsubscribe",
  "disconnect",
  "auth",
];

const METHOD = "15 00 01 'm'";

/** One row per property and value worth a row. */
export const PROPERTY_CASES: readonly PropertyCase[] = [
  { title: "payload format", bytes: "01 01", places: MESSAGE, field: "payloadFormat", value: 1 },
  { title: "payload format of bytes", bytes: "01 00", places: MESSAGE, field: "payloadFormat", value: 0 },
  {
    title: "message expiry",
    bytes: "02 ff ff ff fe",
    places: MESSAGE,
    field: "messageExpirySeconds",
    value: 0xffff_fffe,
  },
  { title: "message expiry of 0", bytes: "02 00 00 00 00", places: MESSAGE, field: "messageExpirySeconds", value: 0 },
  { title: "content type", bytes: "03 00 02 c3 a4", places: MESSAGE, field: "contentType", value: "\u00e4" },
  { title: "content type that is empty", bytes: "03 00 00", places: MESSAGE, field: "contentType", value: "" },
  { title: "response topic", bytes: "08 00 03 'a/b'", places: MESSAGE, field: "responseTopic", value: "a/b" },
  {
    title: "correlation data",
    bytes: "09 00 02 00 ff",
    places: MESSAGE,
    field: "correlationData",
    value: Uint8Array.of(0, 255),
  },
  {
    title: "correlation data that is empty",
    bytes: "09 00 00",
    places: MESSAGE,
    field: "correlationData",
    value: new Uint8Array(0),
  },
  {
    title: "subscription identifier",
    bytes: "0b 80 80 80 01",
    places: ["publish", "subscribe"],
    field: "subscriptionIdentifier",
    value: 2_097_152,
    repeatable: ["publish"],
  },
  {
    title: "session expiry",
    bytes: "11 ff ff ff ff",
    places: ["connect", "connack", "disconnect"],
    field: "sessionExpirySeconds",
    value: 0xffff_ffff,
  },
  {
    title: "assigned client identifier",
    bytes: "12 00 01 'x'",
    places: ["connack"],
    field: "assignedClientId",
    value: "x",
  },
  {
    title: "server keep alive of 0",
    bytes: "13 00 00",
    places: ["connack"],
    field: "serverKeepAliveSeconds",
    value: 0,
  },
  {
    title: "authentication method",
    bytes: "15 00 02 'm2'",
    places: ["connect", "connack", "auth"],
    field: "authenticationMethod",
    value: "m2",
  },
  {
    title: "authentication data",
    bytes: "16 00 01 00",
    places: ["connect", "connack", "auth"],
    field: "authenticationData",
    value: Uint8Array.of(0),
    needs: METHOD,
  },
  {
    title: "request problem information",
    bytes: "17 00",
    places: ["connect"],
    field: "requestProblemInformation",
    value: false,
  },
  { title: "will delay", bytes: "18 00 00 00 01", places: ["will"], field: "delaySeconds", value: 1 },
  {
    title: "request response information",
    bytes: "19 01",
    places: ["connect"],
    field: "requestResponseInformation",
    value: true,
  },
  {
    title: "response information",
    bytes: "1a 00 01 'r'",
    places: ["connack"],
    field: "responseInformation",
    value: "r",
  },
  {
    title: "server reference",
    bytes: "1c 00 01 's'",
    places: ["connack", "disconnect"],
    field: "serverReference",
    value: "s",
  },
  {
    title: "reason string",
    bytes: "1f 00 01 'y'",
    places: ["connack", ...ANSWERS, "disconnect", "auth"],
    field: "reasonString",
    value: "y",
  },
  { title: "receive maximum", bytes: "21 00 01", places: ["connect", "connack"], field: "receiveMaximum", value: 1 },
  {
    title: "topic alias maximum",
    bytes: "22 ff ff",
    places: ["connect", "connack"],
    field: "topicAliasMaximum",
    value: 65_535,
  },
  { title: "topic alias", bytes: "23 ff ff", places: ["publish"], field: "topicAlias", value: 65_535 },
  { title: "maximum QoS 1", bytes: "24 01", places: ["connack"], field: "maximumQos", value: 1 },
  { title: "maximum QoS 0", bytes: "24 00", places: ["connack"], field: "maximumQos", value: 0 },
  { title: "retain available", bytes: "25 00", places: ["connack"], field: "retainAvailable", value: false },
  {
    title: "user property",
    bytes: "26 00 00 00 01 'v'",
    places: PLACES,
    field: "userProperties",
    value: [["", "v"]],
    repeatable: PLACES,
    dropped: [...ANSWERS, "subscribe", "unsubscribe", "disconnect", "auth"],
  },
  {
    title: "maximum packet size",
    bytes: "27 00 00 00 01",
    places: ["connect", "connack"],
    field: "maximumPacketSize",
    value: 1,
  },
  {
    title: "wildcard subscriptions",
    bytes: "28 00",
    places: ["connack"],
    field: "wildcardSubscriptionAvailable",
    value: false,
  },
  {
    title: "subscription identifiers",
    bytes: "29 01",
    places: ["connack"],
    field: "subscriptionIdentifiersAvailable",
    value: true,
  },
  {
    title: "shared subscriptions",
    bytes: "2a 01",
    places: ["connack"],
    field: "sharedSubscriptionAvailable",
    value: true,
  },
];

/** A packet around its properties: what stands before and behind them, and whose reader takes it. */
export interface Frame {
  readonly first: number;
  readonly before: string;
  readonly behind: string;
  readonly to: readonly Role[];
  /** Properties without which the packet is none. */
  readonly needs?: string;
}

const BOTH = ["server", "client"] as const;
const acknowledgement = (first: number): Frame => ({ first, before: "00 01 00", behind: "", to: BOTH });

export const FRAMES: Readonly<Record<PropertyPlace, Frame>> = {
  connect: { first: 0x10, before: "00 04 'MQTT' 05 02 00 3c", behind: "00 01 'c'", to: ["server"] },
  will: { first: 0x10, before: "00 04 'MQTT' 05 06 00 3c 00 00 01 'c'", behind: "00 01 'w' 00 00", to: ["server"] },
  connack: { first: 0x20, before: "00 00", behind: "", to: ["client"] },
  publish: { first: 0x30, before: "00 01 'a'", behind: "'x'", to: BOTH },
  puback: acknowledgement(0x40),
  pubrec: acknowledgement(0x50),
  pubrel: acknowledgement(0x62),
  pubcomp: acknowledgement(0x70),
  subscribe: { first: 0x82, before: "00 01", behind: "00 01 'a' 00", to: ["server"] },
  suback: { first: 0x90, before: "00 01", behind: "00", to: ["client"] },
  unsubscribe: { first: 0xa2, before: "00 01", behind: "00 01 'a'", to: ["server"] },
  unsuback: { first: 0xb0, before: "00 01", behind: "00", to: ["client"] },
  disconnect: { first: 0xe0, before: "00", behind: "", to: BOTH },
  auth: { first: 0xf0, before: "18", behind: "", to: BOTH, needs: METHOD },
};

/** What the specification adds to its table in the text. */
export function isForbidden(place: PropertyPlace, to: Role, title: string): boolean {
  if (place === "publish" && to === "server") return title === "subscription identifier"; // [MQTT-3.3.4-6]
  return place === "disconnect" && to === "client" && title === "session expiry"; // [MQTT-3.14.2-2]
}

/** A packet that carries a reason code, around it. */
export interface CodedFrame {
  readonly first: number;
  readonly before: string;
  readonly behind: string;
  readonly to: readonly Role[];
  readonly codes: readonly number[];
}

const PUBLISH_CODES = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const coded = (first: number, codes: readonly number[]): CodedFrame => ({
  first,
  before: "00 01",
  behind: "00",
  to: BOTH,
  codes,
});

export const REASON_CASES: Readonly<Record<string, CodedFrame>> = {
  connack: {
    first: 0x20,
    before: "00",
    behind: "00",
    to: ["client"],
    codes: [
      0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b,
      0x9c, 0x9d, 0x9f,
    ],
  },
  puback: coded(0x40, PUBLISH_CODES),
  pubrec: coded(0x50, PUBLISH_CODES),
  pubrel: coded(0x62, [0x00, 0x92]),
  pubcomp: coded(0x70, [0x00, 0x92]),
  suback: {
    first: 0x90,
    before: "00 01 00",
    behind: "",
    to: ["client"],
    codes: [0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2],
  },
  unsuback: {
    first: 0xb0,
    before: "00 01 00",
    behind: "",
    to: ["client"],
    codes: [0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91],
  },
  disconnect: {
    first: 0xe0,
    before: "",
    behind: "00",
    to: BOTH,
    codes: [
      0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98,
      0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
    ],
  },
  auth: { first: 0xf0, before: "", behind: `04 ${METHOD}`, to: BOTH, codes: [0x00, 0x18, 0x19] },
};
