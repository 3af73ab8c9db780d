/**
 * HTTP requests to other servers, for what rules send: kept-alive connections, one deadline for the whole exchange, a
 * bounded answer, no redirects, and the guard of `outgoing-guard.ts`.
 */
import { createHmac } from "node:crypto";
import { Agent as HttpAgent, request as requestHttp } from "node:http";
import type { ClientRequest, IncomingMessage, RequestOptions } from "node:http";
import { Agent as HttpsAgent, request as requestHttps } from "node:https";
import { getCACertificates } from "node:tls";
import { TidewireError, kib, reasonOf } from "../base/mod.ts";
import type { GuardOptions } from "./outgoing-guard.ts";
import { BLOCKED, BlockedAddress, OutgoingGuard, refused } from "./outgoing-guard.ts";
import type { HmacSha256, OutgoingHttp, OutgoingRequest, OutgoingResponse } from "../rules/mod.ts";

export interface OutgoingHttpOptions extends GuardOptions {
  /** PEM certificates that are trusted besides those of the system; for receivers with a company's own CA. */
  readonly extraCertificates?: readonly string[];
  readonly userAgent?: string;
}

/** What is kept of an answer: chat services give the whole message back, and the id by which it can be edited. */
const ANSWER_BYTES_MAX = kib(64);
/** An answer longer than this is not read to its end; its connection is closed. */
const ANSWER_READ_MAX = kib(256);
const IDLE_SOCKETS_MAX = 64;
/** What receivers say about when they want more. */
const ANSWER_HEADERS = ["retry-after", "x-ratelimit-remaining", "x-ratelimit-reset-after"] as const;

export class NodeOutgoingHttp implements OutgoingHttp {
  readonly #http: HttpAgent;
  readonly #https: HttpsAgent;
  readonly #guard: OutgoingGuard;
  readonly #userAgent: string;

