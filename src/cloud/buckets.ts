/** Buckets that rules write objects to: names of the configuration, so that no rule brings an endpoint or a key along. */
import { isAbsolute } from "node:path";
import { z } from "zod";
import { openObjects } from "../adapters/objects/mod.ts";
import type { ColdPlace, ObjectPorts } from "../adapters/objects/mod.ts";
import type { OpenBucket } from "../adapters/senders/mod.ts";
import type { Limits, Objects } from "../base/mod.ts";
import { Bucket, bucketOf } from "./archive-config.ts";

const Folder = z.strictObject({ folder: z.string().refine(isAbsolute, "must be an absolute path") });

export const BucketsConfigSchema = z.record(
  z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, "must be the name of a bucket"),
  z.union([Folder, Bucket.partial({ bucket: true })]),
);

export type BucketsConfig = z.infer<typeof BucketsConfigSchema>;

/** Each is opened when a rule first writes to it. */
export function openBuckets(config: BucketsConfig, { archive }: Limits, ports: ObjectPorts): OpenBucket {
  const opened = new Map<string, Promise<Objects>>(); // as many as are configured
  // The rules themselves try again, and know better when.
  const limits = { ...archive, objectAttemptsMax: 1 };
  return (name) => {
    if (!Object.hasOwn(config, name)) return null;
    let objects = opened.get(name);
    if (objects === undefined) {
      objects = openObjects(placeOf(name, config[name]!), limits, ports);
      opened.set(name, objects);
      objects.catch(() => opened.delete(name)); // its CA could not be read: perhaps next time
    }
    return objects;
  };
}

function placeOf(name: string, given: BucketsConfig[string]): ColdPlace {
  if ("folder" in given) return { kind: "folder", path: given.folder };
  return bucketOf({ ...given, bucket: given.bucket ?? name });
}
