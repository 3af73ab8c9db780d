/**
 * Objects in an S3-compatible bucket: AWS, MinIO, Ceph, R2 and others. Addresses are path-style, which all of them take.
 * What goes out carries its SHA-256 (signed) and MD5, so the server refuses bytes that were changed on the way.
 */
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { TidewireError, isObjectKey } from "../../base/mod.ts";
import type { Limits, ObjectFacts, ObjectSource, Objects, Scheduler } from "../../base/mod.ts";
import type { S3Credentials } from "./s3-credentials.ts";
import { S3Client } from "./s3-request.ts";

export interface S3Options {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  /** Before every key, without slashes at its ends; empty: none. */
  readonly prefix: string;
  readonly credentials: () => Promise<S3Credentials>;
  readonly ca: string | null;
  readonly limits: Limits["archive"];
  readonly scheduler: Scheduler;
}

/** S3 takes no more parts of one upload. */
const PARTS_MAX = 10_000;

export class S3Objects implements Objects {
  readonly name: string;
  readonly #options: S3Options;
  readonly #client: S3Client;

  constructor(options: S3Options) {
    const { endpoint, bucket, prefix } = options;
    this.#options = options;
    this.name = `s3://${bucket}${prefix === "" ? "" : `/${prefix}`} at ${new URL(endpoint).origin}`;
    this.#client = new S3Client({ ...options, name: this.name });
  }

  async put(key: string, source: ObjectSource, signal?: AbortSignal): Promise<void> {
    const { partBytes } = this.#options.limits;
    if (source.bytes <= partBytes) return this.#putWhole(key, source, signal);
    return this.#putInParts(key, source, Math.max(partBytes, Math.ceil(source.bytes / PARTS_MAX)), signal);
  }

  async facts(key: string, signal?: AbortSignal): Promise<ObjectFacts | null> {
    const headers = { "x-amz-checksum-mode": "ENABLED" };
    const answer = await this.#client.send({ method: "HEAD", url: this.#url(key), headers, signal });
    if (answer.status === 404) return null;
    const checksum = answer.headers["x-amz-checksum-sha256"];
    // That of an upload in parts is a checksum of checksums: `…-3`.
    const whole = typeof checksum === "string" && /^[A-Za-z0-9+/]{43}=$/.test(checksum);
    return {
      bytes: Number(answer.headers["content-length"]),
      sha256: whole ? Buffer.from(checksum, "base64").toString("hex") : null,
    };
  }