  constructor(options: OutgoingHttpOptions = {}) {
    const agent = {
      keepAlive: true,
      keepAliveMsecs: 10_000,
      maxFreeSockets: IDLE_SOCKETS_MAX,
      scheduling: "lifo",
    } as const;
    this.#http = new HttpAgent(agent);
    const extra = options.extraCertificates ?? [];
    this.#https = new HttpsAgent({
      ...agent,
      ...(extra.length === 0 ? {} : { ca: [...getCACertificates("default"), ...extra] }),
    });
    this.#guard = new OutgoingGuard(options);
    this.#userAgent = options.userAgent ?? "Tidewire";
  }

  /** Open connections are closed; requests on the way fail. */
  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  async post(request: OutgoingRequest): Promise<OutgoingResponse> {
    const url = this.#checked(request.url);
    const secure = url.protocol === "https:";
    const options: RequestOptions = {
      method: request.method ?? "POST",
      agent: secure ? this.#https : this.#http,
      lookup: this.#guard.lookup,
      headers: {
        "user-agent": this.#userAgent,
        accept: "*/*",
        ...request.headers,
        "content-length": request.body.length,
      },
    };
    return exchange(() => (secure ? requestHttps(url, options) : requestHttp(url, options)), request, url.origin);
  }

  /** The whole answer of 200, by HTTPS only. Rejects OUTGOING_FAILED, OUTGOING_REFUSED; also where it is longer than `bytesMax`. */
  async getText(
    address: string,
    { timeout, bytesMax }: { readonly timeout: number; readonly bytesMax: number },
  ): Promise<string> {
    const url = this.#checked(address);
    if (url.protocol !== "https:") throw refused(url.origin, "only https is allowed here");
    const headers = { "user-agent": this.#userAgent, accept: "application/json", connection: "close" };
    const outgoing = requestHttps(url, { method: "GET", agent: this.#https, lookup: this.#guard.lookup, headers });
    const deadline = setTimeout(() => outgoing.destroy(new Error(`no answer within ${timeout / 1000} s`)), timeout);
    try {
      const answer = await sent(outgoing, new Uint8Array(0));
      if (answer.statusCode !== 200) {
        answer.destroy();
        throw new Error(`the answer is ${answer.statusCode}`);
      }
      const parts: Buffer[] = [];
      let bytes = 0;
      for await (const chunk of answer as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes > bytesMax) throw new Error(`the answer has more than ${bytesMax} bytes`);
        parts.push(chunk);
      }
      return Buffer.concat(parts).toString("utf8");
    } catch (error) {
      throw asTidewireError(error, url.origin);
    } finally {
      clearTimeout(deadline);
    }
  }

  #checked(text: string): URL {
    const url = URL.canParse(text) ? new URL(text) : null;
    if (url === null) throw refused("?", "it is not an address");
    if (url.protocol !== "http:" && url.protocol !== "https:") {
      throw refused(url.protocol, "only http and https are allowed");
    }
    // A name is checked when it is resolved; a literal address never is.
    if (this.#guard.refuses(url.hostname)) throw refused(url.origin, BLOCKED);
    return url;
  }
}

/** For Standard Webhooks signatures. */
export const hmacSha256: HmacSha256 = (key, data) => createHmac("sha256", key).update(data).digest();

/** Thrown where a kept-alive connection was closed by the receiver just as it was used again. */
class StaleConnection extends Error {}

async function exchange(
  start: () => ClientRequest,
  request: OutgoingRequest,
  origin: string,
): Promise<OutgoingResponse> {
  const until = performance.now() + request.timeout;
  try {
    return await once(start(), request, until);
  } catch (error) {
    if (!(error instanceof StaleConnection)) throw asTidewireError(error, origin);
  }
  // Safe to send again: nothing was answered, and a delivery keeps its id.
  return once(start(), request, until).catch((error: unknown) => {
    throw asTidewireError(error, origin);
  });
}

async function once(outgoing: ClientRequest, request: OutgoingRequest, until: number): Promise<OutgoingResponse> {
  let late = false;
  const deadline = setTimeout(() => {
    late = true;
    outgoing.destroy(new Error("late"));
  }, until - performance.now());
  try {
    return await readAnswer(await sent(outgoing, request.body), request.answerBytesMax ?? ANSWER_BYTES_MAX);
  } catch (error) {
    if (late) throw new Error(`no answer within ${request.timeout / 1000} s`, { cause: error });
    throw error;
  } finally {
    clearTimeout(deadline);
  }
}

function sent(outgoing: ClientRequest, body: Uint8Array): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.on("response", resolve);
    outgoing.on("error", (error: NodeJS.ErrnoException) => {
      const stale = outgoing.reusedSocket && (error.code === "ECONNRESET" || error.code === "EPIPE");
      reject(stale ? new StaleConnection(error.message, { cause: error }) : error);
    });
    outgoing.end(body);
  });
}

async function readAnswer(answer: IncomingMessage, bytesMax: number): Promise<OutgoingResponse> {
  const kept: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    if (bytes < bytesMax) kept.push(chunk.subarray(0, bytesMax - bytes));
    bytes += chunk.length;
    if (bytes > ANSWER_READ_MAX) break; // ends the loop, which destroys the connection
  }
  const headers: Record<string, string> = {};
  for (const name of ANSWER_HEADERS) {
    const value = answer.headers[name];
    if (typeof value === "string") headers[name] = value;
  }
  return { status: answer.statusCode ?? 0, headers, body: Buffer.concat(kept).toString("utf8") };
}

function asTidewireError(error: unknown, origin: string): TidewireError {
  if (error instanceof TidewireError) return error;
  if (error instanceof BlockedAddress) return refused(origin, BLOCKED);
  const code = (error as NodeJS.ErrnoException | null)?.code;
  const text = reasonOf(error);
  const reason = code === undefined || text.includes(code) ? text : `${text} (${code})`;
  return new TidewireError("OUTGOING_FAILED", { origin, reason: reason === "" ? "unknown" : reason }, { cause: error });
}
