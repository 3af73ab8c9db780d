/** What is done on schedule, as the configuration says it. */
import { isAbsolute, resolve } from "node:path";
import { z } from "zod";
import type { ColdPlace } from "../../adapters/objects/mod.ts";
import { days, minutes, seconds } from "../../base/mod.ts";
import type { Millis } from "../../base/mod.ts";
import { Bucket, ageOf, bucketOf } from "../archive-config.ts";
import { EXPORTED } from "../ask/mod.ts";
import type { BackupPlan } from "./backup.ts";
import type { ExportPlan } from "./export.ts";
import { timeOfDay } from "./times.ts";
import type { Times } from "./times.ts";

const Period = z.string().refine((text) => (ageOf(text) ?? 0) >= minutes(1), "must be 1min or more, such as 6h or 1d");
const TimeOfDay = z
  .string()
  .refine((text) => timeOfDay(text) !== null, "must be a time of the day such as 02:30 (UTC)");

export const BackupConfigSchema = z
  .strictObject({
    to: z.string().refine(isAbsolute, "must be an absolute path").optional(),
    s3: Bucket.optional(),
    every: Period.optional(),
    at: TimeOfDay.optional(),
    keep: z.int().min(1).max(10_000).default(14),
    verify: z.boolean().default(true),
  })
  .refine(({ every, at }) => every === undefined || at === undefined, "may have `every` or `at`, not both")
  .refine(({ to, s3 }) => (to === undefined) !== (s3 === undefined), "must have `to` (a folder) or `s3`, one of them");

export type BackupConfig = z.infer<typeof BackupConfigSchema>;

/** Where neither is said: at two in the morning. */
export function backupPlanOf(config: BackupConfig): BackupPlan {
  const { keep, verify, every, at } = config;
  return { to: placeOf(config), keep, verify, times: timesOf(every, at) };
}

/** Where they are; null where none are taken on schedule. */
export function backupsOf(config: BackupConfig | undefined): ColdPlace | null {
  return config === undefined ? null : placeOf(config);
}

function placeOf({ to, s3 }: BackupConfig): ColdPlace {
  return s3 === undefined ? { kind: "folder", path: resolve(to!) } : bucketOf(s3);
}

function timesOf(every: string | undefined, at = "02:00"): Times {
  if (every !== undefined) return { kind: "every", period: ageOf(every)! };
  return { kind: "at", timeOfDay: timeOfDay(at)! };
}

export const ScrubConfigSchema = z
  .union([
    z.literal("never"),
    z.string().refine((text) => (ageOf(text) ?? 0) >= seconds(1), "must be 1s or more, such as 12h or 1d"),
  ])
  .default("1d");

/** Null: never. */
export function scrubPeriodOf(every: z.infer<typeof ScrubConfigSchema>): Millis | null {
  return every === "never" ? null : ageOf(every);
}

/** Ranges that begin and end with the days. */
const Range = z.string().refine((text) => {
  const length = ageOf(text) ?? 0;
  return length >= minutes(1) && (days(1) % length === 0 || length % days(1) === 0);
}, "must divide a day, or be whole days: 15min, 1h, 1d, 1w");

const Export = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "must be 1 to 63 of a-z 0-9 -"),
    of: z.enum(EXPORTED).default("telemetry"),
    format: z.enum(["csv", "ndjson", "parquet"]).default("parquet"),
    every: Range.default("1d"),
    after: z
      .string()
      .refine((text) => ageOf(text) !== null, "must be an age such as 1h")
      .default("1h"),
    things: z.array(z.string().min(1)).default([]),
    measurements: z.array(z.string().min(1)).default([]),
    since: z.iso.date().optional(),
    keep: z.int().min(1).max(10_000).optional(),
    folder: z.string().refine(isAbsolute, "must be an absolute path").optional(),
    s3: Bucket.optional(),
  })
  .refine(({ folder, s3 }) => (folder === undefined) !== (s3 === undefined), "must have `folder` or `s3`, one of them");

export const ExportsConfigSchema = z
  .array(Export)
  .max(50)
  .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, "must have different names");

export function exportsOf(
  config: z.infer<typeof ExportsConfigSchema>,
): readonly { readonly plan: ExportPlan; readonly to: ColdPlace }[] {
  return config.map(({ name, of, format, every, after, things, measurements, since, keep, folder, s3 }) => ({
    plan: {
      name,
      of,
      format,
      every: ageOf(every)!,
      lateness: ageOf(after)!,
      things,
      measurements,
      keep: keep ?? null,
      since: since === undefined ? null : Date.parse(since),
    },
    to: s3 === undefined ? { kind: "folder", path: resolve(folder!) } : bucketOf(s3),
  }));
}
