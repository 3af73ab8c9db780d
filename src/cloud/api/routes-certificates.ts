/** Certificates and policies, in AWS IoT's shapes. */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { awsShapes } from "../../registry/mod.ts";
import type { Certificate } from "../../registry/mod.ts";
import type { ApiPorts } from "./ports.ts";
import { AwsMarkerPage } from "./schemas.ts";

const WRITES = { permission: "certificates:write" } as const;
const READS = { permission: "certificates:read" } as const;
const POLICIES_READS = { permission: "policies:read" } as const;
const POLICIES_WRITES = { permission: "policies:write" } as const;

const IdParameters = z.strictObject({ certificateId: z.string().max(256) });
const PolicyParameters = z.strictObject({ policyName: z.string().max(256) });
const Activate = z.strictObject({ setAsActive: z.stringbool().default(false) });
const Target = z.looseObject({ target: z.string().max(512) });

export function certificateRoutes(app: FastifyInstance, ports: ApiPorts): void {
  issuingRoutes(app, ports);
  lifeCycleRoutes(app, ports);
  policyRoutes(app, ports);
  attachmentRoutes(app, ports);
}

function issuingRoutes(app: FastifyInstance, { registry, certificates }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const statusOf = (active: boolean): Certificate["status"] => (active ? "ACTIVE" : "INACTIVE");

  routes.post("/keys-and-certificate", { config: WRITES, schema: { querystring: Activate } }, async (request) => {
    const issued = await certificates.withKey();
    const status = statusOf(request.query.setAsActive);
    const certificate = registry.certificates.register(issued.certificatePem, issued.facts, { status });
    return awsShapes.createCertificate(certificate, issued);
  });

  const body = z.looseObject({ certificateSigningRequest: z.string().max(16_384) });
  routes.post("/certificates", { config: WRITES, schema: { querystring: Activate, body } }, async (request) => {
    const issued = await certificates.fromCsr(request.body.certificateSigningRequest);
    const status = statusOf(request.query.setAsActive);
    const certificate = registry.certificates.register(issued.certificatePem, issued.facts, { status });
    return awsShapes.createCertificate(certificate);
  });
}

function lifeCycleRoutes(app: FastifyInstance, { registry }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get("/certificates", { config: READS, schema: { querystring: AwsMarkerPage } }, async (request) => {
    const { pageSize, marker, isAscendingOrder } = request.query;
    const page = registry.certificates.list({ maxResults: pageSize, nextToken: marker, ascending: isAscendingOrder });
    return awsShapes.listCertificates(page);
  });

  routes.get("/certificates/:certificateId", { config: READS, schema: { params: IdParameters } }, async (request) =>
    awsShapes.describeCertificate(registry.certificates.describe(request.params.certificateId)),
  );

  const newStatus = z.strictObject({ newStatus: z.enum(["ACTIVE", "INACTIVE", "REVOKED"]) });
  routes.put(
    "/certificates/:certificateId",
    { config: WRITES, schema: { params: IdParameters, querystring: newStatus } },
    async (request) => {
      registry.certificates.updateStatus(request.params.certificateId, request.query.newStatus);
      return {};
    },
  );

  const force = z.strictObject({ forceDelete: z.stringbool().default(false) });
  routes.delete(
    "/certificates/:certificateId",
    { config: WRITES, schema: { params: IdParameters, querystring: force } },
    async (request) => {
      registry.certificates.delete(request.params.certificateId, { force: request.query.forceDelete });
      return {};
    },
  );
}

function policyRoutes(app: FastifyInstance, { registry }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get("/policies", { config: POLICIES_READS, schema: { querystring: AwsMarkerPage } }, async (request) => {
    const { pageSize, marker } = request.query;
    return awsShapes.listPolicies(registry.policies.list({ maxResults: pageSize, nextToken: marker }));
  });

  const body = z.looseObject({ policyDocument: z.string() });
  routes.post(
    "/policies/:policyName",
    { config: POLICIES_WRITES, schema: { params: PolicyParameters, body } },
    async (request) => {
      const { policy, warnings } = registry.policies.create(request.params.policyName, request.body.policyDocument);
      return { ...awsShapes.createPolicy(policy), ...(warnings.length === 0 ? {} : { warnings }) };
    },
  );

  routes.get(
    "/policies/:policyName",
    { config: POLICIES_READS, schema: { params: PolicyParameters } },
    async (request) => awsShapes.getPolicy(registry.policies.describe(request.params.policyName)),
  );

  routes.delete(
    "/policies/:policyName",
    { config: POLICIES_WRITES, schema: { params: PolicyParameters } },
    async (request) => {
      registry.policies.delete(request.params.policyName);
      return {};
    },
  );
}

function attachmentRoutes(app: FastifyInstance, { registry }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.put(
    "/target-policies/:policyName",
    { config: WRITES, schema: { params: PolicyParameters, body: Target } },
    async (request) => {
      registry.policies.attach(request.params.policyName, request.body.target);
      return {};
    },
  );

  routes.post(
    "/target-policies/:policyName",
    { config: WRITES, schema: { params: PolicyParameters, body: Target } },
    async (request) => {
      registry.policies.detach(request.params.policyName, request.body.target);
      return {};
    },
  );

  routes.post(
    "/policy-targets/:policyName",
    { config: POLICIES_READS, schema: { params: PolicyParameters } },
    async (request) => awsShapes.listTargetsForPolicy(registry.policies.targets(request.params.policyName)),
  );

  const params = z.strictObject({ target: z.string().max(512) });
  routes.post("/attached-policies/:target", { config: POLICIES_READS, schema: { params } }, async (request) =>
    awsShapes.listPolicies({ items: registry.policies.attachedTo(request.params.target), nextToken: null }),
  );
}
