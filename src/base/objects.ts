/** Large things by name: event files that are old, backups, firmware, models. A folder or a bucket serves it. */
import type { Bytes } from "./units.ts";

/** What is to be put; it can be read again and in parts, because an upload is tried several times. */
export interface ObjectSource {
  readonly bytes: Bytes;
  /** In lower-case hexadecimal. */
  readonly sha256: string;
  /** Bytes [from, below). */
  read(from: number, below: number): Promise<Uint8Array>;
  /** What it is, and S3's canned ACL; for one that is put whole, in a bucket. A folder knows neither. */
  readonly contentType?: string;
  readonly acl?: string;
}

export interface ObjectFacts {
  readonly bytes: Bytes;
  /** As the store itself has computed it from what it holds; `null` where it does not say, and reading back tells. */
  readonly sha256: string | null;
}

/**
 * Rejects with OBJECTS_UNAVAILABLE (retryable: the network, the server, the disk), OBJECTS_REFUSED (credentials, no such
 * bucket: somebody must do something) or OBJECT_DAMAGED.
 */
export interface Objects {
  /** For people: `folder /mnt/nas/tidewire`, `s3://bucket/prefix at https://…`. Never a secret. */
  readonly name: string;
  /** All of it or nothing becomes visible; replaces what is there. Resolves when it is durable there. */
  put(key: string, source: ObjectSource, signal?: AbortSignal): Promise<void>;
  /** `null` where there is none. */
  facts(key: string, signal?: AbortSignal): Promise<ObjectFacts | null>;
  /** Its bytes in order; ends early never: what cannot be had in full rejects. Rejects with NOT_FOUND where there is none. */
  get(key: string, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /** Keys that begin with `prefix`, in their order. */
  list(prefix: string, signal?: AbortSignal): AsyncIterable<string>;
  /** One that is not there is removed already. */
  remove(key: string, signal?: AbortSignal): Promise<void>;
}

/** `a/b-1.parquet`: what every folder and every bucket takes, and what cannot climb out of either. */
export function isObjectKey(key: string): boolean {
  return (
    key.length <= 512 && /^[A-Za-z0-9_=.-]+(?:\/[A-Za-z0-9_=.-]+)*$/.test(key) && !/(?:^|\/)\.{1,2}(?:\/|$)/.test(key)
  );
}
