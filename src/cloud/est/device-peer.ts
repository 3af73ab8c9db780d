/** The device at the other end of an HTTPS connection, by the certificate that it showed. */
import type { FastifyRequest } from "fastify";
import type { Socket } from "node:net";
import type { Visitor } from "../../adapters/net/mod.ts";
import { TidewireError } from "../../base/mod.ts";

export type VisitorOf = (socket: Socket) => Visitor;

/**
 * The id of a certificate whose private key the handshake has proved. An expired one is let through: who renews it looks at
 * its grace, and finds it by the hash of all of it, so no other certificate can stand in for it. Throws
 * CLIENT_CERTIFICATE_NEEDED.
 */
export function deviceOf(request: FastifyRequest, visitorOf: VisitorOf): string {
  const { credential } = visitorOf(request.raw.socket);
  if (credential.kind === "certificate") return credential.certificateId;
  if (credential.kind === "none") throw new TidewireError("CLIENT_CERTIFICATE_NEEDED", { reason: "there is none" });
  const { reason, hint, certificateId } = credential;
  if (reason === "certificate-expired" && certificateId !== null) return certificateId;
  throw new TidewireError("CLIENT_CERTIFICATE_NEEDED", { reason: hint });
}
