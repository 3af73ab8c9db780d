/** The variables that a policy may name, and what each is worth on one connection. Source: AWS IoT "policy variables". */
import { LIMITS, arnOf } from "../base/mod.ts";

/**
 * Attributes of a distinguished name by AWS IoT's names (`CommonName`, `Organization` …), in the certificate's order; and
 * alternative names beside them (`AlternativeName.DNSName` …).
 */
export type DistinguishedName = Readonly<Record<string, readonly string[]>>;

export interface CertificateContext {
  /** SHA-256 of the DER, 64 hex digits. */
  readonly certificateId: string;
  /** Hex digits. */
  readonly serialNumber: string;
  readonly subject: DistinguishedName;
  readonly issuer: DistinguishedName;
}

export interface ThingContext {
  readonly thingName: string;
  readonly thingTypeName: string | null;
  readonly attributes: Readonly<Record<string, string>>;
}

/** What a policy is evaluated against: one connection. Nothing in it changes while the connection lives. */
export interface PolicyContext {
  readonly clientId: string;
  readonly sourceIp: string | null;
  /** The thing that this connection speaks for, attached to its certificate; `null` where there is none. */
  readonly thing: ThingContext | null;
  readonly certificate: CertificateContext | null;
  /** `PersistentConnect`, `LastWill`: what CONNECT asks for. Seen by iot:Connect only. */
  readonly connectAttributes?: readonly string[];
  readonly willTopic?: string | null;
  /** The server's name as the client asked for it in its TLS handshake. */
  readonly domainName?: string | null;
  /** Whether there is a thing of this name; asked where a connection that stands for none may be taken for it. Absent: there is none. */
  readonly isThing?: (name: string) => boolean;
}

export interface Variable {
  readonly name: string;
  /** Undefined where this connection has no such value. `connecting`: whether iot:Connect is being decided. */
  readonly read: (context: PolicyContext, connecting: boolean) => readonly string[] | undefined;
}

/** Names by which AWS IoT lets policies see a distinguished name's attributes. */
export const NAME_ATTRIBUTES = [
  "DistinguishedNameQualifier",
  "Country",
  "Organization",
  "OrganizationalUnit",
  "State",
  "CommonName",
  "SerialNumber",
  "Title",
  "Surname",
  "GivenName",
  "Initials",
  "Pseudonym",
  "GenerationQualifier",
] as const;

/** Names by which AWS IoT lets policies see a certificate's alternative names. */
const ALTERNATIVE_NAMES = [
  "AlternativeName.RFC822Name",
  "AlternativeName.DNSName",
  "AlternativeName.DirectoryName",
  "AlternativeName.UniformResourceIdentifier",
  "AlternativeName.IPAddress",
] as const;

const one = (value: string | null | undefined): readonly string[] | undefined =>
  value === null || value === undefined ? undefined : [value];

const PLAIN: readonly Variable[] = [
  { name: "iot:ClientId", read: (context) => [context.clientId] },
  { name: "aws:SourceIp", read: (context) => one(context.sourceIp) },
  { name: "iot:Connection.Thing.ThingName", read: (context) => one(context.thing?.thingName) },
  { name: "iot:Connection.Thing.ThingTypeName", read: (context) => one(context.thing?.thingTypeName) },
  { name: "iot:Connection.Thing.IsAttached", read: (context) => [context.thing === null ? "false" : "true"] },
  { name: "iot:CertificateId", read: (context) => one(context.certificate?.certificateId) },
  { name: "iot:DomainName", read: (context) => one(context.domainName) },
  { name: "iot:Certificate.SerialNumber", read: (context) => one(decimal(context.certificate?.serialNumber)) },
  { name: "iot:Certificate.AvailableKeys", read: (context) => availableKeys(context.certificate) },
  {
    name: "iot:ConnectAttributes",
    read: (context, connecting) => (connecting ? (context.connectAttributes ?? []) : undefined),
  },
  { name: "iot:LastWillTopic", read: (context, connecting) => (connecting ? willTopicArn(context) : undefined) },
];

const byName = new Map(PLAIN.map((variable) => [variable.name.toLowerCase(), variable]));
const attributeByName = new Map<string, string>(
  [...NAME_ATTRIBUTES, ...ALTERNATIVE_NAMES].map((name) => [name.toLowerCase(), name]),
);

const THING_ATTRIBUTE = /^iot:connection\.thing\.attributes\[([a-z0-9_.,@/:#-]{1,128})\]$/i;
const CERTIFICATE_NAME = /^iot:certificate\.(subject|issuer)\.((?:alternativename\.)?[a-z0-9]+)(?:\.([0-9]|list))?$/;

/** Names are compared without regard to case, as IAM does; names of thing attributes are not. */
export function findVariable(name: string): Variable | null {
  const plain = byName.get(name.toLowerCase());
  if (plain !== undefined) return plain;
  const attribute = THING_ATTRIBUTE.exec(name)?.[1];
  if (attribute !== undefined) {
    return {
      name,
      read: ({ thing }) =>
        thing !== null && Object.hasOwn(thing.attributes, attribute) ? one(thing.attributes[attribute]) : undefined,
    };
  }
  return certificateVariable(name);
}

/** ", did you mean …?" for the error, or nothing. */
export function suggestVariable(name: string): string {
  if (/thing\.?thingname/i.test(name) || /^iot:thing/i.test(name))
    return "; did you mean iot:Connection.Thing.ThingName?";
  if (/client/i.test(name)) return "; did you mean iot:ClientId?";
  if (/cert/i.test(name)) return "; did you mean iot:Certificate.Subject.CommonName?";
  return "";
}

function certificateVariable(name: string): Variable | null {
  const match = CERTIFICATE_NAME.exec(name.toLowerCase());
  if (match === null) return null;
  const [, side, attribute = "", suffix] = match;
  const known = attributeByName.get(attribute);
  if (known === undefined) return null;
  return {
    name,
    read: ({ certificate }) => {
      const values = (side === "subject" ? certificate?.subject : certificate?.issuer)?.[known];
      if (values === undefined) return undefined;
      const first = values.slice(0, LIMITS.identity.certificateValuesMax);
      const seen = known.startsWith("AlternativeName.") ? first : first.map(escaped);
      if (suffix === "list") return seen;
      return one(seen[suffix === undefined ? 0 : Number(suffix)]);
    },
  };
}

/** A backslash before each character that is special in a distinguished name (RFC 4514), as AWS IoT's variables have it. */
function escaped(value: string): string {
  return /[,"\\=<>;]/.test(value) ? value.replace(/[,"\\=<>;]/g, "\\$&") : value;
}

/** AWS IoT's policies see a serial number as a decimal integer. */
function decimal(hex: string | undefined): string | undefined {
  return hex !== undefined && /^[0-9a-f]+$/i.test(hex) ? BigInt(`0x${hex}`).toString() : undefined;
}

function availableKeys(certificate: CertificateContext | null): readonly string[] | undefined {
  if (certificate === null) return undefined;
  const keys = ["iot:Certificate.SerialNumber"];
  for (const name of Object.keys(certificate.subject)) keys.push(`iot:Certificate.Subject.${name}`);
  for (const name of Object.keys(certificate.issuer)) keys.push(`iot:Certificate.Issuer.${name}`);
  return keys;
}

function willTopicArn({ willTopic }: PolicyContext): readonly string[] | undefined {
  return typeof willTopic === "string" ? [arnOf.topic(willTopic)] : undefined;
}
