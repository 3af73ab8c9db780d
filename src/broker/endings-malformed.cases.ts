/** Endings of those who send what MQTT does not allow. */
import { REASON } from "../wire/mqtt/mod.ts";
import { connected, request } from "./endings.fixture.ts";
import type { Ending } from "./endings.fixture.ts";

/** Bytes that a connected client sends, and the code that MQTT 5.0 has for them. */
const wrongBytes = (
  what: string,
  code: number,
  bytes: readonly number[],
  more: Partial<Ending> & { readonly four?: readonly number[] } = {},
): Ending => ({
  what,
  callers: ["connection.ts kind"],
  act: (world, version) =>
    connected((client) => client.sendBytes(Uint8Array.from(version === 4 ? (more.four ?? bytes) : bytes)))(
      world,
      version,
    ),
  told: code,
  cause: "CLIENT_ERROR",
  reason: "malformed-packet",
  ...more,
});

export const MALFORMED: readonly Ending[] = [
  wrongBytes("a reserved packet type", REASON.malformedPacket, [0x00, 0]),
  wrongBytes("reserved flags", REASON.malformedPacket, [0x80, 0]),
  wrongBytes("QoS 3", REASON.malformedPacket, [0x36, 0]),
  wrongBytes("a remaining length of five bytes", REASON.malformedPacket, [0x30, 0x80, 0x80, 0x80, 0x80, 1]),
  wrongBytes("a packet that ends too early", REASON.malformedPacket, [0x30, 1, 0]),
  wrongBytes("a CONNACK of a client", REASON.protocolError, [0x20, 2, 0, 0]),
  wrongBytes("a packet identifier of 0", REASON.protocolError, [0x32, 6, 0, 1, 0x61, 0, 0, 0]),
  wrongBytes("no filter in SUBSCRIBE", REASON.protocolError, [0x82, 3, 0, 1, 0], { four: [0x82, 2, 0, 1] }),
  wrongBytes("a packet above our maximum", REASON.packetTooLarge, [0x30, 0xff, 0xff, 0xff, 0x7f]),
  wrongBytes("a wildcard in a topic name", REASON.topicNameInvalid, [0x30, 4, 0, 1, 0x23, 0], {
    four: [0x30, 3, 0, 1, 0x23],
    reason: "publish-topic",
  }),
  wrongBytes("a topic that is no UTF-8", REASON.malformedPacket, [0x30, 4, 0, 1, 0xff, 0], {
    four: [0x30, 3, 0, 1, 0xff],
  }),
  wrongBytes("an empty topic without an alias", REASON.protocolError, [0x30, 3, 0, 0, 0], { four: [0x30, 2, 0, 0] }),
  wrongBytes("an alias of 0", REASON.topicAliasInvalid, [0x30, 7, 0, 1, 0x61, 3, 0x23, 0, 0], { onlyFive: true }),
  wrongBytes("an alias above our maximum", REASON.topicAliasInvalid, [0x30, 7, 0, 1, 0x61, 3, 0x23, 0xff, 0xff], {
    onlyFive: true,
  }),
  wrongBytes("an alias that was never given", REASON.protocolError, [0x30, 6, 0, 0, 3, 0x23, 0, 1], { onlyFive: true }),
  wrongBytes("a subscription identifier of a client", REASON.protocolError, [0x30, 6, 0, 1, 0x61, 2, 0x0b, 1], {
    onlyFive: true,
  }),
  {
    what: "more filters than we take in one packet",
    callers: ["connection.ts kind"],
    options: { limits: { filtersPerSubscribeMax: 1 } },
    act: connected((c) =>
      c.send((w) => w.subscribe({ packetId: 1, requests: [request, request], subscriptionIdentifier: 0 })),
    ),
    told: REASON.quotaExceeded,
    cause: "CLIENT_ERROR",
    reason: "malformed-packet",
  },
  {
    what: "a second CONNECT",
    callers: ["connection.ts kind"],
    act: connected((client) => client.connect({ clientId: "c1" })),
    told: REASON.protocolError,
    cause: "CLIENT_ERROR",
    reason: "malformed-packet",
  },
];
