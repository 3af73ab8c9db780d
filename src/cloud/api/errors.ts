/** How an error leaves through HTTP: our `ApiError`, and the header from which AWS SDKs make their exception. */
import type { FastifyReply } from "fastify";
import { LIMITS, TidewireError, reasonOf } from "../../base/mod.ts";
import type { ErrorCode, Random } from "../../base/mod.ts";
import type { ApiError } from "./contract.ts";

/** AWS IoT's exception names by HTTP status; the SDK's error classes are chosen by them. */
const AWS_EXCEPTIONS: Readonly<Record<number, string>> = {
  401: "UnauthorizedException",
  403: "UnauthorizedException",
  404: "ResourceNotFoundException",
  409: "ResourceAlreadyExistsException",
  410: "LimitExceededException",
  413: "RequestEntityTooLargeException",
  429: "ThrottlingException",
  501: "NotImplementedException",
  503: "ServiceUnavailableException",
};

/** Where the status alone does not tell AWS's name. */
const AWS_BY_CODE: Partial<Record<ErrorCode, string>> = {
  VERSION_CONFLICT: "VersionConflictException",
  SHADOW_VERSION_CONFLICT: "ConflictException",
  SHADOW_ENCODING: "UnsupportedDocumentEncodingException",
  STILL_IN_USE: "DeleteConflictException",
  POLICY_VERSIONS_LIMIT: "VersionsLimitExceededException",
  RULE_SQL_INVALID: "SqlParseException",
  POLICY_INVALID: "MalformedPolicyException",
  CERTIFICATE_STATE: "CertificateStateException",
  CERTIFICATE_INVALID: "CertificateValidationException",
  REGISTRATION_CODE_WRONG: "RegistrationCodeValidationException",
  PERMISSION_DENIED: "AccessDeniedException",
  ACCESS_KEY_UNKNOWN: "UnrecognizedClientException",
  SIGNATURE_INCOMPLETE: "IncompleteSignatureException",
  SIGNATURE_INVALID: "InvalidSignatureException",
  SIGNATURE_EXPIRED: "RequestExpired",
  LAST_ADMINISTRATOR: "InvalidRequestException",
};

export function apiErrorOf(error: TidewireError): ApiError {
  return { code: error.code, message: error.message, fix: error.fix };
}

/** Turns whatever was thrown into one of ours; a stranger's mistake never looks like a bug, nor the other way round. */
export function tidewireErrorOf(error: unknown): TidewireError {
  if (error instanceof TidewireError) return error;
  const status = (error as { statusCode?: number } | null)?.statusCode;
  if (status === 429) return new TidewireError("TOO_MANY_REQUESTS", { retryAfter: "a minute" });
  if (status === 413) return new TidewireError("REQUEST_TOO_LARGE", { limit: LIMITS.http.bodyBytesMax });
  if (status !== undefined && status >= 400 && status < 500) {
    return new TidewireError("REQUEST_INVALID", { reason: clauseOf(reasonOf(error)) }, { cause: error });
  }
  return new TidewireError("INTERNAL", { reason: reasonOf(error) }, { cause: error });
}

/**
 * What a caller may read. Our own mistakes speak of files and lines, so they stay in the log, where `incident` finds them.
 */
export function publicErrorOf(error: TidewireError, incident: string): TidewireError {
  if (error.entry.fault !== "bug") return error;
  return new TidewireError("INTERNAL", { reason: `the platform's log says more under incident ${incident}` });
}

/** A name for one failure, the same in the answer and in the log. */
export function incidentOf({ random }: { readonly random: Random }): string {
  return Buffer.from(random.bytes(6)).toString("hex");
}

/** `TidewireError`s only, already fit for the caller. */
export function sendError(reply: FastifyReply, error: TidewireError): FastifyReply {
  const status = error.entry.http ?? 500;
  const otherwise = status < 500 ? "InvalidRequestException" : "InternalFailureException";
  const exception = AWS_BY_CODE[error.code] ?? AWS_EXCEPTIONS[status] ?? otherwise;
  return reply
    .code(status)
    .header("x-amzn-errortype", exception)
    .header("cache-control", "no-store")
    .send(apiErrorOf(error));
}

export function notFound(kind: string, name: string): TidewireError {
  return new TidewireError("NOT_FOUND", { kind, name });
}

/** Our messages end with a full stop of their own. */
function clauseOf(text: string): string {
  return text.replace(/[.\s]+$/, "");
}
