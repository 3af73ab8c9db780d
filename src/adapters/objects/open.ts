/** An object store from what the configuration says of it. */
import { readFile } from "node:fs/promises";
import { TidewireError, reasonOf } from "../../base/mod.ts";
import type { Limits, Objects, Scheduler } from "../../base/mod.ts";
import { FolderObjects } from "./folder.ts";
import { credentialsFrom } from "./s3-credentials.ts";
import { S3Objects } from "./s3.ts";

/** Plain data, without secrets: it goes to another process. */
export type ColdPlace =
  | { readonly kind: "folder"; readonly path: string }
  | {
      readonly kind: "s3";
      /** `https://s3.eu-central-1.amazonaws.com`, `http://minio:9000`. */
      readonly endpoint: string;
      readonly region: string;
      readonly bucket: string;
      /** Before every key, without slashes at its ends; empty: none. */
      readonly prefix: string;
      /** File in the form of `~/.aws/credentials`; `null`: the environment's `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`. */
      readonly credentials: string | null;
      /** PEM file of a CA to trust besides the system's. */
      readonly ca: string | null;
    };

export interface ObjectPorts {
  readonly scheduler: Scheduler;
}

/** Rejects with OBJECTS_REFUSED where the CA cannot be read; whether the place can be reached shows when it is used. */
export async function openObjects(place: ColdPlace, limits: Limits["archive"], ports: ObjectPorts): Promise<Objects> {
  if (place.kind === "folder") return new FolderObjects(place.path);
  const { endpoint, region, bucket, prefix, credentials, ca } = place;
  return new S3Objects({
    ...ports,
    limits,
    endpoint,
    region,
    bucket,
    prefix,
    credentials: () => credentialsFrom(credentials, process.env),
    ca: ca === null ? null : await certificateOf(ca),
  });
}

async function certificateOf(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new TidewireError("OBJECTS_REFUSED", { store: "The object store", reason: `its CA: ${reasonOf(error)}` });
  }
}
