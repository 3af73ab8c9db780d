/** The command line's way to a running platform: its HTTP API. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ERROR_CATALOGUE, TidewireError, reasonOf } from "../base/mod.ts";
import type { ErrorCode } from "../base/mod.ts";

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

export class PlatformClient {
  readonly url: string;
  readonly #token: string;

  constructor(options: ConnectionOptions) {
    this.url = (options.url ?? process.env["TIDEWIRE_URL"] ?? runtimeOf(options.data).http).replace(/\/$/, "");
    this.#token = options.token ?? process.env["TIDEWIRE_TOKEN"] ?? tokenOf(options.data);
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
    const response = await this.#fetch(method, path, body, headers);
    const text = await response.text();
    const json: unknown = text === "" ? null : JSON.parse(text);
    if (!response.ok) throw remoteError(json, response.status);
    return json as T;
  }

  async #fetch(
    method: string,
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>>,
  ): Promise<Response> {
    try {
      return await fetch(`${this.url}${path}`, {
        method,
        headers: {
          ...headers,
          authorization: `Bearer ${this.#token}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(15_000),
      });
    } catch (error) {
      const cause = (error as { cause?: unknown }).cause ?? error;
      throw new TidewireError("PLATFORM_UNREACHABLE", { url: this.url, reason: reasonOf(cause) }, { cause: error });
    }
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

function remoteError(json: unknown, status: number): TidewireError {
  const { code, message, fix } = (json ?? {}) as { code?: string; message?: string; fix?: string };
  if (code !== undefined && code in ERROR_CATALOGUE && message !== undefined) {
    return TidewireError.remote(code as ErrorCode, message, fix ?? "");
  }
  return new TidewireError("INTERNAL", { reason: `the platform answered ${status}` });
}
