/**
 * The body of a provisioning template (AWS IoT's language), checked when it is put: what is wrong is said with its place.
 * Expressions are kept as they stand and evaluated per device (`evaluate.ts`).
 */
import { LIMITS, TidewireError, parseJson } from "../../base/mod.ts";
import type { JsonObject, JsonValue } from "../../base/mod.ts";
import { checkExpression } from "./expressions.ts";
import type { Scope } from "./expressions.ts";

export type TemplateType = "FLEET_PROVISIONING" | "JITP";
export type Override = "DO_NOTHING" | "REPLACE" | "FAIL" | "MERGE";

export interface TemplateBody {
  readonly parameters: Readonly<Record<string, { readonly defaultValue: string | null }>>;
  readonly mappings: Scope["mappings"];
  readonly thing: ThingResource | null;
  readonly certificate: CertificateResource;
  readonly policies: readonly PolicyResource[];
  readonly deviceConfiguration: JsonObject;
}

export interface ThingResource {
  readonly name: JsonValue;
  readonly typeName: JsonValue | null;
  readonly attributes: JsonObject;
  readonly groups: readonly JsonValue[];
  readonly billingGroup: JsonValue | null;
  readonly exclusive: boolean;
  readonly overrides: { readonly attributes: Override; readonly typeName: Override; readonly groups: Override };
}

export interface CertificateResource {
  /** The one property that says which certificate it is. */
  readonly from: "CertificateId" | "CertificateSigningRequest" | "CertificatePem";
  readonly value: JsonValue;
  readonly status: JsonValue;
  readonly overrideStatus: Override;
}

export interface PolicyResource {
  readonly name: JsonValue | null;
  readonly document: JsonValue | null;
}

export const CERTIFICATE_ID = "AWS::IoT::Certificate::Id";
/** Of the certificate's subject, as AWS IoT calls them behind `AWS::IoT::Certificate::`. */
export const SUBJECT_PARAMETERS = [
  "Country",
  "Organization",
  "OrganizationalUnit",
  "DistinguishedNameQualifier",
  "StateName",
  "CommonName",
  "SerialNumber",
];
/** By type of template; those of the subject are there where a device brings its own certificate. */
const PSEUDO: Readonly<Record<TemplateType, readonly string[]>> = {
  FLEET_PROVISIONING: [CERTIFICATE_ID],
  JITP: [CERTIFICATE_ID, ...SUBJECT_PARAMETERS.map((name) => `AWS::IoT::Certificate::${name}`)],
};

/** Throws REQUEST_INVALID that names the place. */
export function parseTemplateBody(
  text: string,
  type: TemplateType,
  checkPolicy: (document: string) => unknown,
): TemplateBody {
  const { templateBytesMax, templateDepthMax } = LIMITS.provisioning;
  if (text.length > templateBytesMax) throw invalid("", `it has more than ${templateBytesMax} characters`);
  const bytes = new TextEncoder().encode(text);
  const parsed = parseJson(bytes, { jsonBytesMax: templateBytesMax * 3, jsonDepthMax: templateDepthMax });
  if (!parsed.ok) throw invalid("", `it is not JSON, or nested more than ${templateDepthMax} levels deep`);
  const root = object(parsed.value, "");
  onlyKeys(root, "", [
    "Parameters",
    "Mappings",
    "Resources",
    "DeviceConfiguration",
    "AWSTemplateFormatVersion",
    "Description",
  ]);
  const parameters = parametersOf(root["Parameters"] ?? {});
  const mappings = mappingsOf(root["Mappings"] ?? {});
  const scope: Scope = { names: new Set([...Object.keys(parameters), ...PSEUDO[type]]), mappings };
  const resources = resourcesOf(root["Resources"], scope, checkPolicy);
  const deviceConfiguration = object(root["DeviceConfiguration"] ?? {}, "DeviceConfiguration");
  expressions(deviceConfiguration, "DeviceConfiguration", scope);
  return { parameters, mappings, ...resources, deviceConfiguration };
}

function invalid(at: string, reason: string): TidewireError {
  return new TidewireError("REQUEST_INVALID", {
    reason: `the template body is wrong${at === "" ? "" : ` at ${at}`}: ${reason}`,
  });
}

function object(value: JsonValue | undefined, at: string): JsonObject {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw invalid(at, value === undefined ? "it is missing" : "it must be an object");
}

function onlyKeys(value: JsonObject, at: string, known: readonly string[]): void {
  const stranger = Object.keys(value).find((key) => !known.includes(key));
  if (stranger !== undefined)
    throw invalid(`${at === "" ? "" : `${at}.`}${stranger}`, `it is not known here; known are ${known.join(", ")}`);
}

