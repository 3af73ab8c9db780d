/** Packets that fast-check makes up: all that the protocol allows, and as mqtt-packet would say them. For tests only. */
import fc from "fast-check";
import type { ISubscription, Packet, UserProperties } from "mqtt-packet";
import type { MessageProperties, QoS } from "../../base/mod.ts";
import { connectPacket } from "./connect-packet.ts";
import type { PacketValue, PublishValue } from "./packets.recording.ts";
import type { ConnackPacket, ConnectPacket, ProtocolVersion, Role, SubscribeRequest, Will } from "./types.ts";

/** Any text that MQTT allows: no U+0000, no lone surrogates. */
const text = (maxLength = 40): fc.Arbitrary<string> =>
  fc.string({ unit: "binary", minLength: 1, maxLength }).map((value) => value.replaceAll("\0", "0"));
const binary = (maxLength = 60): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: 1, maxLength });
const u16 = fc.integer({ min: 1, max: 0xffff });
const u32 = fc.integer({ min: 1, max: 0xffff_ffff });
const qos = fc.constantFrom<QoS>(0, 1, 2);
const topic = text(60).map((value) => value.replaceAll(/[+#]/g, "-"));

/** As mqtt-packet keeps them, equal names stand together, so ours do too. */
const userProperties = fc
  .uniqueArray(fc.tuple(text(12), fc.array(text(12), { minLength: 1, maxLength: 3 })), {
    maxLength: 3,
    selector: ([name]) => name,
  })
  .map((groups) => groups.flatMap(([name, values]) => values.map((value) => [`n${name}`, value] as const)));

function properties(version: ProtocolVersion): fc.Arbitrary<MessageProperties | null> {
  if (version === 4) return fc.constant(null);
  return fc
    .record(
      {
        payloadFormat: fc.constantFrom<0 | 1>(0, 1),
        messageExpirySeconds: u32,
        contentType: text(),
        responseTopic: topic,
        correlationData: binary(),
        userProperties,
      },
      { requiredKeys: [] },
    )
    .map((made: MessageProperties): MessageProperties | null => {
      const { userProperties: pairs, ...rest } = made;
      const kept = pairs?.length === 0 ? rest : made;
      return Object.keys(kept).length === 0 ? null : kept;
    });
}

function will(version: ProtocolVersion): fc.Arbitrary<Will> {
  return fc.record({
    topic,
    payload: binary(),
    qos,
    retain: fc.boolean(),
    delaySeconds: version === 5 ? u32 : fc.constant(0),
    properties: properties(version),
  });
}

function connect(version: ProtocolVersion): fc.Arbitrary<PacketValue> {
  const common = {
    cleanStart: fc.boolean(),
    keepAliveSeconds: fc.integer({ min: 0, max: 0xffff }),
    clientId: text(20),
    username: text(),
    password: binary(),
    will: fc.option(will(version)),
  };
  const five = {
    sessionExpirySeconds: u32,
    receiveMaximum: u16,
    maximumPacketSize: u32,
    topicAliasMaximum: u16,
    requestResponseInformation: fc.boolean(),
    requestProblemInformation: fc.boolean(),
    userProperties,
    authenticationMethod: text(),
    authenticationData: binary(),
  };
  const fields: fc.Arbitrary<Partial<ConnectPacket> & { readonly clientId: string }> =
    version === 4 ? fc.record(common) : fc.record({ ...common, ...five });
  return fields.map((made) => ({ type: "connect", packet: connectPacket({ version, ...made }) }));
}

function connack(version: ProtocolVersion): fc.Arbitrary<PacketValue> {
  if (version === 4) {
    return fc.integer({ min: 0, max: 5 }).map((reasonCode) => ({
      type: "connack",
      packet: { sessionPresent: reasonCode === 0, reasonCode },
    }));
  }
  return fc
    .record(
      {
        sessionPresent: fc.constant(false),
        reasonCode: fc.constantFrom(0, 0x80, 0x87, 0x9c),
        sessionExpirySeconds: u32,
        receiveMaximum: u16,
        maximumQos: fc.constantFrom<0 | 1>(0, 1),
        retainAvailable: fc.boolean(),
        maximumPacketSize: u32,
        assignedClientId: text(),
        topicAliasMaximum: u16,
        reasonString: text(),
        wildcardSubscriptionAvailable: fc.boolean(),
        subscriptionIdentifiersAvailable: fc.boolean(),
        sharedSubscriptionAvailable: fc.boolean(),
        serverKeepAliveSeconds: u16,
        responseInformation: text(),
        serverReference: text(),
        authenticationMethod: text(),
        authenticationData: binary(),
      },
      { requiredKeys: ["sessionPresent", "reasonCode"] },
    )
    .map((packet: ConnackPacket) => ({ type: "connack", packet }));
}

function asPublish(made: Omit<PublishValue, "type">): PublishValue {
  return { type: "publish", ...made, dup: made.dup && made.qos !== 0, packetId: made.qos === 0 ? 0 : made.packetId };
}

function publish(version: ProtocolVersion, to: Role): fc.Arbitrary<PacketValue> {
  return fc
    .record({
      topic,
      payload: fc.uint8Array({ maxLength: 300 }),
      qos,
      retain: fc.boolean(),
      dup: fc.boolean(),
      packetId: u16,
      topicAlias: version === 5 ? fc.integer({ min: 0, max: 3 }) : fc.constant(0),
      properties: properties(version),
      subscriptionIdentifiers:
        version === 5 && to === "client"
          ? fc.array(fc.integer({ min: 1, max: 268_435_455 }), { maxLength: 3 })
          : fc.constant<number[]>([]),
    })
    .map(asPublish);
}

function acknowledge(version: ProtocolVersion): fc.Arbitrary<PacketValue> {
  const reason = version === 5 ? fc.constantFrom(0, 0x92) : fc.constant(0);
  return fc
    .record({ packetId: u16, reasonCode: reason, release: fc.boolean() })
    .map(({ packetId, reasonCode, release }) => ({
      type: "acknowledge",
      kind: reasonCode === 0 ? (release ? "pubrec" : "puback") : release ? "pubrel" : "pubcomp",
      packetId,
      reasonCode,
    }));
}

function subscribe(version: ProtocolVersion): fc.Arbitrary<PacketValue> {
  const five = version === 5;
  const request = fc.record({
    filter: text(),
    qos,
    noLocal: five ? fc.boolean() : fc.constant(false),
    retainAsPublished: five ? fc.boolean() : fc.constant(false),
    retainHandling: five ? fc.constantFrom<0 | 1 | 2>(0, 1, 2) : fc.constant<0>(0),
  });
  return fc
    .record({
      packetId: u16,
      requests: fc.array(request, { minLength: 1, maxLength: 5 }),
      subscriptionIdentifier: five ? fc.integer({ min: 0, max: 268_435_455 }) : fc.constant(0),
    })
    .map((packet) => ({ type: "subscribe", packet }));
}

function unsubscribe(): fc.Arbitrary<PacketValue> {
  return fc
    .record({ packetId: u16, filters: fc.array(text(), { minLength: 1, maxLength: 5 }) })
    .map((packet) => ({ type: "unsubscribe", packet }));
}

function suback(version: ProtocolVersion): fc.Arbitrary<PacketValue> {
  const code = version === 5 ? fc.constantFrom(0, 1, 2, 0x80, 0x87, 0x9e) : fc.constantFrom(0, 1, 2, 0x80);
  return fc
    .record({ packetId: u16, reasonCodes: fc.array(code, { minLength: 1, maxLength: 5 }) })
    .map((packet) => ({ type: "suback", packet }));
}

function unsuback(version: ProtocolVersion): fc.Arbitrary<PacketValue> {
  const codes = fc.array(fc.constantFrom(0, 0x11, 0x87), { minLength: 1, maxLength: 5 });
  return fc
    .record({ packetId: u16, reasonCodes: version === 5 ? codes : fc.constant<number[]>([]) })
    .map((packet) => ({ type: "unsuback", packet }));
}

function disconnect(version: ProtocolVersion, to: Role): fc.Arbitrary<PacketValue> {
  if (version === 4) {
    const packet = { reasonCode: 0, sessionExpirySeconds: null, reasonString: null };
    return fc.constant({ type: "disconnect", packet });
  }
  return fc
    .record({
      reasonCode: fc.constantFrom(0, 4, 0x81, 0x8e),
      sessionExpirySeconds: to === "server" ? fc.option(u32) : fc.constant(null),
      reasonString: fc.option(text()),
    })
    .map((packet) => ({ type: "disconnect", packet }));
}

function auth(): fc.Arbitrary<PacketValue> {
  return fc
    .record({ reasonCode: fc.constantFrom(0x18, 0x19), authenticationMethod: text(), authenticationData: binary() })
    .map((packet) => ({ type: "auth", packet }));
}

/** What may open a connection, for a reader of this role. */
export function openingPacket(version: ProtocolVersion, to: Role): fc.Arbitrary<PacketValue> {
  return plain(to === "server" ? connect(version) : connack(version));
}

/** What may come after that. */
export function laterPacket(version: ProtocolVersion, to: Role): fc.Arbitrary<PacketValue> {
  const both = [publish(version, to), acknowledge(version), ...(version === 5 ? [auth()] : [])];
  const client = [subscribe(version), unsubscribe(), constant({ type: "pingreq" }), disconnect(version, to)];
  const server = [suback(version), unsuback(version), constant({ type: "pingresp" })];
  if (version === 5) server.push(disconnect(version, to));
  return plain(fc.oneof(...both, ...(to === "server" ? client : server)));
}

function constant(value: PacketValue): fc.Arbitrary<PacketValue> {
  return fc.constant(value);
}

/** `fc.record` makes objects without a prototype, which `deepEqual` tells apart from ours. */
function plain(made: fc.Arbitrary<PacketValue>): fc.Arbitrary<PacketValue> {
  return made.map((value) => structuredClone(value));
}

/** Without the keys whose value is undefined or null, which mqtt-packet would take for values. */
function present<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined | null> } {
  const kept = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(kept) as { [K in keyof T]: Exclude<T[K], undefined | null> };
}

function theirPairs(pairs: readonly (readonly [string, string])[] | undefined): UserProperties | undefined {
  if (pairs === undefined || pairs.length === 0) return undefined;
  const grouped: Record<string, string[]> = {};
  for (const [name, value] of pairs) (grouped[name] ??= []).push(value);
  return grouped;
}

function theirMessageProperties(made: MessageProperties | null): object {
  return present({
    payloadFormatIndicator: made?.payloadFormat === undefined ? undefined : made.payloadFormat === 1,
    messageExpiryInterval: made?.messageExpirySeconds,
    contentType: made?.contentType,
    responseTopic: made?.responseTopic,
    correlationData: made?.correlationData === undefined ? undefined : Buffer.from(made.correlationData),
    userProperties: theirPairs(made?.userProperties),
  });
}

function theirConnect(packet: ConnectPacket): Packet {
  const { version, will } = packet;
  const props = present({
    sessionExpiryInterval: packet.sessionExpirySeconds,
    receiveMaximum: packet.receiveMaximum,
    maximumPacketSize: packet.maximumPacketSize,
    topicAliasMaximum: packet.topicAliasMaximum,
    requestResponseInformation: packet.requestResponseInformation,
    requestProblemInformation: packet.requestProblemInformation,
    userProperties: theirPairs(packet.userProperties),
    authenticationMethod: packet.authenticationMethod,
    authenticationData: packet.authenticationData === null ? null : Buffer.from(packet.authenticationData),
  });
  return {
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: version,
    clean: packet.cleanStart,
    clientId: packet.clientId,
    keepalive: packet.keepAliveSeconds,
    ...present({ username: packet.username, password: packet.password === null ? null : Buffer.from(packet.password) }),
    ...(will === null
      ? {}
      : {
          will: {
            topic: will.topic,
            payload: Buffer.from(will.payload),
            qos: will.qos,
            retain: will.retain,
            ...(version === 5
              ? { properties: { willDelayInterval: will.delaySeconds, ...theirMessageProperties(will.properties) } }
              : {}),
          },
        }),
    ...(version === 5 ? { properties: props } : {}),
  };
}

function theirConnack(packet: ConnackPacket, version: ProtocolVersion): Packet {
  if (version === 4) return { cmd: "connack", sessionPresent: packet.sessionPresent, returnCode: packet.reasonCode };
  const props = present({
    sessionExpiryInterval: packet.sessionExpirySeconds,
    receiveMaximum: packet.receiveMaximum,
    maximumQoS: packet.maximumQos,
    retainAvailable: packet.retainAvailable,
    maximumPacketSize: packet.maximumPacketSize,
    assignedClientIdentifier: packet.assignedClientId,
    topicAliasMaximum: packet.topicAliasMaximum,
    reasonString: packet.reasonString,
    wildcardSubscriptionAvailable: packet.wildcardSubscriptionAvailable,
    subscriptionIdentifiersAvailable: packet.subscriptionIdentifiersAvailable,
    sharedSubscriptionAvailable: packet.sharedSubscriptionAvailable,
    serverKeepAlive: packet.serverKeepAliveSeconds,
    responseInformation: packet.responseInformation,
    serverReference: packet.serverReference,
    authenticationMethod: packet.authenticationMethod,
    authenticationData: packet.authenticationData === undefined ? undefined : Buffer.from(packet.authenticationData),
  });
  return {
    cmd: "connack",
    sessionPresent: packet.sessionPresent,
    reasonCode: packet.reasonCode,
    properties: props,
  };
}

function theirPublish(value: PublishValue, version: ProtocolVersion): Packet {
  const props = {
    ...theirMessageProperties(value.properties),
    ...(value.topicAlias === 0 ? {} : { topicAlias: value.topicAlias }),
    ...(value.subscriptionIdentifiers.length === 0
      ? {}
      : { subscriptionIdentifier: [...value.subscriptionIdentifiers] }),
  };
  return {
    cmd: "publish",
    topic: value.topic,
    payload: Buffer.from(value.payload),
    qos: value.qos,
    retain: value.retain,
    dup: value.dup,
    ...(value.qos === 0 ? {} : { messageId: value.packetId }),
    ...(version === 5 ? { properties: props } : {}),
  };
}

function theirSubscription(request: SubscribeRequest, version: ProtocolVersion): ISubscription {
  const { filter, qos, noLocal, retainAsPublished, retainHandling } = request;
  const five = version === 5 ? { nl: noLocal, rap: retainAsPublished, rh: retainHandling } : {};
  return { topic: filter, qos, ...five };
}

/** The packet as mqtt-packet takes it. */
export function theirs(value: PacketValue, version: ProtocolVersion): Packet {
  switch (value.type) {
    case "connect":
      return theirConnect(value.packet);
    case "connack":
      return theirConnack(value.packet, version);
    case "publish":
      return theirPublish(value, version);
    case "acknowledge":
      return { cmd: value.kind, messageId: value.packetId, ...(version === 5 ? { reasonCode: value.reasonCode } : {}) };
    case "subscribe": {
      const { packetId, requests, subscriptionIdentifier } = value.packet;
      return {
        cmd: "subscribe",
        messageId: packetId,
        subscriptions: requests.map((request) => theirSubscription(request, version)),
        ...(subscriptionIdentifier === 0 ? {} : { properties: { subscriptionIdentifier } }),
      };
    }
    case "suback":
      return { cmd: "suback", messageId: value.packet.packetId, granted: [...value.packet.reasonCodes] };
    case "unsubscribe":
      return { cmd: "unsubscribe", messageId: value.packet.packetId, unsubscriptions: [...value.packet.filters] };
    case "unsuback":
      return { cmd: "unsuback", messageId: value.packet.packetId, granted: [...value.packet.reasonCodes] };
    case "pingreq":
    case "pingresp":
      return { cmd: value.type };
    case "disconnect": {
      const { reasonCode, sessionExpirySeconds, reasonString } = value.packet;
      const props = present({ sessionExpiryInterval: sessionExpirySeconds, reasonString });
      return { cmd: "disconnect", ...(version === 5 ? { reasonCode, properties: props } : {}) };
    }
    case "auth":
    default: {
      const { reasonCode, authenticationMethod, authenticationData } = value.packet;
      const props = {
        authenticationMethod: authenticationMethod ?? "",
        authenticationData: Buffer.from(authenticationData ?? []),
      };
      return { cmd: "auth", reasonCode, properties: props };
    }
  }
}
