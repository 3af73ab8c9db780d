/** The limits of `--limits protocol`. */
import { gib, minutes } from "../base/mod.ts";
import type { MqttLimits } from "../base/mod.ts";

/** More than can ever be counted, and survives JSON. */
export const UNLIMITED = Number.MAX_SAFE_INTEGER;

/** What MQTT itself allows, and no rates. Limits that are not here guard memory, and stay. */
export const PROTOCOL_LIMITS: Partial<MqttLimits> = {
  packetBytesMax: 268_435_455 + 5,
  connectBytesMax: 268_435_455 + 5,
  topicBytesMax: 65_535,
  topicLevelsMax: 65_536,
  clientIdBytesMax: 65_535,
  userPropertiesMax: UNLIMITED,
  filtersPerSubscribeMax: UNLIMITED,
  subscriptionsPerSessionMax: UNLIMITED,
  inflightMax: 65_535,
  /** Of QoS 1; QoS 2 has as many identifiers of its own. */
  deliveriesInflightMax: 32_767,
  identifiersUnreleasedMax: 65_535,
  topicAliasMax: 65_535,
  connectTimeout: minutes(10),
  keepAliveSecondsMax: 65_535,
  sessionExpirySecondsMax: 0xffff_ffff,
  queuedMessagesMax: 1_000_000,
  queuedBytesMax: gib(1),
  connectionsMax: 1_000_000,
  connectionsPerAddressMax: 1_000_000,
  greetingsMax: 1_000_000,
  connectionsPerThingMax: UNLIMITED,
  connectsPerSecondMax: UNLIMITED,
  connectsPerSecondPerAddressMax: UNLIMITED,
  messagesPerSecondMax: UNLIMITED,
  bytesPerSecondMax: UNLIMITED,
  messagesPerSecondPerThingMax: UNLIMITED,
  bytesPerSecondPerThingMax: UNLIMITED,
  messagesPerSecondPerTenantMax: UNLIMITED,
  bytesPerSecondPerTenantMax: UNLIMITED,
  messagesPerSecondTotalMax: UNLIMITED,
  bytesPerSecondTotalMax: UNLIMITED,
  filtersPerSecondMax: UNLIMITED,
  partialTotalBytesMax: UNLIMITED,
  sessionsMax: UNLIMITED,
  sessionsPerThingMax: UNLIMITED,
  willsTotalBytesMax: UNLIMITED,
  retainedMessagesMax: UNLIMITED,
  retainedBytesMax: UNLIMITED,
  outputTotalBytesMax: gib(4),
};
