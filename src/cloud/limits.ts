/**
 * The limits that this platform runs with: the defaults or MQTT's own maxima, what the operator set, and what has to follow
 * from it (a larger packet needs a larger log record). `mqtt.*`, `log.*`, what devices may store in telemetry and in shadows,
 * the size of policies, and how rules deliver can be set.
 */
import { LIMITS, TidewireError, assertLimits, closestWord, kib, mib, reasonOf } from "../base/mod.ts";
import type { Limits } from "../base/mod.ts";
import { PROTOCOL_LIMITS, UNLIMITED } from "../broker/mod.ts";

export const LIMIT_PRESETS = ["default", "protocol"] as const;
export type LimitPreset = (typeof LIMIT_PRESETS)[number];

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  KiB: kib(1),
  MiB: mib(1),
  GiB: 1024 * mib(1),
  ms: 1,
  s: 1000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Those of telemetry that bound what is taken in and kept. What one query may ask is the same everywhere. */
export const TELEMETRY_LIMITS_TO_SET = [
  "fieldsPerMessageMax",
  "fieldDepthMax",
  "arrayItemsMax",
  "stringBytesMax",
  "seriesMax",
  "seriesPerThingMax",
  "timeAheadMax",
  "commitDelay",
  "commitRowsMax",
  "generationRowsMax",
  "generationAgeMax",
  "databaseBytesMax",
] as const satisfies readonly (keyof Limits["telemetry"])[];

/** What a device may keep in its shadows, and how fast it may ask. */
export const SHADOW_LIMITS_TO_SET = [
  "documentBytesMax",
  "requestBytesMax",
  "nestingMax",
  "inflightMax",
  "perThingMax",
] as const satisfies readonly (keyof Limits["shadow"])[];

/** How large a policy may be that is put; one that is stored goes on being evaluated. */
export const IDENTITY_LIMITS_TO_SET = [
  "policyBytesMax",
  "policyStatementsMax",
  "policyResourcesMax",
] as const satisfies readonly (keyof Limits["identity"])[];

/** How patient deliveries of rules are, and how many are kept. */
export const RULES_LIMITS_TO_SET = [
  "deliveryTimeout",
  "retryDelayMin",
  "retryDelayMax",
  "retryAfterMax",
  "deliveryGiveUpAfter",
  "deliveriesWaitingMax",
  "deadLettersMax",
] as const satisfies readonly (keyof Limits["rules"])[];

type Room = "mqtt" | "log" | "telemetry" | "shadow" | "identity" | "rules";
type Changeable = Record<Room, Record<string, number>>;

/** Throws CONFIG_VALUE_INVALID where a limit is not known, cannot be set, or contradicts another. `file`: who said it. */
export function limitsOf(
  config: { readonly limits: LimitPreset; readonly limit: Readonly<Record<string, string | number>> },
  file = "The configuration",
): Limits {
  const set = new Map(Object.entries(config.limit).map(([name, value]) => [name, numberOf(name, value, file)]));
  const chosen: Changeable = {
    mqtt: { ...LIMITS.mqtt, ...(config.limits === "protocol" ? PROTOCOL_LIMITS : {}) },
    log: {},
    telemetry: {},
    shadow: {},
    identity: {},
    rules: {},
  };
  for (const [name, value] of set) {
    const [room, key] = name.split(".") as [Room, string];
    chosen[room][key] = value;
  }
  const limits = {
    ...LIMITS,
    mqtt: { ...LIMITS.mqtt, ...chosen.mqtt },
    log: { ...LIMITS.log, ...chosen.log },
    telemetry: { ...LIMITS.telemetry, ...chosen.telemetry },
    shadow: { ...LIMITS.shadow, ...chosen.shadow },
    identity: { ...LIMITS.identity, ...chosen.identity },
    rules: { ...LIMITS.rules, ...chosen.rules },
  };
  const whole = followed(limits, new Set(set.keys()));
  try {
    assertLimits(whole);
  } catch (error) {
    throw invalid(file, [...set.keys()].join(", ") || "limits", reasonOf(error));
  }
  return whole;
}

