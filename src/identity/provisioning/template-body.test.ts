import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parsePolicy } from "../policy-document.ts";
import { planFor } from "./plan.ts";
import { parseTemplateBody } from "./template-body.ts";
import type { TemplateType } from "./template-body.ts";

const certificate = {
  Type: "AWS::IoT::Certificate",
  Properties: { CertificateId: { Ref: "AWS::IoT::Certificate::Id" }, Status: "Active" },
};

function body(changes: object = {}, type: TemplateType = "FLEET_PROVISIONING"): ReturnType<typeof parseTemplateBody> {
  const whole = { Parameters: { SN: { Type: "String" } }, Resources: { certificate }, ...changes };
  return parseTemplateBody(JSON.stringify(whole), type, parsePolicy);
}

const thing = (properties: object, overrides: object = {}): object => ({
  certificate,
  thing: {
    Type: "AWS::IoT::Thing",
    Properties: { ThingName: { Ref: "SN" }, ...properties },
    OverrideSettings: overrides,
  },
});
const policy = (properties: object): object => ({
  certificate,
  policy: { Type: "AWS::IoT::Policy", Properties: properties },
});

describe("a template's body that is wrong is refused with its place", () => {
  const cases: readonly (readonly [name: string, changes: object, message: RegExp])[] = [
    ["an unknown member", { Resource: {} }, /at Resource: it is not known here; known are Parameters/],
    ["a parameter of another type", { Parameters: { n: { Type: "Number" } } }, /at Parameters\.n\.Type/],
    ["a default that is no text", { Parameters: { n: { Type: "String", Default: 7 } } }, /at Parameters\.n\.Default/],
    ["no resources", { Resources: undefined }, /at Resources: it is missing/],
    ["no certificate", { Resources: {} }, /at Resources: there must be exactly one AWS::IoT::Certificate/],
    [
      "two things",
      { Resources: { ...thing({}), second: { Type: "AWS::IoT::Thing", Properties: { ThingName: "x" } } } },
      /at Resources\.second: a template makes one thing/,
    ],
    [
      "a resource of another kind",
      { Resources: { certificate, s3: { Type: "AWS::S3::Bucket" } } },
      /at Resources\.s3\.Type/,
    ],
    [
      "a thing without a name",
      { Resources: { certificate, t: { Type: "AWS::IoT::Thing" } } },
      /at Resources\.t\.Properties\.ThingName: it is missing/,
    ],
    [
      "a property that does not exist",
      { Resources: thing({ ThingNam: "x" }) },
      /at Resources\.thing\.Properties\.ThingNam/,
    ],
    [
      "a parameter that is not declared",
      { Resources: thing({ ThingTypeName: { Ref: "Typ" } }) },
      /ThingTypeName\.Ref: 'Typ' is not among/,
    ],
    [
      "one deep inside",
      { Resources: thing({ AttributePayload: { a: { "Fn::Join": ["", ["x", { Ref: "no" }]] } } }) },
      /AttributePayload\.a\.Fn::Join\[1\]\[1\]\.Ref: 'no'/,
    ],
    [
      "a function that does not exist",
      { Resources: thing({ ThingTypeName: { "Fn::If": [] } }) },
      /Fn::If: there is no such function/,
    ],
    ["Fn::Join without a list", { Resources: thing({ ThingTypeName: { "Fn::Join": "x" } }) }, /Fn::Join: it takes/],
    [
      "Fn::Sub of an unknown parameter",
      { Resources: thing({ ThingTypeName: { "Fn::Sub": "a${B}" } }) },
      /'B' is not among/,
    ],
    [
      "a map that does not exist",
      { Resources: thing({ ThingTypeName: { "Fn::FindInMap": ["M", "a", "b"] } }) },
      /there is no map 'M'/,
    ],
    [
      "a subject's name in fleet provisioning",
      { Resources: thing({ ThingTypeName: { Ref: "AWS::IoT::Certificate::CommonName" } }) },
      /is not among/,
    ],
    [
      "an override that does not exist",
      { Resources: thing({}, { ThingTypeName: "MERGE" }) },
      /OverrideSettings\.ThingTypeName: it must be one of DO_NOTHING, REPLACE, FAIL/,
    ],
    [
      "a policy of nothing",
      { Resources: policy({}) },
      /at Resources\.policy\.Properties: it needs a PolicyName or a PolicyDocument/,
    ],
    [
      "a policy document that is none",
      {
        Resources: policy({
          PolicyDocument: {
            Version: "2012-10-17",
            Statement: [{ Effect: "Alow", Action: "iot:Connect", Resource: "*" }],
          },
        }),
      },
      /at Resources\.policy\.Properties\.PolicyDocument: .*Effect/,
    ],
    [
      "overrides of a policy",
      {
        Resources: {
          certificate,
          p: { Type: "AWS::IoT::Policy", Properties: { PolicyName: "x" }, OverrideSettings: { a: "FAIL" } },
        },
      },
      /at Resources\.p\.OverrideSettings\.a/,
    ],
    [
      "a status that does not exist",
      { Resources: { c: { ...certificate, Properties: { CertificateId: "x", Status: "Revoked" } } } },
      /at Resources\.c\.Properties\.Status: it must be ACTIVE or INACTIVE/,
    ],
    [
      "a certificate of two sources",
      { Resources: { c: { ...certificate, Properties: { CertificateId: "x", CertificatePem: "y" } } } },
      /exactly one of CertificateId/,
    ],
  ];
  for (const [name, changes, message] of cases) {
    test(name, () => assert.throws(() => body(changes), { code: "REQUEST_INVALID", message }));
  }

  test("no JSON, too much of it, too deep", () => {
    const parse = (text: string): unknown => parseTemplateBody(text, "JITP", parsePolicy);
    assert.throws(() => parse("{"), { message: /it is not JSON/ });
    assert.throws(() => parse(" ".repeat(10_241)), { message: /more than 10240/ });
    assert.throws(() => parse("[".repeat(30)), { message: /24 levels/ });
  });
});

