/**
 * Every limit of the system: value, unit and why. Relations between them are asserted at start (`assertLimits`).
 * A limit that an operator can raise is read from the configuration and defaults to the value here.
 */
import { AUDIT_LIMITS, PEOPLE_LIMITS } from "./people.ts";
import { ASKING_LIMITS } from "./asking.ts";
import { BACK_TEST_LIMITS } from "./back-tests.ts";
import { EVENT_LIMITS, FILES_LIMITS, SCHEMA_LIMITS } from "./files.ts";
import { DEVICE_LOGIN_LIMITS } from "./logins.ts";
import { PROVISIONING_LIMITS } from "./provisioning.ts";
import { REFUSAL_LIMITS } from "./refusals.ts";
import { REGISTRY_LIMITS } from "./registry.ts";
import { SEARCH_LIMITS } from "./search.ts";
import { SHADOW_LIMITS } from "./shadow.ts";
import { ANSWER_LIMITS } from "./answers.ts";
import { MOVE_LIMITS, WINDOW_LIMITS } from "./windows.ts";
import { days, hours, kib, mib, minutes, seconds } from "../units.ts";

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
    /** Of them: each that matches a message brings the session a copy of its own, others are merged into one. */
    sharedSubscriptionsPerSessionMax: 64,
    /** Unacknowledged QoS 1 and 2 publishes from one client (our Receive Maximum). */
    inflightMax: 1024,
    /**
     * QoS 2 messages of one client that it has not released, over all its connections; 4 bytes each. Far above
     * `inflightMax`: 3.1.1 knows no Receive Maximum, and its clients may send thousands before they read an answer.
     */
    identifiersUnreleasedMax: 16_384,
    topicAliasMax: 16,
    /** Topics that we give one client an alias for, where it takes that many; each costs us a copy of the topic. */
    topicAliasesGivenMax: 32,
    /** AUTH packets of a client in one exchange; SCRAM needs two, Kerberos three. */
    authenticationStepsMax: 8,
    /** Time from the TCP connection to a complete CONNECT. */
    connectTimeout: seconds(10),
    keepAliveSecondsMax: 3600,
    sessionExpirySecondsMax: days(30) / 1000,
    /**
     * Messages at QoS 1 and 2 that wait for one session, connected or not; when full, the newest is dropped and counted. At
     * QoS 0 nothing waits for a client that is away.
     */
    queuedMessagesMax: 10_000,
    queuedBytesMax: mib(16),
    /** Of all sessions, at 16 bytes each on disk; above it, each may keep a sixty-fourth of `queuedMessagesMax`. */
    queuedTotalMessagesMax: 10_000_000,
    /**
     * Bytes waiting in one connection's output before its deliveries pause. An eighth of it slows its publishers down; a
     * hundred of them may then still have a chunk of 64 KiB each under way.
     */
    outputBytesMax: mib(8),
    /** Bytes waiting in all outputs; above it, each connection may keep a sixty-fourth of `outputBytesMax`. */
    outputTotalBytesMax: mib(256),
    connectionsMax: 20_000,
    /** A site of 10,000 devices behind one address, or a carrier's gateway; others keep two fifths of the places. */
    connectionsPerAddressMax: 12_000,
    /** Before CONNECT: these hold a place that nobody has earned yet. Beyond, the oldest of them is let go. */
    greetingsMax: 2_000,
    /** One thing may connect several times under different client ids: a gateway, a backend's workers. */
    connectionsPerThingMax: 256,
    /** CONNECTs, in all and from one address. A site whose power is back sends as many as it has devices at once. */
    connectsPerSecondMax: 5_000,
    connectsPerSecondPerAddressMax: 500,
    /** What each sender may do for long; AWS IoT allows 100 messages and 512 KB a second. A core takes some 500,000. */
    messagesPerSecondMax: 100_000,
    bytesPerSecondMax: mib(128),
    /** The connections of one thing together. */
    messagesPerSecondPerThingMax: 200_000,
    bytesPerSecondPerThingMax: mib(256),
    /** All things of one tenant together, and all tenants: beyond what one machine takes, so that a fair share decides. */
    messagesPerSecondPerTenantMax: 5_000_000,
    bytesPerSecondPerTenantMax: mib(2048),
    messagesPerSecondTotalMax: 5_000_000,
    bytesPerSecondTotalMax: mib(2048),
    /** Filters that one connection subscribes to or unsubscribes from; each makes routes be looked up anew. */
    filtersPerSecondMax: 2_000,
    /** A rate may be exceeded for a moment by what it allows in this time: clients send what they gathered in one go. */
    rateBurst: seconds(2),
    /** Messages and their deliveries for all connections in one turn of the event loop, some 10 ms; shared out evenly. */
    turnWorkMax: 16_384,
    /** Packets that have not arrived whole, of all connections; above it, each may have a sixty-fourth of `packetBytesMax`. */
    partialTotalBytesMax: mib(128),
    /** Sessions, connected or not; each absent one may queue messages. At the limit nobody new may leave one behind. */
    sessionsMax: 250_000,
    /** Of them, those that one thing leaves behind under different client ids. */
    sessionsPerThingMax: 1_000,
    /** Topics and payloads of wills that wait; above it, each may have a sixty-fourth of `connectBytesMax`. */
    willsTotalBytesMax: mib(64),
    /** They are on disk, with about 200 bytes each beside their packets. */
    retainedMessagesMax: 2_000_000,
    retainedBytesMax: mib(1024),
    /**
     * Changes of retained messages in memory before those who publish more are held back; from half of it on they are saved
     * at once. Every look-up with wildcards walks through them.
     */
    retainedUnsavedMessagesMax: 4_096,
    retainedUnsavedBytesMax: mib(16),
    /** Unacknowledged QoS 1 and 2 deliveries to one client, where its Receive Maximum allows that many. */
    deliveriesInflightMax: 16_384,
    /** Topics whose subscribers are known without a walk of the tree; some 300 bytes each. */
    routesCachedMax: 32_768,
    /** Subscribers in all of them, some 100 bytes each: topics times subscribers, where many subscribe with wildcards. */
    routeTargetsMax: 500_000,
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
    /**
     * How long a record waits at most that nobody waits for, such as that a device has connected, until a sync of its own:
     * a fleet that comes back costs four syncs a second. Rules hear of it so much later.
     */
    patience: seconds(1) / 4,
    /** One sync carries at most this: what recovery writes again, and what a power cut can tear. */
    groupBytesMax: mib(4),
    /** While each turn brings more, a group waits until it has so much, which is 1,300 messages of 100 bytes … */
    gatherBytesMax: kib(192),
    /** … or has waited so long: a PUBACK comes that much later. */
    gatherTimeMax: seconds(3) / 1000,
    /** A clock that is further ahead than this without the time having passed makes nothing old until it has stayed so … */
    clockAheadMax: hours(1),
    /** … for this long: an operator has a day to correct it before retention believes it. */
    clockAheadTrustedAfter: days(1),
    /** A segment is ended after this even when small, so that retention by age, which removes whole segments, is fine-grained. */
    segmentAgeMax: days(1),
    /** Batches just written stay in memory up to this, for consumers that keep up: 40 ms of traffic at full speed. */
    recentBytesMax: mib(8),
    /** Appends are refused below this: the databases share the disk, and what is pending must still fit. */
    diskFreeBytesMin: mib(256),
    diskCheckPeriod: seconds(1),
    /** A consumer's handler that threw is given the same batch again after this, doubled each time. */
    consumerRetryDelayMin: seconds(1) / 4,
    consumerRetryDelayMax: seconds(30),
  },
  rules: {
    sqlBytesMax: kib(16),
    /** Height of a statement's tree: parsing and evaluating it recurse that deep. 250 terms joined by OR fit. */
    sqlDepthMax: 256,
    /** Items of one SELECT list, function call, array or object. */
    sqlItemsMax: 256,
    /** A string that grows past this while a rule is evaluated becomes Undefined. */
    sqlStringCharsMax: 1024 * 1024,
    /** Items and characters that the nested SELECTs of one evaluation read and make; then they are Undefined. 20 ms. */
    sqlNestedWorkMax: 4 * 1024 * 1024,
    sqlRegexpCharsMax: 4_096,
    sqlRegexpDepthMax: 100,
    sqlRegexpGroupsMax: 20,
    /** `x{1000}`: each repetition is a copy of x in the program. */
    sqlRegexpRepeatMax: 1_000,
    /** Places of a program; each costs at most one step per character of the text. */
    sqlRegexpInstructionsMax: 4_096,
    /** Steps of all searches of one call; then it is Undefined. A tenth of a second; most need one per character. */
    sqlRegexpStepsMax: 4_000_000,
    /** One that waits takes 4 KB, and costs nothing until a message is for it. */
    rulesMax: 10_000,
    actionsPerRuleMax: 10,
    /** Deeper or larger JSON is treated as "not JSON", never parsed. */
    jsonDepthMax: 32,
    jsonBytesMax: mib(1),
    /** Requests on the way at once. Each target may always have one, so a few hanging receivers stop nobody else. */
    deliveriesInflightMax: 64,
    deliveriesPerTargetMax: 16,
    deliveryTimeout: seconds(15),
    deliveryBodyBytesMax: kib(64),
    /** Deliveries of one target, and bytes of all, that wait in memory; more go to the store. */
    deliveriesQueuedMax: 500,
    /** Likewise of what is republished: the log hands over some ten thousand messages at once, and its disk is all it waits for. */
    republishesQueuedMax: 20_000,
    deliveriesQueuedBytesMax: mib(16),
    /** Deliveries that wait in the store; when full, the newest is dropped and counted. */
    deliveriesWaitingMax: 100_000,
    retryDelayMin: seconds(1),
    retryDelayMax: minutes(10),
    /** A receiver's Retry-After is honoured up to here. */
    retryAfterMax: hours(1),
    deliveryGiveUpAfter: hours(24),
    deadLettersMax: 10_000,
    /** Times that rules may republish one message after the other; a rule that feeds itself ends here. */
    republishHopsMax: 10,
    /** How often alerts, failed deliveries and the checkpoint are saved. */
    savePeriod: seconds(1),
    /** Where the disk does not take it, it is tried later each time, up to here. */
    saveRetryMax: minutes(1),
    alertsActiveMax: 100_000,
    /** Resolved alerts that are kept. */
    alertsHistoryMax: 1_000,
    alertSummaryCharsMax: 500,
    alertClearAfter: seconds(15),
    /** Lines of an alert's story; the newest are kept. */
    alertTransitionsMax: 50,
    alertSilencesMax: 1_000,
    /** Things whose silence is noticed, over all rules that do. */
    alertWatchesMax: 100_000,
  },
  telemetry: {
    fieldsPerMessageMax: 256,
    fieldNameBytesMax: 256,
    /** Levels of objects and arrays that become field names (`a.b.0.c`); deeper values are left out. */
    fieldDepthMax: 8,
    /** Items of an array that become fields; a longer one is a blob, not a measurement. */
    arrayItemsMax: 64,
    stringBytesMax: kib(4),
    seriesMax: 1_000_000,
    /** One device that invents field names must not use up everybody's series. */
    seriesPerThingMax: 10_000,
    /** A reading stamped further ahead than this has a wrong clock; its time of arrival is taken instead. */
    timeAheadMax: days(1),
    pointsPerQueryMax: 100_000,
    /** Names in one query; patterns such as `line-*` may mean more. */
    thingNamesPerQueryMax: 1_000,
    /** Series that one query may read; their numbers stand in the statement, which DuckDB parses in milliseconds. */
    seriesPerQueryMax: 20_000,
    /** Points per series of a chart; no screen is wider. */
    chartPointsMax: 10_000,
    /** A percentile keeps its values in DuckDB's memory, 8 bytes each, and there they cannot go through files. */
    percentilePointsMax: 5_000_000,
    /** How far beyond its range a query looks for the neighbours of its first and last window. */
    neighbourReach: days(7),
    expressionCharsMax: 2_000,
    outboxesPerThingMax: 16,
    /** Remembered gaps in one outbox's numbers; an agent that sends urgent readings first leaves one gap per burst. */
    sequenceGapsMax: 1024,
    /** A commit takes a few milliseconds whatever it holds: at most five a second keeps charts live and the disk idle. */
    commitDelay: seconds(1) / 5,
    /** One commit's rows; bounds the memory of catching up (about 20 bytes a row). */
    commitRowsMax: 200_000,
    /** Points of one watched thing in one commit that are sent live; a backlog beyond is fetched by a query. */
    livePointsMax: 20_000,
    queryTimeout: seconds(10),
    queriesWaitingMax: 64,
    /** Publishers whose stamps are remembered; beyond, the one that came first is forgotten. */
    stampedPublishersMax: 200_000,
    /** DuckDB's own memory, mostly cached blocks; what needs more goes through files. */
    databaseBytesMax: mib(128),
    /** Rows in one generation: what compaction sorts at once (100 MB), and what a start reads again. */
    generationRowsMax: 4_000_000,
    /** What is younger is in DuckDB and the log only; the log keeps at least so much. */
    generationAgeMax: hours(1),
  },
  archive: {
    /** What one step takes from the log: its rows are in memory until they are in a file. */
    stepRowsMax: 200_000,
    stepBytesMax: mib(32),
    /** Days of reception in one step; each becomes a file, and a clock that jumps must not make thousands. */
    stepDaysMax: 8,
    /** Without this many rows a step is taken after so long: the log has it anyway, and small files cost more than they give. */
    stepPeriod: minutes(15),
    /** While the store is behind with telemetry the archive waits, but no longer than this. */
    yieldMax: minutes(60),
    /** One turn of the event loop belongs to it for no longer than this: live points and answers share the thread. */
    sliceMax: 5,
    /** A reader's wish to see the newest messages: how often it makes a step, and how long the reader waits for it. */
    flushPeriodMin: seconds(1),
    flushTimeout: seconds(3),
    /** Above what the log refuses messages at, so that archiving stops before them. */
    diskFreeBytesMin: mib(384),
    retryDelayMin: seconds(1),
    retryDelayMax: minutes(5),
    /** So many small files of one day become one; more are waited for while the day lasts. */
    mergeFilesMin: 8,
    mergedBytesMax: mib(128),
    /** A day takes messages for a while after its end: the step that holds its last ones. */
    dayClosedAfter: minutes(60),
    choresPeriod: minutes(1),
    scrubPeriod: days(1),
    /** After the clock has jumped ahead, nothing is removed for being old for so long: somebody may set it right again. */
    clockDistrust: days(1),
    /** Of the Parquet writer: rows of a step, and what a merge needs. */
    writerBytesMax: mib(192),
    /** Parts of an upload; S3 takes 5 MiB to 5 GiB, and 10,000 of them. */
    partBytes: mib(8),
    objectTimeout: seconds(30),
    objectAttemptsMax: 5,
  },
  scrub: {
    /** A disk that is read all the time at this rate has most of its time for others; the log and the databases of a small site take minutes. */
    bytesPerSecondMax: mib(32),
    /** Places that are named; of a disk that dies there are thousands. */
    findingsMax: 50,
    /** Until what looks damaged is looked at again: its owner may just be writing it. */
    secondLookAfter: seconds(1),
  },
  files: FILES_LIMITS,
  schemas: SCHEMA_LIMITS,
  events: EVENT_LIMITS,
  forget: {
    /** Forgotten things whose records the log still holds, and reports of those that are over: each some 500 bytes, read at every start. */
    thingsMax: 10_000,
    /** Other platforms on the same database are told so long of a thing that left: one that was away longer keeps what it has. */
    followedFor: days(30),
  },
  asking: ASKING_LIMITS,
  backTests: BACK_TEST_LIMITS,
  identity: {
    /** AWS IoT allows 2,048 characters; generated documents with many topics are longer: 100 statements come to 15 KB. */
    policyBytesMax: kib(64),
    /** A verdict that no cache has looks at each: 70 ns of processor time. */
    policyStatementsMax: 1_000,
    /** Likewise, all statements' together. */
    policyResourcesMax: 2_000,
    /** A request for a P-384 or RSA 4096 key is below 2 KB. */
    signingRequestBytesMax: kib(16),
    /** Smaller keys are breakable, larger ones make every handshake expensive for us. */
    rsaBitsMin: 2048,
    rsaBitsMax: 4096,
    /** Life of a device's certificate where nobody asks for another, and the longest: more needs a reason yet to be given. */
    deviceCertificateDays: 30,
    deviceCertificateDaysMax: 3650,
    /** Attributes of one kind in a certificate that policies see; AWS IoT's number. */
    certificateValuesMax: 5,
    certificateValueLengthMax: 1024,
  },
  logins: DEVICE_LOGIN_LIMITS,
  provisioning: PROVISIONING_LIMITS,
  refusals: REFUSAL_LIMITS,
  registry: REGISTRY_LIMITS,
  search: SEARCH_LIMITS,
  answers: ANSWER_LIMITS,
  windows: WINDOW_LIMITS,
  moves: MOVE_LIMITS,
  shadow: SHADOW_LIMITS,
  http: {
    bodyBytesMax: kib(256),
    /** Of one address, without a login or with a wrong one. */
    requestsPerMinuteMax: 6_000,
    /** Of one user, key or device: far above an SDK that registers ten thousand things as fast as it is answered. */
    requestsPerActorPerMinuteMax: 120_000,
    /** Addresses, users, keys and devices whose requests are counted at once; 100 bytes each. */
    rateKeysMax: 20_000,
    loginsPerMinuteMax: 20,
    loginCodeLifetime: minutes(10),
    sessionLifetime: days(7),
    liveConnectionsMax: 200,
    liveSubscriptionsMax: 200,
    pageSizeMax: 250,
    /** Login links that were made and not used; the oldest goes first. */
    loginCodesMax: 100,
    /** Sockets of one listener: browsers open six each, and nobody may take all of the process' descriptors. */
    connectionsMax: 1_000,
    /** A client that sends its request drop by drop is cut off. */
    headersTimeout: seconds(10),
    requestTimeout: seconds(30),
    keepAliveTimeout: seconds(15),
    /** What a live request may measure; all of them are below 1 KB. */
    liveFrameBytesMax: kib(16),
    liveRequestsWaitingMax: 64,
    /** Bytes that wait for one browser before it is cut off; it comes back and fetches what it missed. */
    liveBufferedBytesMax: mib(4),
    /** A browser that is silent this long, and twice, is gone: its host vanished without a word. */
    livePingPeriod: seconds(30),
  },
  people: PEOPLE_LIMITS,
  audit: AUDIT_LIMITS,
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

