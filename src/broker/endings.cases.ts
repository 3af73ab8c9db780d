/** Every way in which the broker ends a connection, and what the client, the log, the metrics and AWS's events say of it. */
import type { BrokerWorld } from "../../sim/broker.ts";
import type { WorldOptions } from "../../sim/broker.ts";
import type { SimClient } from "../../sim/mqtt-client.ts";
import { TidewireError, seconds } from "../base/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import type { ConnectPacket, ProtocolVersion, SubscribeRequest, Will } from "../wire/mqtt/mod.ts";
import type { DisconnectCause } from "./presence.ts";
import type { RefusalKind } from "./refusals.ts";

export interface Ending {
  readonly what: string;
  /** The lines that end it: file, and the first argument as it stands there (for CONNACK the kind). */
  readonly callers: readonly string[];
  readonly options?: WorldOptions;
  /** Brings it about; the client that is to be ended. */
  readonly act: (world: BrokerWorld, version: ProtocolVersion) => Promise<SimClient>;
  /** DISCONNECT's reason code in MQTT 5.0; null: closed without a word. 3.1.1 is always closed without one. */
  readonly told?: number | null;
  /** CONNACK's code in 5.0 and in 3.1.1; null: none. */
  readonly connack?: readonly [five: number | null, four: number | null];
  /** Absent: it was never in. */
  readonly cause?: DisconnectCause;
  /** Absent: nothing was refused. */
  readonly reason?: RefusalKind;
  /** MQTT 5.0 alone knows it. */
  readonly onlyFive?: true;
}

const kept = { cleanStart: false, sessionExpirySeconds: 600 } as const;
const will: Will = {
  topic: "w",
  payload: new Uint8Array(0),
  qos: 0,
  retain: false,
  delaySeconds: 0,
  properties: null,
};
const request: SubscribeRequest = {
  filter: "a",
  qos: 1,
  noLocal: false,
  retainAsPublished: false,
  retainHandling: 0,
};

const connected =
  (then: (client: SimClient, world: BrokerWorld) => unknown, packet: Partial<ConnectPacket> = {}): Ending["act"] =>
  async (world, version) => {
    const client = await world.connected("c1", { version, ...packet });
    await then(client, world);
    return client;
  };

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