describe("a template for one device", () => {
  const plan = (changes: object, parameters: Record<string, string>): ReturnType<typeof planFor> =>
    planFor(body(changes), parameters, { "AWS::IoT::Certificate::Id": "ab" });

  test("every function, as AWS's guide has them", () => {
    const Mappings = { Sites: { north: { url: "https://n", level: 3 } } };
    const properties = {
      ThingName: { "Fn::Join": ["_", ["pump", { Ref: "SN" }]] },
      ThingTypeName: { "Fn::Select": [1, { "Fn::Split": ["|", "a|b|c"] }] },
      ThingGroups: [{ "Fn::Sub": "g-${SN}" }],
      BillingGroup: "b",
      AttributePayload: {
        level: { "Fn::FindInMap": ["Sites", "north", "level"] },
        mixed: { "Fn::Sub": ["${SN}/${Own}/${!SN}", { Own: { "Fn::Select": ["0", ["x"]] } }] },
        id: { Ref: "AWS::IoT::Certificate::Id" },
      },
    };
    const made = plan(
      {
        Mappings,
        Resources: thing(properties),
        DeviceConfiguration: { u: { "Fn::FindInMap": ["Sites", "north", "url"] } },
      },
      { SN: "7" },
    );
    assert.equal(made.thing?.name, "pump_7");
    assert.equal(made.thing?.typeName, "b");
    assert.deepEqual(made.thing?.groups, ["g-7"]);
    assert.deepEqual(made.thing?.attributes, { level: "3", mixed: "7/x/${SN}", id: "ab" });
    assert.deepEqual(made.deviceConfiguration, { u: "https://n" });
    assert.equal(made.certificate.status, "ACTIVE");
  });

  test("a missing parameter, and one beyond the end, are the device's fault and said", () => {
    assert.throws(() => plan({ Resources: thing({}) }, {}), { code: "InvalidParameters", message: /'SN' is missing/ });
    const far = thing({ ThingTypeName: { "Fn::Select": [5, ["a"]] } });
    assert.throws(() => plan({ Resources: far }, { SN: "7" }), { code: "InvalidParameters" });
    assert.throws(() => plan({ Resources: thing({}) }, { SN: "x".repeat(2_049) }), { message: /2048/ });
  });

  test("a device does not overwrite what the platform knows, nor reach into objects' insides", () => {
    const named = thing({ ThingName: { Ref: "AWS::IoT::Certificate::Id" } });
    assert.equal(plan({ Resources: named }, { SN: "7", "AWS::IoT::Certificate::Id": "forged" }).thing?.name, "ab");
    const inside = {
      Mappings: { M: {} },
      Resources: thing({ ThingTypeName: { "Fn::FindInMap": ["M", { Ref: "SN" }, "name"] } }),
    };
    assert.throws(() => plan(inside, { SN: "constructor" }), { code: "InvalidParameters" });
  });

  test("what a device says cannot widen its policy, or end the text that it stands in", () => {
    const Statement = [
      { Effect: "Allow", Action: "iot:Publish", Resource: { "Fn::Sub": "arn:aws:iot:a:b:topic/${SN}/x" } },
    ];
    const changes = { Resources: policy({ PolicyDocument: { Version: "2012-10-17", Statement } }) };
    assert.match(plan(changes, { SN: "7" }).policies[0]!.document!, /topic\/7\/x/);
    for (const hostile of ["*", "?", "a/+", "#", "${iot:ClientId}", 'x"]},{', "\\", "a\nb"]) {
      assert.throws(() => plan(changes, { SN: hostile }), {
        code: "InvalidParameters",
        message: /must not stand in a policy/,
      });
    }
  });
});
