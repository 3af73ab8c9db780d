/** Where the input files of registration tasks lie. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { openObjects } from "../../adapters/objects/mod.ts";
import { LIMITS, TidewireError, isObjectKey } from "../../base/mod.ts";
import type { Scheduler } from "../../base/mod.ts";
import type { RegistrationInput } from "../../identity/mod.ts";
import { openBuckets } from "../buckets.ts";
import type { BucketsConfig } from "../buckets.ts";

const BUCKET_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{1,254}[A-Za-z0-9]$/;

/** A bucket of the configuration, else a folder of that name below `buckets` in `data`, the platform's folder. */
export function registrationInputs(
  buckets: BucketsConfig,
  data: string,
  ports: { readonly scheduler: Scheduler },
): (bucket: string, key: string) => Promise<RegistrationInput> {
  const configured = openBuckets(buckets, LIMITS, ports);
  return async (bucket, key) => {
    checkInputName(bucket, key);
    const path = join(data, "buckets", bucket);
    const opening = configured(bucket);
    if (opening === null && !existsSync(path)) throw new TidewireError("NOT_FOUND", { kind: "bucket", name: bucket });
    const objects = await (opening ?? openObjects({ kind: "folder", path }, LIMITS.archive, ports));
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