function expression(value: JsonValue, at: string, scope: Scope): JsonValue {
  const fault = checkExpression(value, at, scope);
  if (fault !== null) throw invalid(fault.at, fault.reason);
  return value;
}

function expressions(values: JsonObject, at: string, scope: Scope): JsonObject {
  for (const [key, value] of Object.entries(values)) expression(value, `${at}.${key}`, scope);
  return values;
}

function parametersOf(value: JsonValue): TemplateBody["parameters"] {
  const parameters: Record<string, { defaultValue: string | null }> = {};
  for (const [name, given] of Object.entries(object(value, "Parameters"))) {
    const at = `Parameters.${name}`;
    const definition = object(given, at);
    onlyKeys(definition, at, ["Type", "Default", "Description"]);
    if (definition["Type"] !== "String") throw invalid(`${at}.Type`, 'parameters are of Type "String"');
    const { Default: defaultValue = null } = definition;
    if (defaultValue !== null && typeof defaultValue !== "string")
      throw invalid(`${at}.Default`, "it must be a string");
    parameters[name] = { defaultValue };
  }
  const { templateParametersMax } = LIMITS.provisioning;
  if (Object.keys(parameters).length > templateParametersMax)
    throw invalid("Parameters", `more than ${templateParametersMax}`);
  return parameters;
}

function mappingsOf(value: JsonValue): Scope["mappings"] {
  const mappings: Record<string, Record<string, Record<string, JsonValue>>> = {};
  for (const [name, given] of Object.entries(object(value, "Mappings"))) {
    const rows: Record<string, Record<string, JsonValue>> = (mappings[name] = {});
    for (const [key, row] of Object.entries(object(given, `Mappings.${name}`))) {
      rows[key] = { ...object(row, `Mappings.${name}.${key}`) };
    }
  }
  return mappings;
}

interface Resource {
  readonly type: string;
  readonly at: string;
  readonly properties: JsonObject;
  readonly overrides: JsonObject;
}

function resourcesOf(
  value: JsonValue | undefined,
  scope: Scope,
  checkPolicy: (document: string) => unknown,
): Pick<TemplateBody, "thing" | "certificate" | "policies"> {
  const resources = Object.entries(object(value, "Resources")).map(([name, given]): Resource => {
    const at = `Resources.${name}`;
    const resource = object(given, at);
    onlyKeys(resource, at, ["Type", "Properties", "OverrideSettings"]);
    const properties = object(resource["Properties"] ?? {}, `${at}.Properties`);
    const overrides = object(resource["OverrideSettings"] ?? {}, `${at}.OverrideSettings`);
    const { Type: type } = resource;
    return { type: typeof type === "string" ? type : "", at, properties, overrides };
  });
  const ofType = (type: string): Resource[] => resources.filter((resource) => resource.type === `AWS::IoT::${type}`);
  const [things, certificates, policies] = [ofType("Thing"), ofType("Certificate"), ofType("Policy")];
  const stranger = resources.find((each) => ![...things, ...certificates, ...policies].includes(each));
  if (stranger !== undefined)
    throw invalid(`${stranger.at}.Type`, "known are AWS::IoT::Thing, AWS::IoT::Certificate and AWS::IoT::Policy");
  if (things.length > 1) throw invalid(things[1]!.at, "a template makes one thing");
  if (certificates.length !== 1) throw invalid("Resources", "there must be exactly one AWS::IoT::Certificate");
  const { policiesPerTargetMax } = LIMITS.registry;
  if (policies.length > policiesPerTargetMax)
    throw invalid(policies.at(-1)!.at, `a certificate has at most ${policiesPerTargetMax} policies`);
  return {
    thing: things.length === 0 ? null : thingOf(things[0]!, scope),
    certificate: certificateOf(certificates[0]!, scope),
    policies: policies.map((policy) => policyOf(policy, scope, checkPolicy)),
  };
}

function overrideOf({ at, overrides }: Resource, key: string, allowed: readonly Override[]): Override {
  const given = overrides[key] ?? "DO_NOTHING";
  const found = allowed.find((each) => each === given);
  if (found === undefined) throw invalid(`${at}.OverrideSettings.${key}`, `it must be one of ${allowed.join(", ")}`);
  return found;
}

