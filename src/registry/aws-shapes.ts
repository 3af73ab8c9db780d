/** Response bodies of AWS IoT's REST operations, so that its SDKs and tools understand them. Times are epoch seconds. */
import { arnOf } from "./names.ts";
import type { Attachment, Certificate, CertificateRecord, Page, Policy, Thing } from "./records.ts";

const seconds = (at: number): number => at / 1000;
const typeOf = (thing: Thing): { thingTypeName?: string } =>
  thing.thingTypeName === null ? {} : { thingTypeName: thing.thingTypeName };
const billingGroupOf = ({ billingGroupName }: Thing): { billingGroupName?: string } =>
  billingGroupName === null ? {} : { billingGroupName };
const caOf = ({ caCertificateId }: CertificateRecord): { caCertificateId?: string } =>
  caCertificateId === null ? {} : { caCertificateId };
const next = (nextToken: string | null): { nextToken?: string } => (nextToken === null ? {} : { nextToken });
const marker = (nextMarker: string | null): { nextMarker?: string } => (nextMarker === null ? {} : { nextMarker });

export const awsShapes = {
  createThing: (thing: Thing) => ({
    thingName: thing.thingName,
    thingArn: arnOf.thing(thing.thingName),
    thingId: thing.thingId,
  }),
  describeThing: (thing: Thing) => ({
    defaultClientId: thing.thingName,
    thingName: thing.thingName,
    thingId: thing.thingId,
    thingArn: arnOf.thing(thing.thingName),
    ...typeOf(thing),
    attributes: thing.attributes,
    version: thing.version,
    ...billingGroupOf(thing),
  }),
  listThings: (page: Page<Thing>) => ({
    things: page.items.map((thing) => ({
      thingName: thing.thingName,
      ...typeOf(thing),
      thingArn: arnOf.thing(thing.thingName),
      attributes: thing.attributes,
      version: thing.version,
    })),
    ...next(page.nextToken),
  }),
  listThingPrincipals: (attachments: readonly Attachment[]) => ({
    principals: attachments.map((attachment) => arnOf.certificate(attachment.certificateId)),
  }),
  listPrincipalThings: (attachments: readonly Attachment[]) => ({
    things: attachments.map((attachment) => attachment.thingName),
  }),
  /** CreateCertificateFromCsr; with `keyPair` CreateKeysAndCertificate. */
  createCertificate: (
    certificate: Pick<Certificate, "certificateId" | "pem">,
    keys?: { readonly publicKeyPem: string; readonly privateKeyPem: string },
  ) => ({
    certificateArn: arnOf.certificate(certificate.certificateId),
    certificateId: certificate.certificateId,
    certificatePem: certificate.pem,
    ...(keys === undefined ? {} : { keyPair: { PublicKey: keys.publicKeyPem, PrivateKey: keys.privateKeyPem } }),
  }),
  describeCertificate: (certificate: Certificate) => ({
    certificateDescription: {
      certificateArn: arnOf.certificate(certificate.certificateId),
      certificateId: certificate.certificateId,
      status: certificate.status,
      certificatePem: certificate.pem,
      ownedBy: "000000000000",
      creationDate: seconds(certificate.createdAt),
      lastModifiedDate: seconds(certificate.updatedAt),
      validity: { notBefore: seconds(certificate.notBefore), notAfter: seconds(certificate.notAfter) },
      certificateMode: certificate.certificateMode,
      customerVersion: certificate.version,
      generationId: certificate.generationId,
      ...caOf(certificate),
    },
  }),
  listCertificates: (page: Page<CertificateRecord>) => ({
    certificates: page.items.map((certificate) => ({
      certificateArn: arnOf.certificate(certificate.certificateId),
      certificateId: certificate.certificateId,
      status: certificate.status,
      certificateMode: certificate.certificateMode,
      creationDate: seconds(certificate.createdAt),
    })),
    ...marker(page.nextToken),
  }),
  createPolicy: (policy: Policy) => ({
    policyName: policy.policyName,
    policyArn: arnOf.policy(policy.policyName),
    policyDocument: policy.document,
    policyVersionId: String(policy.version),
  }),
  getPolicy: (policy: Policy) => ({
    policyName: policy.policyName,
    policyArn: arnOf.policy(policy.policyName),
    policyDocument: policy.document,
    defaultVersionId: String(policy.version),
    creationDate: seconds(policy.createdAt),
    lastModifiedDate: seconds(policy.updatedAt),
    generationId: String(policy.version),
  }),
  /** ListPolicies and ListAttachedPolicies. */
  listPolicies: (page: Page<Policy>) => ({
    policies: page.items.map((policy) => ({
      policyName: policy.policyName,
      policyArn: arnOf.policy(policy.policyName),
    })),
    ...marker(page.nextToken),
  }),
  listTargetsForPolicy: (page: Page<string>) => ({
    targets: page.items.map((target) => arnOf.resource(target)),
    ...marker(page.nextToken),
  }),
};