const malformed: readonly Ending[] = [
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

const journalFails = (code: "LOG_FULL" | "LOG_FAILED"): Ending["act"] =>
  connected((client, world) => {
    world.journal.failure = new TidewireError(code, { reason: "test" });
    client.publish("a", "x", { qos: 1 });
  });

const live: readonly Ending[] = [
  {
    what: "silence",
    callers: ['connection.ts "keep-alive"'],
    act: connected((_, world) => world.run(20_000), { keepAliveSeconds: 10 }),
    told: REASON.keepAliveTimeout,
    cause: "MQTT_KEEP_ALIVE_TIMEOUT",
    reason: "keep-alive",
  },
  {
    what: "a client that takes no data",
    callers: ['connection.ts "output-stalled"'],
    act: connected(
      async (client, world) => {
        client.subscribe("a");
        await world.run();
        client.stall();
        (await world.connected("pub", { keepAliveSeconds: 3600 })).publish("a", "x");
        await world.run(world.limits.stalledOutputMax + 1000);
      },
      { keepAliveSeconds: 3600 },
    ),
    told: null,
    cause: "CONNECTION_LOST",
    reason: "output-stalled",
  },
  {
    what: "the same client id again",
    callers: ["welcome.ts REASON.sessionTakenOver"],
    act: connected((_, world) => world.connected("c1")),
    told: REASON.sessionTakenOver,
    cause: "DUPLICATE_CLIENTID",
  },
  {
    what: "the platform stops",
    callers: ["broker.ts code"],
    act: connected((_, world) => void world.broker.close()),
    told: REASON.serverShuttingDown,
    cause: "SERVER_INITIATED_DISCONNECT",
  },
  {
    what: "the platform stops, and another one goes on",
    callers: ["broker.ts code"],
    options: { broker: { serverReference: "other:8883" } },
    act: connected((_, world) => void world.broker.close()),
    told: REASON.useAnotherServer,
    cause: "SERVER_INITIATED_DISCONNECT",
  },
  {
    what: "a revoked certificate",
    callers: ["broker.ts reasonCode"],
    act: connected((_, world) => world.broker.disconnect(() => true, REASON.notAuthorized)),
    told: REASON.notAuthorized,
    cause: "FORBIDDEN_ACCESS",
  },
  {
    what: "the right to connect is lost",
    callers: ["administration.ts REASON.notAuthorized"],
    act: connected((_, world) => {
      world.policy("c1").change({ mayStay: () => false });
      world.broker.endUnauthorized(
        () => true,
        () => {},
      );
    }),
    told: REASON.notAuthorized,
    cause: "FORBIDDEN_ACCESS",
  },
  {
    what: "the end of what it logged in with",
    callers: ['expiries.ts "credential-expired"'],
    act: async (world, version) => {
      world.admit = (_peer, { clientId }) => {
        const admission = world.admission(clientId);
        return admission.admitted ? { ...admission, expiresAt: world.clock.now() + seconds(5) } : admission;
      };
      const client = await world.connected("c1", { version, ...kept });
      await world.run(seconds(6));
      return client;
    },
    told: REASON.notAuthorized,
    cause: "AUTH_ERROR",
    reason: "credential-expired",
  },
  {
    what: "an administrator",
    callers: ["broker.ts reasonCode"],
    act: connected((_, world) => world.broker.disconnect(() => true, REASON.administrativeAction)),
    told: REASON.administrativeAction,
    cause: "SERVER_INITIATED_DISCONNECT",
  },
  {
    what: "its thing is forgotten",
    callers: ["forget.ts REASON.administrativeAction"],
    act: connected((_, world) => void world.broker.forgetThing("thing-c1", () => false)),
    told: REASON.administrativeAction,
    cause: "SERVER_INITIATED_DISCONNECT",
  },
  {
    what: "more publishes on the way than our Receive Maximum (3.1.1 is held back instead)",
    callers: ['publish.ts "receive-maximum"'],
    options: { limits: { inflightMax: 2 } },
    act: connected((client, world) => {
      world.journal.mode = "held";
      for (let i = 1; i <= 3; i++) client.publish("a", "x", { qos: 1, packetId: i });
    }),
    told: REASON.receiveMaximumExceeded,
    cause: "CLIENT_ERROR",
    reason: "receive-maximum",
    onlyFive: true,
  },
  {
    what: "more QoS 2 messages than we keep that were never released",
    callers: ['receive-once.ts "receive-maximum"'],
    options: { limits: { identifiersUnreleasedMax: 2 } },
    act: connected((client) => {
      for (let packetId = 1; packetId <= 3; packetId++) client.publish("a", "x", { qos: 2, packetId });
    }),
    told: REASON.receiveMaximumExceeded,
    cause: "CLIENT_ERROR",
    reason: "receive-maximum",
  },
  {
    what: "an identifier used again whose release the log does not take",
    callers: ['receive-once.ts "journal-failed"'],
    act: connected(async (client, world) => {
      client.acknowledges = false;
      client.publish("a", "x", { qos: 2, packetId: 1 });
      await world.run();
      client.send((w) => w.acknowledge("pubrel", 1));
      world.journal.failure = new TidewireError("LOG_FULL", { reason: "test" });
      client.publish("a", "y", { qos: 2, packetId: 1 });
    }, kept),
    told: REASON.implementationSpecificError,
    cause: "SERVER_ERROR",
    reason: "journal-failed",
  },
  {
    what: "a publish at QoS 0 that its policy forbids",
    callers: ['publish.ts "publish-forbidden"'],
    act: connected((client, world) => {
      world.policy("c1").change({ publish: () => false });
      client.publish("a", "x");
    }),
    told: REASON.notAuthorized,
    cause: "FORBIDDEN_ACCESS",
    reason: "publish-forbidden",
  },
  {
    what: "a log that fails",
    callers: ["publish.ts kind"],
    act: journalFails("LOG_FAILED"),
    told: new TidewireError("LOG_FAILED", { reason: "test" }).entry.mqtt ?? REASON.implementationSpecificError,
    cause: "SERVER_ERROR",
    reason: "journal-failed",
  },
  {
    what: "a log that cannot be read",
    callers: ['delivery.ts "journal-failed"'],
    options: { limits: { recentBytesMax: 0 } },
    act: async (world, version) => {
      (await world.connected("c1", { version, ...kept })).subscribe("a").cut();
      (await world.connected("pub")).publish("a", "x", { qos: 1 });
      await world.run();
      world.journal.read = () => Promise.reject(new Error("the disk is gone"));
      return world.connected("c1", { version, ...kept });
    },
    told: REASON.implementationSpecificError,
    cause: "SERVER_ERROR",
    reason: "journal-failed",
  },
  {
    what: "a queue that cannot be read from the state store",
    callers: ['delivery.ts "state-failed"'],
    act: async (world, version) => {
      (await world.connected("c1", { version, ...kept })).subscribe("a").cut();
      (await world.connected("pub")).publish("a", "x", { qos: 1 });
      await world.run(2_500);
      world.state.queued = () => Promise.reject(new Error("the disk is gone"));
      return world.connected("c1", { version, ...kept });
    },
    told: REASON.implementationSpecificError,
    cause: "SERVER_ERROR",
    reason: "state-failed",
  },
  {
    what: "retained messages that cannot be looked up",
    callers: ['retained-lookups.ts "state-failed"'],
    act: async (world, version) => {
      (await world.connected("pub")).publish("a", "x", { retain: true });
      await world.run(1_500);
      world.state.retained.page = () => Promise.reject(new Error("the disk is gone"));
      return (await world.connected("c1", { version })).subscribe("a");
    },
    told: REASON.implementationSpecificError,
    cause: "SERVER_ERROR",
    reason: "state-failed",
  },
  {
    what: "a mistake of ours",
    callers: ['connection.ts "internal"'],
    act: connected((client, world) => {
      world.policy("c1").subscribe = () => {
        throw new Error("a mistake");
      };
      client.subscribe("a");
    }),
    told: REASON.unspecifiedError,
    cause: "SERVER_ERROR",
    reason: "internal",
  },
  {
    what: "DISCONNECT that prolongs a session which ends with its connection",
    callers: ['inbound.ts "protocol-error"'],
    act: connected((client) => client.disconnect(0, 100)),
    told: REASON.protocolError,
    cause: "CLIENT_ERROR",
    reason: "protocol-error",
    onlyFive: true,
  },
  {
    what: "an answer that is larger than the client takes",
    callers: ['answers.ts "answer-too-large"'],
    act: connected(
      (client) =>
        client.send((w) =>
          w.subscribe({ packetId: 1, requests: Array.from({ length: 50 }, () => request), subscriptionIdentifier: 0 }),
        ),
      { maximumPacketSize: 40 },
    ),
    told: REASON.packetTooLarge,
    cause: "CLIENT_ERROR",
    reason: "answer-too-large",
    onlyFive: true,
  },
  {
    what: "AUTH without a method",
    callers: ["authentication.ts kind"],
    act: connected((client) =>
      client.send((w) => w.auth({ reasonCode: 0x19, authenticationMethod: "X", authenticationData: null })),
    ),
    told: REASON.protocolError,
    cause: "CLIENT_ERROR",
    reason: "protocol-error",
    onlyFive: true,
  },
];

/** A method that is done at once, and fails or hangs the second time. */
function authenticating(world: BrokerWorld, again: "failed" | "continue"): void {
  let times = 0;
  world.authenticate = (_peer, { clientId }) => ({
    step: () => {
      times++;
      if (times === 1)
        return { kind: "authenticated", principal: "p", data: null, admission: world.admission(clientId) };
      if (again === "continue") return { kind: "continue", data: null };
      return { kind: "failed", reasonCode: REASON.badUserNameOrPassword, reason: "wrong" };
    },
  });
}

const reauthenticating =
  (again: "failed" | "continue"): Ending["act"] =>
  async (world, version) => {
    authenticating(world, again);
    const client = await world.connected("c1", { version, authenticationMethod: "X" });
    client.send((w) => w.auth({ reasonCode: 0x19, authenticationMethod: "X", authenticationData: null }));
    await world.run(world.limits.connectTimeout + 1000);
    return client;
  };

const authentication: readonly Ending[] = [
  {
    what: "a re-authentication that fails (DISCONNECT has no code for a wrong password)",
    callers: ["authentication.ts kind"],
    act: reauthenticating("failed"),
    told: REASON.notAuthorized,
    cause: "AUTH_ERROR",
    reason: "authentication-failed",
    onlyFive: true,
  },
  {
    what: "a re-authentication that is not finished",
    callers: ['authentication.ts "authentication-timeout"'],
    act: reauthenticating("continue"),
    told: REASON.notAuthorized,
    cause: "AUTH_ERROR",
    reason: "authentication-timeout",
    onlyFive: true,
  },
];

const connect =
  (packet: Partial<ConnectPacket>, before: (world: BrokerWorld) => unknown = () => {}): Ending["act"] =>
  async (world, version) => {
    await before(world);
    return world.connected("c1", { version, ...packet });
  };

const never: readonly Ending[] = [
  {
    what: "no CONNECT in time",
    callers: ['connection.ts "connect-timeout"'],
    act: async (world, version) => {
      const client = world.client({ version });
      await world.run(world.limits.connectTimeout + 1000);
      return client;
    },
    connack: [null, null],
    reason: "connect-timeout",
  },
  {
    what: "no CONNECT yet, while others wait",
    callers: ['core.ts "connect-timeout"'],
    options: { limits: { greetingsMax: 1 } },
    act: async (world, version) => {
      const client = world.client({ version });
      world.client({ version });
      return client;
    },
    connack: [null, null],
    reason: "connect-timeout",
  },
  {
    what: "one address connects too often",
    callers: ["connect.ts CONNECT_RATE.kind"],
    options: { limits: { connectionsPerAddressMax: 1, connectsPerSecondPerAddressMax: 1 } },
    act: connect({}, (world) => world.connected("first")),
    connack: [REASON.connectionRateExceeded, 3],
    reason: "connect-rate",
  },
  {
    what: "a CONNECT that is malformed (5.0; 3.1.1 is closed without a word)",
    callers: ["connection.ts kind"],
    act: async (world, version) => {
      const client = world.client({ version });
      const five = [5, 0x03, 0, 60, 0, 0, 1, 0x61];
      const body = [0, 4, 0x4d, 0x51, 0x54, 0x54, ...(version === 5 ? five : [4, 0x03, 0, 60, 0, 1, 0x61])];
      client.sendBytes(Uint8Array.of(0x10, body.length, ...body));
      return client;
    },
    connack: [REASON.malformedPacket, null],
    reason: "malformed-packet",
  },
  {
    what: "who may not connect",
    callers: ['welcome.ts "connect-refused"'],
    act: connect({}, (world) => {
      world.admit = () => ({ admitted: false, reasonCode: REASON.notAuthorized, reason: "no" });
    }),
    connack: [REASON.notAuthorized, 5],
    reason: "connect-refused",
  },
  {
    what: "an empty client id with a session to be kept (3.1.1)",
    callers: ["connect.ts refusal.kind"],
    act: (world) => world.connected("", { version: 4, cleanStart: false }),
    connack: [2, 2],
    reason: "client-id",
  },
  {
    what: "a will that its policy forbids",
    callers: ["welcome.ts refusal.kind"],
    act: connect({ will }, (world) => world.policy("c1").change({ publish: () => false })),
    connack: [REASON.notAuthorized, 5],
    reason: "will-refused",
  },
  {
    what: "one session more than are kept",
    callers: ["welcome.ts refusal.kind"],
    options: { limits: { sessionsMax: 1 } },
    act: connect({ ...kept }, (world) => world.connected("first", kept)),
    connack: [REASON.quotaExceeded, 3],
    reason: "sessions-full",
  },
  {
    what: "a method that we do not know",
    callers: ['authentication.ts "connect-refused"'],
    act: connect({ authenticationMethod: "X" }),
    connack: [REASON.badAuthenticationMethod, null],
    reason: "connect-refused",
    onlyFive: true,
  },
  {
    what: "an authentication that fails",
    callers: ["authentication.ts kind"],
    act: connect({ authenticationMethod: "X" }, (world) => {
      world.authenticate = () => ({
        step: () => ({ kind: "failed", reasonCode: REASON.badUserNameOrPassword, reason: "wrong" }),
      });
    }),
    connack: [REASON.badUserNameOrPassword, null],
    reason: "authentication-failed",
    onlyFive: true,
  },
  {
    what: "an authentication that is not finished",
    callers: ['authentication.ts "authentication-timeout"'],
    act: async (world, version) => {
      world.authenticate = () => ({ step: () => ({ kind: "continue", data: null }) });
      const client = await world.connected("c1", { version, authenticationMethod: "X" });
      await world.run(world.limits.connectTimeout + 1000);
      return client;
    },
    connack: [REASON.notAuthorized, null],
    reason: "authentication-timeout",
    onlyFive: true,
  },
  {
    what: "a gatekeeper that does not answer",
    callers: ['connection.ts "gatekeeper-slow"'],
    act: async (world, version) => {
      world.admit = () => new Promise(() => {});
      const client = await world.connected("c1", { version });
      await world.run(world.limits.connectTimeout + 1000);
      return client;
    },
    connack: [REASON.serverBusy, 3],
    reason: "gatekeeper-slow",
  },
  {
    what: "a gatekeeper that fails",
    callers: ['connection.ts "internal"'],
    act: connect({}, (world) => {
      world.admit = () => Promise.reject(new Error("the registry is away"));
    }),
    connack: [REASON.unspecifiedError, 3],
    reason: "internal",
  },
];

const byTheClient: readonly Ending[] = [
  {
    what: "the client's own DISCONNECT",
    callers: [],
    act: connected((client) => client.disconnect()),
    told: null,
    cause: "CLIENT_INITIATED_DISCONNECT",
  },
  {
    what: "a network that is cut",
    callers: [],
    act: connected((client) => client.cut()),
    told: null,
    cause: "CONNECTION_LOST",
  },
];

const limited: readonly Ending[] = [
  {
    what: "much of a packet, while memory is short",
    callers: ['intake.ts "partial-packets"'],
    options: { limits: { partialTotalBytesMax: 1, packetBytesMax: 64_000 } },
    act: connected((client) => client.sendBytes(Uint8Array.from([0x30, 0xe0, 0x5d, ...new Uint8Array(4_000)]))),
    told: REASON.quotaExceeded,
    cause: "THROTTLED",
    reason: "partial-packets",
  },
];

export const ENDINGS: readonly Ending[] = [
  ...limited,
  ...malformed,
  ...live,
  ...authentication,
  ...never,
  ...byTheClient,
];