/** Fixed header of 5 bytes, and the largest Remaining Length (MQTT 5.0 section 1.5.5). */
const PACKET_BYTES_MAX = 268_435_455 + 5;

export type Limits = { readonly [R in keyof typeof LIMITS]: { readonly [K in keyof (typeof LIMITS)[R]]: number } };
export type MqttLimits = Limits["mqtt"];

/** Throws where two limits contradict each other; called once at start and by a house test. */
export function assertLimits(limits: Limits = LIMITS): void {
  const { archive, asking, edge, http, identity, log, mqtt, people, registry, rules, shadow, telemetry } = limits;
  const relations: readonly (readonly [holds: boolean, relation: string])[] = [
    [archive.diskFreeBytesMin > log.diskFreeBytesMin, "archiving stops before the log does"],
    [archive.partBytes >= mib(5), "archive.partBytes is what S3 takes"],
    [mqtt.connectBytesMax <= mqtt.packetBytesMax, "mqtt.connectBytesMax <= mqtt.packetBytesMax"],
    [mqtt.topicBytesMax < 65_536, "mqtt.topicBytesMax fits MQTT's two length bytes"],
    [mqtt.inflightMax <= 65_535, "mqtt.inflightMax <= number of packet identifiers"],
    [mqtt.packetBytesMax < log.recordBytesMax, "an accepted packet fits a log record"],
    [mqtt.packetBytesMax <= mqtt.queuedBytesMax, "the largest message may wait for an absent client"],
    [mqtt.outputBytesMax <= mqtt.outputTotalBytesMax, "one output fits all outputs"],
    [mqtt.connectionsPerAddressMax <= mqtt.connectionsMax, "one address takes no more connections than there are"],
    [mqtt.keepAliveSecondsMax <= 65_535, "mqtt.keepAliveSecondsMax fits MQTT's two bytes"],
    [mqtt.sessionExpirySecondsMax <= 0xffff_ffff, "mqtt.sessionExpirySecondsMax fits MQTT's four bytes"],
    [mqtt.packetBytesMax <= PACKET_BYTES_MAX, "mqtt.packetBytesMax fits MQTT's length field"],
    [mqtt.topicAliasMax <= 65_535, "mqtt.topicAliasMax fits MQTT's two bytes"],
    [mqtt.inflightMax >= 1, "mqtt.inflightMax >= 1: MQTT knows no Receive Maximum of 0"],
    [mqtt.deliveriesInflightMax <= 32_767, "mqtt.deliveriesInflightMax <= packet identifiers of QoS 1"],
    [mqtt.inflightMax <= mqtt.identifiersUnreleasedMax, "a client may use its whole window at QoS 2"],
    [mqtt.identifiersUnreleasedMax <= 65_535, "mqtt.identifiersUnreleasedMax <= number of packet identifiers"],
    [mqtt.packetBytesMax < mqtt.outputBytesMax, "a packet fits an empty output"],
    [mqtt.connectionsMax <= mqtt.sessionsMax, "every connection may have a session"],
    [mqtt.packetBytesMax < mqtt.retainedBytesMax, "the largest message may be retained"],
    [mqtt.packetBytesMax < mqtt.retainedUnsavedBytesMax, "the largest message may wait until it is saved"],
    [mqtt.backlogBytesMax < log.pendingBytesMax, "publishers are held back before the log refuses"],
    [log.batchBytesMax < log.segmentBytesMax, "a batch fits a segment"],
    [log.recordBytesMax < log.segmentBytesMax, "a record fits a segment"],
    [log.recordBytesMax < log.pendingBytesMax, "a record fits the pending bytes"],
    [log.batchBytesMax <= log.groupBytesMax, "a batch fits what one sync carries"],
    [log.recordBytesMax <= log.groupBytesMax, "a record fits what one sync carries"],
    [log.groupBytesMax <= log.segmentBytesMax, "what one sync carries fits a segment"],
    [log.pendingBytesMax < log.diskFreeBytesMin, "what is pending fits the disk when appends are refused"],
    [rules.jsonBytesMax >= rules.deliveryBodyBytesMax, "a delivery's body is within the JSON limit"],
    [registry.principalsCachedMax >= mqtt.connectionsMax, "every connection's rights fit the registry's cache"],
    [rules.deliveriesPerTargetMax <= rules.deliveriesInflightMax, "one target's requests fit those of all"],
    [rules.retryDelayMin < rules.retryDelayMax, "rules.retryDelayMin < rules.retryDelayMax"],
    [telemetry.seriesPerThingMax <= telemetry.seriesMax, "one thing's series fit all series"],
    [telemetry.fieldsPerMessageMax <= telemetry.seriesPerThingMax, "one message's fields fit its thing's series"],
    [asking.queryTimeout <= asking.queryTimeoutMax, "asking.queryTimeout <= asking.queryTimeoutMax"],
    [asking.rowsMax <= asking.rowsMaxMax, "asking.rowsMax <= asking.rowsMaxMax"],
    [asking.sqlBytesMax < http.bodyBytesMax, "a statement fits a request"],
    [http.headersTimeout <= http.requestTimeout, "http.headersTimeout <= http.requestTimeout"],
    [http.liveConnectionsMax < http.connectionsMax, "live connections leave room for requests"],
    [identity.policyBytesMax * 2 < http.bodyBytesMax, "a policy fits a request, where its quotes are escaped"],
    [http.loginsPerMinuteMax < http.requestsPerMinuteMax, "logins are rarer than requests"],
    [shadow.nestingMax <= 64, "a shadow's levels fit the stack: merging recurses that deep"],
    [shadow.documentBytesMax <= shadow.requestBytesMax, "a whole shadow fits a request"],
    [shadow.requestBytesMax < http.bodyBytesMax, "a shadow request fits an HTTP request"],
    [people.sessionIdle <= http.sessionLifetime, "a session that nobody uses ends before one that is used"],
    [people.loginsFreePerName <= people.loginsFreePerAddress, "an address may fail as often as a name"],
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
