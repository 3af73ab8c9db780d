/**
 * What a plan is computed from: what we measured, and what others charge. Every figure says where it is from; those of others
 * are assumptions, printed with their date, and `tidewire plan --prices FILE` replaces any of them.
 */

/** A number, and where it is from. */
export interface Figure {
  readonly value: number;
  readonly source: string;
}

const OURS = "measured 2026-11-22, 2 × AMD EPYC (virtual), Node 24: bench/README.md";
const FILES =
  "measured 2026-11-22: 500 series × 8,640 points of a 1-decimal random walk in this layout's Parquet files, zstd; exact times 0.44, ±40 ms of jitter 1.59";

/** Ours. `bench:storage` measures the bytes again; the larger of what was found stands here. */
export const MEASURED = {
  bytesPerPoint: { value: 1.59, source: FILES },
  bytesPerRollup1m: { value: 6.9, source: FILES },
  bytesPerRollup1h: { value: 10.9, source: FILES },
  bytesPerRollup1d: { value: 21.4, source: FILES },
  /** Log record beside the payload: offset, times, topic, client, properties. */
  logBytesPerMessage: { value: 60, source: "format of docs/internals/log-format.md with a topic of 30 characters" },
  messagesPerCoreSecond: { value: 423_000, source: `fan-in, QoS 1, durable, mTLS and policies; ${OURS}` },
  pointsPerCoreSecond: { value: 1_100_000, source: `log to committed row; ${OURS}` },
  handshakesPerCoreSecond: { value: 429, source: `mTLS to CONNACK; ${OURS}` },
  bytesPerConnection: { value: 62_464, source: `idle mTLS connection with 4,000 there, 61 KiB; ${OURS}` },
  bytesPerSeries: { value: 400, source: "names, latest value and look-up tables; estimated" },
  baseBytes: { value: 313_524_224, source: `platform, store and agent at rest, 299 MiB; ${OURS}` },
  /** Publish to acknowledge: fixed header, topic, properties, PUBACK, TLS record, TCP/IP, both ways. */
  networkBytesPerMessage: { value: 190, source: "MQTT 5, TLS 1.3 and TCP/IPv4 headers with a topic of 30 characters" },
  /** Of what a machine could do by these numbers, how much a plan uses: the rest is for bursts, queries and compaction. */
  useOfCore: { value: 0.5, source: "margin" },
  useOfDisk: { value: 0.7, source: "margin" },
  useOfMemory: { value: 0.7, source: "margin" },
} as const satisfies Readonly<Record<string, Figure>>;

/** US dollars. A step's price holds for what lies below `upTo` a month; the last one for the rest. */
export interface PriceStep {
  readonly upTo: number | null;
  readonly perMillion: number;
}

export interface Prices {
  readonly date: string;
  readonly currency: string;
  readonly awsIotCore: {
    readonly source: string;
    readonly messages: readonly PriceStep[];
    /** A message is metered in pieces of so many bytes. */
    readonly messageBytes: number;
    readonly connectionMinutesPerMillion: number;
    /** A rule that is triggered, and its action. */
    readonly rulesPerMillion: number;
  };
  readonly awsTimestream: {
    readonly source: string;
    readonly writesPerMillion: number;
    readonly writeBytes: number;
    readonly memoryPerGbHour: number;
    /** How long points stay in the memory store before the magnetic store has them. */
    readonly memoryHours: number;
    readonly magneticPerGbMonth: number;
    /** Stored size of one point with one dimension. */
    readonly bytesPerPoint: number;
  };
  readonly machine: {
    readonly source: string;
    readonly perCoreMonth: number;
    readonly perGibMonth: number;
    readonly diskPerGbMonth: number;
  };
  readonly influx: {
    readonly source: string;
    readonly bytesPerPoint: number;
    readonly pointsPerCoreSecond: number;
    /** A single node of the open edition takes no more. */
    readonly pointsPerSecondMax: number;
    readonly memoryBytesPerSeries: number;
  };
}

export const LIST_PRICES: Prices = {
  date: "2025-06",
  currency: "USD",
  awsIotCore: {
    source: "aws.amazon.com/iot-core/pricing, US East",
    messages: [
      { upTo: 1e9, perMillion: 1 },
      { upTo: 5e9, perMillion: 0.8 },
      { upTo: null, perMillion: 0.7 },
    ],
    messageBytes: 5 * 1024,
    connectionMinutesPerMillion: 0.08,
    rulesPerMillion: 0.15 + 0.15,
  },
  awsTimestream: {
    source:
      "aws.amazon.com/timestream/pricing (LiveAnalytics; no new customers since 2025-06), US East; one point per write of 1 KiB, no queries",
    writesPerMillion: 0.5,
    writeBytes: 1024,
    memoryPerGbHour: 0.036,
    memoryHours: 12,
    magneticPerGbMonth: 0.03,
    bytesPerPoint: 60,
  },
  machine: {
    source: "virtual machines on demand, US East: 0.048 an hour for a core with 4 GiB, general SSD",
    perCoreMonth: 23,
    perGibMonth: 3,
    diskPerGbMonth: 0.08,
  },
  influx: {
    source:
      "docs.influxdata.com/influxdb/v1/guides/hardware_sizing: about 3 bytes a value, 750,000 values a second a node, 8 cores and more",
    bytesPerPoint: 3,
    pointsPerCoreSecond: 93_750,
    pointsPerSecondMax: 750_000,
    memoryBytesPerSeries: 4096,
  },
};
