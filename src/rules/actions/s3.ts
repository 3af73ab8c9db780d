/** An object for each match: in an S3-compatible bucket, or in a folder that the operator calls a bucket. As AWS IoT's `s3`. */
import { mib, seconds } from "../../base/mod.ts";
import { invalid, only, optionalChoice, optionalText, present, template, text } from "./checks.ts";
import type { ActionKind, Carrier } from "./kind.ts";
import { textOf } from "./rendering.ts";
import { contentType } from "./webhook.ts";

export interface S3Body {
  /** A name of the configuration's `buckets`, where endpoint and credentials stand. */
  readonly bucketName: string;
  /** Template, like `${topic()}/${timestamp()}.json`; an object that has it already is replaced. */
  readonly key: string;
  /** For buckets of S3 that have access control lists; a folder has none. */
  readonly cannedAcl?: (typeof CANNED_ACLS)[number];
  /** AWS's; kept only. */
  readonly roleArn?: string;
}

const CANNED_ACLS = [
  "private",
  "public-read",
  "public-read-write",
  "aws-exec-read",
  "authenticated-read",
  "bucket-owner-read",
  "bucket-owner-full-control",
  "log-delivery-write",
] as const;

/** AWS's rule for names of buckets, without its exceptions. */
const BUCKET_NAME = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

const carrier: Carrier = {
  name: "s3",
  batchMax: 64,
  batchBytesMax: mib(1),
  linger: 0,
  concurrency: 1,
  timeout: seconds(15),
  // The object that stays under a key is that of the last match.
  ordered: true,
  http: null,
};

export const s3: ActionKind<S3Body> = {
  name: "s3",
  carrier,
  validate(given, at) {
    only(given, at, ["bucketName", "key", "cannedAcl", "roleArn"]);
    const bucketName = text(given["bucketName"], `${at}.bucketName`, 63);
    if (!BUCKET_NAME.test(bucketName)) {
      throw invalid(`${at}.bucketName`, "it must be 3 to 63 small letters, digits, dots and hyphens");
    }
    return present({
      bucketName,
      key: template(given["key"], `${at}.key`),
      cannedAcl: optionalChoice(given["cannedAcl"], `${at}.cannedAcl`, CANNED_ACLS),
      roleArn: optionalText(given["roleArn"], `${at}.roleArn`, 2048),
    });
  },
  plan({ bucketName, key, cannedAcl }, scope) {
    const keyOf = textOf(key, scope, keyPart);
    const acl = cannedAcl === undefined ? {} : { acl: cannedAcl };
    return {
      settings: { bucket: bucketName },
      label: `bucket ${bucketName}`,
      render: (match) => ({
        body: match.bytes,
        fields: { key: objectKey(keyOf(match)), contentType: contentType(match)["content-type"]!, ...acl },
      }),
    };
  },
};

/** What a message brings in: two values never become one key, and none climbs. A `/` parts it, as in a topic. */
function keyPart(value: string): string {
  return value.replaceAll(/[^A-Za-z0-9_./-]/gu, escaped);
}

/** The rule's own text may have `=`, as in `day=2026-11-22`. */
function objectKey(rendered: string): string {
  const segments = rendered.replaceAll(/[^A-Za-z0-9_=./-]/gu, escaped).split("/");
  return segments
    .map((segment) => (/^\.{0,2}$/.test(segment) ? `=${segment.replaceAll(".", "=2E")}` : segment))
    .join("/");
}

/** `=` and the UTF-8 bytes in hexadecimal. */
function escaped(character: string): string {
  return [...new TextEncoder().encode(character)]
    .map((byte) => `=${byte.toString(16).toUpperCase().padStart(2, "0")}`)
    .join("");
}
