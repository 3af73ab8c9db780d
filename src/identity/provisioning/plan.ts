/** What a template says for one device: the template's expressions with the device's parameters put in. */
import { LIMITS } from "../../base/mod.ts";
import type { JsonValue } from "../../base/mod.ts";
import { evaluate, evaluateText } from "./expressions.ts";
import type { Known } from "./expressions.ts";
import { ProvisioningRefusal } from "./refusal.ts";
import { CERTIFICATE_ID, statusOf } from "./template-body.ts";
import type { CertificateResource, Override, TemplateBody, ThingResource } from "./template-body.ts";

export interface ProvisioningPlan {
  readonly thing: ThingPlan | null;
  readonly certificate: CertificatePlan;
  readonly policies: readonly PolicyPlan[];
  readonly deviceConfiguration: Readonly<Record<string, string>>;
}

export interface ThingPlan {
  readonly name: string;
  readonly typeName: string | null;
  readonly attributes: Readonly<Record<string, string>>;
  readonly groups: readonly string[];
  readonly billingGroup: string | null;
  readonly exclusive: boolean;
  readonly overrides: ThingResource["overrides"];
}

export interface CertificatePlan {
  readonly from: CertificateResource["from"];
  readonly value: string;
  readonly status: "ACTIVE" | "INACTIVE";
  readonly overrideStatus: Override;
}

/** `name` null: it is called by the hash of its document. `document` null: a policy that exists. */
export interface PolicyPlan {
  readonly name: string | null;
  readonly document: string | null;
}

/** What a front door has to say about a device's plan; throws `ProvisioningRefusal`. */
export interface PlanChecks {
  /** Before anything is written. */
  readonly planned?: (plan: ProvisioningPlan) => Promise<void>;
  /** Within the transaction; it may run twice. */
  readonly first?: (plan: ProvisioningPlan) => void;
}

/** `pseudo`: what the platform knows of the device. Throws `ProvisioningRefusal` InvalidParameters. */
export function planFor(
  body: TemplateBody,
  parameters: Readonly<Record<string, string>>,
  pseudo: Readonly<Record<string, string>>,
): ProvisioningPlan {
  const known: Known = { values: valuesOf(body, parameters, pseudo), mappings: body.mappings };
  const text = (value: JsonValue, at: string): string => evaluateText(value, at, known);
  const orNull = (value: JsonValue | null, at: string): string | null => (value === null ? null : text(value, at));
  const textsOf = (values: { readonly [key: string]: JsonValue }, at: string): Record<string, string> =>
    Object.fromEntries(Object.entries(values).map(([key, value]) => [key, text(value, `${at}.${key}`)]));
  const { thing, certificate } = body;
  const status = statusOf(text(certificate.status, "Status"));
  if (status === null)
    throw new ProvisioningRefusal("parameters", "InvalidParameters", "Status must be ACTIVE or INACTIVE");
  return {
    thing:
      thing === null
        ? null
        : {
            name: text(thing.name, "ThingName"),
            typeName: orNull(thing.typeName, "ThingTypeName"),
            attributes: textsOf(thing.attributes, "AttributePayload"),
            groups: thing.groups.map((group) => text(group, "ThingGroups")),
            billingGroup: orNull(thing.billingGroup, "BillingGroup"),
            exclusive: thing.exclusive,
            overrides: thing.overrides,
          },
    certificate: {
      from: certificate.from,
      value: text(certificate.value, certificate.from),
      status,
      overrideStatus: certificate.overrideStatus,
    },
    policies: body.policies.map(({ name, document }) => ({
      name: orNull(name, "PolicyName"),
      document: document === null ? null : documentOf(evaluate(document, { ...known, inPolicy: true })),
    })),
    deviceConfiguration: textsOf(body.deviceConfiguration, "DeviceConfiguration"),
  };
}

/** A template may not provision another certificate than the one that came. */
export function mustBeOf({ certificate }: ProvisioningPlan, certificateId: string): void {
  if (certificate.from === "CertificateId" && certificate.value === certificateId) return;
  const reason = `The template's certificate must be {"Ref": "${CERTIFICATE_ID}"}`;
  throw new ProvisioningRefusal("template", "InvalidParameters", reason);
}

function documentOf(value: JsonValue): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function valuesOf(
  { parameters: declared }: TemplateBody,
  given: Readonly<Record<string, string>>,
  pseudo: Readonly<Record<string, string>>,
): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  const { parameterLengthMax } = LIMITS.provisioning;
  for (const [name, { defaultValue }] of Object.entries(declared)) {
    const value = Object.hasOwn(given, name) ? given[name]! : defaultValue;
    if (value !== null) values.set(name, value); // what is missing is refused where it is needed
  }
  // What the platform knows is never what a device says.
  for (const [name, value] of Object.entries(pseudo)) values.set(name, value);
  for (const [name, value] of values) {
    if (value.length <= parameterLengthMax) continue;
    const reason = `The parameter '${name}' has more than ${parameterLengthMax} characters`;
    throw new ProvisioningRefusal("parameters", "InvalidParameters", reason);
  }
  return values;
}
