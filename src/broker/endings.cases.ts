/** Every way in which the broker ends a connection, and what the client, the log, the metrics and AWS's events say of it. */
import { TidewireError, seconds } from "../base/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import { authenticating, connected, kept, request } from "./endings.fixture.ts";
import type { Ending } from "./endings.fixture.ts";
import { MALFORMED } from "./endings-malformed.cases.ts";
import { NEVER_IN } from "./endings-at-connect.cases.ts";

const journalFails = (code: "LOG_FULL" | "LOG_FAILED"): Ending["act"] =>
  connected((client, world) => {
    world.journal.failure = new TidewireError(code, { reason: "test" });
    client.publish("a", "x", { qos: 1 });
  });

const live: readonly Ending[] = [
  {
    what: "silence",
    callers: ['sweep.ts "keep-alive"'],
    act: connected((_, world) => world.run(20_000), { keepAliveSeconds: 10 }),
    told: REASON.keepAliveTimeout,
    cause: "MQTT_KEEP_ALIVE_TIMEOUT",
    reason: "keep-alive",
  },
  {
    what: "a client that takes no data",
    callers: ['sweep.ts "output-stalled"'],
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
    callers: ['pump.ts "journal-failed"'],
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
    callers: ['pump.ts "state-failed"'],
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
  ...MALFORMED,
  ...live,
  ...authentication,
  ...NEVER_IN,
  ...byTheClient,
];
