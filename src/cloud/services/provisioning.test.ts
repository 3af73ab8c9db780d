import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { createKeyAndCsr } from "../../adapters/pki/mod.ts";
import { LIMITS, encodeUtf8, hours, minutes } from "../../base/mod.ts";
import { claimPolicyDocument, compilePolicy, parsePolicy } from "../../identity/mod.ts";
import {
  CREATE,
  CSR,
  REGISTER,
  certificate,
  own,
  pump,
  refusedAs,
  request,
  templateBody,
  withWorld,
} from "./provisioning.fixture.ts";
import type { Document } from "./provisioning.fixture.ts";

for (const format of ["json", "cbor"]) {
  test(`keys, certificate, thing and policy in ${format}: pending until the template has made it all`, () =>
    withWorld(async (world, ask) => {
      const { document: created } = await ask(`${CREATE}/${format}`, new Uint8Array(0));
      const id = String(created["certificateId"]);
      assert.deepEqual(Object.keys(created).toSorted(), [
        "certificateId",
        "certificateOwnershipToken",
        "certificatePem",
        "privateKey",
      ]);
      assert.equal(world.registry.certificates.describe(id).status, "PENDING_ACTIVATION");
      const { outcome, document } = await ask(`${REGISTER}/${format}`, request(created));
      assert.equal(outcome, "accepted", JSON.stringify(document));
      assert.deepEqual(document, { deviceConfiguration: {}, thingName: "pump-7" });
      const principal = world.registry.principalOf(id)!;
      assert.equal(principal.certificate.status, "ACTIVE");
      assert.deepEqual(
        principal.things.map(({ thing }) => thing.attributes),
        [{ sn: "7" }],
      );
      assert.deepEqual(
        principal.policies.map(({ policyName }) => policyName),
        ["tidewire-default"],
      );
    }));
}

describe("an ownership token", () => {
  const token = "InvalidCertificateOwnershipToken";

  test("is good once, for the client that got it, for an hour", () =>
    withWorld(async (world, ask) => {
      const { document: created } = await ask(`${CREATE}/json`, {});
      await refusedAs(ask(`${REGISTER}/json`, request(created), { clientId: "c2" }), 400, token, /another client/);
      await refusedAs(
        ask(`${REGISTER}/json`, request(created), { certificateId: "c2".repeat(32) }),
        400,
        token,
        /another client/,
      );
      const both = await Promise.all([1, 2].map(() => ask(`${REGISTER}/json`, request(created))));
      assert.deepEqual(both.map(({ outcome }) => outcome).toSorted(), ["accepted", "rejected"]);
      await refusedAs(ask(`${REGISTER}/json`, request(created)), 400, token, /used already/);
      const { document: late } = await ask(`${CREATE}/json`, {});
      await world.clock.run(hours(1));
      await refusedAs(ask(`${REGISTER}/json`, request(late)), 400, token);
    }));

  test("whose thing never came takes its certificate along", () =>
    withWorld(async (world, ask) => {
      const { document: created } = await ask(`${CREATE}/json`, {});
      await world.clock.run(hours(1) + LIMITS.provisioning.sweepPeriod);
      assert.throws(() => world.registry.certificates.describe(String(created["certificateId"])), {
        code: "NOT_FOUND",
      });
      assert.deepEqual(await world.ask("GET", "/certificates").then(({ json }) => json), { certificates: [] });
    }));

  test("is kept where the template refuses the device, which may try again", () =>
    withWorld(async (world, ask) => {
      const { document: created } = await ask(`${CREATE}/json`, {});
      await refusedAs(ask(`${REGISTER}/json`, request(created, "not a name!")), 400, "InvalidParameters");
      assert.equal(world.registry.things.count(), 0);
      assert.equal((await ask(`${REGISTER}/json`, request(created))).outcome, "accepted");
    }));

  test("is not in the database in plain text", () =>
    withWorld(async (world, ask) => {
      const { document: created } = await ask(`${CREATE}/json`, {});
      const { readFileSync, readdirSync } = await import("node:fs");
      const files = readdirSync(world.folder).filter((name) => name.startsWith("provisioning.db"));
      assert.ok(files.length > 0);
      for (const name of files)
        assert.ok(!readFileSync(join(world.folder, name)).includes(String(created["certificateOwnershipToken"])), name);
    }));
});

