/** Where the input files of registration tasks lie: in a folder with one folder per bucket, or in buckets of an S3-compatible store. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { openObjects } from "../../adapters/objects/mod.ts";
import { LIMITS, TidewireError, isObjectKey } from "../../base/mod.ts";
import type { Scheduler } from "../../base/mod.ts";
import type { RegistrationInput } from "../../identity/mod.ts";
import { bucketOf } from "../archive-config.ts";
import type { BucketsConfig } from "../buckets-config.ts";

const BUCKET_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{1,254}[A-Za-z0-9]$/;

/** `data`: the platform's folder, in which `buckets` is the default. */
export function registrationInputs(
  buckets: BucketsConfig,
  data: string,
  ports: { readonly scheduler: Scheduler },
): (bucket: string, key: string) => Promise<RegistrationInput> {
  return async (bucket, key) => {
    checkInputName(bucket, key);
    const folder = join(resolve(buckets.folder ?? join(data, "buckets")), bucket);
    if (buckets.s3 === undefined && !existsSync(folder))
      throw new TidewireError("NOT_FOUND", { kind: "bucket", name: bucket });
    const place =
      buckets.s3 === undefined
        ? ({ kind: "folder", path: folder } as const)
        : bucketOf({ ...buckets.s3, bucket, prefix: "" });
    const objects = await openObjects(place, LIMITS.archive, ports);
    const facts = await objects.facts(key);
    if (facts === null) throw new TidewireError("NOT_FOUND", { kind: "object", name: `${bucket}/${key}` });
    return { bytes: facts.bytes, chunks: objects.get(key) };
  };
}

/** Throws REQUEST_INVALID: neither may lead out of its folder. */
export function checkInputName(bucket: string, key: string): void {
  if (BUCKET_NAME.test(bucket) && !bucket.includes("..") && isObjectKey(key)) return;
  const reason = "inputFileBucket and inputFileKey are names of letters, digits and -_.=, the key with / between them";
  throw new TidewireError("REQUEST_INVALID", { reason });
}
