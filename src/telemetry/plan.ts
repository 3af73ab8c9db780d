/** `tidewire plan`: what a fleet needs, from its numbers and from what we measured. Pure arithmetic; prices are data. */
import { days, gib, hours, minutes, seconds } from "../base/mod.ts";
import type { Bytes, Millis } from "../base/mod.ts";
import { ROLLUPS, ROLLUP_WIDTH } from "./levels.ts";
import type { Rollup } from "./levels.ts";
import { MEASURED } from "./plan-figures.ts";
import type { PriceStep, Prices } from "./plan-figures.ts";

export interface PlanRequest {
  readonly sensors: number;
  /** A sensor sends one message, with `fields` values, so often. */
  readonly every: Millis;
  readonly fields: number;
  /** Of a message's payload. */
  readonly bytes: Bytes;
  readonly raw: Millis;
  readonly rollups: readonly { readonly level: Rollup; readonly keep: Millis }[];
  readonly log: Millis;
  /** How long every message is archived; 0: not at all. */
  readonly archive: Millis;
}

export interface PlanStorage {
  readonly name: string;
  readonly keep: Millis;
  readonly rows: number;
  readonly bytes: Bytes;
}

export interface PlanCost {
  readonly name: string;
  readonly perMonth: number;
  readonly parts: readonly { readonly name: string; readonly perMonth: number }[];
  /** Why it would not work; null where nothing is known against it. */
  readonly doubt: string | null;
}

export interface Plan {
  readonly messagesPerSecond: number;
  readonly messagesPerDay: number;
  readonly pointsPerSecond: number;
  readonly pointsPerDay: number;
  readonly series: number;
  readonly payloadBytesPerSecond: Bytes;
  readonly networkBytesPerSecond: Bytes;
  /** Everything as it was sent, for as long as the raw points, and for a year. */
  readonly uncompressed: { readonly raw: Bytes; readonly year: Bytes };
  readonly storage: readonly PlanStorage[];
  readonly machine: {
    readonly cores: number;
    readonly memoryBytes: Bytes;
    readonly diskBytes: Bytes;
    /** Time until all sensors are back after a power cut, with these cores. */
    readonly reconnect: Millis;
    /** More than one machine is needed; null where one is enough. */
    readonly beyond: string | null;
  };
  readonly costs: readonly PlanCost[];
  /** Points and rollups as planned, against raw points for a year; disk only. */
  readonly saving: {
    readonly planned: { readonly bytes: Bytes; readonly perMonth: number };
    readonly rawYear: { readonly bytes: Bytes; readonly perMonth: number };
  };
}

/** A month of the bills: 730 hours. */
const MONTH = hours(730);
const YEAR = days(365);
const GB = 1e9;
/** zstd over JSON of one kind: what archives of messages shrink to. An assumption until the archive was measured. */
const ARCHIVE_RATIO = 8;

export function planOf(request: PlanRequest, prices: Prices): Plan {
  const { sensors, every, fields, bytes } = request;
  const messagesPerSecond = sensors / (every / seconds(1));
  const pointsPerSecond = messagesPerSecond * fields;
  const perDay = days(1) / seconds(1);
  const storage = storageOf(request, messagesPerSecond);
  const partial = {
    messagesPerSecond,
    messagesPerDay: messagesPerSecond * perDay,
    pointsPerSecond,
    pointsPerDay: pointsPerSecond * perDay,
    series: sensors * fields,
    payloadBytesPerSecond: messagesPerSecond * bytes,
    networkBytesPerSecond: messagesPerSecond * (bytes + MEASURED.networkBytesPerMessage.value),
    uncompressed: {
      raw: (messagesPerSecond * bytes * request.raw) / seconds(1),
      year: (messagesPerSecond * bytes * YEAR) / seconds(1),
    },
    storage,
  };
  const machine = machineOf(request, partial);
  const plan = { ...partial, machine };
  return { ...plan, costs: costsOf(request, plan, prices), saving: savingOf(plan, prices) };
}

