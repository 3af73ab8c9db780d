/**
 * For whom each limit counts, and what happens to whoever reaches it. `docs/reference/limits.md` is generated from here; a
 * test holds it against the limits and against the metric `tidewire_mqtt_limit_reached_total`.
 */
import type { MqttLimits } from "../base/mod.ts";

export type LimitName = keyof MqttLimits;

export interface LimitEffect {
  /** For each of these it counts alone. */
  readonly each: "packet" | "connection" | "session" | "thing" | "tenant" | "address" | "platform";
  /** In words, for MQTT 5.0 and 3.1.1. */
  readonly effect: string;
  /** Whether reaching it is counted; else nobody is refused or slowed down by it. */
  readonly counted: boolean;
}

const reached = (each: LimitEffect["each"], effect: string): LimitEffect => ({ each, effect, counted: true });
const inner = (effect: string): LimitEffect => ({ each: "platform", effect, counted: false });

const PAUSED = "not read from until it has the right again; nothing is lost";

export const LIMIT_EFFECTS: Readonly<Record<LimitName, LimitEffect>> = {
  packetBytesMax: reached("packet", "DISCONNECT 0x95 Packet too large; 3.1.1: closed"),
  connectBytesMax: reached("packet", "closed; 0x95 where the version is known"),
  topicBytesMax: reached("packet", "PUBLISH: DISCONNECT 0x90; filter: SUBACK 0x8F, 3.1.1: 0x80; will: CONNACK 0x90"),
  topicLevelsMax: reached("packet", "as topicBytesMax"),
  clientIdBytesMax: reached("packet", "CONNACK 0x85; 3.1.1: 2"),
  userPropertiesMax: reached("packet", "DISCONNECT or CONNACK 0x97 Quota exceeded"),
  filtersPerSubscribeMax: reached("packet", "DISCONNECT 0x97; 3.1.1: closed"),
  subscriptionsPerSessionMax: reached("session", "SUBACK 0x97; 3.1.1: 0x80"),
  sharedSubscriptionsPerSessionMax: reached("session", "SUBACK 0x97; 3.1.1: 0x80"),
  inflightMax: reached("connection", "DISCONNECT 0x93 Receive Maximum exceeded; 3.1.1: not read from meanwhile"),
  identifiersUnreleasedMax: reached("session", "DISCONNECT 0x93 Receive Maximum exceeded; 3.1.1: closed"),
  authenticationStepsMax: reached("connection", "CONNACK or DISCONNECT 0x97 Quota exceeded"),
  topicAliasesGivenMax: inner("further topics are sent without an alias"),
  topicAliasMax: reached("connection", "DISCONNECT 0x94 Topic Alias invalid"),
  connectTimeout: reached("connection", "closed"),
  keepAliveSecondsMax: reached("connection", "CONNACK names the shorter one; 3.1.1 cannot be told and keeps its own"),
  sessionExpirySecondsMax: reached("session", "CONNACK names the shorter one; 3.1.1: ends after it"),
  queuedMessagesMax: reached("session", "the newest message is not queued"),
  queuedBytesMax: reached("session", "the newest message is not queued"),
  queuedTotalMessagesMax: reached("platform", "each session may queue a sixty-fourth of queuedMessagesMax"),
  outputBytesMax: reached("connection", "QoS 0 is dropped, QoS 1 and 2 wait in the queue, the client is not read from"),
  outputTotalBytesMax: reached("platform", "each output may hold a sixty-fourth of outputBytesMax"),
  connectionsMax: reached("platform", "CONNACK 0x89 Server busy; 3.1.1: 3"),
  connectionsPerAddressMax: reached("address", "closed before TLS"),
  greetingsMax: reached("platform", "the connection that has waited longest without CONNECT is closed"),
  connectionsPerThingMax: reached("thing", "CONNACK 0x97; 3.1.1: 3"),
  connectsPerSecondMax: reached("platform", "CONNECT waits for its turn"),
  connectsPerSecondPerAddressMax: reached("address", "CONNACK 0x9F Connection rate exceeded; 3.1.1: 3"),
  messagesPerSecondMax: reached("connection", PAUSED),
  bytesPerSecondMax: reached("connection", PAUSED),
  messagesPerSecondPerThingMax: reached("thing", `${PAUSED}; its connections share evenly`),
  bytesPerSecondPerThingMax: reached("thing", `${PAUSED}; its connections share evenly`),
  messagesPerSecondPerTenantMax: reached("tenant", `${PAUSED}; things share evenly`),
  bytesPerSecondPerTenantMax: reached("tenant", `${PAUSED}; things share evenly`),
  messagesPerSecondTotalMax: reached("platform", `${PAUSED}; tenants share evenly`),
  bytesPerSecondTotalMax: reached("platform", `${PAUSED}; tenants share evenly`),
  filtersPerSecondMax: reached("connection", PAUSED),
  rateBurst: inner("what each rate may be exceeded by for a moment: what it allows in this time"),
  turnWorkMax: reached("platform", "the rest of what a connection sent is looked at in the next turn"),
  partialTotalBytesMax: reached("platform", "who has much of a packet under way gets DISCONNECT 0x97; 3.1.1: closed"),
  sessionsMax: reached("platform", "a new client that asks for a session: CONNACK 0x97; 3.1.1: 3"),
  sessionsPerThingMax: reached("thing", "CONNACK 0x97; 3.1.1: 3"),
  willsTotalBytesMax: reached(
    "platform",
    "CONNECT with a larger will than a sixty-fourth of connectBytesMax: 0x97; 3.1.1: 3",
  ),
  retainedMessagesMax: reached("platform", "delivered, but not retained"),
  retainedBytesMax: reached("platform", "delivered, but not retained"),
  retainedUnsavedMessagesMax: reached(
    "platform",
    "who retains more is not read from until the state store has caught up",
  ),
  retainedUnsavedBytesMax: reached("platform", "who retains more is not read from until the state store has caught up"),
  deliveriesInflightMax: inner("more wait in the queue, as the client's own Receive Maximum makes them"),
  routesCachedMax: inner("topics beyond are looked up anew"),
  routeTargetsMax: inner("subscribers beyond are looked up anew"),
  recentBytesMax: inner("messages beyond are read back from the log"),
  backlogBytesMax: reached("platform", "who publishes most is not read from until the disk has caught up"),
  stalledOutputMax: reached("connection", "cut off"),
  stateSavePeriod: inner("what a start after a crash reads again from the log"),
  willGraceAfterRestart: inner("wills wait this long for their clients after a restart"),
};

export const COUNTED_LIMITS: readonly LimitName[] = (Object.keys(LIMIT_EFFECTS) as LimitName[]).filter(
  (name) => LIMIT_EFFECTS[name].counted,
);