describe("requests that are wrong", () => {
  test("are refused in AWS's three members, with the step in the log", () =>
    withWorld(async (world, ask) => {
      const { document: created } = await ask(`${CREATE}/json`, {});
      await refusedAs(ask(`${CREATE}/json`, encodeUtf8("{")), 400, "InvalidPayload");
      await refusedAs(ask(`${CREATE}/cbor`, Uint8Array.of(0xff)), 400, "InvalidPayload");
      await refusedAs(ask(`${CREATE}/xml`, {}), 400, "InvalidPayload", /json or \/cbor/);
      await refusedAs(ask(`${CREATE}/json`, [1]), 400, "InvalidPayload");
      await refusedAs(ask(`${CREATE}/json`, { x: "y".repeat(40_000) }), 400, "InvalidPayload", /32768/);
      await refusedAs(ask(`${CREATE}/json`, {}, { certificateId: null }), 403, "ACCESS_DENIED");
      await refusedAs(ask(`${CSR}/json`, {}), 400, "InvalidPayload", /certificateSigningRequest/);
      await refusedAs(ask(`${CSR}/json`, { certificateSigningRequest: "no" }), 400, "InvalidCertificateSigningRequest");
      const token = "InvalidCertificateOwnershipToken";
      await refusedAs(ask(`${REGISTER}/json`, {}), 400, token, /^Certificate ownership token cannot be empty\.$/);
      await refusedAs(
        ask(`${REGISTER}/json`, { ...request(created), parameters: { SN: 7 } }),
        400,
        "InvalidParameters",
      );
      await refusedAs(
        ask(`${REGISTER}/json`, { ...request(created), parameters: {} }),
        400,
        "InvalidParameters",
        /'SN' is missing/,
      );
      const nowhere = "$aws/provisioning-templates/none/provision/json";
      await refusedAs(ask(nowhere, request(created)), 404, "ResourceNotFound");
      world.provisioning.templates.update("t", { enabled: false });
      await refusedAs(ask(`${REGISTER}/json`, request(created)), 403, "ACCESS_DENIED", /not enabled/);
      const said = world.logger.lines.filter(({ message }) => message === "a device was not provisioned");
      assert.ok(said.some(({ fields }) => fields["step"] === "parameters" && fields["template"] === "t"));
      assert.match(await world.metrics.render(), /tidewire_provisioning_refusals_total\{[^}]*step="token"/);
      const text = JSON.stringify(world.logger.lines);
      assert.ok(!text.includes(String(created["certificateOwnershipToken"])), "no token in the log");
    }));

  test("a signing request's own name is not taken over", () =>
    withWorld(async (world, ask) => {
      const { csrPem } = await createKeyAndCsr("somebody-else");
      const { document } = await ask(`${CSR}/json`, { certificateSigningRequest: csrPem });
      const { subject } = world.registry.certificates.describe(String(document["certificateId"]));
      assert.deepEqual(subject["CommonName"], ["Tidewire device"]);
      assert.equal(document["privateKey"], undefined);
    }));

  test("one claim that asks for too much is told to wait; another is served", () =>
    withWorld(async (_world, ask) => {
      const { requestsBurstMax } = LIMITS.provisioning;
      const answers = await Promise.all(
        Array.from({ length: requestsBurstMax + 1 }, () => ask(`${REGISTER}/json`, { certificateOwnershipToken: "x" })),
      );
      assert.equal(answers.filter(({ document }) => document["errorCode"] === "Throttling").length, 1);
      assert.equal(answers.at(-1)!.document["statusCode"], 429);
      assert.equal((await ask(`${CREATE}/json`, {}, { certificateId: "c2".repeat(32) })).outcome, "accepted");
    }));
});

