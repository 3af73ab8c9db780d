/** Certificates of devices: issued here, or registered; and their life. */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { checkChain, readPresented } from "../../../adapters/pki/mod.ts";
import { ACCOUNT_ID, TidewireError, arnOf } from "../../../base/mod.ts";
import type { CaCertificate, Certificate, CertificateRecord, Page, Registry } from "../../../registry/mod.ts";
import type { PresentedCertificate } from "../../../adapters/pki/mod.ts";
import type { ApiPorts } from "../ports.ts";
import { MarkerPage, Name, READS_CERTIFICATES, WRITES_CERTIFICATES, seconds } from "./fields.ts";

export const IdPath = z.object({ certificateId: Name });
const Pem = z.string().max(65_536);
const Activate = z.object({ setAsActive: z.stringbool().default(false) });
const Csr = z.object({ certificateSigningRequest: z.string().max(16_384) });
/** What AWS lets a caller choose for a certificate of its own. */
const NewStatus = z.enum(["ACTIVE", "INACTIVE"]);
const Register = z.object({
  certificatePem: Pem,
  caCertificatePem: Pem.optional(),
  status: NewStatus.optional(),
});
const RegisterAlone = z.object({ certificatePem: Pem, status: NewStatus.default("INACTIVE") });
const ChangedStatus = z.object({ newStatus: z.enum(["ACTIVE", "INACTIVE", "REVOKED"]) });
const Force = z.object({ forceDelete: z.stringbool().default(false) });
const CaPath = z.object({ caCertificateId: Name });

export function certificateRoutes(app: FastifyInstance, ports: ApiPorts): void {
  issuingRoutes(app, ports);
  registeringRoutes(app, ports);
  lifeCycleRoutes(app, ports);
  listRoutes(app, ports);
}

function issuingRoutes(app: FastifyInstance, { registry, certificates }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const statusOf = (active: boolean): Certificate["status"] => (active ? "ACTIVE" : "INACTIVE");

  const withKey = { config: WRITES_CERTIFICATES, schema: { querystring: Activate } };
  routes.post("/keys-and-certificate", withKey, async ({ query }) => {
    const issued = await certificates.withKey();
    const status = statusOf(query.setAsActive);
    const certificate = registry.certificates.register(issued.certificatePem, issued.facts, { status });
    const keyPair = { PublicKey: issued.publicKeyPem, PrivateKey: issued.privateKeyPem };
    return { ...named(certificate), certificatePem: certificate.pem, keyPair };
  });

  const fromCsr = { config: WRITES_CERTIFICATES, schema: { querystring: Activate, body: Csr } };
  routes.post("/certificates", fromCsr, async ({ query, body }) => {
    const issued = await certificates.fromCsr(body.certificateSigningRequest);
    const status = statusOf(query.setAsActive);
    const certificate = registry.certificates.register(issued.certificatePem, issued.facts, { status });
    return { ...named(certificate), certificatePem: certificate.pem };
  });
}

function registeringRoutes(app: FastifyInstance, ports: ApiPorts): void {
  const { registry } = ports;
  const routes = app.withTypeProvider<ZodTypeProvider>();

  const registering = {
    config: WRITES_CERTIFICATES,
    schema: { querystring: Activate.partial(), body: Register },
  };
  routes.post("/certificate/register", registering, async ({ query, body }) => {
    const presented = readPresented(body.certificatePem);
    const caCertificateId = await issuerOf(ports, presented, body.caCertificatePem);
    const status = body.status ?? (query.setAsActive === true ? "ACTIVE" : "INACTIVE");
    return named(registry.certificates.register(presented.pem, presented.facts, { status, caCertificateId }));
  });

  const alone = { config: WRITES_CERTIFICATES, schema: { body: RegisterAlone } };
  routes.post("/certificate/register-no-ca", alone, async ({ body: { certificatePem, status } }) => {
    const { pem, facts, isAuthority } = readPresented(certificatePem);
    if (isAuthority) throw unfit("it is a CA's certificate");
    return named(registry.certificates.register(pem, facts, { status, certificateMode: "SNI_ONLY" }));
  });
}