/** Raises (or lowers) what would contradict what was set; what was set itself stays as it is. */
function followed(limits: Limits, set: ReadonlySet<string>): Limits {
  const mqtt = { ...limits.mqtt };
  const log = { ...limits.log };
  const registry = { ...limits.registry };
  const raise = (room: "mqtt" | "log", key: string, atLeast: number): void => {
    const values: Record<string, number> = room === "mqtt" ? mqtt : log;
    if (!set.has(`${room}.${key}`)) values[key] = Math.max(values[key]!, atLeast);
  };
  if (!set.has("mqtt.connectBytesMax")) mqtt.connectBytesMax = Math.min(mqtt.connectBytesMax, mqtt.packetBytesMax);
  if (!set.has("mqtt.connectionsPerAddressMax")) {
    mqtt.connectionsPerAddressMax = Math.min(mqtt.connectionsPerAddressMax, mqtt.connectionsMax);
  }
  raise("mqtt", "sessionsMax", mqtt.connectionsMax);
  raise("mqtt", "queuedBytesMax", mqtt.packetBytesMax);
  raise("mqtt", "retainedBytesMax", 2 * mqtt.packetBytesMax);
  raise("mqtt", "retainedUnsavedBytesMax", 2 * mqtt.packetBytesMax);
  raise("mqtt", "outputBytesMax", 2 * mqtt.packetBytesMax);
  raise("mqtt", "outputTotalBytesMax", 2 * mqtt.outputBytesMax);
  // A record holds the packet's content, the topic where an alias stood for it, and who sent it.
  raise("log", "recordBytesMax", mqtt.packetBytesMax + mqtt.topicBytesMax + mqtt.clientIdBytesMax + kib(1));
  raise("log", "groupBytesMax", log.recordBytesMax + kib(1));
  raise("log", "segmentBytesMax", 2 * log.groupBytesMax);
  raise("log", "pendingBytesMax", 3 * log.recordBytesMax + mqtt.backlogBytesMax);
  raise("log", "diskFreeBytesMin", log.pendingBytesMax + log.groupBytesMax);
  registry.principalsCachedMax = Math.max(registry.principalsCachedMax, mqtt.connectionsMax);
  // Of agents here; one that runs elsewhere makes readings far smaller than that.
  const edge = { ...limits.edge, outboxBytesMax: Math.max(limits.edge.outboxBytesMax, mqtt.packetBytesMax) };
  // Archiving stops before messages are refused.
  const archive = {
    ...limits.archive,
    diskFreeBytesMin: Math.max(limits.archive.diskFreeBytesMin, log.diskFreeBytesMin + mib(128)),
  };
  return { ...limits, mqtt, log, archive, registry, edge };
}

function numberOf(name: string, value: string | number, file: string): number {
  const [room, key] = name.split(".");
  const known = knownNames();
  if (!known.includes(name)) {
    const nearest =
      closestWord(name, known) ??
      closestWord(
        key ?? room!,
        known.map((full) => full.split(".")[1]!),
      );
    const hint = nearest === null ? "docs/reference/limits.md lists those that can be" : `did you mean '${nearest}'?`;
    throw invalid(file, name, `there is no such limit that can be set; ${hint}`);
  }
  if (value === "unlimited") return UNLIMITED;
  const match = /^(\d+)(?: ?(KiB|MiB|GiB|ms|s|min|h|d))?$/.exec(String(value));
  const number = match === null ? Number.NaN : Number(match[1]) * UNITS[match[2] ?? ""]!;
  if (!Number.isSafeInteger(number) || number < 1) {
    throw invalid(file, name, "it must be a whole number above 0, such as 500, 4MiB or 30s, or 'unlimited'");
  }
  return number;
}

function knownNames(): readonly string[] {
  const names = (["mqtt", "log"] as const).flatMap((room) => Object.keys(LIMITS[room]).map((key) => `${room}.${key}`));
  return [
    ...names,
    ...TELEMETRY_LIMITS_TO_SET.map((key) => `telemetry.${key}`),
    ...SHADOW_LIMITS_TO_SET.map((key) => `shadow.${key}`),
    ...IDENTITY_LIMITS_TO_SET.map((key) => `identity.${key}`),
    ...RULES_LIMITS_TO_SET.map((key) => `rules.${key}`),
  ];
}

function invalid(file: string, key: string, reason: string): TidewireError {
  return new TidewireError("CONFIG_VALUE_INVALID", { file, key, reason, command: "up" });
}
