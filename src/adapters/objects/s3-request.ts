/** Signed requests to an S3 server: tried again where that may help, with what is wrong in plain words where it may not. */
import { createHash } from "node:crypto";
import { Agent as HttpAgent, request as requestHttp } from "node:http";
import type { IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as requestHttps } from "node:https";
import { getCACertificates } from "node:tls";
import { AwsV4Signer } from "aws4fetch";
import { TidewireError, kib, reasonOf } from "../../base/mod.ts";
import type { Bytes, Limits, Millis, Scheduler } from "../../base/mod.ts";
import type { S3Credentials } from "./s3-credentials.ts";
import { codeOf, reasonOfRefusal } from "./s3-refusal.ts";
import type { AskedBucket } from "./s3-refusal.ts";

export interface S3Request {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly signal?: AbortSignal | undefined;
}

export interface S3Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  /** Empty where the caller takes the stream. */
  readonly body: string;
}

export interface S3ClientOptions extends AskedBucket {
  /** For messages. */
  readonly name: string;
  readonly credentials: () => Promise<S3Credentials>;
  /** PEM of a CA to trust besides the system's. */
  readonly ca: string | null;
  readonly limits: Limits["archive"];
  readonly scheduler: Scheduler;
}

/** Lists and errors; a list of 1,000 keys is below 600 KB. */
const TEXT_BYTES_MAX: Bytes = kib(2048);
const RETRY_DELAY: Millis = 200;
const SOCKETS_MAX = 4;

export class S3Client {
  readonly #options: S3ClientOptions;
  readonly #http: HttpAgent;
  readonly #https: HttpsAgent;

  constructor(options: S3ClientOptions) {
    this.#options = options;
    const agent = { keepAlive: true, maxSockets: SOCKETS_MAX, maxFreeSockets: SOCKETS_MAX } as const;
    this.#http = new HttpAgent(agent);
    const trusted = options.ca === null ? {} : { ca: [...getCACertificates("default"), options.ca] };
    this.#https = new HttpsAgent({ ...agent, ...trusted });
  }

  /** The whole answer; a status below 300, or 404. Rejects with OBJECTS_UNAVAILABLE or OBJECTS_REFUSED. */
  send(request: S3Request): Promise<S3Answer> {
    return this.attempts(request.signal, async () => {
      const answer = await this.#once(request);
      const body = request.method === "HEAD" ? drained(answer) : await textOf(answer);
      const { statusCode: status = 0, headers } = answer;
      // S3 may begin an answer with 200 and find out later (CompleteMultipartUpload).
      if (status < 300 && !/^\s*(?:<\?xml[^>]*>\s*)?<Error>/.test(body)) return { status, headers, body };
      if (status === 404 && codeOf(body) !== "NoSuchBucket") return { status, headers, body };
      if (request.method === "HEAD") throw await this.#faultOfHead(request, answer);
      throw this.#fault(request, answer, body);
    });
  }

  /** The answer's head, and its bytes as they come; one attempt. A status below 300, or 404. */
  async stream(request: S3Request): Promise<IncomingMessage> {
    const answer = await this.#once(request);
    const { statusCode: status = 0 } = answer;
    if (status < 300 || (status === 404 && request.method === "GET")) return answer;
    throw this.#fault(request, answer, await textOf(answer));
  }

  /** Does `work` again, with growing pauses, while it fails in a way that may pass. */
  async attempts<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const { objectAttemptsMax } = this.#options.limits;
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        signal?.throwIfAborted();
        const fault = this.#named(error);
        if (fault.code !== "OBJECTS_UNAVAILABLE" || attempt >= objectAttemptsMax) throw fault;
        await this.pause(RETRY_DELAY * 2 ** (attempt - 1), signal);
      }
    }
  }

  async pause(delay: Millis, signal: AbortSignal | undefined): Promise<void> {
    await new Promise<void>((resolve) => {
      const cancel = this.#options.scheduler.after(delay, resolve);
      signal?.addEventListener(
        "abort",
        () => {
          cancel();
          resolve();
        },
        { once: true },
      );
    });
    signal?.throwIfAborted();
  }

  #named(error: unknown): TidewireError {
    if (error instanceof TidewireError) return error;
    const { name: store } = this.#options;
    return new TidewireError("OBJECTS_UNAVAILABLE", { store, reason: reasonOf(error) }, { cause: error });
  }

  async #once({ method, url, headers = {}, body, signal }: S3Request): Promise<IncomingMessage> {
    const { credentials, region, limits } = this.#options;
    const sha256 = createHash("sha256")
      .update(body ?? "")
      .digest("hex");
    const signer = new AwsV4Signer({
      method,
      url,
      headers: { ...headers, "x-amz-content-sha256": sha256 },
      service: "s3",
      region,
      ...(await credentials()),
    });
    const signed = await signer.sign();
    const secure = signed.url.protocol === "https:";
    return new Promise((resolve, reject) => {
      const request = (secure ? requestHttps : requestHttp)(signed.url, {
        method,
        agent: secure ? this.#https : this.#http,
        headers: { ...Object.fromEntries(signed.headers), "content-length": body?.length ?? 0 },
        ...(signal === undefined ? {} : { signal }),
      });
      request.setTimeout(limits.objectTimeout, () => request.destroy(new Error("it does not answer")));
      request.on("error", reject);
      request.on("response", resolve);
      request.end(body);
    });
  }

  /** Only an answer to GET says why: the same, of one byte. */
  async #faultOfHead(request: S3Request, answer: IncomingMessage): Promise<TidewireError> {
    if ((answer.statusCode ?? 0) >= 500) return this.#fault(request, answer, "");
    const told = await this.#once({ ...request, method: "GET", headers: { range: "bytes=0-0" } });
    return this.#fault(request, answer, (told.statusCode ?? 0) < 300 ? drained(told) : await textOf(told));
  }

  #fault(request: S3Request, { statusCode: status = 0, headers }: IncomingMessage, body: string): TidewireError {
    const { name: store } = this.#options;
    const code = codeOf(body);
    const reason = reasonOfRefusal({ request, status, headers, body }, this.#options);
    const passing =
      status >= 500 ||
      status === 408 ||
      status === 429 ||
      status < 300 ||
      /^(?:SlowDown|RequestTimeout|BadDigest)$/.test(code ?? "");
    return new TidewireError(passing ? "OBJECTS_UNAVAILABLE" : "OBJECTS_REFUSED", { store, reason });
  }
}

function drained(answer: IncomingMessage): string {
  answer.resume();
  return "";
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of answer as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > TEXT_BYTES_MAX) throw new Error("its answer is longer than any that S3 gives");
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}
