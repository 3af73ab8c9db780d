/** Requests that are signed with an access key (Signature Version 4), as AWS's SDKs do it. The body is part of what is signed. */
import { Readable } from "node:stream";
import type { FastifyRequest } from "fastify";
import { scramHash } from "../../adapters/scram-hash.ts";
import { LIMITS, TidewireError } from "../../base/mod.ts";
import { isSigned, parseSignature, signatureFault, verifySignature } from "../../identity/mod.ts";
import type { SignatureFault, SignedRequest } from "../../identity/mod.ts";
import type { Actor } from "../../people/mod.ts";
import type { ApiPorts } from "./ports.ts";

/** What SDKs sign requests of AWS IoT's control and data plane for. */
const SERVICES = ["iot", "iotdata", "execute-api"];

export function carriesSignature(request: FastifyRequest): boolean {
  return isSigned(signedRequestOf(request));
}

/** What is signed is what came on the wire, not what a router made of it. */
function signedRequestOf({ raw }: FastifyRequest): SignedRequest {
  return { method: raw.method ?? "", url: raw.url ?? "", headers: raw.headers };
}

/**
 * Who signed it, and the body as a stream that may be read again. What can be told without the body is told before it is
 * read: a stranger has earned no memory. Throws SIGNATURE_*, ACCESS_KEY_UNKNOWN, REQUEST_TOO_LARGE.
 */
export async function verifySigned(
  request: FastifyRequest,
  payload: Readable,
  { people, clock }: Pick<ApiPorts, "people" | "clock">,
): Promise<{ readonly actor: Actor; readonly payload: Readable }> {
  const signed = signedRequestOf(request);
  const signature = parseSignature(signed);
  if ("kind" in signature) throw errorOf(signature);
  const early = signatureFault(signature, { services: SERVICES, region: null, now: clock.now() }, signed);
  if (early !== null) throw errorOf(early);
  const key = people.bySigner(signature.keyId, request.ip);
  if (key === null) throw new TidewireError("ACCESS_KEY_UNKNOWN");
  const body = await bodyOf(request, payload);
  const fault = verifySignature(signature, signed, body ?? new Uint8Array(), key.secret, scramHash);
  if (fault !== null) throw errorOf(fault);
  // Revoked while the body came.
  const actor = people.bySigner(signature.keyId, request.ip)?.actor() ?? null;
  if (actor === null) throw new TidewireError("ACCESS_KEY_UNKNOWN");
  return { actor, payload: body === null ? payload : Readable.from([body], { objectMode: false }) };
}

/** The exact bytes; null where there are none to come. */
async function bodyOf({ raw }: FastifyRequest, payload: Readable): Promise<Buffer | null> {
  const { upgrade, "content-length": length, "transfer-encoding": encoding } = raw.headers;
  if (upgrade !== undefined || ((length === undefined || length === "0") && encoding === undefined)) return null;
  const limit = LIMITS.http.bodyBytesMax;
  if (Number(length) > limit) throw new TidewireError("REQUEST_TOO_LARGE", { limit });
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of payload as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > limit) throw new TidewireError("REQUEST_TOO_LARGE", { limit });
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function errorOf({ kind, reason }: SignatureFault): TidewireError {
  switch (kind) {
    case "incomplete":
      return new TidewireError("SIGNATURE_INCOMPLETE", { reason });
    case "expired":
      return new TidewireError("SIGNATURE_EXPIRED", { reason });
    case "invalid":
      return new TidewireError("SIGNATURE_INVALID", { reason });
  }
}
