/**
 * Every limit of the system: value, unit and why. Relations between them are asserted at start (`assertLimits`).
 * A limit that an operator can raise is read from the configuration and defaults to the value here.
 */
import { days, hours, kib, mib, minutes, seconds } from "./units.ts";

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
    /** Unacknowledged QoS 1 publishes each way (Receive Maximum). */
    inflightMax: 1024,
    topicAliasMax: 16,
    /** Time from the TCP connection to a complete CONNECT. */
    connectTimeout: seconds(10),
    keepAliveSecondsMax: 3600,
    sessionExpirySecondsMax: days(30) / 1000,
    /** Messages that wait for one absent session; the newest is dropped and counted when full. */
    queuedMessagesMax: 10_000,
    queuedBytesMax: mib(16),
    /** Bytes waiting in one connection's output before its deliveries pause. */
    outputBytesMax: mib(4),
    connectionsMax: 20_000,
    connectionsPerAddressMax: 2_000,
    retainedMessagesMax: 100_000,
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
    /** Bytes of unacknowledged readings: what a reconnect sends again, and what the socket buffers. */
    outboxInflightBytesMax: mib(1),
    /** Readings in memory while the disk takes none; beyond it the drop policy applies to them. */
    outboxUnsavedMessagesMax: 1_000,
    outboxUnsavedBytesMax: mib(2),
    /** Retry of a commit that failed (disk full, I/O error). */
    outboxCommitRetry: seconds(2),
    /** Acknowledged readings are deleted together with the next put, at the latest after this: spares flash memory. */
    outboxRemovalDelay: seconds(1),
    outboxRemovalsMax: 500,
    /** Readings that the platform refused, kept for their owner; the oldest goes first, counted. */
    deadLettersMax: 10_000,
    /** How often a reading is offered to a platform that refuses it for good before it becomes a dead letter. */
    refusalAttemptsMax: 5,
    /** Pause after a refusal, doubled with each further one in a row. */
    refusalDelayMin: seconds(1),
    refusalDelayMax: seconds(30),
    reconnectDelayMin: seconds(1) / 4,
    reconnectDelayMax: seconds(30),
    /** A connection that lasted this long was a good one: the next outage starts at the shortest delay again. */
    reconnectResetAfter: seconds(5),
    /** TCP and TLS together; a name that does not resolve counts as well. */
    connectTimeout: seconds(15),
    /** CONNECT to CONNACK. */
    greetingTimeout: seconds(10),
    acknowledgeTimeout: seconds(30),
    keepAlive: seconds(30),
    pingTimeout: seconds(10),
    /** What `stop` waits for acknowledgements on the way. */
    drainTimeout: seconds(2),
    configBytesMax: kib(64),
    sourcesMax: 16,
    sourcePeriodMin: seconds(1) / 10,
    sourcePeriodMax: hours(1),
    /** The agent's report about itself: outbox, drops, skipped readings. */
    selfReportPeriod: minutes(1),
    /** A jump of the wall clock against the monotonic one that is worth a line in the log. */
    clockJumpMin: seconds(2),
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
    [log.batchBytesMax < log.segmentBytesMax, "a batch fits a segment"],
    [log.recordBytesMax < log.segmentBytesMax, "a record fits a segment"],
    [log.recordBytesMax < log.pendingBytesMax, "a record fits the pending bytes"],
    [rules.jsonBytesMax >= rules.deliveryBodyBytesMax, "a delivery's body is within the JSON limit"],
    [edge.outboxInflightMax <= mqtt.inflightMax, "an agent's window fits the broker's Receive Maximum"],
    [edge.outboxInflightBytesMax <= edge.outboxBytesMax, "an agent's window fits its outbox"],
    [mqtt.packetBytesMax <= edge.outboxBytesMax, "the largest reading fits the outbox"],
    [edge.keepAlive <= mqtt.keepAliveSecondsMax * 1000, "the agent's keep-alive is allowed by the broker"],
    [edge.reconnectDelayMin < edge.reconnectDelayMax, "edge.reconnectDelayMin < edge.reconnectDelayMax"],
  ];
  for (const [holds, relation] of relations) {
    if (!holds) throw new Error(`limits contradict each other: not ${relation}`);
  }
}
