/** The unmodified SDKs of AWS: every core operation, and the errors that its documentation names. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { request as httpsRequest } from "node:https";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import * as iot from "@aws-sdk/client-iot";
import * as plane from "@aws-sdk/client-iot-data-plane";
import { createKeyAndCsr } from "../../src/adapters/pki/mod.ts";
import { connectDevice } from "../scenarios/support/device.ts";
import type { Device } from "../scenarios/support/device.ts";
import { makeCertificate } from "./aws-authority.ts";
import type { KeyPair } from "./aws-authority.ts";
import { awsWorld } from "./aws-world.ts";
import type { AwsWorld } from "./aws-world.ts";

const CORE = `
  CreateThing DescribeThing UpdateThing DeleteThing ListThings RegisterThing AttachThingPrincipal DetachThingPrincipal
  ListThingPrincipals ListPrincipalThings CreateThingType DescribeThingType ListThingTypes DeprecateThingType DeleteThingType
  CreateThingGroup UpdateThingGroup DescribeThingGroup DeleteThingGroup ListThingGroups CreateDynamicThingGroup
  UpdateDynamicThingGroup DeleteDynamicThingGroup AddThingToThingGroup RemoveThingFromThingGroup ListThingsInThingGroup
  ListThingGroupsForThing UpdateThingGroupsForThing CreateKeysAndCertificate CreateCertificateFromCsr RegisterCertificate
  RegisterCertificateWithoutCA DescribeCertificate UpdateCertificate DeleteCertificate ListCertificates ListCertificatesByCA
  RegisterCACertificate DescribeCACertificate UpdateCACertificate DeleteCACertificate ListCACertificates GetRegistrationCode
  CreatePolicy GetPolicy ListPolicies DeletePolicy CreatePolicyVersion GetPolicyVersion ListPolicyVersions DeletePolicyVersion
  SetDefaultPolicyVersion AttachPolicy DetachPolicy ListAttachedPolicies ListTargetsForPolicy GetEffectivePolicies
  TestAuthorization CreateProvisioningTemplate DescribeProvisioningTemplate UpdateProvisioningTemplate
  DeleteProvisioningTemplate ListProvisioningTemplates CreateProvisioningTemplateVersion ListProvisioningTemplateVersions
  CreateProvisioningClaim CreateTopicRule GetTopicRule ReplaceTopicRule DeleteTopicRule ListTopicRules EnableTopicRule
  DisableTopicRule SearchIndex GetStatistics DescribeEndpoint TagResource UntagResource ListTagsForResource
  GetIndexingConfiguration UpdateIndexingConfiguration Publish GetRetainedMessage ListRetainedMessages DeleteConnection
  GetThingShadow UpdateThingShadow DeleteThingShadow ListNamedShadowsForThing`
  .trim()
  .split(/\s+/);

const ALLOW_ALL = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: "iot:*", Resource: "*" }],
});
const INVALID = "InvalidRequestException";
const MISSING = "ResourceNotFoundException";
const EXISTS = "ResourceAlreadyExistsException";
const NOBODY = "0".repeat(64);

let world: AwsWorld;
before(async () => {
  world = await awsWorld();
});
after(async () => {
  const table = CORE.map((name) => {
    const errors = [...(world.refused.get(name) ?? [])].join(", ");
    return `  ${world.called.has(name) ? "ran " : "NOT "} ${name}${errors === "" ? "" : ` (refused: ${errors})`}`;
  });
  process.stdout.write(`AWS SDK operations:\n${table.join("\n")}\n`);
  await world.close();
});

const send: iot.IoTClient["send"] = ((command: never) => world.iot.send(command)) as never;
const sendData: plane.IoTDataPlaneClient["send"] = ((command: never) => world.data.send(command)) as never;

async function newDevice(thing: string): Promise<Device & { readonly arn: string }> {
  await send(new iot.CreateThingCommand({ thingName: thing }));
  const made = await send(new iot.CreateKeysAndCertificateCommand({ setAsActive: true }));
  await send(new iot.AttachThingPrincipalCommand({ thingName: thing, principal: made.certificateArn! }));
  const connection = await world.platform.api<{ caPem: string }>("GET", "/api/connection");
  return {
    thing,
    folder: world.folder,
    certificateId: made.certificateId!,
    arn: made.certificateArn!,
    key: made.keyPair!.PrivateKey!,
    cert: made.certificatePem!,
    ca: connection.caPem,
  };
}

test("things", async () => {
  const { refuses } = world;
  const attributePayload = { attributes: { site: "north", k: "v" } };
  const made = await send(new iot.CreateThingCommand({ thingName: "dev 1".replace(" ", ":"), attributePayload }));
  assert.match(made.thingArn!, /^arn:aws:iot:.*:thing\/dev:1$/);
  const again = await send(new iot.CreateThingCommand({ thingName: "dev:1", attributePayload }));
  assert.equal(again.thingId, made.thingId);
  await refuses(send(new iot.CreateThingCommand({ thingName: "dev:1" })), EXISTS);
  await refuses(send(new iot.CreateThingCommand({ thingName: "a b" })), INVALID);
  await refuses(send(new iot.DescribeThingCommand({ thingName: "nope" })), MISSING);
  await send(
    new iot.UpdateThingCommand({
      thingName: "dev:1",
      attributePayload: { attributes: { k: "" }, merge: true },
      expectedVersion: 1,
    }),
  );
  const conflict = new iot.UpdateThingCommand({ thingName: "dev:1", attributePayload, expectedVersion: 1 });
  await refuses(send(conflict), "VersionConflictException");
  const described = await send(new iot.DescribeThingCommand({ thingName: "dev:1" }));
  assert.deepEqual([described.attributes, described.version], [{ site: "north" }, 2]);
  for (const thingName of ["p1", "p2", "p3"]) await send(new iot.CreateThingCommand({ thingName }));
  const names: string[] = [];
  for await (const page of iot.paginateListThings({ client: world.iot, pageSize: 2 }, {})) {
    assert.ok(page.things!.length <= 2);
    names.push(...page.things!.map(({ thingName }) => thingName!));
  }
  assert.deepEqual(names, ["dev:1", "p1", "p2", "p3"]);
  const found = await send(new iot.ListThingsCommand({ attributeName: "site", attributeValue: "north" }));
  assert.deepEqual(
    found.things!.map(({ thingName }) => thingName),
    ["dev:1"],
  );
  await refuses(send(new iot.ListThingsCommand({ nextToken: "invented" })), INVALID);
  await refuses(send(new iot.ListThingsCommand({ maxResults: 251 })), INVALID);
  const stale = new iot.DeleteThingCommand({ thingName: "dev:1", expectedVersion: 1 });
  await refuses(send(stale), "VersionConflictException");
  await send(new iot.DeleteThingCommand({ thingName: "dev:1", expectedVersion: 2 }));
  await send(new iot.DeleteThingCommand({ thingName: "dev:1" }));
});

test("principals of things", async () => {
  const device = await newDevice("principal-1");
  const { refuses } = world;
  const { thing: thingName, arn: principal } = device;
  const of = await send(new iot.ListThingPrincipalsCommand({ thingName }));
  assert.deepEqual(of.principals, [principal]);
  assert.deepEqual((await send(new iot.ListPrincipalThingsCommand({ principal }))).things, [thingName]);
  const { thingPrincipalObjects } = await send(new iot.ListThingPrincipalsV2Command({ thingName }));
  assert.equal(thingPrincipalObjects![0]!.thingPrincipalType, "NON_EXCLUSIVE_THING");
  await refuses(send(new iot.DeleteThingCommand({ thingName })), INVALID);
  const nobody = `arn:aws:iot:us-east-1:123456789012:cert/${NOBODY}`;
  await refuses(send(new iot.AttachThingPrincipalCommand({ thingName, principal: nobody })), MISSING);
  await refuses(send(new iot.ListPrincipalThingsCommand({ principal: nobody })), MISSING);
  await send(new iot.DetachThingPrincipalCommand({ thingName, principal }));
  assert.deepEqual((await send(new iot.ListThingPrincipalsCommand({ thingName }))).principals, []);
});

test("thing types", async () => {
  const { refuses } = world;
  const thingTypeName = "pump";
  const thingTypeProperties = { thingTypeDescription: "a pump", searchableAttributes: ["site"] };
  const made = await send(
    new iot.CreateThingTypeCommand({ thingTypeName, thingTypeProperties, tags: [{ Key: "team", Value: "a" }] }),
  );
  assert.match(made.thingTypeArn!, /thingtype\/pump$/);
  await send(new iot.CreateThingTypeCommand({ thingTypeName, thingTypeProperties }));
  await refuses(send(new iot.CreateThingTypeCommand({ thingTypeName })), EXISTS);
  const described = await send(new iot.DescribeThingTypeCommand({ thingTypeName }));
  assert.deepEqual(described.thingTypeProperties, thingTypeProperties);
  assert.equal(described.thingTypeMetadata!.deprecated, false);
  assert.ok(Math.abs(described.thingTypeMetadata!.creationDate!.getTime() - Date.now()) < 60_000);
  await refuses(send(new iot.DescribeThingTypeCommand({ thingTypeName: "nope" })), MISSING);
  assert.equal((await send(new iot.ListThingTypesCommand({}))).thingTypes!.length, 1);
  await refuses(send(new iot.DeleteThingTypeCommand({ thingTypeName })), INVALID);
  await send(new iot.DeprecateThingTypeCommand({ thingTypeName }));
  await refuses(send(new iot.CreateThingCommand({ thingName: "late", thingTypeName })), INVALID);
  // AWS, too, lets a type be deleted five minutes after its deprecation only.
  await refuses(send(new iot.DeleteThingTypeCommand({ thingTypeName })), INVALID);
  await send(new iot.DeprecateThingTypeCommand({ thingTypeName, undoDeprecate: true }));
});

test("thing groups", async () => {
  const { refuses } = world;
  await send(new iot.CreateThingCommand({ thingName: "member" }));
  await send(new iot.CreateThingGroupCommand({ thingGroupName: "plant" }));
  const made = await send(
    new iot.CreateThingGroupCommand({
      thingGroupName: "line",
      parentGroupName: "plant",
      thingGroupProperties: { thingGroupDescription: "d", attributePayload: { attributes: { a: "b" } } },
    }),
  );
  await refuses(send(new iot.CreateThingGroupCommand({ thingGroupName: "line" })), EXISTS);
  const described = await send(new iot.DescribeThingGroupCommand({ thingGroupName: "line" }));
  assert.equal(described.thingGroupId, made.thingGroupId);
  assert.equal(described.thingGroupMetadata!.parentGroupName, "plant");
  assert.deepEqual(
    described.thingGroupMetadata!.rootToParentThingGroups!.map(({ groupName }) => groupName),
    ["plant"],
  );
  await refuses(send(new iot.DescribeThingGroupCommand({ thingGroupName: "nope" })), MISSING);
  const update = { thingGroupName: "line", thingGroupProperties: { thingGroupDescription: "e" }, expectedVersion: 1 };
  assert.equal((await send(new iot.UpdateThingGroupCommand(update))).version, 2);
  await refuses(send(new iot.UpdateThingGroupCommand(update)), "VersionConflictException");
  const below = await send(new iot.ListThingGroupsCommand({ parentGroup: "plant" }));
  assert.deepEqual(
    below.thingGroups!.map(({ groupName }) => groupName),
    ["line"],
  );
  await send(new iot.AddThingToThingGroupCommand({ thingGroupArn: made.thingGroupArn!, thingName: "member" }));
  await refuses(send(new iot.AddThingToThingGroupCommand({ thingGroupName: "line", thingName: "nope" })), MISSING);
  await refuses(send(new iot.AddThingToThingGroupCommand({ thingName: "member" })), INVALID);
  const things = await send(new iot.ListThingsInThingGroupCommand({ thingGroupName: "plant", recursive: true }));
  assert.deepEqual(things.things, ["member"]);
  const groups = await send(new iot.ListThingGroupsForThingCommand({ thingName: "member" }));
  assert.deepEqual(
    groups.thingGroups!.map(({ groupName }) => groupName),
    ["line"],
  );
  await send(
    new iot.UpdateThingGroupsForThingCommand({
      thingName: "member",
      thingGroupsToAdd: ["plant"],
      thingGroupsToRemove: ["line"],
    }),
  );
  await send(new iot.RemoveThingFromThingGroupCommand({ thingGroupName: "plant", thingName: "member" }));
  await refuses(send(new iot.DeleteThingGroupCommand({ thingGroupName: "plant" })), INVALID);
  await send(new iot.DeleteThingGroupCommand({ thingGroupName: "line" }));
});

test("dynamic thing groups", async () => {
  const { refuses } = world;
  const thingGroupName = "warm";
  const made = await send(new iot.CreateDynamicThingGroupCommand({ thingGroupName, queryString: "attributes.k:v" }));
  assert.deepEqual([made.indexName, made.queryString], ["AWS_Things", "attributes.k:v"]);
  const { version } = await send(
    new iot.UpdateDynamicThingGroupCommand({
      thingGroupName,
      queryString: "attributes.k:w",
      thingGroupProperties: { thingGroupDescription: "w" },
    }),
  );
  assert.ok(version! >= 2);
  const described = await send(new iot.DescribeThingGroupCommand({ thingGroupName }));
  assert.equal(described.queryString, "attributes.k:w");
  await refuses(send(new iot.DeleteThingGroupCommand({ thingGroupName })), INVALID);
  await send(new iot.DeleteDynamicThingGroupCommand({ thingGroupName }));
});

test("certificates that are issued here", async () => {
  const { refuses } = world;
  const made = await send(new iot.CreateKeysAndCertificateCommand({ setAsActive: true }));
  assert.match(made.keyPair!.PrivateKey!, /PRIVATE KEY/);
  const certificateId = made.certificateId!;
  const { certificateDescription: described } = await send(new iot.DescribeCertificateCommand({ certificateId }));
  assert.equal(described!.status, "ACTIVE");
  assert.equal(described!.certificatePem, made.certificatePem);
  assert.ok(described!.validity!.notAfter! > new Date());
  await refuses(send(new iot.DescribeCertificateCommand({ certificateId: NOBODY })), MISSING);
  await refuses(send(new iot.DescribeCertificateCommand({ certificateId: "short" })), INVALID);
  await refuses(send(new iot.DeleteCertificateCommand({ certificateId })), "CertificateStateException");
  const { csrPem: csr } = await createKeyAndCsr("dev");
  const fromCsr = await send(new iot.CreateCertificateFromCsrCommand({ certificateSigningRequest: csr }));
  await refuses(send(new iot.CreateCertificateFromCsrCommand({ certificateSigningRequest: "CSR" })), INVALID);
  const listed: string[] = [];
  for await (const page of iot.paginateListCertificates({ client: world.iot, pageSize: 1 }, { ascendingOrder: true })) {
    listed.push(...page.certificates!.map((one) => one.certificateId!));
  }
  assert.deepEqual(listed.slice(-2), [certificateId, fromCsr.certificateId]);
  await send(new iot.UpdateCertificateCommand({ certificateId, newStatus: "REVOKED" }));
  await refuses(
    send(new iot.UpdateCertificateCommand({ certificateId, newStatus: "ACTIVE" })),
    "CertificateStateException",
  );
  await refuses(send(new iot.UpdateCertificateCommand({ certificateId, newStatus: "PENDING_TRANSFER" })), INVALID);
  await send(new iot.DeleteCertificateCommand({ certificateId }));
});

describe("certificates of others", () => {
  let ca: KeyPair;
  let caId: string;
  before(async () => {
    ca = await makeCertificate("Own CA", { ca: true });
  });

  test("a CA is registered by who has its key", async () => {
    const { refuses } = world;
    const { registrationCode } = await send(new iot.GetRegistrationCodeCommand({}));
    assert.match(registrationCode!, /^[0-9a-f]{64}$/);
    const wrong = await makeCertificate("somebody", { by: ca });
    const register = (verificationCertificate: string): iot.RegisterCACertificateCommand =>
      new iot.RegisterCACertificateCommand({
        caCertificate: ca.cert,
        verificationCertificate,
        setAsActive: true,
        allowAutoRegistration: false,
      });
    await refuses(send(register(wrong.cert)), "RegistrationCodeValidationException");
    const proof = await makeCertificate(registrationCode!, { by: ca });
    const made = await send(register(proof.cert));
    caId = made.certificateId!;
    await refuses(send(register(proof.cert)), EXISTS);
    const notCa = await makeCertificate("no ca");
    await refuses(
      send(new iot.RegisterCACertificateCommand({ caCertificate: notCa.cert, certificateMode: "SNI_ONLY" })),
      "CertificateValidationException",
    );
    const { certificateDescription } = await send(new iot.DescribeCACertificateCommand({ certificateId: caId }));
    assert.deepEqual(
      [certificateDescription!.status, certificateDescription!.autoRegistrationStatus],
      ["ACTIVE", "DISABLE"],
    );
    const { certificates } = await send(new iot.ListCACertificatesCommand({}));
    assert.deepEqual(
      certificates!.map(({ certificateId }) => certificateId),
      [caId],
    );
  });

  test("its devices are registered, with it and alone", async () => {
    const { refuses } = world;
    const device = await makeCertificate("theirs", { by: ca });
    const { certificateId } = await send(
      new iot.RegisterCertificateCommand({ certificatePem: device.cert, caCertificatePem: ca.cert, status: "ACTIVE" }),
    );
    await refuses(send(new iot.RegisterCertificateCommand({ certificatePem: device.cert })), EXISTS);
    await refuses(
      send(new iot.RegisterCertificateCommand({ certificatePem: "no PEM" })),
      "CertificateValidationException",
    );
    const stranger = await makeCertificate("stranger");
    await refuses(
      send(new iot.RegisterCertificateCommand({ certificatePem: stranger.cert })),
      "CertificateValidationException",
    );
    const alone = await send(
      new iot.RegisterCertificateWithoutCACommand({ certificatePem: stranger.cert, status: "ACTIVE" }),
    );
    const described = await send(new iot.DescribeCertificateCommand({ certificateId: alone.certificateId! }));
    assert.equal(described.certificateDescription!.certificateMode, "SNI_ONLY");
    const by = await send(new iot.ListCertificatesByCACommand({ caCertificateId: caId }));
    assert.deepEqual(
      by.certificates!.map((one) => one.certificateId),
      [certificateId],
    );
  });

  test("the CA is changed and deleted", async () => {
    const { refuses } = world;
    const certificateId = caId;
    await refuses(send(new iot.DeleteCACertificateCommand({ certificateId })), "CertificateStateException");
    const change = (templateBody: string): iot.UpdateCACertificateCommand =>
      new iot.UpdateCACertificateCommand({
        certificateId,
        newStatus: "INACTIVE",
        newAutoRegistrationStatus: "ENABLE",
        registrationConfig: { templateBody, roleArn: "arn:aws:iam::1:role/r" },
      });
    await refuses(send(change("{}")), "InvalidRequestException");
    const CertificateId = { Ref: "AWS::IoT::Certificate::Id" };
    const certificate = { Type: "AWS::IoT::Certificate", Properties: { CertificateId } };
    const template = JSON.stringify({ Resources: { certificate } });
    await send(change(template));
    const { registrationConfig } = await send(new iot.DescribeCACertificateCommand({ certificateId }));
    assert.equal(registrationConfig!.templateBody, template);
    await send(new iot.DeleteCACertificateCommand({ certificateId }));
    await refuses(send(new iot.DescribeCACertificateCommand({ certificateId })), MISSING);
  });
});

test("policies and their versions", async () => {
  const { refuses } = world;
  const policyName = "p+1";
  const made = await send(new iot.CreatePolicyCommand({ policyName, policyDocument: ALLOW_ALL }));
  assert.equal(made.policyVersionId, "1");
  await refuses(send(new iot.CreatePolicyCommand({ policyName, policyDocument: ALLOW_ALL })), EXISTS);
  await refuses(
    send(new iot.CreatePolicyCommand({ policyName: "bad", policyDocument: "{}" })),
    "MalformedPolicyException",
  );
  assert.equal((await send(new iot.GetPolicyCommand({ policyName }))).policyDocument, ALLOW_ALL);
  await refuses(send(new iot.GetPolicyCommand({ policyName: "nope" })), MISSING);
  const { policies } = await send(new iot.ListPoliciesCommand({}));
  assert.ok(policies!.some((policy) => policy.policyName === policyName));
  const version = new iot.CreatePolicyVersionCommand({ policyName, policyDocument: ALLOW_ALL });
  for (let i = 2; i <= 5; i++) assert.equal((await send(version)).policyVersionId, String(i));
  await refuses(send(version), "VersionsLimitExceededException");
  await send(new iot.SetDefaultPolicyVersionCommand({ policyName, policyVersionId: "3" }));
  const { policyVersions } = await send(new iot.ListPolicyVersionsCommand({ policyName }));
  assert.deepEqual(
    policyVersions!.filter((one) => one.isDefaultVersion).map((one) => one.versionId),
    ["3"],
  );
  const third = await send(new iot.GetPolicyVersionCommand({ policyName, policyVersionId: "3" }));
  assert.equal(third.isDefaultVersion, true);
  await refuses(send(new iot.GetPolicyVersionCommand({ policyName, policyVersionId: "9" })), MISSING);
  await refuses(
    send(new iot.DeletePolicyVersionCommand({ policyName, policyVersionId: "3" })),
    "DeleteConflictException",
  );
  await refuses(send(new iot.DeletePolicyCommand({ policyName })), "DeleteConflictException");
  for (const policyVersionId of ["1", "2", "4", "5"]) {
    await send(new iot.DeletePolicyVersionCommand({ policyName, policyVersionId }));
  }
  await send(new iot.DeletePolicyCommand({ policyName }));
});

test("who has which policies, and what they decide", async () => {
  const { refuses } = world;
  const { arn: principal, thing } = await newDevice("authorized");
  const document = (effect: string, action: string, resource: string): string =>
    JSON.stringify({
      Version: "2012-10-17",
      Statement: [{ Effect: effect, Action: action, Resource: `arn:aws:iot:us-east-1:1:${resource}` }],
    });
  const own = document("Allow", "iot:Publish", "topic/t/${iot:Connection.Thing.ThingName}/*");
  await send(new iot.CreatePolicyCommand({ policyName: "own", policyDocument: own }));
  await send(
    new iot.CreatePolicyCommand({ policyName: "no-x", policyDocument: document("Deny", "iot:Publish", "topic/t/*/x") }),
  );
  await send(new iot.AttachPolicyCommand({ policyName: "own", target: principal }));
  await refuses(send(new iot.AttachPolicyCommand({ policyName: "nope", target: principal })), MISSING);
  await refuses(send(new iot.AttachPolicyCommand({ policyName: "own", target: "nobody" })), INVALID);
  const attached = await send(new iot.ListAttachedPoliciesCommand({ target: principal }));
  assert.deepEqual(
    attached.policies!.map(({ policyName }) => policyName),
    ["own"],
  );
  assert.deepEqual((await send(new iot.ListTargetsForPolicyCommand({ policyName: "own" }))).targets, [principal]);
  const effective = await send(new iot.GetEffectivePoliciesCommand({ principal, thingName: thing }));
  assert.deepEqual(
    effective.effectivePolicies!.map(({ policyDocument }) => policyDocument),
    [own],
  );
  const topic = (name: string): string => `arn:aws:iot:us-east-1:1:topic/t/${name}`;
  const ask = async (name: string, more: object = {}): Promise<iot.AuthResult> => {
    const { authResults } = await send(
      new iot.TestAuthorizationCommand({
        principal,
        clientId: thing,
        authInfos: [{ actionType: "PUBLISH", resources: [topic(name)] }],
        ...more,
      }),
    );
    return authResults![0]!;
  };
  const allowed = await ask("authorized/a");
  assert.equal(allowed.authDecision, "ALLOWED");
  assert.deepEqual(
    allowed.allowed!.policies!.map(({ policyName }) => policyName),
    ["own"],
  );
  const implicit = await ask("other/a");
  assert.equal(implicit.authDecision, "IMPLICIT_DENY");
  assert.deepEqual(
    implicit.denied!.implicitDeny!.policies!.map(({ policyName }) => policyName),
    ["own"],
  );
  const explicit = await ask("authorized/x", { policyNamesToAdd: ["no-x"] });
  assert.equal(explicit.authDecision, "EXPLICIT_DENY");
  assert.deepEqual(
    explicit.denied!.explicitDeny!.policies!.map(({ policyName }) => policyName),
    ["no-x"],
  );
  const unknown = await ask("authorized/a", { clientId: "somebody-else" });
  assert.deepEqual(unknown.missingContextValues, ["iot:Connection.Thing.ThingName"]);
  assert.equal((await ask("authorized/a", { policyNamesToSkip: ["own"] })).authDecision, "IMPLICIT_DENY");
  await refuses(
    send(
      new iot.TestAuthorizationCommand({ principal, authInfos: [{ actionType: "CONNECT", resources: [topic("a")] }] }),
    ),
    INVALID,
  );
  await send(new iot.DetachPolicyCommand({ policyName: "own", target: principal }));
  assert.deepEqual((await send(new iot.ListAttachedPoliciesCommand({ target: principal }))).policies, []);
});

