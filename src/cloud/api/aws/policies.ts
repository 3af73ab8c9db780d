/** Policies, their versions, and what they are attached to. */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { arnOf } from "../../../base/mod.ts";
import type { Policy } from "../../../registry/mod.ts";
import type { ApiPorts } from "../ports.ts";
import { MarkerPage, Name, READS_POLICIES, Tags, WRITES_CERTIFICATES, WRITES_POLICIES, seconds } from "./fields.ts";
import { slice } from "./pages.ts";
import { tagNew } from "./tags.ts";

const PolicyPath = z.object({ policyName: Name });
const VersionPath = PolicyPath.extend({ policyVersionId: z.string().max(16) });
const Document = z.object({ policyDocument: z.string() });
const CreatePolicy = Document.extend({ tags: Tags.optional() });
const SetAsDefault = z.object({ setAsDefault: z.stringbool().default(false) });
const Target = z.object({ target: z.string().max(512) });
const ListAttached = MarkerPage.extend({ recursive: z.stringbool().optional() });

export function policyRoutes(app: FastifyInstance, ports: ApiPorts): void {
  documentRoutes(app, ports);
  versionRoutes(app, ports);
  defaultRoutes(app, ports);
  attachmentRoutes(app, ports);
}

function documentRoutes(app: FastifyInstance, { registry }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get("/policies", { config: READS_POLICIES, schema: { querystring: MarkerPage } }, async ({ query }) => {
    const { items, nextToken } = registry.policies.list({ maxResults: query.pageSize, nextToken: query.marker });
    return { policies: items.map(named), nextMarker: nextToken ?? undefined };
  });

  const create = { config: WRITES_POLICIES, schema: { params: PolicyPath, body: CreatePolicy } };
  routes.post("/policies/:policyName", create, async ({ params, body }) => {
    const { policy, warnings } = registry.atomically(() => {
      const made = registry.policies.create(params.policyName, body.policyDocument);
      tagNew(registry, `policy/${params.policyName}`, body.tags);
      return made;
    });
    const { document: policyDocument, version } = policy;
    return { ...named(policy), policyDocument, policyVersionId: String(version), ...warned(warnings) };
  });

  routes.get(
    "/policies/:policyName",
    { config: READS_POLICIES, schema: { params: PolicyPath } },
    async ({ params }) => {
      const policy = registry.policies.describe(params.policyName);
      return {
        ...named(policy),
        policyDocument: policy.document,
        defaultVersionId: String(policy.version),
        creationDate: seconds(policy.createdAt),
        lastModifiedDate: seconds(policy.updatedAt),
        generationId: String(policy.version),
      };
    },
  );

  const gone = { config: WRITES_POLICIES, schema: { params: PolicyPath } };
  routes.delete("/policies/:policyName", gone, async ({ params }) => {
    registry.policies.delete(params.policyName);
    return {};
  });
}

function versionRoutes(app: FastifyInstance, { registry }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  const create = {
    config: WRITES_POLICIES,
    schema: { params: PolicyPath, querystring: SetAsDefault, body: Document },
  };
  routes.post("/policies/:policyName/version", create, async ({ params: { policyName }, query, body }) => {
    const { version, warnings } = registry.policies.createVersion(policyName, body.policyDocument, query);
    return {
      policyArn: arnOf.policy(policyName),
      policyDocument: version.document,
      policyVersionId: String(version.version),
      isDefaultVersion: version.isDefault,
      ...warned(warnings),
    };
  });

  const list = { config: READS_POLICIES, schema: { params: PolicyPath } };
  routes.get("/policies/:policyName/version", list, async ({ params: { policyName } }) => ({
    policyVersions: registry.policies.versions(policyName).map(({ version, isDefault, createdAt }) => ({
      versionId: String(version),
      isDefaultVersion: isDefault,
      createDate: seconds(createdAt),
    })),
  }));
}

function defaultRoutes(app: FastifyInstance, { registry }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const path = "/policies/:policyName/version/:policyVersionId";

  routes.get(path, { config: READS_POLICIES, schema: { params: VersionPath } }, async ({ params }) => {
    const { policyName, policyVersionId } = params;
    const { document, isDefault, createdAt } = registry.policies.version(policyName, policyVersionId);
    return {
      policyArn: arnOf.policy(policyName),
      policyName,
      policyDocument: document,
      policyVersionId,
      isDefaultVersion: isDefault,
      creationDate: seconds(createdAt),
      lastModifiedDate: seconds(createdAt),
      generationId: policyVersionId,
    };
  });

  routes.patch(path, { config: WRITES_POLICIES, schema: { params: VersionPath } }, async ({ params }) => {
    registry.policies.setDefaultVersion(params.policyName, params.policyVersionId);
    return {};
  });

  routes.delete(path, { config: WRITES_POLICIES, schema: { params: VersionPath } }, async ({ params }) => {
    registry.policies.deleteVersion(params.policyName, params.policyVersionId);
    return {};
  });
}

function attachmentRoutes(app: FastifyInstance, { registry }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const change = { config: WRITES_CERTIFICATES, schema: { params: PolicyPath, body: Target } };

  routes.put("/target-policies/:policyName", change, async ({ params, body }) => {
    registry.policies.attach(params.policyName, body.target);
    return {};
  });

  routes.post("/target-policies/:policyName", change, async ({ params, body }) => {
    registry.policies.detach(params.policyName, body.target);
    return {};
  });

  const targets = { config: READS_POLICIES, schema: { params: PolicyPath, querystring: MarkerPage } };
  routes.post("/policy-targets/:policyName", targets, async ({ params, query }) => {
    const page = { maxResults: query.pageSize, nextToken: query.marker };
    const { items, nextToken } = registry.policies.targets(params.policyName, page);
    return { targets: items.map(arnOf.resource), nextMarker: nextToken ?? undefined };
  });

  const attached = { config: READS_POLICIES, schema: { params: Target, querystring: ListAttached } };
  routes.post("/attached-policies/:target", attached, async ({ params, query }) => {
    const { recursive, pageSize: maxResults, marker } = query;
    const all = registry.policies.attachedTo(params.target, { recursive });
    const { items, nextToken } = slice(all, { maxResults, nextToken: marker });
    return { policies: items.map(named), nextMarker: nextToken };
  });
}

function named({ policyName }: Pick<Policy, "policyName">): object {
  return { policyName, policyArn: arnOf.policy(policyName) };
}

/** Ours, and no member of AWS's: sentences about what is valid and surely not meant. */
function warned(warnings: readonly string[]): object {
  return warnings.length === 0 ? {} : { warnings };
}