/** Rollups in the order of their width; of equal levels the last one counts. */
function storageOf(request: PlanRequest, messagesPerSecond: number): readonly PlanStorage[] {
  const { fields, bytes, raw, log, archive } = request;
  const messages = (keep: Millis): number => (messagesPerSecond * keep) / seconds(1);
  const series = request.sensors * fields;
  const storage: PlanStorage[] = [
    entry("log", log, messages(log), bytes + MEASURED.logBytesPerMessage.value),
    entry("raw", raw, messages(raw) * fields, MEASURED.bytesPerPoint.value),
  ];
  for (const level of ROLLUPS) {
    const kept = request.rollups.findLast((rollup) => rollup.level === level);
    if (kept === undefined) continue;
    // A bucket without points has no row: a sensor that sends once a day has one row a day, however fine the level.
    const width = Math.max(ROLLUP_WIDTH[level], request.every);
    storage.push(entry(level, kept.keep, (series * kept.keep) / width, ROLLUP_BYTES[level]));
  }
  if (archive > 0) storage.push(entry("archive", archive, messages(archive), (bytes + 60) / ARCHIVE_RATIO));
  return storage;
}

const ROLLUP_BYTES: Readonly<Record<Rollup, number>> = {
  "1m": MEASURED.bytesPerRollup1m.value,
  "1h": MEASURED.bytesPerRollup1h.value,
  "1d": MEASURED.bytesPerRollup1d.value,
};

function entry(name: string, keep: Millis, rows: number, bytesPerRow: number): PlanStorage {
  return { name, keep, rows, bytes: rows * bytesPerRow };
}

type Sums = Omit<Plan, "machine" | "costs" | "saving">;
type Planned = Omit<Plan, "costs" | "saving">;

/** The broker is one thread: beyond what it does, more cores do not help. */
function machineOf({ sensors }: PlanRequest, sums: Sums): Plan["machine"] {
  const { messagesPerCoreSecond, pointsPerCoreSecond, useOfCore, useOfDisk, useOfMemory } = MEASURED;
  const broker = sums.messagesPerSecond / (messagesPerCoreSecond.value * useOfCore.value);
  const store = sums.pointsPerSecond / (pointsPerCoreSecond.value * useOfCore.value);
  const cores = Math.max(1, Math.ceil(broker + store)) + 1; // one for queries, compaction and the system
  const memory =
    MEASURED.baseBytes.value +
    sensors * MEASURED.bytesPerConnection.value +
    sums.series * MEASURED.bytesPerSeries.value;
  const disk = sums.storage.reduce((sum, { bytes }) => sum + bytes, 0) / useOfDisk.value;
  const beyond =
    broker > 1
      ? `${compact(sums.messagesPerSecond)} messages a second are more than the ${compact(messagesPerCoreSecond.value * useOfCore.value)} that one broker is planned for`
      : memory / useOfMemory.value > gib(512)
        ? "its connections need more memory than one machine has"
        : null;
  return {
    cores,
    memoryBytes: Math.ceil(memory / useOfMemory.value / gib(1)) * gib(1),
    diskBytes: disk,
    reconnect: (sensors / MEASURED.handshakesPerCoreSecond.value) * seconds(1),
    beyond,
  };
}

function savingOf(plan: Planned, { machine }: Prices): Plan["saving"] {
  const disk = (bytes: Bytes) => ({ bytes, perMonth: (bytes / GB) * machine.diskPerGbMonth });
  const kept = plan.storage.filter(({ name }) => name !== "log" && name !== "archive");
  const year = (plan.pointsPerSecond * YEAR) / seconds(1);
  return {
    planned: disk(kept.reduce((sum, { bytes }) => sum + bytes, 0)),
    rawYear: disk(year * MEASURED.bytesPerPoint.value),
  };
}

function costsOf(request: PlanRequest, plan: Planned, prices: Prices): readonly PlanCost[] {
  return [tidewireCost(plan, prices), influxCost(plan, prices), awsCost(request, plan, prices)];
}

function tidewireCost({ machine }: Pick<Plan, "machine">, { machine: price }: Prices): PlanCost {
  return cost("Tidewire, self-hosted", machine.beyond, [
    ["cores", machine.cores * price.perCoreMonth],
    ["memory", (machine.memoryBytes / gib(1)) * price.perGibMonth],
    ["disk", (machine.diskBytes / GB) * price.diskPerGbMonth],
  ]);
}

