/** What AWS's policy operations lack: put, test, and allow one thing to one certificate. */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { LIMITS } from "../../base/mod.ts";
import type { PolicyAnswer, PolicyVersions, PutPolicy } from "./contract.ts";
import type { ApiPorts } from "./ports.ts";
import { ThingName } from "./schemas.ts";

const Name = z.strictObject({ policyName: z.string().max(128) });
const CertificateId = z.string().regex(/^[0-9a-f]{64}$/, "a certificate's id is 64 hex digits");
const Resource = z.string().min(1).max(LIMITS.mqtt.topicBytesMax);
const Document = z.string(); // how long it may be is a limit that can be set
const Action = z.enum(["Connect", "Publish", "Subscribe", "Receive", "RetainPublish"]);

const Question = z.strictObject({
  certificateId: CertificateId.optional(),
  thing: ThingName.optional(),
  login: z.enum(["password", "token"]).optional(),
  tokenPolicies: z.array(z.string().max(128)).max(100).optional(),
  clientId: z.string().max(LIMITS.mqtt.clientIdBytesMax).optional(),
  sourceIp: z.string().max(64).optional(),
  action: Action,
  resource: Resource,
  document: Document.optional(),
  beside: z.boolean().optional(),
});
const Allowance = z.strictObject({
  certificateId: CertificateId,
  action: Action,
  retain: z.boolean().default(false),
  resource: Resource,
});

const READS = { permission: "policies:read" } as const;
const WRITES = { permission: "policies:write" } as const;

export function policyDeskRoutes(app: FastifyInstance, { registry, policies }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.put(
    "/api/policies/:policyName",
    { config: WRITES, schema: { params: Name, body: z.strictObject({ policyDocument: Document }) } },
    async ({ params, body }): Promise<PutPolicy> => {
      const { policy, warnings } = registry.policies.put(params.policyName, body.policyDocument);
      return { policyName: policy.policyName, version: policy.version, warnings };
    },
  );

  routes.get(
    "/api/policies/:policyName/versions",
    { config: READS, schema: { params: Name } },
    async ({ params }): Promise<PolicyVersions> => ({ versions: registry.policies.versions(params.policyName) }),
  );

  routes.post(
    "/api/policy-tests",
    { config: READS, schema: { body: Question } },
    async ({ body }): Promise<PolicyAnswer> => policies.test(body),
  );

  routes.post(
    "/api/policy-allowances",
    { config: WRITES, schema: { body: Allowance } },
    async ({ body: { certificateId, action, retain, resource } }): Promise<PutPolicy> => {
      const actions = action === "Publish" && retain ? (["Publish", "RetainPublish"] as const) : ([action] as const);
      const { policyName, version } = policies.allow(certificateId, actions, resource);
      return { policyName, version, warnings: [] };
    },
  );
}
