/** The command line's way to a running platform: its HTTP API. */
import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { ERROR_CATALOGUE, TidewireError, reasonOf } from "../base/mod.ts";
import type { ErrorCode } from "../base/mod.ts";
import type { LiveEvent, LiveRequest } from "../cloud/api/contract.ts";

export interface ConnectionOptions {
  /** Address of the API; without it the platform whose data folder is `data` is asked. */
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
}

interface Runtime {
  readonly http: string;
  readonly mqtts: string;
}

/** Where a platform's API is, and what to show there. Throws TOKEN_MISSING. */
export function accessOf(options: ConnectionOptions): { readonly url: string; readonly token: string } {
  return {
    url: (options.url ?? process.env["TIDEWIRE_URL"] ?? runtimeOf(options.data).http).replace(/\/$/, ""),
    token: options.token ?? process.env["TIDEWIRE_TOKEN"] ?? tokenOf(options.data),
  };
}

export class PlatformClient {
  readonly url: string;
  readonly #token: string;

  constructor(options: ConnectionOptions) {
    const { url, token } = accessOf(options);
    this.url = url;
    this.#token = token;
  }

  get<T>(path: string): Promise<T> {
    return this.call("GET", path);
  }

  /** Throws the platform's own error, or PLATFORM_UNREACHABLE. */
  async call<T>(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<T> {
    const given = body === undefined ? null : JSON.stringify(body);
    const { status, bytes } = await this.#fetch(method, path, given, headers);
    const text = textOf(bytes);
    const json = jsonOf(text);
    // A proxy, or another program on that port.
    if (json === undefined) throw this.#unreachable(`what answers there is no Tidewire (status ${status})`);
    if (status < 200 || status > 299) throw remoteError(json, status);
    return json as T;
  }

  /** Body and answer as text, for JSON whose numbers a double may not hold. Throws as `call` does. */
  async text(method: string, path: string, body: string | null = null): Promise<string> {
    const { status, bytes } = await this.#fetch(method, path, body, {});
    const text = textOf(bytes);
    const json = jsonOf(text);
    if (json === undefined) throw this.#unreachable(`what answers there is no Tidewire (status ${status})`);
    if (status < 200 || status > 299) throw remoteError(json, status);
    return text;
  }

  /** What is neither text nor JSON, in or out. Throws as `call` does. */
  async bytes(
    method: string,
    path: string,
    body: Uint8Array<ArrayBuffer> | null,
    mediaType: string,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { status, bytes } = await this.#fetch(method, path, body, { "content-type": mediaType });
    if (status >= 200 && status < 300) return bytes;
    const json = jsonOf(textOf(bytes));
    if (json === undefined) throw this.#unreachable(`what answers there is no Tidewire (status ${status})`);
    throw remoteError(json, status);
  }

  /** Lines of JSON in, lines of JSON out. Throws as `call` does. */
  async lines(path: string, body: string): Promise<readonly string[]> {
    const { status, bytes } = await this.#fetch("POST", path, body, { "content-type": "application/x-ndjson" });
    const text = textOf(bytes);
    if (status >= 200 && status < 300) return text.split("\n").filter((line) => line !== "");
    const json = jsonOf(text);
    if (json === undefined) throw this.#unreachable(`what answers there is no Tidewire (status ${status})`);
    throw remoteError(json, status);
  }

  /** A live connection, on which one thing is asked for. `closed` resolves however it ends. */
  live(request: LiveRequest, heard: (event: LiveEvent) => void): { readonly closed: Promise<void>; close(): void } {
    const headers = { authorization: `Bearer ${this.#token}` };
    const socket = new WebSocket(`${this.url.replace(/^http/, "ws")}/api/live`, { headers });
    socket.addEventListener("open", () => socket.send(JSON.stringify(request)));
    socket.addEventListener("message", ({ data }) => heard(JSON.parse(String(data)) as LiveEvent));
    const closed = new Promise<void>((resolve) => {
      socket.addEventListener("close", () => resolve());
      socket.addEventListener("error", () => resolve());
    });
    return { closed, close: () => socket.close() };
  }

  /**
   * An answer as it comes, however long it takes; the caller reads it, or destroys it. Not by fetch, which gives up on a
   * server that computes for five minutes before its first byte.
   */
  async stream(path: string, body: unknown): Promise<IncomingMessage> {
    const url = new URL(`${this.url}${path}`);
    const text = JSON.stringify(body);
    const { request } = url.protocol === "https:" ? await import("node:https") : await import("node:http");
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${this.#token}`,
        "content-type": "application/json",
        "content-length": Buffer.byteLength(text),
      };
      request(url, { method: "POST", headers }, resolve)
        .on("error", (error) => reject(this.#unreachable(reasonOf(error), error)))
        .end(text);
    });
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return response;
    let answer = "";
    for await (const part of response.setEncoding("utf8")) answer += part as string;
    const json = jsonOf(answer);
    if (json === undefined) throw this.#unreachable(`what answers there is no Tidewire (status ${status})`);
    throw remoteError(json, status);
  }

  async #fetch(
    method: string,
    path: string,
    body: string | Uint8Array<ArrayBuffer> | null,
    headers: Readonly<Record<string, string>>,
  ): Promise<{ readonly status: number; readonly bytes: Uint8Array<ArrayBuffer> }> {
    try {
      const response = await fetch(`${this.url}${path}`, {
        method,
        headers: {
          ...(body === null ? {} : { "content-type": "application/json" }),
          ...headers,
          authorization: `Bearer ${this.#token}`,
        },
        ...(body === null ? {} : { body }),
        // The token is for this address only.
        redirect: "error",
        signal: AbortSignal.timeout(15_000),
      });
      return { status: response.status, bytes: new Uint8Array(await response.arrayBuffer()) };
    } catch (error) {
      throw this.#unreachable(reasonOf((error as { cause?: unknown }).cause ?? error), error);
    }
  }

  #unreachable(reason: string, cause?: unknown): TidewireError {
    return new TidewireError("PLATFORM_UNREACHABLE", { url: this.url, reason }, { cause });
  }
}

/** A running platform writes where it listens into its data folder. */
function runtimeOf(data: string): Runtime {
  try {
    return JSON.parse(readFileSync(join(data, "runtime.json"), "utf8")) as Runtime;
  } catch {
    return { http: "http://127.0.0.1:8080", mqtts: "mqtts://127.0.0.1:8883" };
  }
}

function tokenOf(data: string): string {
  try {
    return readFileSync(join(data, "secrets", "admin-token"), "utf8").trim();
  } catch (error) {
    throw new TidewireError("TOKEN_MISSING", { path: join(data, "secrets", "admin-token") }, { cause: error });
  }
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** Undefined where it is no JSON; null where there is nothing. */
function jsonOf(text: string): unknown {
  if (text === "") return null;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function remoteError(json: unknown, status: number): TidewireError {
  const { code, message, fix } = (json ?? {}) as { code?: string; message?: string; fix?: string };
  if (code !== undefined && code in ERROR_CATALOGUE && message !== undefined) {
    // What the platform says of a request is for whoever has written one.
    const next = code === "REQUEST_INVALID" ? "Correct it; the command's --help says what is taken." : (fix ?? "");
    return TidewireError.remote(code as ErrorCode, message, next);
  }
  return new TidewireError("INTERNAL", { reason: `the platform answered ${status}` });
}
