/**
 * Enrolment over Secure Transport (RFC 7030) for devices of others, and the renewal that our own agent asks for. Who asks is
 * known by the certificate of the connection; for a first one by a one-time code.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { RENEWAL_PATH } from "../../adapters/renewal-client.ts";
import { certsOnly, csrAttributes, readSigningRequest } from "../../adapters/pki/mod.ts";
import type { SigningRequest } from "../../adapters/pki/mod.ts";
import { LIMITS, TidewireError } from "../../base/mod.ts";
import { tidewireErrorOf } from "../api/errors.ts";
import type { Registry } from "../../registry/mod.ts";
import type { Renewals } from "../renewals.ts";
import { deviceOf } from "./device-peer.ts";
import type { VisitorOf } from "./device-peer.ts";
import type { EnrolmentCodes } from "./enrolment-codes.ts";

export interface EstPorts {
  readonly registry: Registry;
  readonly renewals: Pick<Renewals, "renew" | "renewByProof">;
  readonly codes: EnrolmentCodes;
  readonly visitorOf: VisitorOf;
  /** PEM of the roots, and of what stands between them and a device's certificate. */
  readonly chain: () => readonly string[];
  /** A certificate, thing and the default policy for who proved to hold the key; all or nothing. */
  readonly enrol: (thing: string, request: SigningRequest) => Promise<string>;
}

/** No login of a person: who asks is known by his certificate, or by a code. */
const DEVICES = { permission: "public" } as const;
/** Base64 is a third larger than what it encodes. */
const BODY_BYTES_MAX = LIMITS.identity.signingRequestBytesMax * 2;
const Renewal = z.strictObject({ publicKey: z.string().max(4096), proof: z.string().max(2048) });

export function deviceRoutes(app: FastifyInstance, ports: EstPorts): void {
  renewalRoute(app, ports);
  void app.register(async (scope) => estRoutes(scope, ports), { prefix: "/.well-known/est" });
}

function renewalRoute(app: FastifyInstance, { renewals, visitorOf }: EstPorts): void {
  app.post(RENEWAL_PATH, { config: DEVICES, bodyLimit: BODY_BYTES_MAX }, async (request, reply) => {
    const certificateId = deviceOf(request, visitorOf);
    const body = Renewal.safeParse(request.body);
    if (!body.success) throw new TidewireError("REQUEST_INVALID", { reason: body.error.issues[0]!.message });
    void reply.header("cache-control", "no-store");
    return renewals.renewByProof(certificateId, body.data.publicKey, body.data.proof);
  });
}

async function estRoutes(scope: FastifyInstance, ports: EstPorts): Promise<void> {
  scope.addContentTypeParser(
    "application/pkcs10",
    { parseAs: "buffer", bodyLimit: BODY_BYTES_MAX },
    (_request, body, done) => done(null, body),
  );
  // RFC 7030 section 4.2.3: an explanation that a human can read.
  scope.setErrorHandler((error, _request, reply) => {
    const ours = tidewireErrorOf(error);
    const status = ours.entry.http ?? 500;
    if (ours.entry.fault === "bug") throw ours; // told and counted as all of them are
    if (status === 401) void reply.header("www-authenticate", 'Basic realm="Tidewire enrolment", charset="UTF-8"');
    if (status === 503) void reply.header("retry-after", "30");
    return reply.code(status).type("text/plain; charset=utf-8").send(`${ours.message} ${ours.fix}\n`);
  });

  scope.get("/cacerts", { config: DEVICES }, async (_request, reply) =>
    answer(reply, "application/pkcs7-mime", await certsOnly(ports.chain())),
  );

  scope.get("/csrattrs", { config: DEVICES }, async (_request, reply) =>
    answer(reply, "application/csrattrs", await csrAttributes()),
  );

  scope.post("/simpleenroll", { config: DEVICES }, async (request, reply) => {
    const code = codeOf(request, ports);
    const signingRequest = await readSigningRequest(pemOf(request.body));
    // Who has a certificate already is served as if he had asked for a renewal (RFC 7030 section 3.3.2).
    if (code === null) return renewed(request, reply, ports, signingRequest);
    if (!ports.codes.take(code.thing, code.text)) throw new TidewireError("UNAUTHORIZED"); // somebody else was quicker
    const certificatePem = await ports.enrol(code.thing, signingRequest);
    return certificate(reply, certificatePem);
  });

  scope.post("/simplereenroll", { config: DEVICES }, async (request, reply) => {
    return renewed(request, reply, ports, await readSigningRequest(pemOf(request.body)));
  });
}

/**
 * A code that is good now, used up only when the request proves to be; null where there is none and the connection has a
 * certificate. Throws UNAUTHORIZED.
 */
function codeOf(
  request: FastifyRequest,
  { codes, visitorOf }: EstPorts,
): { readonly thing: string; readonly text: string } | null {
  const { credential } = visitorOf(request.raw.socket);
  const basic = /^Basic ([A-Za-z0-9+/=]{1,400})$/i.exec(request.headers.authorization ?? "")?.[1];
  if (basic === undefined && credential.kind !== "none") return null;
  if (basic === undefined || request.protocol !== "https") throw new TidewireError("UNAUTHORIZED");
  const [thing = "", ...code] = Buffer.from(basic, "base64").toString("utf8").split(":");
  const text = code.join(":");
  if (!codes.isGood(thing, text)) throw new TidewireError("UNAUTHORIZED");
  return { thing, text };
}

async function renewed(
  request: FastifyRequest,
  reply: FastifyReply,
  { registry, renewals, visitorOf }: EstPorts,
  { publicKey, commonName }: SigningRequest,
): Promise<FastifyReply> {
  const certificateId = deviceOf(request, visitorOf);
  const name = registry.certificates.describe(certificateId).subject["CommonName"]?.[0];
  // RFC 7030 section 4.2.2: the subject must be that of the certificate which is renewed.
  if (commonName !== (name ?? null)) {
    const reason = `it asks for the name '${commonName ?? ""}', and the certificate's is '${name ?? ""}'`;
    throw new TidewireError("CERTIFICATE_REFUSED", { kind: "certificate signing request", reason });
  }
  const { certificatePem } = await renewals.renew(certificateId, publicKey);
  return certificate(reply, certificatePem);
}

async function certificate(reply: FastifyReply, pem: string): Promise<FastifyReply> {
  return answer(reply, "application/pkcs7-mime; smime-type=certs-only", await certsOnly([pem]));
}

function answer(reply: FastifyReply, type: string, der: Uint8Array): FastifyReply {
  const lines = Buffer.from(der)
    .toString("base64")
    .match(/.{1,64}/g)!;
  return reply
    .header("content-transfer-encoding", "base64")
    .header("cache-control", "no-store")
    .type(type)
    .send(`${lines.join("\n")}\n`);
}

/** Base64 as RFC 7030 has it; some clients send DER or PEM as it is, and mean the same. */
function pemOf(body: unknown): string {
  if (!Buffer.isBuffer(body)) {
    const reason = "its content type is not application/pkcs10";
    throw new TidewireError("CERTIFICATE_REFUSED", { kind: "certificate signing request", reason });
  }
  const text = body.toString("latin1");
  if (text.includes("-----BEGIN")) return text;
  const base64 = body[0] === 0x30 ? body.toString("base64") : text.replace(/\s+/g, "");
  return `-----BEGIN CERTIFICATE REQUEST-----\n${base64}\n-----END CERTIFICATE REQUEST-----\n`;
}
