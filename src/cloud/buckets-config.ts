/** Where the buckets are that requests of AWS IoT's API name. */
import { isAbsolute } from "node:path";
import { z } from "zod";
import { Bucket } from "./archive-config.ts";

export const BucketsSchema = z
  .strictObject({
    folder: z.string().refine(isAbsolute, "must be an absolute path").optional(),
    s3: Bucket.omit({ bucket: true, prefix: true }).optional(),
  })
  .refine(({ folder, s3 }) => folder === undefined || s3 === undefined, "may have `folder` or `s3`, not both");

export type BucketsConfig = z.infer<typeof BucketsSchema>;