test("one device is one transaction: what fails at its end leaves nothing of its beginning", () =>
  withWorld(
    async (world, ask) => {
      const { document: created } = await ask(`${CREATE}/json`, {});
      await refusedAs(ask(`${REGISTER}/json`, request(created)), 404, "ResourceNotFound", /no policy named 'nope'/);
      assert.equal(world.registry.things.count(), 0);
      const { status } = world.registry.certificates.describe(String(created["certificateId"]));
      assert.equal(status, "PENDING_ACTIVATION");
    },
    {
      body: templateBody({ pump, certificate, nope: { Type: "AWS::IoT::Policy", Properties: { PolicyName: "nope" } } }),
    },
  ));

test("a policy of the template's own is made once, by its hash, and shared", () => {
  const PolicyDocument = {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: "iot:Connect", Resource: "*" }],
  };
  const made = { Type: "AWS::IoT::Policy", Properties: { PolicyDocument } };
  return withWorld(
    async (world, ask) => {
      for (const sn of ["1", "2"]) {
        const { document: created } = await ask(`${CREATE}/json`, {});
        assert.equal((await ask(`${REGISTER}/json`, request(created, sn))).outcome, "accepted");
      }
      const names = world.registry.policies.list().items.map(({ policyName }) => policyName);
      assert.equal(names.filter((name) => /^[0-9a-f]{64}$/.test(name)).length, 1);
    },
    { body: templateBody({ pump, certificate, made }) },
  );
});

describe("a thing that exists", () => {
  const again = (OverrideSettings: object): string =>
    templateBody({ pump: { ...pump, OverrideSettings }, certificate, own });
  const cases = [
    [{}, { site: "x" }],
    [{ AttributePayload: "MERGE" }, { site: "x", sn: "7" }],
    [{ AttributePayload: "REPLACE" }, { sn: "7" }],
  ] as const;
  for (const [overrides, expected] of cases) {
    test(`with ${JSON.stringify(overrides)}`, () =>
      withWorld(
        async (world, ask) => {
          world.registry.things.create("pump-7", { attributes: { site: "x" } });
          const { document: created } = await ask(`${CREATE}/json`, {});
          assert.equal((await ask(`${REGISTER}/json`, request(created))).outcome, "accepted");
          assert.deepEqual(world.registry.things.describe("pump-7").attributes, expected);
        },
        { body: again(overrides) },
      ));
  }
  test('with {"AttributePayload":"FAIL"}: refused', () =>
    withWorld(
      async (world, ask) => {
        world.registry.things.create("pump-7", { attributes: { site: "x" } });
        const { document: created } = await ask(`${CREATE}/json`, {});
        await refusedAs(ask(`${REGISTER}/json`, request(created)), 409, "ResourceConflict", /other attributes/);
      },
      { body: again({ AttributePayload: "FAIL" }) },
    ));
});

describe("a claim", () => {
  test("of a trusted user is for its template and some minutes, then it is gone", () =>
    withWorld(async (world, ask) => {
      const { json } = await world.ask("POST", "/provisioning-templates/t/provisioning-claim");
      const { certificateId, keyPair, expiration } = json as {
        certificateId: string;
        keyPair: Document;
        expiration: number;
      };
      assert.match(String(keyPair["PrivateKey"]), /PRIVATE KEY/);
      assert.equal(expiration, (world.clock.now() + minutes(5)) / 1000);
      world.provisioning.templates.create({ name: "other", body: templateBody(), enabled: true });
      const { document: created } = await ask(`${CREATE}/json`, {}, { certificateId });
      const elsewhere = "$aws/provisioning-templates/other/provision/json";
      await refusedAs(
        ask(elsewhere, request(created), { certificateId }),
        403,
        "ACCESS_DENIED",
        /for the template 't'/,
      );
      assert.equal((await ask(`${REGISTER}/json`, request(created), { certificateId })).outcome, "accepted");
      await world.clock.run(minutes(5) + LIMITS.provisioning.sweepPeriod);
      assert.throws(() => world.registry.certificates.describe(certificateId), { code: "NOT_FOUND" });
    }));

  test("may provision by its template, also from CSR, and nothing else", () => {
    const context = {
      clientId: "x",
      sourceIp: null,
      connectAttributes: [],
      willTopic: null,
      thing: null,
      certificate: null,
    };
    const policy = compilePolicy([{ name: "claim", document: parsePolicy(claimPolicyDocument("t")) }], context);
    for (const topic of [`${CREATE}/json`, `${CREATE}/cbor`, `${CSR}/json`, `${REGISTER}/cbor`]) {
      assert.equal(policy.publish(topic, false), true, topic);
      for (const answer of ["accepted", "rejected"]) {
        assert.equal(policy.subscribe(`${topic}/${answer}`), true, topic);
        assert.equal(policy.receive(`${topic}/${answer}`), true, topic);
      }
      assert.equal(policy.subscribe(`${topic}/+`), true);
      assert.equal(policy.subscribe(topic), false, "others' requests hold tokens");
    }
    for (const topic of ["telemetry/x", "$aws/provisioning-templates/other/provision/json", "$aws/things/x/shadow/get"])
      assert.equal(policy.publish(topic, false), false, topic);
    assert.equal(policy.subscribe("#"), false);
  });
});

