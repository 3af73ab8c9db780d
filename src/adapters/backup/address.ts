/** Where backups are, as it stands on a command line: a folder, or `s3://bucket/prefix`. */
import { resolve } from "node:path";
import { TidewireError, isObjectKey } from "../../base/mod.ts";
import type { ColdPlace } from "../objects/mod.ts";

export interface BucketOptions {
  readonly endpoint?: string;
  readonly region?: string;
  /** Path of a file in the form of `~/.aws/credentials`; without it those of the environment. */
  readonly credentials?: string;
  /** Path of a PEM file. */
  readonly ca?: string;
}

const BUCKET = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*?))?\/*$/;

/** `environment`: with the variables of AWS's own tools. Throws CONFIG_VALUE_INVALID. */
export function backupPlace(
  address: string,
  options: BucketOptions,
  environment: Readonly<Record<string, string | undefined>> = {},
): ColdPlace {
  const { credentials, ca } = options;
  const { AWS_REGION, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL } = environment;
  if (!address.startsWith("s3://")) {
    if (options.endpoint !== undefined) throw invalid("--endpoint", "it is for addresses such as s3://bucket/prefix");
    return { kind: "folder", path: resolve(address) };
  }
  const region = options.region ?? AWS_REGION ?? AWS_DEFAULT_REGION ?? "us-east-1";
  const endpoint = options.endpoint ?? AWS_ENDPOINT_URL_S3 ?? AWS_ENDPOINT_URL ?? `https://s3.${region}.amazonaws.com`;
  const [, bucket, prefix = ""] = BUCKET.exec(address) ?? [];
  if (bucket === undefined || (prefix !== "" && !isObjectKey(prefix))) {
    throw invalid("the place of backups", `'${address}' must be like s3://bucket/prefix`);
  }
  if (!/^https?:\/\/[^/@]+\/?$/.test(endpoint))
    throw invalid("--endpoint", "it must be an http:// or https:// URL without a path");
  return {
    kind: "s3",
    endpoint,
    region,
    bucket,
    prefix,
    credentials: credentials === undefined ? null : resolve(credentials),
    ca: ca === undefined ? null : resolve(ca),
  };
}

function invalid(key: string, reason: string): TidewireError {
  return new TidewireError("CONFIG_VALUE_INVALID", { file: "The command line", key, reason, command: "backup" });
}
