/** How an error leaves through HTTP: our `ApiError`, and the header from which AWS SDKs make their exception. */
import type { FastifyReply } from "fastify";
import { TidewireError, reasonOf } from "../../base/mod.ts";
import type { ErrorCode } from "../../base/mod.ts";
import type { ApiError } from "./contract.ts";

/** AWS IoT's exception names by HTTP status; the SDK's error classes are chosen by them. */
const AWS_EXCEPTIONS: Readonly<Record<number, string>> = {
  400: "InvalidRequestException",
  401: "UnauthorizedException",
  403: "UnauthorizedException",
  404: "ResourceNotFoundException",
  409: "ResourceAlreadyExistsException",
  413: "InvalidRequestException",
  429: "ThrottlingException",
  503: "ServiceUnavailableException",
};

const AWS_BY_CODE: Partial<Record<string, string>> = {
  VERSION_CONFLICT: "VersionConflictException",
  SQL_INVALID: "SqlParseException",
  THING_HAS_PRINCIPALS: "InvalidRequestException",
  CERTIFICATE_STATE: "CertificateStateException",
};

export function apiErrorOf(error: TidewireError): ApiError {
  return { code: error.code, message: error.message, fix: error.fix };
}

/** Turns whatever was thrown into one of ours; a stranger's mistake never looks like a bug, nor the other way round. */
export function tidewireErrorOf(error: unknown): TidewireError {
  if (error instanceof TidewireError) return error;
  const status = (error as { statusCode?: number }).statusCode;
  if (status === 429) return new TidewireError("TOO_MANY_REQUESTS", { retryAfter: "a minute" });
  if (status !== undefined && status >= 400 && status < 500) {
    return new TidewireError("REQUEST_INVALID", { reason: reasonOf(error) }, { cause: error });
  }
  return new TidewireError("INTERNAL", { reason: reasonOf(error) }, { cause: error });
}

export function sendError(reply: FastifyReply, error: TidewireError, statusWhere?: number): FastifyReply {
  const status = statusWhere ?? error.entry.http ?? 500;
  const exception = AWS_BY_CODE[error.code] ?? AWS_EXCEPTIONS[status] ?? "InternalFailureException";
  return reply.code(status).header("x-amzn-errortype", exception).send(apiErrorOf(error));
}

export function notFound(kind: string, name: string): TidewireError {
  const code: ErrorCode = "NOT_FOUND";
  return new TidewireError(code, { kind, name });
}