test("RegisterThing of the API: a device by its signing request, answered with certificate and ARNs", () =>
  withWorld(async (world) => {
    const { csrPem } = await createKeyAndCsr("x");
    const resources = {
      pump,
      own,
      c: { Type: "AWS::IoT::Certificate", Properties: { CertificateSigningRequest: { Ref: "CSR" }, Status: "ACTIVE" } },
    };
    const body = JSON.stringify({
      Parameters: { SN: { Type: "String" }, CSR: { Type: "String" } },
      Resources: resources,
    });
    const { json, status } = await world.ask("POST", "/things", {
      templateBody: body,
      parameters: { SN: "1", CSR: csrPem },
    });
    assert.equal(status, 200, JSON.stringify(json));
    const { certificatePem, resourceArns } = json as { certificatePem: string; resourceArns: Record<string, string> };
    assert.match(certificatePem, /BEGIN CERTIFICATE/);
    assert.match(resourceArns["thing"]!, /:thing\/pump-1$/);
    const wrong = await world.ask("POST", "/things", { templateBody: "{}" });
    assert.equal(wrong.status, 400);
  }));

test("templates over the API: create, describe, versions, default, delete", () =>
  withWorld(async (world) => {
    const body = templateBody();
    const made = await world.ask("POST", "/provisioning-templates", {
      templateName: "u",
      templateBody: body,
      provisioningRoleArn: "r",
    });
    assert.deepEqual([made.status, (made.json as Document)["defaultVersionId"]], [200, 1]);
    assert.equal(
      (await world.ask("POST", "/provisioning-templates", { templateName: "u", templateBody: body })).status,
      409,
    );
    for (const name of ["a/b", "", "x".repeat(37), "+", "ü"])
      assert.equal(
        (await world.ask("POST", "/provisioning-templates", { templateName: name, templateBody: body })).status,
        400,
        name,
      );
    const described = (await world.ask("GET", "/provisioning-templates/u")).json as Document;
    assert.deepEqual(
      [described["templateBody"], described["provisioningRoleArn"], described["type"]],
      [body, "r", "FLEET_PROVISIONING"],
    );
    const path = "/provisioning-templates/u/versions";
    for (let i = 2; i <= 5; i++)
      assert.equal((await world.ask("POST", `${path}?setAsDefault=${i === 2}`, { templateBody: body })).status, 200);
    assert.equal((await world.ask("POST", path, { templateBody: body })).status, 410);
    assert.equal((await world.ask("DELETE", `${path}/2`)).status, 409, "the default stays");
    assert.equal((await world.ask("DELETE", `${path}/1`)).status, 200);
    const { versions } = (await world.ask("GET", path)).json as { versions: Document[] };
    assert.deepEqual(
      versions.map((v) => [v["versionId"], v["isDefaultVersion"]]),
      [
        [2, true],
        [3, false],
        [4, false],
        [5, false],
      ],
    );
    assert.equal((await world.ask("DELETE", "/provisioning-templates/u")).status, 200);
    assert.equal((await world.ask("GET", "/provisioning-templates/u")).status, 404);
  }));
