/**
 * Every limit of the system: value, unit and why. Relations between them are asserted at start (`assertLimits`).
 * A limit that an operator can raise is read from the configuration and defaults to the value here.
 */
import { days, kib, mib, minutes, seconds } from "./units.ts";

export const LIMITS = {
  mqtt: {
    /** Largest packet after CONNECT. AWS IoT allows 128 KB of payload; larger firmware goes through the objects port. */
    packetBytesMax: mib(1),
    /** Largest CONNECT: a stranger has earned no more. Refused from the fixed header, before the body arrives. */
    connectBytesMax: kib(64),
    /** AWS IoT allows 256 bytes and 8 levels; the field uses deeper ones. */
    topicBytesMax: 1024,
    topicLevelsMax: 64,
    clientIdBytesMax: 256,
    userPropertiesMax: 64,
    filtersPerSubscribeMax: 128,
    subscriptionsPerSessionMax: 1024,
    /** Unacknowledged QoS 1 publishes from one client (our Receive Maximum). */
    inflightMax: 1024,
    topicAliasMax: 16,
    /** Time from the TCP connection to a complete CONNECT. */
    connectTimeout: seconds(10),
    keepAliveSecondsMax: 3600,
    sessionExpirySecondsMax: days(30) / 1000,
    /** Messages that wait for one absent session; the newest is dropped and counted when full. */
    queuedMessagesMax: 10_000,
    queuedBytesMax: mib(16),
    /**
     * Bytes waiting in one connection's output before its deliveries pause. An eighth of it slows its publishers down; a
     * hundred of them may then still have a chunk of 64 KiB each under way.
     */
    outputBytesMax: mib(8),
    /** Bytes waiting in all outputs; above it, each connection may keep a sixty-fourth of `outputBytesMax`. */
    outputTotalBytesMax: mib(256),
    connectionsMax: 20_000,
    connectionsPerAddressMax: 2_000,
    retainedMessagesMax: 100_000,
    /** Unacknowledged QoS 1 deliveries to one client, where its Receive Maximum allows that many. */
    deliveriesInflightMax: 16_384,
    /** Topics whose subscribers are known without a walk of the tree; some 300 bytes each. */
    routesCachedMax: 32_768,
    /** Packets kept in memory for sessions that are a moment behind; what falls out is read back from the log. */
    recentBytesMax: mib(8),
    /** Accepted bytes that are not on disk yet before publishers are held back: a second of a slow disk. */
    backlogBytesMax: mib(16),
    /** A client whose output makes no progress for this long is cut off. */
    stalledOutputMax: seconds(60),
    /** How often queues and retained messages are saved: what a start after a crash replays from the log. */
    stateSavePeriod: seconds(1),
    /** After a restart, wills wait this long for their clients to come back. */
    willGraceAfterRestart: seconds(30),
  },
  log: {
    segmentBytesMax: mib(128),
    /** One batch is what one write and one sync carry; its checksum covers all of it. */
    batchBytesMax: kib(512),
    recordBytesMax: mib(1) + kib(64),
    /** Not yet durable bytes before appends are refused. */
    pendingBytesMax: mib(64),
    retentionAge: days(7),
    retentionBytes: mib(4096),
  },
  rules: {
    sqlBytesMax: kib(16),
    rulesMax: 1_000,
    actionsPerRuleMax: 10,
    /** Deeper or larger JSON is treated as "not JSON", never parsed. */
    jsonDepthMax: 32,
    jsonBytesMax: mib(1),
    deliveriesInflightMax: 64,
    deliveriesPerTargetMax: 16,
    deliveryTimeout: seconds(15),
    deliveryBodyBytesMax: kib(64),
    deliveriesWaitingMax: 100_000,
  },
  telemetry: {
    fieldsPerMessageMax: 256,
    fieldNameBytesMax: 256,
    stringBytesMax: kib(4),
    seriesMax: 1_000_000,
    pointsPerQueryMax: 100_000,
    outboxesPerThingMax: 16,
  },
  http: {
    bodyBytesMax: kib(256),
    requestsPerMinuteMax: 6_000,
    loginsPerMinuteMax: 20,
    loginCodeLifetime: minutes(10),
    sessionLifetime: days(7),
    liveConnectionsMax: 200,
    liveSubscriptionsMax: 200,
    pageSizeMax: 250,
  },
  edge: {
    outboxMessagesMax: 1_000_000,
    outboxBytesMax: mib(256),
    /** Unacknowledged readings on the way at once. */
    outboxInflightMax: 100,
    reconnectDelayMin: seconds(1) / 4,
    reconnectDelayMax: seconds(30),
    acknowledgeTimeout: seconds(30),
  },
} as const;

export type Limits = typeof LIMITS;
export type MqttLimits = { readonly [K in keyof Limits["mqtt"]]: number };

/** Throws where two limits contradict each other; called once at start and by a house test. */
export function assertLimits(limits: Limits = LIMITS): void {
  const { mqtt, log, rules, edge } = limits;
  const relations: readonly (readonly [holds: boolean, relation: string])[] = [
    [mqtt.connectBytesMax <= mqtt.packetBytesMax, "mqtt.connectBytesMax <= mqtt.packetBytesMax"],
    [mqtt.topicBytesMax < 65_536, "mqtt.topicBytesMax fits MQTT's two length bytes"],
    [mqtt.inflightMax <= 65_535, "mqtt.inflightMax <= number of packet identifiers"],
    [mqtt.packetBytesMax < log.recordBytesMax, "an accepted packet fits a log record"],
    [mqtt.deliveriesInflightMax <= 65_535, "mqtt.deliveriesInflightMax <= number of packet identifiers"],
    [mqtt.packetBytesMax < mqtt.outputBytesMax, "a packet fits an empty output"],
    [mqtt.backlogBytesMax < log.pendingBytesMax, "publishers are held back before the log refuses"],
    [log.batchBytesMax < log.segmentBytesMax, "a batch fits a segment"],
    [log.recordBytesMax < log.segmentBytesMax, "a record fits a segment"],
    [log.recordBytesMax < log.pendingBytesMax, "a record fits the pending bytes"],
    [rules.jsonBytesMax >= rules.deliveryBodyBytesMax, "a delivery's body is within the JSON limit"],
    [edge.outboxInflightMax <= mqtt.inflightMax, "an agent's window fits the broker's Receive Maximum"],
  ];
  for (const [holds, relation] of relations) {
    if (!holds) throw new Error(`limits contradict each other: not ${relation}`);
  }
}
