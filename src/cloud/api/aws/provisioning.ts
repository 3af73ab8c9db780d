/** Provisioning templates, claims and RegisterThing, in AWS IoT's shapes. */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { TidewireError, arnOf } from "../../../base/mod.ts";
import { ProvisioningRefusal, claimPolicyDocument } from "../../../identity/mod.ts";
import type { TemplateRecord, TemplateVersion } from "../../../identity/mod.ts";
import type { ApiPorts } from "../ports.ts";
import {
  Page,
  READS_POLICIES as READS,
  WRITES_CERTIFICATES as CLAIMS,
  WRITES_POLICIES as WRITES,
  seconds,
} from "./fields.ts";
import { slice } from "./pages.ts";

const Name = z.string().max(64);
const Parameters = z.strictObject({ templateName: Name });
const VersionParameters = Parameters.extend({ versionId: z.coerce.number().int().min(1) });
const Hook = z.looseObject({ targetArn: z.string().max(2048) });

const Create = z.looseObject({
  templateName: Name,
  templateBody: z.string(),
  description: z.string().max(500).optional(),
  enabled: z.boolean().optional(),
  provisioningRoleArn: z.string().max(2048).optional(),
  preProvisioningHook: Hook.optional(),
  type: z.enum(["FLEET_PROVISIONING", "JITP"]).optional(),
});
const Update = z.looseObject({
  description: z.string().max(500).optional(),
  enabled: z.boolean().optional(),
  defaultVersionId: z.int().min(1).optional(),
  provisioningRoleArn: z.string().max(2048).optional(),
  preProvisioningHook: Hook.optional(),
  removePreProvisioningHook: z.boolean().optional(),
});
const Register = z.looseObject({
  templateBody: z.string(),
  parameters: z.record(z.string(), z.string()).optional(),
});

export function provisioningRoutes(app: FastifyInstance, ports: ApiPorts): void {
  templateRoutes(app, ports);
  templateChangeRoutes(app, ports);
  versionRoutes(app, ports);
  deviceRoutes(app, ports);
}

function templateRoutes(app: FastifyInstance, { provisioning: { templates } }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.post("/provisioning-templates", { config: WRITES, schema: { body: Create } }, async ({ body }) => {
    const { templateName, templateBody, description, enabled, type, provisioningRoleArn, preProvisioningHook } = body;
    const template = templates.create({
      name: templateName,
      body: templateBody,
      type,
      description,
      enabled,
      roleArn: provisioningRoleArn,
      hook: preProvisioningHook?.targetArn,
    });
    return { templateArn: arnOf.template(templateName), templateName, defaultVersionId: template.defaultVersion };
  });

  routes.get("/provisioning-templates", { config: READS, schema: { querystring: Page } }, async ({ query }) => {
    const { maxResults = 100, nextToken } = query;
    const found = templates.list(nextToken ?? null, maxResults + 1);
    const page = found.slice(0, maxResults);
    const more = found.length > maxResults ? { nextToken: page.at(-1)!.name } : {};
    return { templates: page.map(summaryOf), ...more };
  });

  routes.get(
    "/provisioning-templates/:templateName",
    { config: READS, schema: { params: Parameters } },
    async ({ params }) => {
      const template = templates.describe(params.templateName);
      const { body } = templates.version(template.name, template.defaultVersion);
      const { defaultVersion: defaultVersionId, hook, roleArn } = template;
      const preProvisioningHook =
        hook === null ? {} : { preProvisioningHook: { payloadVersion: "2020-04-01", targetArn: hook } };
      const role = roleArn === null ? {} : { provisioningRoleArn: roleArn };
      return { ...summaryOf(template), defaultVersionId, templateBody: body, ...role, ...preProvisioningHook };
    },
  );
}

function templateChangeRoutes(app: FastifyInstance, { provisioning: { templates } }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.patch(
    "/provisioning-templates/:templateName",
    { config: WRITES, schema: { params: Parameters, body: Update } },
    async (request) => {
      const {
        description,
        enabled,
        defaultVersionId,
        provisioningRoleArn,
        preProvisioningHook,
        removePreProvisioningHook,
      } = request.body;
      templates.update(request.params.templateName, {
        description,
        enabled,
        defaultVersion: defaultVersionId,
        roleArn: provisioningRoleArn,
        hook: removePreProvisioningHook === true ? null : preProvisioningHook?.targetArn,
      });
      return {};
    },
  );

  routes.delete(
    "/provisioning-templates/:templateName",
    { config: WRITES, schema: { params: Parameters } },
    async ({ params }) => {
      templates.delete(params.templateName);
      return {};
    },
  );
}

