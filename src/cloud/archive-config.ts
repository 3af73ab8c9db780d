/** The configuration of the event archive, and what it means. */
import { isAbsolute, join, resolve } from "node:path";
import { z } from "zod";
import type { ColdPlace } from "../adapters/objects/mod.ts";
import { LIMITS, TidewireError, days, gib, hours, kib, mib, minutes, seconds } from "../base/mod.ts";
import type { ArchiveOrder } from "./store/mod.ts";

const AGES: Readonly<Record<string, number>> = {
  s: seconds(1),
  min: minutes(1),
  h: hours(1),
  d: days(1),
  w: days(7),
  y: days(365),
};
const SIZES: Readonly<Record<string, number>> = { KiB: kib(1), MiB: mib(1), GiB: gib(1), TiB: gib(1024) };

const Age = z.string().refine((text) => ageOf(text) !== null, "must be an age such as 30d, 12h or 1y");
const Size = z.string().refine((text) => sizeOf(text) !== null, "must be a size such as 500MiB or 4GiB");
/** Without slashes at its ends; what `isObjectKey` takes. */
const Prefix = z.string().regex(/^(?:[A-Za-z0-9_=.-]+(?:\/[A-Za-z0-9_=.-]+)*)?$/, "must be words with / between them");

/** A bucket of an S3-compatible store. */
export const Bucket = z.strictObject({
  endpoint: z.url({ protocol: /^https?$/, error: "must be an http:// or https:// URL" }),
  region: z.string().min(1).default("us-east-1"),
  bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, "must be the name of a bucket"),
  prefix: Prefix.default(""),
  credentials: z.string().min(1).optional(),
  ca: z.string().min(1).optional(),
});

export const ArchiveConfigSchema = z.strictObject({
  enabled: z.boolean().default(true),
  every: Age.default("15min"),
  keep: z.union([z.literal("forever"), Age]).default("1y"),
  size: z.union([z.literal("unlimited"), Size]).default("8GiB"),
  warm: Age.default("30d"),
  cache: Size.default("1GiB"),
  folder: z.string().min(1).optional(),
  s3: Bucket.optional(),
});

export type ArchiveConfig = z.infer<typeof ArchiveConfigSchema>;

/** `null` where it is turned off. `data`: the platform's folder. Throws CONFIG_VALUE_INVALID where two values contradict. */
export function archiveOrderOf(config: ArchiveConfig, data: string): ArchiveOrder | null {
  if (!config.enabled) return null;
  const every = ageOf(config.every)!;
  if (every < LIMITS.archive.flushPeriodMin) throw invalid("archive.every", "it must be 1s or more");
  if (config.folder !== undefined && config.s3 !== undefined) {
    throw invalid("archive", "it may have `folder` or `s3` as its cold tier, not both");
  }
  const keep = config.keep === "forever" ? null : ageOf(config.keep)!;
  const warm = ageOf(config.warm)!;
  const cold = coldPlaceOf(config);
  if (cold !== null && keep !== null && keep <= warm) {
    throw invalid("archive.keep", "it must be longer than `warm`, or nothing ever reaches the cold tier");
  }
  const bytesMax = config.size === "unlimited" ? null : sizeOf(config.size)!;
  const settings = { every, keep, bytesMax, warm, cacheBytesMax: sizeOf(config.cache)! };
  return { folder: join(data, "archive"), settings, cold };
}

function coldPlaceOf({ folder, s3 }: ArchiveConfig): ColdPlace | null {
  if (folder !== undefined) {
    if (!isAbsolute(folder)) throw invalid("archive.folder", "it must be an absolute path");
    return { kind: "folder", path: resolve(folder) };
  }
  return s3 === undefined ? null : bucketOf(s3);
}

export function bucketOf({ credentials, ca, ...place }: z.infer<typeof Bucket>): ColdPlace {
  return {
    kind: "s3",
    ...place,
    credentials: credentials === undefined ? null : resolve(credentials),
    ca: ca === undefined ? null : resolve(ca),
  };
}

/** Milliseconds; null where it is no age. */
export function ageOf(text: string): number | null {
  return measureOf(text, AGES);
}

function sizeOf(text: string): number | null {
  return measureOf(text, SIZES);
}

function measureOf(text: string, units: Readonly<Record<string, number>>): number | null {
  const match = /^(\d{1,9}) ?([A-Za-z]{1,3})$/.exec(text);
  const unit = match === null ? undefined : units[match[2]!];
  return match === null || unit === undefined || Number(match[1]) === 0 ? null : Number(match[1]) * unit;
}

function invalid(key: string, reason: string): TidewireError {
  return new TidewireError("CONFIG_VALUE_INVALID", { file: "The configuration", key, reason, command: "up" });
}