test("provisioning templates", async () => {
  const { refuses } = world;
  const templateName = "t1";
  const templateBody = JSON.stringify({
    Parameters: { SerialNumber: { Type: "String" } },
    Resources: {
      thing: { Type: "AWS::IoT::Thing", Properties: { ThingName: { Ref: "SerialNumber" } } },
      certificate: {
        Type: "AWS::IoT::Certificate",
        Properties: { CertificateId: { Ref: "AWS::IoT::Certificate::Id" } },
      },
    },
  });
  const create = new iot.CreateProvisioningTemplateCommand({
    templateName,
    templateBody,
    enabled: true,
    provisioningRoleArn: "arn:aws:iam::1:role/r",
  });
  assert.equal((await send(create)).defaultVersionId, 1);
  await refuses(send(create), EXISTS);
  await refuses(send(new iot.DescribeProvisioningTemplateCommand({ templateName: "nope" })), MISSING);
  const { versionId } = await send(
    new iot.CreateProvisioningTemplateVersionCommand({ templateName, templateBody, setAsDefault: true }),
  );
  assert.equal(versionId, 2);
  const { versions } = await send(new iot.ListProvisioningTemplateVersionsCommand({ templateName }));
  assert.equal(versions!.length, 2);
  await send(new iot.UpdateProvisioningTemplateCommand({ templateName, description: "d", defaultVersionId: 1 }));
  const described = await send(new iot.DescribeProvisioningTemplateCommand({ templateName }));
  assert.deepEqual([described.description, described.defaultVersionId, described.enabled], ["d", 1, true]);
  const { templates } = await send(new iot.ListProvisioningTemplatesCommand({}));
  assert.deepEqual(
    templates!.map((one) => one.templateName),
    [templateName],
  );
  const claim = await send(new iot.CreateProvisioningClaimCommand({ templateName }));
  assert.match(claim.keyPair!.PrivateKey!, /PRIVATE KEY/);
  assert.ok(claim.expiration! > new Date());
  await send(new iot.DeleteProvisioningTemplateCommand({ templateName }));
  await refuses(send(new iot.DeleteProvisioningTemplateCommand({ templateName })), MISSING);
});