  /** An answer that breaks off is gone on with where it ended, if the object is still the same. */
  async *get(key: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const url = this.#url(key);
    let at = 0;
    let total: number | null = null;
    let etag: string | null = null;
    let failures = 0;
    for (;;) {
      const headers: Record<string, string> =
        at === 0 ? {} : { range: `bytes=${at}-`, ...(etag === null ? {} : { "if-match": etag }) };
      const answer: IncomingMessage = await this.#client.attempts(signal, () =>
        this.#client.stream({ method: "GET", url, headers, signal }),
      );
      if (answer.statusCode === 404) {
        answer.resume();
        throw new TidewireError("NOT_FOUND", { kind: "object", name: key });
      }
      total ??= Number(answer.headers["content-length"]);
      etag ??= answer.headers.etag ?? null;
      let skip = answer.statusCode === 206 ? 0 : at; // a server that knows no ranges begins anew
      const before = at;
      try {
        for await (const part of answer as AsyncIterable<Buffer>) {
          const rest = part.subarray(Math.min(skip, part.length));
          skip -= part.length - rest.length;
          if (rest.length === 0) continue;
          at += rest.length;
          yield rest;
        }
      } catch (error) {
        signal?.throwIfAborted();
        if (at === before && ++failures >= this.#options.limits.objectAttemptsMax) {
          throw new TidewireError(
            "OBJECTS_UNAVAILABLE",
            { store: this.name, reason: "its answers break off" },
            { cause: error },
          );
        }
      }
      if (at >= total) return;
      if (at === before) await this.#client.pause(200 * 2 ** failures, signal);
    }
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<string> {
    const { prefix: ours } = this.#options;
    const base = ours === "" ? "" : `${ours}/`;
    for (let token: string | null = ""; token !== null;) {
      const query = new URLSearchParams({ "list-type": "2", prefix: base + prefix });
      if (token !== "") query.set("continuation-token", token);
      const { body } = await this.#client.send({
        method: "GET",
        url: `${this.#bucketUrl()}?${query.toString()}`,
        signal,
      });
      for (const [, key] of body.matchAll(/<Key>([^<]+)<\/Key>/g)) {
        const name = key!.slice(base.length);
        if (isObjectKey(name)) yield name;
      }
      const next = /<NextContinuationToken>([^<]+)</.exec(body)?.[1];
      token = next === undefined ? null : unescaped(next);
    }
  }

  async remove(key: string, signal?: AbortSignal): Promise<void> {
    await this.#client.send({ method: "DELETE", url: this.#url(key), signal });
  }

  async #putWhole(key: string, source: ObjectSource, signal: AbortSignal | undefined): Promise<void> {
    const body = await source.read(0, source.bytes);
    if (createHash("sha256").update(body).digest("hex") !== source.sha256) throw this.#changed(key);
    const headers = {
      "content-md5": md5(body),
      "x-amz-checksum-sha256": Buffer.from(source.sha256, "hex").toString("base64"),
      ...(source.contentType === undefined ? {} : { "content-type": source.contentType }),
      ...(source.acl === undefined ? {} : { "x-amz-acl": source.acl }),
    };
    await this.#found(key, this.#client.send({ method: "PUT", url: this.#url(key), headers, body, signal }));
  }

  async #putInParts(key: string, source: ObjectSource, partBytes: number, signal?: AbortSignal): Promise<void> {
    const url = this.#url(key);
    const begun = await this.#found(key, this.#client.send({ method: "POST", url: `${url}?uploads=`, signal }));
    const uploadId = /<UploadId>([^<]+)</.exec(begun.body)?.[1];
    if (uploadId === undefined) throw this.#refused("it began an upload without a name");
    const upload = `uploadId=${encodeURIComponent(unescaped(uploadId))}`;
    try {
      const hash = createHash("sha256");
      const parts: string[] = [];
      for (let at = 0; at < source.bytes; at += partBytes) {
        const body = await source.read(at, Math.min(at + partBytes, source.bytes));
        hash.update(body);
        const headers = { "content-md5": md5(body) };
        const number = parts.length + 1;
        const request = { method: "PUT", url: `${url}?partNumber=${number}&${upload}`, headers, body, signal } as const;
        const { headers: said } = await this.#found(key, this.#client.send(request));
        parts.push(`<Part><PartNumber>${number}</PartNumber><ETag>${said.etag ?? ""}</ETag></Part>`);
      }
      if (hash.digest("hex") !== source.sha256) throw this.#changed(key);
      await this.#complete(key, `${url}?${upload}`, parts, source, signal);
    } catch (error) {
      // Parts of an upload that never ends cost money and are in no list.
      await this.#client.send({ method: "DELETE", url: `${url}?${upload}` }).catch(() => {});
      throw error;
    }
  }

  async #complete(
    key: string,
    url: string,
    parts: readonly string[],
    source: ObjectSource,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const body = new TextEncoder().encode(`<CompleteMultipartUpload>${parts.join("")}</CompleteMultipartUpload>`);
    const headers = { "content-type": "application/xml" };
    const { status } = await this.#client.send({ method: "POST", url, headers, body, signal });
    if (status !== 404) return;
    // The first attempt may have been taken, and only its answer lost.
    if ((await this.facts(key, signal))?.bytes !== source.bytes) throw this.#refused("it has forgotten the upload");
  }

  async #found<A extends { readonly status: number }>(key: string, answer: Promise<A>): Promise<A> {
    const { status } = await answer;
    if (status === 404) throw this.#refused(`it knows no place for '${key}'`);
    return answer;
  }

  #bucketUrl(): string {
    const { endpoint, bucket } = this.#options;
    return `${endpoint.replace(/\/+$/, "")}/${encodeURIComponent(bucket)}`;
  }

  #url(key: string): string {
    const { prefix } = this.#options;
    if (!isObjectKey(key)) throw this.#refused(`'${key}' is no key`);
    const path = prefix === "" ? key : `${prefix}/${key}`;
    return `${this.#bucketUrl()}/${path.split("/").map(encodeURIComponent).join("/")}`;
  }

  #changed(key: string): TidewireError {
    return new TidewireError("OBJECT_DAMAGED", { store: this.name, key, reason: "its source is not what it was" });
  }

  #refused(reason: string): TidewireError {
    return new TidewireError("OBJECTS_REFUSED", { store: this.name, reason });
  }
}

function md5(bytes: Uint8Array): string {
  return createHash("md5").update(bytes).digest("base64");
}

function unescaped(text: string): string {
  return text.replaceAll("&quot;", '"').replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}