function versionRoutes(app: FastifyInstance, { provisioning: { templates } }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const path = "/provisioning-templates/:templateName/versions";

  const create = {
    params: Parameters,
    body: z.looseObject({ templateBody: z.string() }),
    querystring: z.strictObject({ setAsDefault: z.stringbool().default(false) }),
  };
  routes.post(path, { config: WRITES, schema: create }, async ({ params: { templateName }, body, query }) => {
    const { template, version } = templates.createVersion(templateName, body.templateBody, query.setAsDefault);
    const isDefaultVersion = version.version === template.defaultVersion;
    return { templateArn: arnOf.template(templateName), templateName, versionId: version.version, isDefaultVersion };
  });

  routes.get(
    path,
    { config: READS, schema: { params: Parameters, querystring: Page } },
    async ({ params: { templateName }, query }) => {
      const { defaultVersion } = templates.describe(templateName);
      const { items, nextToken } = slice(templates.versions(templateName), query);
      return { versions: items.map((version) => versionOf(version, defaultVersion)), nextToken };
    },
  );

  routes.get(`${path}/:versionId`, { config: READS, schema: { params: VersionParameters } }, async ({ params }) => {
    const { defaultVersion } = templates.describe(params.templateName);
    const version = templates.version(params.templateName, params.versionId);
    return { ...versionOf(version, defaultVersion), templateBody: version.body };
  });

  routes.delete(`${path}/:versionId`, { config: WRITES, schema: { params: VersionParameters } }, async ({ params }) => {
    templates.deleteVersion(params.templateName, params.versionId);
    return {};
  });
}

function deviceRoutes(app: FastifyInstance, { provisioning: { templates, provisioner } }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  const claim = { config: CLAIMS, schema: { params: Parameters } };
  routes.post("/provisioning-templates/:templateName/provisioning-claim", claim, async ({ params }) => {
    const made = await provisioner.createClaim(params.templateName);
    const { certificateId, certificatePem, privateKeyPem, publicKeyPem, expiresAt } = made;
    const keyPair = { PublicKey: publicKeyPem, PrivateKey: privateKeyPem };
    return { certificateId, certificatePem, keyPair, expiration: seconds(expiresAt) };
  });

  // AWS leaves this document to the user, and its sample is wrong about `create-from-csr`.
  routes.get(
    "/api/provisioning-templates/:templateName/claim-policy",
    { config: READS, schema: { params: Parameters } },
    async ({ params: { templateName } }) => {
      templates.describe(templateName);
      return JSON.parse(claimPolicyDocument(templateName)) as unknown;
    },
  );

  routes.put(
    "/api/provisioning-templates/:templateName/claim-policy",
    { config: WRITES, schema: { params: Parameters } },
    async ({ params: { templateName } }) => {
      templates.describe(templateName);
      return { policyName: provisioner.claimPolicy(templateName) };
    },
  );

  routes.post(
    "/things",
    { config: WRITES, schema: { body: Register } },
    async ({ body: { templateBody, parameters = {} } }) => {
      try {
        const { thingName, certificateId, certificatePem } = await provisioner.provision(templateBody, parameters);
        const thing = thingName === null ? {} : { thing: arnOf.thing(thingName) };
        return { certificatePem, resourceArns: { ...thing, certificate: arnOf.certificate(certificateId) } };
      } catch (error) {
        throw httpErrorOf(error);
      }
    },
  );
}

/** A device hears of it in AWS's words; a caller of the API in ours. */
function httpErrorOf(error: unknown): unknown {
  if (!(error instanceof ProvisioningRefusal)) return error;
  if (error.cause instanceof TidewireError) return error.cause;
  if (error.code === "InternalFailure") return error.cause ?? error;
  return new TidewireError("REQUEST_INVALID", { reason: error.message.replace(/\.$/, "") }, { cause: error });
}

function summaryOf({ name, description, enabled, type, createdAt, updatedAt }: TemplateRecord): object {
  return {
    templateArn: arnOf.template(name),
    templateName: name,
    description,
    creationDate: seconds(createdAt),
    lastModifiedDate: seconds(updatedAt),
    enabled,
    type,
  };
}

function versionOf({ version, createdAt }: TemplateVersion, defaultVersion: number): object {
  return { versionId: version, creationDate: seconds(createdAt), isDefaultVersion: version === defaultVersion };
}