test("RegisterThing makes a thing, a certificate of a request, and what belongs to them", async () => {
  const { csrPem: csr } = await createKeyAndCsr("sn-1");
  const templateBody = JSON.stringify({
    Parameters: { ThingName: { Type: "String" }, CSR: { Type: "String" } },
    Resources: {
      thing: { Type: "AWS::IoT::Thing", Properties: { ThingName: { Ref: "ThingName" } } },
      certificate: {
        Type: "AWS::IoT::Certificate",
        Properties: { CertificateSigningRequest: { Ref: "CSR" }, Status: "ACTIVE" },
      },
    },
  });
  const parameters = { ThingName: "registered", CSR: csr };
  const made = await send(new iot.RegisterThingCommand({ templateBody, parameters }));
  assert.match(made.certificatePem!, /BEGIN CERTIFICATE/);
  assert.equal((await send(new iot.ListThingPrincipalsCommand({ thingName: "registered" }))).principals!.length, 1);
  await world.refuses(send(new iot.RegisterThingCommand({ templateBody: "{" })), INVALID);
});

test("a registration task: a file in a bucket, a device per line, reports behind links, and stopping", async () => {
  const { refuses, platform } = world;
  const bucket = join(platform.ready.dataDir, "buckets/factory");
  mkdirSync(bucket, { recursive: true });
  const { csrPem } = await createKeyAndCsr("any");
  const lines = [
    { ThingName: "from-file", CSR: csrPem },
    { ThingName: "from-file-2", CSR: "none" },
  ];
  writeFileSync(join(bucket, "batch.jsonl"), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  const templateBody = JSON.stringify({
    Parameters: { ThingName: { Type: "String" }, CSR: { Type: "String" } },
    Resources: {
      thing: { Type: "AWS::IoT::Thing", Properties: { ThingName: { Ref: "ThingName" } } },
      certificate: {
        Type: "AWS::IoT::Certificate",
        Properties: { CertificateSigningRequest: { Ref: "CSR" }, Status: "ACTIVE" },
      },
    },
  });
  const roleArn = "arn:aws:iam::000000000000:role/any";
  const input = { templateBody, inputFileBucket: "factory", inputFileKey: "batch.jsonl", roleArn };
  const { taskId } = await send(new iot.StartThingRegistrationTaskCommand(input));
  let task = await send(new iot.DescribeThingRegistrationTaskCommand({ taskId }));
  while (task.status === "InProgress") task = await send(new iot.DescribeThingRegistrationTaskCommand({ taskId }));
  const { status, successCount, failureCount, percentageProgress, creationDate } = task;
  assert.deepEqual([status, successCount, failureCount, percentageProgress], ["Completed", 1, 1, 100]);
  assert.ok(creationDate! <= task.lastModifiedDate!);
  const report = async (reportType: iot.ReportType): Promise<string> => {
    const { resourceLinks } = await send(new iot.ListThingRegistrationTaskReportsCommand({ taskId, reportType }));
    return (await fetch(resourceLinks![0]!)).text();
  };
  assert.match(await report("RESULTS"), /^\{"lineNumber":1,.*BEGIN CERTIFICATE.*thing\/from-file"/);
  assert.match(await report("ERRORS"), /^\{"lineNumber":2,"error":\{"code":"InvalidCertificateSigningRequest"/);
  assert.equal((await send(new iot.ListThingPrincipalsCommand({ thingName: "from-file" }))).principals!.length, 1);
  const { taskIds } = await send(new iot.ListThingRegistrationTasksCommand({ status: "Completed" }));
  assert.deepEqual(taskIds, [taskId]);
  await send(new iot.StopThingRegistrationTaskCommand({ taskId }));
  await refuses(send(new iot.DescribeThingRegistrationTaskCommand({ taskId: "nobody" })), MISSING);
  await refuses(
    send(new iot.StartThingRegistrationTaskCommand({ ...input, inputFileKey: "../../secrets/ca.key" })),
    INVALID,
  );
  const link = (await send(new iot.ListThingRegistrationTaskReportsCommand({ taskId, reportType: "RESULTS" })))
    .resourceLinks![0]!;
  assert.equal((await fetch(link.replace("RESULTS", "ERRORS"))).status, 401);
});

test("topic rules", async () => {
  const { refuses } = world;
  const ruleName = "hot";
  const action = { http: { url: "http://127.0.0.1:9/hook", headers: [{ key: "x-a", value: "b" }] } };
  const payload = {
    sql: "SELECT temperature FROM 'a/+/b' WHERE temperature > 50",
    description: "d",
    actions: [action],
    awsIotSqlVersion: "2016-03-23",
    errorAction: { http: { url: "http://127.0.0.1:9/errors" } },
  };
  await send(new iot.CreateTopicRuleCommand({ ruleName, topicRulePayload: payload, tags: "team=a%20b" }));
  await refuses(send(new iot.CreateTopicRuleCommand({ ruleName, topicRulePayload: payload })), EXISTS);
  await refuses(
    send(new iot.CreateTopicRuleCommand({ ruleName: "bad", topicRulePayload: { sql: "SELEC", actions: [] } })),
    "SqlParseException",
  );
  const lambda = { lambda: { functionArn: "arn:aws:lambda:us-east-1:1:function:f" } };
  await assert.rejects(
    send(new iot.CreateTopicRuleCommand({ ruleName: "l", topicRulePayload: { ...payload, actions: [lambda] } })),
    (error: Error) => error.name === INVALID && error.message.includes("lambda"),
  );
  const { rule, ruleArn } = await send(new iot.GetTopicRuleCommand({ ruleName }));
  assert.deepEqual([rule!.sql, rule!.ruleDisabled, rule!.awsIotSqlVersion], [payload.sql, false, "2016-03-23"]);
  assert.equal(rule!.actions![0]!.http!.url, action.http.url);
  assert.equal(rule!.errorAction!.http!.url, payload.errorAction.http.url);
  assert.ok(Math.abs(rule!.createdAt!.getTime() - Date.now()) < 60_000);
  const { tags } = await send(new iot.ListTagsForResourceCommand({ resourceArn: ruleArn! }));
  assert.deepEqual(tags, [{ Key: "team", Value: "a b" }]);
  await send(new iot.DisableTopicRuleCommand({ ruleName }));
  const disabled = await send(new iot.ListTopicRulesCommand({ topic: "a/x/b", ruleDisabled: true }));
  assert.deepEqual(
    disabled.rules!.map((one) => [one.ruleName, one.topicPattern]),
    [[ruleName, "a/+/b"]],
  );
  await send(new iot.EnableTopicRuleCommand({ ruleName }));
  await send(
    new iot.ReplaceTopicRuleCommand({ ruleName, topicRulePayload: { sql: "SELECT * FROM 'b'", actions: [] } }),
  );
  assert.equal((await send(new iot.GetTopicRuleCommand({ ruleName }))).rule!.sql, "SELECT * FROM 'b'");
  const names: string[] = [];
  for await (const page of iot.paginateListTopicRules({ client: world.iot, pageSize: 1 }, {})) {
    names.push(...page.rules!.map((one) => one.ruleName!));
  }
  assert.ok(names.includes(ruleName));
  await send(new iot.DeleteTopicRuleCommand({ ruleName }));
  // AWS says that it is unauthorized, lest names be guessed; here it says what it is.
  await refuses(send(new iot.GetTopicRuleCommand({ ruleName })), MISSING);
});

test("tags, and where the endpoint is", async () => {
  const { refuses } = world;
  const { thingGroupArn: resourceArn } = await send(new iot.CreateThingGroupCommand({ thingGroupName: "tagged" }));
  await send(new iot.TagResourceCommand({ resourceArn: resourceArn!, tags: [{ Key: "a", Value: "b" }] }));
  const list = new iot.ListTagsForResourceCommand({ resourceArn: resourceArn! });
  assert.deepEqual((await send(list)).tags, [{ Key: "a", Value: "b" }]);
  await send(new iot.UntagResourceCommand({ resourceArn: resourceArn!, tagKeys: ["a"] }));
  assert.deepEqual((await send(list)).tags, []);
  const nowhere = "arn:aws:iot:us-east-1:1:thinggroup/nope";
  await refuses(send(new iot.TagResourceCommand({ resourceArn: nowhere, tags: [{ Key: "a", Value: "b" }] })), MISSING);
  for (const endpointType of ["iot:Data", "iot:Data-ATS", "iot:Jobs", "iot:CredentialProvider", undefined]) {
    const { endpointAddress } = await send(new iot.DescribeEndpointCommand({ endpointType }));
    assert.match(endpointAddress!, /^127\.0\.0\.1:\d+$/);
  }
  await refuses(send(new iot.DescribeEndpointCommand({ endpointType: "iot:Nothing" })), INVALID);
});

test("messages: published with all their properties, kept, listed; a connection is ended", async () => {
  const { refuses } = world;
  const device = await newDevice("listener");
  await send(new iot.CreatePolicyCommand({ policyName: "everything", policyDocument: ALLOW_ALL }));
  await send(new iot.AttachPolicyCommand({ policyName: "everything", target: device.arn }));
  const will = { topic: "will/listener", payload: Buffer.from("gone"), qos: 0 as const, retain: true };
  const client = await connectDevice(world.platform, device, { will, properties: { sessionExpiryInterval: 60 } });
  await client.subscribeAsync("a/#", { qos: 1 });
  const received = new Promise<{ topic: string; payload: string; properties: unknown }>((resolve) =>
    client.once("message", (topic, payload, packet) =>
      resolve({ topic, payload: payload.toString(), properties: packet.properties }),
    ),
  );
  await sendData(
    new plane.PublishCommand({
      topic: "a/b c/ü",
      payload: new TextEncoder().encode('{"x":1}'),
      qos: 1,
      retain: true,
      contentType: "application/json",
      responseTopic: "r/t",
      correlationData: Buffer.from("cd").toString("base64"),
      payloadFormatIndicator: "UTF8_DATA",
      messageExpiry: 60,
      userProperties: JSON.stringify([{ k1: "v1" }, { k1: "v2" }]),
    }),
  );
  const { topic, payload, properties } = await received;
  assert.deepEqual([topic, payload], ["a/b c/ü", '{"x":1}']);
  const { payloadFormatIndicator, contentType, responseTopic, correlationData, userProperties, messageExpiryInterval } =
    properties as Record<string, unknown>;
  assert.deepEqual([payloadFormatIndicator, contentType, responseTopic], [true, "application/json", "r/t"]);
  assert.equal(String(correlationData), "cd");
  assert.deepEqual({ ...(userProperties as object) }, { k1: ["v1", "v2"] });
  assert.ok(Number(messageExpiryInterval) > 50);
  await refuses(sendData(new plane.PublishCommand({ topic: "a/#", qos: 1 })), INVALID);
  await refuses(sendData(new plane.PublishCommand({ topic: "$aws/events/x", qos: 1 })), INVALID);
  await refuses(sendData(new plane.PublishCommand({ topic: "a", qos: 2 })), INVALID);
  const kept = await sendData(new plane.GetRetainedMessageCommand({ topic: "a/b c/ü" }));
  assert.equal(Buffer.from(kept.payload!).toString(), '{"x":1}');
  assert.equal(kept.qos, 1);
  assert.deepEqual(JSON.parse(Buffer.from(kept.userProperties!).toString()), [{ k1: "v1" }, { k1: "v2" }]);
  assert.ok(Math.abs(kept.lastModifiedTime! - Date.now()) < 60_000);
  await refuses(sendData(new plane.GetRetainedMessageCommand({ topic: "a/nope" })), MISSING);
  await sendData(new plane.PublishCommand({ topic: "a/z", payload: Buffer.from("2"), qos: 1, retain: true }));
  const topics: string[] = [];
  for await (const page of plane.paginateListRetainedMessages({ client: world.data, pageSize: 1 }, {})) {
    topics.push(...(page.retainedTopics ?? []).map((one) => one.topic!));
  }
  assert.deepEqual(topics, ["a/b c/ü", "a/z"]);
  const ended = new Promise<void>((resolve) => client.once("close", resolve));
  await sendData(
    new plane.DeleteConnectionCommand({ clientId: "listener", cleanSession: true, preventWillMessage: true }),
  );
  await ended;
  await refuses(sendData(new plane.GetRetainedMessageCommand({ topic: "will/listener" })), MISSING);
  await refuses(sendData(new plane.DeleteConnectionCommand({ clientId: "listener" })), MISSING);
  const detail = await world.platform.api<{ presence: { disconnectReason: string } }>("GET", "/api/things/listener");
  assert.equal(detail.presence.disconnectReason, "API_INITIATED_DISCONNECT");
  await client.endAsync(true);
});

test("shadows", async () => {
  const { refuses } = world;
  const thingName = "shadowed";
  await send(new iot.CreateThingCommand({ thingName }));
  const payload = Buffer.from('{"state":{"desired":{"a":1}}}');
  const updated = await sendData(new plane.UpdateThingShadowCommand({ thingName, shadowName: "cfg", payload }));
  assert.equal((JSON.parse(Buffer.from(updated.payload!).toString()) as { version: number }).version, 1);
  const stale = Buffer.from('{"state":{"desired":{"a":1}},"version":9}');
  await refuses(
    sendData(new plane.UpdateThingShadowCommand({ thingName, shadowName: "cfg", payload: stale })),
    "ConflictException",
  );
  await refuses(sendData(new plane.UpdateThingShadowCommand({ thingName, payload: Buffer.from("{") })), INVALID);
  const got = await sendData(new plane.GetThingShadowCommand({ thingName, shadowName: "cfg" }));
  assert.match(Buffer.from(got.payload!).toString(), /"desired":\{"a":1\}/);
  const { results } = await sendData(new plane.ListNamedShadowsForThingCommand({ thingName }));
  assert.deepEqual(results, ["cfg"]);
  await sendData(new plane.DeleteThingShadowCommand({ thingName, shadowName: "cfg" }));
  await refuses(sendData(new plane.GetThingShadowCommand({ thingName, shadowName: "cfg" })), MISSING);
});

test("a device publishes and asks by its certificate, as far as its policies allow", async () => {
  const device = await newDevice("by-https");
  const statement = (Action: string, resource: string): object => ({
    Effect: "Allow",
    Action,
    Resource: `arn:aws:iot:us-east-1:1:${resource}`,
  });
  const thing = "${iot:Connection.Thing.ThingName}";
  const Statement = [
    statement("iot:Publish", `topic/mine/${thing}/*`),
    statement("iot:GetThingShadow", `thing/${thing}`),
    statement("iot:UpdateThingShadow", `thing/${thing}`),
  ];
  const ask = (
    method: string,
    path: string,
    body?: string,
    identity: Partial<Device> = device,
  ): Promise<[number, string]> => askByCertificate(world.platform.ready.https, identity, method, path, body);
  const [unauthorized] = await ask("POST", "/topics/mine/by-https/t?qos=1", "1");
  assert.equal(unauthorized, 403);
  const policyDocument = JSON.stringify({ Version: "2012-10-17", Statement });
  await send(new iot.CreatePolicyCommand({ policyName: "by-https", policyDocument }));
  await send(new iot.AttachPolicyCommand({ policyName: "by-https", target: device.arn }));
  const [status, text] = await ask("POST", "/topics/mine/by-https/t?qos=1", "1");
  assert.equal(status, 200, text);
  assert.equal((await ask("POST", "/topics/mine%2Fby-https%2Ft?qos=1", "1"))[0], 200);
  assert.equal((await ask("POST", "/topics/mine/by-https/t?qos=1&retain=true", "1"))[0], 403, "iot:RetainPublish");
  assert.equal((await ask("POST", "/topics/mine/another/t?qos=1", "1"))[0], 403);
  assert.equal((await ask("POST", "/things/by-https/shadow", '{"state":{"reported":{"a":1}}}'))[0], 200);
  assert.equal((await ask("GET", "/things/by-https/shadow"))[0], 200);
  assert.equal((await ask("DELETE", "/things/by-https/shadow"))[0], 403);
  assert.equal((await ask("GET", "/things/shadowed/shadow"))[0], 403);
  assert.equal((await ask("GET", "/retainedMessage/a/z"))[0], 403);
  assert.equal((await ask("GET", "/things"))[0], 401, "the registry is for people");
  assert.equal((await ask("POST", "/topics/mine/by-https/t", "1", { ca: device.ca }))[0], 401, "no certificate");
  await send(new iot.UpdateCertificateCommand({ certificateId: device.certificateId, newStatus: "REVOKED" }));
  assert.equal((await ask("POST", "/topics/mine/by-https/t?qos=1", "1"))[0], 401, "revoked");
});

test("the fleet's index: search, statistics, configuration", async () => {
  const { refuses } = world;
  for (const [thingName, floor] of [
    ["found-a", "1"],
    ["found-b", "3"],
  ] as const) {
    await send(new iot.CreateThingCommand({ thingName, attributePayload: { attributes: { floor, site: "Berlin" } } }));
  }
  const queryString = "thingName:found-* attributes.site:berlin";
  const first = await send(new iot.SearchIndexCommand({ queryString, maxResults: 1 }));
  assert.deepEqual(first.things?.[0]?.attributes, { floor: "1", site: "Berlin" });
  assert.equal(first.things[0].connectivity?.connected, false);
  const rest = await send(new iot.SearchIndexCommand({ queryString, maxResults: 1, nextToken: first.nextToken }));
  assert.deepEqual([rest.things?.map((thing) => thing.thingName), rest.nextToken], [["found-b"], undefined]);
  const aggregationField = "attributes.floor";
  const { statistics } = await send(new iot.GetStatisticsCommand({ queryString, aggregationField }));
  assert.deepEqual([statistics?.count, statistics?.average, statistics?.maximum], [2, 2, 3]);
  await refuses(send(new iot.SearchIndexCommand({ queryString: "(a" })), "InvalidQueryException");
  await refuses(send(new iot.GetStatisticsCommand({ queryString: "a:[1" })), "InvalidQueryException");
  const { thingIndexingConfiguration } = await send(new iot.GetIndexingConfigurationCommand({}));
  assert.equal(thingIndexingConfiguration?.thingIndexingMode, "REGISTRY_AND_SHADOW");
  await send(new iot.UpdateIndexingConfigurationCommand({ thingIndexingConfiguration }));
  const thingGroupIndexingConfiguration = { thingGroupIndexingMode: "ON" } as const;
  const more = new iot.UpdateIndexingConfigurationCommand({ thingGroupIndexingConfiguration });
  await refuses(send(more), INVALID);
});

test("a dynamic group follows what its query finds", async () => {
  const queryString = "attributes.zone:north";
  await send(new iot.CreateThingCommand({ thingName: "zoned", attributePayload: { attributes: { zone: "north" } } }));
  await send(new iot.CreateDynamicThingGroupCommand({ thingGroupName: "northern", queryString }));
  const members = async (): Promise<readonly string[]> =>
    (await send(new iot.ListThingsInThingGroupCommand({ thingGroupName: "northern" }))).things ?? [];
  const until = Date.now() + 20_000;
  while ((await members()).length === 0 && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(await members(), ["zoned"]);
  const cycle = new iot.CreateDynamicThingGroupCommand({
    thingGroupName: "round",
    queryString: "NOT thingGroupNames:round",
  });
  await world.refuses(send(cycle), "InvalidQueryException");
  await send(new iot.DeleteDynamicThingGroupCommand({ thingGroupName: "northern" }));
});

test("what we have not is refused by its name", async () => {
  const alias = new iot.CreateRoleAliasCommand({ roleAlias: "r", roleArn: "a" });
  await world.refuses(send(alias), "NotImplementedException");
});

test("every core operation was run", () => {
  const missing = CORE.filter((name) => !world.called.has(name));
  assert.deepEqual(missing, []);
});

function askByCertificate(
  origin: string,
  { key, cert, ca }: Partial<Device>,
  method: string,
  path: string,
  body?: string,
): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const to = new URL(path, origin);
    const options = { method, key, cert, ca, agent: false, ALPNProtocols: ["x-amzn-http-ca"] } as const;
    const request = httpsRequest(to, options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve([response.statusCode!, text]));
    });
    request.on("error", reject);
    request.end(body);
  });
}