function lifeCycleRoutes(app: FastifyInstance, { registry }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const path = "/certificates/:certificateId";

  routes.get(path, { config: READS_CERTIFICATES, schema: { params: IdPath } }, async ({ params }) => ({
    certificateDescription: described(registry.certificates.describe(params.certificateId)),
  }));

  const change = { config: WRITES_CERTIFICATES, schema: { params: IdPath, querystring: ChangedStatus } };
  routes.put(path, change, async ({ params, query }) => {
    registry.certificates.updateStatus(params.certificateId, query.newStatus);
    return {};
  });

  const gone = { config: WRITES_CERTIFICATES, schema: { params: IdPath, querystring: Force } };
  routes.delete(path, gone, async ({ params, query }) => {
    registry.certificates.delete(params.certificateId, { force: query.forceDelete });
    return {};
  });
}

function listRoutes(app: FastifyInstance, { registry }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get(
    "/certificates",
    { config: READS_CERTIFICATES, schema: { querystring: MarkerPage } },
    async ({ query }) => {
      const { pageSize: maxResults, marker: nextToken, isAscendingOrder: ascending } = query;
      return listed(registry.certificates.list({ maxResults, nextToken, ascending }));
    },
  );

  const byCa = { config: READS_CERTIFICATES, schema: { params: CaPath, querystring: MarkerPage } };
  routes.get("/certificates-by-ca/:caCertificateId", byCa, async ({ params, query }) => {
    const { pageSize: maxResults, marker: nextToken, isAscendingOrder: ascending } = query;
    return listed(registry.certificates.list({ ...params, maxResults, nextToken, ascending }));
  });
}

/** The registered CA to which its chain leads. Throws CERTIFICATE_INVALID. */
async function issuerOf(
  { registry, clock }: ApiPorts,
  { pem, isAuthority }: PresentedCertificate,
  caPem: string | undefined,
): Promise<string> {
  if (isAuthority) throw unfit("it is a CA's certificate");
  const given = caPem === undefined ? null : readPresented(caPem);
  const known = given === null ? undefined : registry.authorities.find(given.facts.certificateId);
  if (given !== null && known === undefined) throw unfit("its CA is not registered");
  const candidates = known === undefined ? allOf(registry) : [known];
  const active = candidates.filter(({ status }) => status === "ACTIVE");
  if (active.length === 0 && candidates.length > 0) throw unfit("its CA is INACTIVE");
  const verdict = await checkChain({ certificate: pem, anchors: active.map((ca) => ca.pem), now: clock.now() });
  if (!verdict.ok) throw unfit(verdict.reason);
  return verdict.anchor;
}

/** There are `caCertificatesMax` at most. */
function allOf({ authorities }: Registry): readonly CaCertificate[] {
  const all: CaCertificate[] = [];
  let nextToken: string | null = null;
  do {
    const page: Page<CaCertificate> = authorities.list({ nextToken });
    all.push(...page.items);
    ({ nextToken } = page);
  } while (nextToken !== null);
  return all;
}

function unfit(reason: string): TidewireError {
  return new TidewireError("CERTIFICATE_INVALID", { reason });
}

function named({ certificateId }: Pick<Certificate, "certificateId">): object {
  return { certificateArn: arnOf.certificate(certificateId), certificateId };
}

function described(certificate: Certificate): object {
  const { certificateMode, version: customerVersion, generationId, caCertificateId, status } = certificate;
  return {
    ...named(certificate),
    caCertificateId: caCertificateId ?? undefined,
    status,
    certificatePem: certificate.pem,
    ownedBy: ACCOUNT_ID,
    creationDate: seconds(certificate.createdAt),
    lastModifiedDate: seconds(certificate.updatedAt),
    customerVersion,
    generationId,
    validity: { notBefore: seconds(certificate.notBefore), notAfter: seconds(certificate.notAfter) },
    certificateMode,
  };
}

function listed({ items, nextToken }: Page<CertificateRecord>): object {
  const certificates = items.map((certificate) => ({
    ...named(certificate),
    status: certificate.status,
    certificateMode: certificate.certificateMode,
    creationDate: seconds(certificate.createdAt),
  }));
  return { certificates, nextMarker: nextToken ?? undefined };
}