function thingOf(resource: Resource, scope: Scope): ThingResource {
  const { properties, at, overrides } = resource;
  const place = `${at}.Properties`;
  onlyKeys(properties, place, [
    "ThingName",
    "ThingTypeName",
    "AttributePayload",
    "ThingGroups",
    "BillingGroup",
    "ThingPrincipalType",
  ]);
  onlyKeys(overrides, `${at}.OverrideSettings`, ["ThingTypeName", "AttributePayload", "ThingGroups"]);
  const {
    ThingName,
    ThingTypeName = null,
    ThingGroups = [],
    BillingGroup = null,
    ThingPrincipalType = "NON_EXCLUSIVE_THING",
  } = properties;
  if (ThingName === undefined) throw invalid(`${place}.ThingName`, "it is missing");
  if (!Array.isArray(ThingGroups)) throw invalid(`${place}.ThingGroups`, "it must be a list");
  if (ThingPrincipalType !== "NON_EXCLUSIVE_THING" && ThingPrincipalType !== "EXCLUSIVE_THING")
    throw invalid(`${place}.ThingPrincipalType`, "it must be EXCLUSIVE_THING or NON_EXCLUSIVE_THING");
  const payload = object(properties["AttributePayload"] ?? {}, `${place}.AttributePayload`);
  const groups: readonly JsonValue[] = ThingGroups;
  return {
    name: expression(ThingName, `${place}.ThingName`, scope),
    typeName: expression(ThingTypeName, `${place}.ThingTypeName`, scope),
    attributes: expressions(payload, `${place}.AttributePayload`, scope),
    groups: groups.map((group, i) => expression(group, `${place}.ThingGroups[${i}]`, scope)),
    billingGroup: expression(BillingGroup, `${place}.BillingGroup`, scope),
    exclusive: ThingPrincipalType === "EXCLUSIVE_THING",
    overrides: {
      attributes: overrideOf(resource, "AttributePayload", ["DO_NOTHING", "REPLACE", "FAIL", "MERGE"]),
      typeName: overrideOf(resource, "ThingTypeName", ["DO_NOTHING", "REPLACE", "FAIL"]),
      groups: overrideOf(resource, "ThingGroups", ["DO_NOTHING", "REPLACE", "FAIL", "MERGE"]),
    },
  };
}

const SOURCES = ["CertificateId", "CertificateSigningRequest", "CertificatePem"] as const;

function certificateOf(resource: Resource, scope: Scope): CertificateResource {
  const { properties, at, overrides } = resource;
  const place = `${at}.Properties`;
  onlyKeys(properties, place, [...SOURCES, "CACertificatePem", "Status"]);
  onlyKeys(overrides, `${at}.OverrideSettings`, ["Status"]);
  const given = SOURCES.filter((key) => properties[key] !== undefined);
  if (given.length !== 1) throw invalid(place, `there must be exactly one of ${SOURCES.join(", ")}`);
  const { Status: status = "ACTIVE" } = properties;
  if (typeof status === "string" && statusOf(status) === null)
    throw invalid(`${place}.Status`, "it must be ACTIVE or INACTIVE");
  return {
    from: given[0]!,
    value: expression(properties[given[0]!]!, `${place}.${given[0]!}`, scope),
    status: expression(status, `${place}.Status`, scope),
    overrideStatus: overrideOf(resource, "Status", ["DO_NOTHING", "REPLACE", "FAIL"]),
  };
}

/** AWS's documents write it in any case. */
export function statusOf(text: string): "ACTIVE" | "INACTIVE" | null {
  const upper = text.toUpperCase();
  return upper === "ACTIVE" || upper === "INACTIVE" ? upper : null;
}

function policyOf(
  { properties, at, overrides }: Resource,
  scope: Scope,
  checkPolicy: (document: string) => unknown,
): PolicyResource {
  const place = `${at}.Properties`;
  onlyKeys(properties, place, ["PolicyName", "PolicyDocument"]);
  onlyKeys(overrides, `${at}.OverrideSettings`, []);
  const { PolicyName: name = null, PolicyDocument: document = null } = properties;
  if (name === null && document === null) throw invalid(place, "it needs a PolicyName or a PolicyDocument");
  if (document !== null) {
    expression(document, `${place}.PolicyDocument`, scope);
    if (isPlain(document)) checkDocument(document, `${place}.PolicyDocument`, checkPolicy);
  }
  return { name: expression(name, `${place}.PolicyName`, scope), document };
}

/** It says the same for every device. */
function isPlain(value: JsonValue): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (Array.isArray(value)) return (value as readonly JsonValue[]).every(isPlain);
  return Object.entries(value).every(([key, inner]) => key !== "Ref" && !key.startsWith("Fn::") && isPlain(inner));
}

function checkDocument(document: JsonValue, at: string, checkPolicy: (document: string) => unknown): void {
  try {
    checkPolicy(typeof document === "string" ? document : JSON.stringify(document));
  } catch (error) {
    throw invalid(at, error instanceof Error ? error.message.replace(/\.$/, "") : String(error));
  }
}
