/** Questions and small changes about policies: may it, why not, and "then allow exactly this". */
import { LIMITS, TidewireError, arnOf, isJsonObject } from "../base/mod.ts";
import type { JsonObject, JsonValue, Limits } from "../base/mod.ts";
import { STORED_POLICY, compilePolicy, parsePolicy } from "../identity/mod.ts";
import type { CompiledPolicy, MqttAction, PolicyContext, PolicyDocument } from "../identity/mod.ts";
import { passwordKey } from "../registry/mod.ts";
import type { Policy, Registry } from "../registry/mod.ts";
import type { Rights } from "./admission.ts";
import type { PolicyAnswer } from "./api/contract.ts";
import type { RegistryGatekeeper } from "./gatekeeper.ts";
import { tokenRightsOf } from "./logins/mod.ts";

export interface PolicyQuestion {
  /** One of these two says who; of a thing with several certificates it is the first that is active. */
  readonly certificateId?: string | undefined;
  readonly thing?: string | undefined;
  /** The thing has no certificate: it logs in so. A token may stand for no thing. */
  readonly login?: "password" | "token" | undefined;
  /** Those that the token names, or that its issuer's configuration gives it. */
  readonly tokenPolicies?: readonly string[] | undefined;
  /** Default: the thing's name, or that of the certificate's only thing. */
  readonly clientId?: string | undefined;
  readonly sourceIp?: string | undefined;
  readonly action: MqttAction;
  readonly resource: string;
  /** A document that is tried in place of the attached policies, or beside them. */
  readonly document?: string | undefined;
  readonly beside?: boolean | undefined;
}

export interface PolicyPort {
  /** Throws NOT_FOUND, POLICY_INVALID, REQUEST_INVALID. */
  test(question: PolicyQuestion): PolicyAnswer;
  /** Allows this one certificate these actions on this one resource; returns the policy. Throws as the registry does. */
  allow(certificateId: string, actions: readonly MqttAction[], resource: string): Policy;
}

const KIND: Readonly<Record<MqttAction, string>> = {
  Connect: "client",
  Publish: "topic",
  RetainPublish: "topic",
  Receive: "topic",
  Subscribe: "topicfilter",
};
const TRIED = "(the given document)";
const ID_DIGITS = 16;

export function policyDesk({
  registry,
  gatekeeper,
  limits = LIMITS,
}: {
  readonly registry: Registry;
  readonly gatekeeper: RegistryGatekeeper;
  readonly limits?: Limits;
}): PolicyPort {
  return {
    test: (question) => {
      const principal = askedOf(registry, question);
      const tried = question.document === undefined ? null : parsePolicy(question.document, limits.identity);
      return answerOf(gatekeeper, principal, question, tried);
    },
    allow: (certificateId, actions, resource) =>
      registry.atomically(() => {
        registry.certificates.describe(certificateId);
        const name = `allow-${certificateId.slice(0, ID_DIGITS)}`;
        const before = registry.policies.find(name)?.document ?? null;
        registry.policies.put(name, withStatement(before, actions, arnFor(actions[0]!, resource)));
        registry.policies.attach(name, certificateId);
        return registry.policies.describe(name);
      }),
  };
}

/** Whose rights are asked about, by the name that his connections have. */
interface Asked extends Rights {
  readonly principal: string;
}

function askedOf(registry: Registry, { certificateId, thing, login, tokenPolicies = [] }: PolicyQuestion): Asked {
  if (login === "token") {
    if (thing !== undefined) registry.things.describe(thing);
    const policies = tokenPolicies.map((name) => registry.policies.describe(name).policyName);
    const rights = tokenRightsOf(registry, { thing: thing ?? null, policies }, () => {});
    return { ...rights!, principal: `jwt/${thing ?? ""}` };
  }
  if (login === "password") {
    if (thing === undefined) throw new TidewireError("REQUEST_INVALID", { reason: "name the thing of the password" });
    const rights = registry.passwordPrincipalOf(thing);
    if (rights === undefined) throw new TidewireError("NOT_FOUND", { kind: "password", name: `of the thing ${thing}` });
    return { ...rights, principal: passwordKey(thing) };
  }
  const id = certificateId ?? certificateOf(registry, thing);
  const rights = registry.principalOf(id);
  if (rights === undefined) throw new TidewireError("NOT_FOUND", { kind: "certificate", name: id });
  return { ...rights, principal: id };
}

