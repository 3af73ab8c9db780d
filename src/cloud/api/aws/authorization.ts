/** What a certificate may do, and why: which policies count, and what they decide. */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { TidewireError, arnOf } from "../../../base/mod.ts";
import type { CompiledPolicy, MqttAction, StatementRef, Weighing } from "../../../identity/mod.ts";
import type { Policy, Registry } from "../../../registry/mod.ts";
import type { Rights } from "../../admission.ts";
import { notFound } from "../errors.ts";
import type { ApiPorts } from "../ports.ts";
import { Name, READS_POLICIES } from "./fields.ts";

const Principal = z.string().max(512);
const AUTH_INFOS_MAX = 10;
const AuthInfo = z.object({
  actionType: z.enum(["PUBLISH", "SUBSCRIBE", "RECEIVE", "CONNECT"]),
  resources: z.array(z.string().max(2048)).min(1).max(100),
});
const TestAuthorization = z.object({
  principal: Principal,
  authInfos: z.array(AuthInfo).min(1).max(AUTH_INFOS_MAX),
  policyNamesToAdd: z.array(Name).max(10).default([]),
  policyNamesToSkip: z.array(Name).max(10).default([]),
});
const AsClient = z.object({ clientId: z.string().max(1024).optional() });
const Effective = z.object({ principal: Principal.optional() }).nullish();
const OfThing = z.object({ thingName: Name.optional() });

type AuthInfo = z.infer<typeof AuthInfo>;

const ACTIONS: Readonly<Record<AuthInfo["actionType"], readonly [MqttAction, kind: string]>> = {
  PUBLISH: ["Publish", "topic"],
  RECEIVE: ["Receive", "topic"],
  SUBSCRIBE: ["Subscribe", "topicfilter"],
  CONNECT: ["Connect", "client"],
};

export function authorizationRoutes(app: FastifyInstance, ports: ApiPorts): void {
  const { registry } = ports;
  const routes = app.withTypeProvider<ZodTypeProvider>();

  const effective = { config: READS_POLICIES, schema: { querystring: OfThing, body: Effective } };
  routes.post("/effective-policies", effective, async ({ query, body }) => ({
    effectivePolicies: registry.policies
      .effective({ principal: body?.principal, thingName: query.thingName })
      .map(({ policy: { policyName, document } }) => ({
        policyName,
        policyArn: arnOf.policy(policyName),
        policyDocument: document,
      })),
  }));

  const test = { config: READS_POLICIES, schema: { querystring: AsClient, body: TestAuthorization } };
  routes.post("/test-authorization", test, async ({ query, body }) => {
    const { policies, compiled } = policyOf(ports, body, query.clientId);
    return { authResults: body.authInfos.map((info) => resultOf(info, compiled, policies)) };
  });
}

/** Of a certificate, or of a thing that logs in without one; what a token names comes by `policyNamesToAdd`. */
function rightsOf(registry: Registry, principal: string): Rights {
  const [, kind, thing] = /^(password|jwt)\/(.+)$/s.exec(principal) ?? [];
  if (kind === "jwt") return { ...registry.standingOf(registry.things.describe(thing!).thingName), certificate: null };
  const { certificateId } = kind === undefined ? registry.certificates.describe(principal) : { certificateId: "" };
  const found = kind === undefined ? registry.principalOf(certificateId) : registry.passwordPrincipalOf(thing!);
  if (found === undefined) throw notFound(kind ?? "certificate", thing ?? certificateId);
  return found;
}

/** The policies of a connection of this principal, with some put in and some taken out. */
function policyOf(
  { registry, gatekeeper }: ApiPorts,
  { principal, policyNamesToAdd, policyNamesToSkip }: z.infer<typeof TestAuthorization>,
  clientId: string | undefined,
): { readonly compiled: CompiledPolicy; readonly policies: readonly Policy[] } {
  const found = rightsOf(registry, principal);
  const added = policyNamesToAdd.map((name) => registry.policies.describe(name));
  const skipped = new Set([...policyNamesToSkip, ...policyNamesToAdd]);
  const policies = [...found.policies.filter(({ policyName }) => !skipped.has(policyName)), ...added];
  const [only, ...others] = found.things;
  const own = only !== undefined && others.length === 0 ? only.thing.thingName : "";
  const connection = { clientId: clientId ?? own, sourceIp: null, connectAttributes: [], willTopic: null };
  const grant = gatekeeper.grant({ ...found, policies }, connection);
  if (grant === null) throw new TidewireError("REQUEST_INVALID", { reason: "a stored policy cannot be evaluated" });
  return { compiled: grant.policy, policies };
}

/** Of several resources all must be allowed; one that is denied decides. */
function resultOf(info: AuthInfo, compiled: CompiledPolicy, policies: readonly Policy[]): object {
  const [action, kind] = ACTIONS[info.actionType];
  const weighed = info.resources.map((arn): Weighing => compiled.weigh(action, nameIn(arn, kind)));
  const denies = weighed.flatMap((one) => one.denies);
  const allows = weighed.flatMap((one) => one.allows);
  const unmet = weighed.some((one) => one.allows.length === 0);
  const authDecision = denies.length > 0 ? "EXPLICIT_DENY" : unmet ? "IMPLICIT_DENY" : "ALLOWED";
  const implicit = authDecision === "IMPLICIT_DENY" ? policies.map(({ policyName }) => named(policyName)) : [];
  return {
    authInfo: info,
    allowed: { policies: namesOf(allows) },
    denied: { implicitDeny: { policies: implicit }, explicitDeny: { policies: namesOf(denies) } },
    authDecision,
    missingContextValues: [...new Set(weighed.flatMap((one) => one.missing))],
  };
}

function nameIn(arn: string, kind: string): string {
  const name = new RegExp(`^arn:[^:]*:iot:[^:]*:[^:]*:${kind}/(.+)$`, "s").exec(arn)?.[1];
  if (name !== undefined) return name;
  throw new TidewireError("REQUEST_INVALID", {
    reason: `resources: '${arn.slice(0, 100)}' is not of the form arn:aws:iot:REGION:ACCOUNT:${kind}/NAME`,
  });
}

function namesOf(refs: readonly StatementRef[]): readonly object[] {
  return [...new Set(refs.map(({ policy }) => policy))].map(named);
}

function named(policyName: string): { readonly policyName: string; readonly policyArn: string } {
  return { policyName, policyArn: arnOf.policy(policyName) };
}
