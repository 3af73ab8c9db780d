/** Calls of the HTTP API. Every failure is an `ApiFailure` that carries what to tell the user. */
import type { ApiError } from "../../cloud/api/contract.ts";
import { LineSplitter } from "./line-splitter.ts";

export class ApiFailure extends Error {
  /** HTTP status; 0 where no answer came. */
  readonly status: number;
  readonly error: ApiError;

  constructor(status: number, error: ApiError) {
    super(error.message);
    this.name = "ApiFailure";
    this.status = status;
    this.error = error;
  }
}

const UNREACHABLE: ApiError = {
  code: "PLATFORM_UNREACHABLE",
  message: "The platform does not answer.",
  fix: "Check that it runs and that this device has a network; the dashboard keeps trying.",
};

const TIMEOUT_MS = 15_000;

/** Where the API lies: beside the page, whatever path a reverse proxy gave it. */
export function apiUrl(path: string): URL {
  return new URL(path, document.baseURI);
}

let onUnauthorized: () => void = () => {};

/** Called whenever the server says that there is no session any more. */
export function whenUnauthorized(listener: () => void): void {
  onUnauthorized = listener;
}

export interface CallOptions {
  readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly body?: unknown;
  readonly signal?: AbortSignal;
  /** The revision that was looked at: a change that somebody else made meanwhile is not overwritten. */
  readonly ifMatch?: string;
  /** A wrong token is an answer to the login form, not the end of a session. */
  readonly login?: boolean;
}

/** Calls the API and returns the parsed JSON, or undefined for 204. Throws `ApiFailure`; aborting throws it, too. */
export async function call<T>(path: string, options: CallOptions = {}): Promise<T> {
  const { signal } = options;
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const response = await answerTo(path, options, signal === undefined ? timeout : AbortSignal.any([signal, timeout]));
  return (response.status === 204 ? undefined : await response.json()) as T;
}

/** Posts and hands over each line of the answer as it comes. Throws `ApiFailure`; aborting throws it, too. */
export async function stream(
  path: string,
  body: unknown,
  onLine: (line: unknown) => void,
  signal: AbortSignal,
): Promise<void> {
  const response = await answerTo(path, { method: "POST", body }, signal);
  const lines = new LineSplitter();
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  // Only what ends the answer early: a mistake of whoever takes the lines is not the platform's.
  const next = (): ReturnType<typeof reader.read> =>
    reader.read().catch(() => {
      throw new ApiFailure(0, UNREACHABLE);
    });
  for (let part = await next(); !part.done; part = await next()) {
    for (const line of lines.take(part.value)) onLine(JSON.parse(line));
  }
}

/** An answer that is no refusal. */
async function answerTo(path: string, options: CallOptions, signal: AbortSignal): Promise<Response> {
  const { method = "GET", body, login = false, ifMatch } = options;
  let response: Response;
  try {
    response = await fetch(apiUrl(path), {
      method,
      credentials: "same-origin",
      cache: "no-store",
      signal,
      headers: {
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(ifMatch === undefined ? {} : { "if-match": ifMatch }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new ApiFailure(0, UNREACHABLE);
  }
  if (response.ok) return response;
  const error = await errorOf(response);
  if (response.status === 401 && !login) onUnauthorized();
  throw new ApiFailure(response.status, error);
}

async function errorOf(response: Response): Promise<ApiError> {
  try {
    const body: unknown = await response.json();
    if (isApiError(body)) return body;
  } catch {
    // Not JSON: an answer of something in between, such as a reverse proxy.
  }
  return {
    code: "INTERNAL",
    message: `The platform answered with status ${response.status}.`,
    fix: "Try again; if it stays so, look into the platform's log.",
  };
}

function isApiError(body: unknown): body is ApiError {
  return (
    typeof body === "object" &&
    body !== null &&
    typeof (body as ApiError).message === "string" &&
    typeof (body as ApiError).fix === "string"
  );
}

/** The error to show for whatever was thrown. */
export function apiErrorOf(thrown: unknown): ApiError {
  if (thrown instanceof ApiFailure) return thrown.error;
  return { code: "INTERNAL", message: "The dashboard failed unexpectedly.", fix: "Reload the page." };
}

/** A path with its query; values that are undefined or empty are left out. */
export function withQuery(path: string, query: Readonly<Record<string, string | number | null | undefined>>): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return text === "" ? path : `${path}?${text}`;
}