function certificateOf(registry: Registry, thing: string | undefined): string {
  if (thing === undefined)
    throw new TidewireError("REQUEST_INVALID", { reason: "name a thing or a certificate whose policies are asked" });
  registry.things.describe(thing);
  const ids = registry.things.principalsOf(thing).map(({ certificateId }) => certificateId);
  const active = ids.find((id) => registry.certificates.find(id)?.status === "ACTIVE") ?? ids[0];
  if (active === undefined)
    throw new TidewireError("NOT_FOUND", { kind: "certificate", name: `of the thing ${thing}` });
  return active;
}

function answerOf(
  gatekeeper: RegistryGatekeeper,
  principal: Asked,
  question: PolicyQuestion,
  document: PolicyDocument | null,
): PolicyAnswer {
  const certificateId = principal.certificate?.certificateId ?? null;
  const own = principal.things.length === 1 ? principal.things[0]!.thing.thingName : null;
  const clientId = question.clientId ?? question.thing ?? own;
  if (clientId === null)
    throw new TidewireError("REQUEST_INVALID", { reason: "say with which client id it connects: clientId" });
  const asked = { clientId, sourceIp: question.sourceIp ?? null, connectAttributes: [], willTopic: null };
  const grant = gatekeeper.grant(principal, asked);
  if (grant === null)
    throw new TidewireError("POLICY_INVALID", {
      reason: "one that counts for it cannot be evaluated",
    });
  const versions = new Map(principal.policies.map(({ policyName, version }) => [policyName, version]));
  const beside = question.beside === true ? principal.policies : [];
  const policy = document === null ? grant.policy : tried(document, beside, grant.context);
  const explained = policy.explain(question.action, question.resource);
  const { decidedBy } = explained;
  const objection = certificateId === null ? null : gatekeeper.objectionTo(certificateId);
  const notes = [...explained.notes];
  if (question.action !== "Connect" && !policy.connect(clientId))
    notes.push(`it cannot even connect as '${clientId}': iot:Connect is not allowed`);
  if (objection !== null) notes.push(objection.sentence);
  return {
    allowed: explained.allowed,
    sentence: explained.sentence,
    decidedBy: decidedBy === null ? null : { ...decidedBy, version: versions.get(decidedBy.policy) ?? null },
    notes,
    certificateId,
    principal: principal.principal,
    clientId,
    thing: grant.context.thing?.thingName ?? null,
    policies: principal.policies.map(({ policyName, version }) => ({ policyName, version })),
  };
}

function tried(document: PolicyDocument, beside: readonly Policy[], context: PolicyContext): CompiledPolicy {
  const attached = beside.map((one) => ({
    name: one.policyName,
    document: parsePolicy(one.document, STORED_POLICY),
  }));
  return compilePolicy([...attached, { name: TRIED, document }], context);
}

/** What a device calls its topics is no pattern: `*`, `?` and `$` stand for themselves (IAM's `${*}`). */
function arnFor(action: MqttAction, resource: string): string {
  return arnOf.resource(`${KIND[action]}/${resource.replaceAll(/[*?$]/g, (c) => `\${${c}}`)}`);
}

/** The document with this allowed, too; null: a new one. */
function withStatement(before: string | null, actions: readonly MqttAction[], arn: string): string {
  const document: JsonObject = before === null ? {} : (JSON.parse(before) as JsonObject);
  const given = document["Statement"] ?? [];
  const statements: JsonValue[] = Array.isArray(given) ? [...(given as readonly JsonValue[])] : [given];
  const action = actions.map((one) => `iot:${one}`);
  const same = statements.findIndex((one) => isPlainAllow(one, action));
  if (same < 0) statements.push({ Effect: "Allow", Action: action, Resource: [arn] });
  else {
    const statement = statements[same] as JsonObject & { readonly Resource: readonly string[] };
    if (!statement.Resource.includes(arn)) statements[same] = { ...statement, Resource: [...statement.Resource, arn] };
  }
  return JSON.stringify({ Version: "2012-10-17", Statement: statements }, null, 2);
}

function isPlainAllow(statement: JsonValue, action: readonly string[]): boolean {
  if (!isJsonObject(statement) || statement["Effect"] !== "Allow" || statement["Condition"] !== undefined) return false;
  return Array.isArray(statement["Resource"]) && JSON.stringify(statement["Action"]) === JSON.stringify(action);
}