/** The database alone: broker, certificates, rules and dashboard come on top. Raw and rollups as here. */
function influxCost(plan: Planned, { influx, machine: price }: Prices): PlanCost {
  const rows = plan.storage.filter(({ name }) => name === "raw" || ROLLUPS.some((level) => level === name));
  // A rollup there is a value of its own for each of avg, min, max, sum, count, first and last.
  const values = rows.reduce((sum, { name, rows: count }) => sum + count * (name === "raw" ? 1 : 7), 0);
  const disk = (values * influx.bytesPerPoint) / MEASURED.useOfDisk.value;
  const cores = Math.max(2, Math.ceil(plan.pointsPerSecond / (influx.pointsPerCoreSecond * MEASURED.useOfCore.value)));
  const memory = gib(2) + plan.series * influx.memoryBytesPerSeries;
  const doubt =
    plan.pointsPerSecond > influx.pointsPerSecondMax
      ? `more than the ${compact(influx.pointsPerSecondMax)} values a second that one open-source node is made for`
      : null;
  return cost("InfluxDB, self-hosted (database only)", doubt, [
    ["cores", cores * price.perCoreMonth],
    ["memory", Math.ceil(memory / gib(1)) * price.perGibMonth],
    ["disk", (disk / GB) * price.diskPerGbMonth],
  ]);
}

function awsCost(request: PlanRequest, plan: Planned, { awsIotCore, awsTimestream }: Prices): PlanCost {
  const { bytes, sensors, raw } = request;
  const messages = (plan.messagesPerSecond * MONTH) / seconds(1);
  const metered = messages * Math.ceil(Math.max(1, bytes) / awsIotCore.messageBytes);
  const points = (plan.pointsPerSecond * MONTH) / seconds(1);
  const writes = messages * Math.ceil((awsTimestream.bytesPerPoint * request.fields) / awsTimestream.writeBytes);
  const perHour = (points / 730) * awsTimestream.bytesPerPoint;
  const memory = (perHour * Math.min(awsTimestream.memoryHours, raw / hours(1))) / GB;
  const rollups = plan.storage.filter(({ name }) => ROLLUPS.some((level) => level === name));
  const magnetic =
    ((plan.pointsPerSecond * raw) / seconds(1) + rollups.reduce((sum, { rows }) => sum + rows, 0)) *
    awsTimestream.bytesPerPoint;
  return cost("AWS IoT Core + Timestream", null, [
    ["messages", stepped(metered, awsIotCore.messages)],
    ["connections", ((sensors * (MONTH / minutes(1))) / 1e6) * awsIotCore.connectionMinutesPerMillion],
    ["rules", (messages / 1e6) * awsIotCore.rulesPerMillion],
    ["writes", (writes / 1e6) * awsTimestream.writesPerMillion],
    ["memory store", memory * 730 * awsTimestream.memoryPerGbHour],
    ["magnetic store", (magnetic / GB) * awsTimestream.magneticPerGbMonth],
  ]);
}

function cost(
  name: string,
  doubt: string | null,
  parts: readonly (readonly [name: string, perMonth: number])[],
): PlanCost {
  return {
    name,
    doubt,
    perMonth: parts.reduce((sum, [, perMonth]) => sum + perMonth, 0),
    parts: parts.map(([part, perMonth]) => ({ name: part, perMonth })),
  };
}

function stepped(amount: number, steps: readonly PriceStep[]): number {
  let price = 0;
  let below = 0;
  for (const { upTo, perMillion } of steps) {
    const top = Math.min(amount, upTo ?? Number.POSITIVE_INFINITY);
    price += (Math.max(0, top - below) / 1e6) * perMillion;
    below = top;
  }
  return price;
}

/** 8.64 billion, 100 thousand, 250. */
export function compact(amount: number): string {
  const steps = [
    [1e12, " trillion"],
    [1e9, " billion"],
    [1e6, " million"],
  ] as const;
  for (const [size, name] of steps) if (amount >= size) return `${significant(amount / size)}${name}`;
  return significant(amount).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Decimal units, as disks and bills have them. */
export function shownBytes(bytes: Bytes): string {
  const units = ["B", "KB", "MB", "GB", "TB", "PB", "EB"];
  let amount = bytes;
  let unit = 0;
  while (amount >= 1000 && unit < units.length - 1) {
    amount /= 1000;
    unit++;
  }
  return `${significant(amount)} ${units[unit]}`;
}

/** Three digits, more before the point where there are. */
function significant(amount: number): string {
  if (amount >= 100) return String(Math.round(amount));
  return String(Number(amount.toPrecision(3)));
}
