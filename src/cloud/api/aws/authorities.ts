/** CA certificates of others, whose device certificates may be registered. */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { caCertificateFault, checkVerification, readPresented } from "../../../adapters/pki/mod.ts";
import { ACCOUNT_ID, TidewireError, arnOf } from "../../../base/mod.ts";
import type { EpochMs } from "../../../base/mod.ts";
import type { CaCertificate } from "../../../registry/mod.ts";
import type { ApiPorts } from "../ports.ts";
import { IdPath } from "./certificates.ts";
import { MarkerPage, Name, READS_POLICIES, Tags, WRITES_POLICIES, seconds } from "./fields.ts";
import { tagNew } from "./tags.ts";

const Pem = z.string().max(65_536);
const Config = z.object({
  templateBody: z.string().optional(),
  templateName: Name.optional(),
  roleArn: z.string().optional(),
});
const Register = z.object({
  caCertificate: Pem,
  verificationCertificate: Pem.optional(),
  registrationConfig: Config.optional(),
  certificateMode: z.enum(["DEFAULT", "SNI_ONLY"]).default("DEFAULT"),
  tags: Tags.optional(),
});
const Flags = z.object({
  setAsActive: z.stringbool().default(false),
  allowAutoRegistration: z.stringbool().default(false),
});
const Update = z
  .object({ registrationConfig: Config.optional(), removeAutoRegistration: z.boolean().optional() })
  .nullish();
const Changed = z.object({
  newStatus: z.enum(["ACTIVE", "INACTIVE"]).optional(),
  newAutoRegistrationStatus: z.enum(["ENABLE", "DISABLE"]).optional(),
});
const ListAuthorities = MarkerPage.extend({ templateName: Name.optional() });

export function caCertificateRoutes(app: FastifyInstance, ports: ApiPorts): void {
  codeRoutes(app, ports);
  caRoutes(app, ports);
  changeRoutes(app, ports);
}

function codeRoutes(app: FastifyInstance, { registry }: ApiPorts): void {
  app.get("/registrationcode", { config: WRITES_POLICIES }, async () => ({
    registrationCode: registry.authorities.registrationCode(),
  }));

  app.delete("/registrationcode", { config: WRITES_POLICIES }, async () => {
    registry.authorities.deleteRegistrationCode();
    return {};
  });
}

function caRoutes(app: FastifyInstance, { registry, clock, provisioning: { provisioner } }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  const register = { config: WRITES_POLICIES, schema: { querystring: Flags, body: Register } };
  routes.post("/cacertificate", register, async ({ query, body }) => {
    const ca = readPresented(body.caCertificate);
    const fault = await caCertificateFault(ca.pem, clock.now());
    if (fault !== null) throw new TidewireError("CERTIFICATE_INVALID", { reason: fault });
    const { certificateMode, registrationConfig, tags } = body;
    if (registrationConfig !== undefined) provisioner.checkRegistration(registrationConfig);
    if (certificateMode === "DEFAULT") {
      const registrationCode = registry.authorities.registrationCode();
      await checkProof(ca.pem, body.verificationCertificate, registrationCode, clock.now());
    }
    return registry.atomically(() => {
      const { certificateId } = registry.authorities.register(ca.pem, ca.facts, {
        active: query.setAsActive,
        autoRegistration: query.allowAutoRegistration,
        registrationConfig,
        certificateMode,
      });
      tagNew(registry, `cacert/${certificateId}`, tags);
      return { certificateArn: arnOf.authority(certificateId), certificateId };
    });
  });

  routes.get(
    "/cacertificates",
    { config: READS_POLICIES, schema: { querystring: ListAuthorities } },
    async ({ query }) => {
      const { pageSize: maxResults, marker, isAscendingOrder: ascending, templateName } = query;
      const page = registry.authorities.list({ maxResults, nextToken: marker, ascending, templateName });
      return { certificates: page.items.map(summaryOf), nextMarker: page.nextToken ?? undefined };
    },
  );
}

function changeRoutes(app: FastifyInstance, { registry, provisioning: { provisioner } }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const path = "/cacertificate/:certificateId";

  routes.get(path, { config: READS_POLICIES, schema: { params: IdPath } }, async ({ params }) => {
    const ca = registry.authorities.describe(params.certificateId);
    return { certificateDescription: described(ca), registrationConfig: ca.registrationConfig ?? undefined };
  });

  const update = { config: WRITES_POLICIES, schema: { params: IdPath, querystring: Changed, body: Update } };
  routes.put(path, update, async ({ params, query, body }) => {
    const { newStatus: status, newAutoRegistrationStatus: automatic } = query;
    if (body?.registrationConfig !== undefined) provisioner.checkRegistration(body.registrationConfig);
    registry.authorities.update(params.certificateId, {
      status,
      autoRegistration: automatic === undefined ? undefined : automatic === "ENABLE",
      registrationConfig: body?.registrationConfig,
      removeAutoRegistration: body?.removeAutoRegistration,
    });
    return {};
  });

  routes.delete(path, { config: WRITES_POLICIES, schema: { params: IdPath } }, async ({ params }) => {
    registry.authorities.delete(params.certificateId);
    return {};
  });
}

/** Who can sign for the CA a certificate that names our code has its key. Throws REGISTRATION_CODE_WRONG. */
async function checkProof(
  caPem: string,
  verification: string | undefined,
  registrationCode: string,
  now: EpochMs,
): Promise<void> {
  if (verification === undefined) {
    throw new TidewireError("REGISTRATION_CODE_WRONG", { reason: "verificationCertificate is missing" });
  }
  const verificationPem = readPresented(verification).pem;
  const verdict = await checkVerification({ caPem, verificationPem, registrationCode, now });
  if (!verdict.ok) throw new TidewireError("REGISTRATION_CODE_WRONG", { reason: verdict.reason });
}

function summaryOf({ certificateId, status, createdAt }: CaCertificate): object {
  return { certificateArn: arnOf.authority(certificateId), certificateId, status, creationDate: seconds(createdAt) };
}

function described(ca: CaCertificate): object {
  return {
    ...summaryOf(ca),
    certificatePem: ca.pem,
    ownedBy: ACCOUNT_ID,
    autoRegistrationStatus: ca.autoRegistration ? "ENABLE" : "DISABLE",
    lastModifiedDate: seconds(ca.updatedAt),
    customerVersion: ca.version,
    generationId: ca.generationId,
    validity: { notBefore: seconds(ca.notBefore), notAfter: seconds(ca.notAfter) },
    certificateMode: ca.certificateMode,
  };
}
