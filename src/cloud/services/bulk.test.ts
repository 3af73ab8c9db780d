import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { createKeyAndCsr } from "../../adapters/pki/mod.ts";
import { LIMITS, seconds } from "../../base/mod.ts";
import { apiWorld, TOKEN } from "../api/api.fixture.ts";
import type { ApiWorld } from "../api/api.fixture.ts";
import type { BulkAnswer } from "../api/contract.ts";

const certificate = {
  Type: "AWS::IoT::Certificate",
  Properties: { CertificateId: { Ref: "AWS::IoT::Certificate::Id" } },
};

function bodyOf(more: object = {}, certificateResource: object = certificate, parameters: object = {}): string {
  return JSON.stringify({
    Parameters: { Serial: { Type: "String" }, Site: { Type: "String", Default: "bay" }, ...parameters },
    Resources: {
      thing: {
        Type: "AWS::IoT::Thing",
        Properties: { ThingName: { "Fn::Sub": "pump-${Serial}" }, AttributePayload: { site: { Ref: "Site" } } },
      },
      certificate: certificateResource,
      policy: { Type: "AWS::IoT::Policy", Properties: { PolicyName: "tidewire-default" } },
      ...more,
    },
    DeviceConfiguration: { site: { Ref: "Site" } },
  });
}

async function bulkWorld(body = bodyOf()): Promise<ApiWorld> {
  const world = await apiWorld();
  world.provisioning.templates.create({ name: "pumps", enabled: true, body });
  return world;
}

async function raw(world: ApiWorld, payload: string, query = "", template = "pumps") {
  const { statusCode, body } = await world.api.app.inject({
    method: "POST",
    url: `/api/bulk-provisioning/${template}${query}`,
    headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/x-ndjson" },
    payload,
  });
  return { status: statusCode, text: body };
}

async function send(world: ApiWorld, lines: readonly object[], query = ""): Promise<readonly BulkAnswer[]> {
  const { status, text } = await raw(world, lines.map((line) => JSON.stringify(line)).join("\n"), query);
  assert.equal(status, 200, text);
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as BulkAnswer);
}

type Done = Extract<BulkAnswer, { outcome: "done" }>;

function done(answer: BulkAnswer | undefined): Done {
  if (answer?.outcome !== "done") assert.fail(JSON.stringify(answer));
  return answer;
}

function failed(answer: BulkAnswer | undefined): string {
  if (answer?.outcome !== "failed") assert.fail(JSON.stringify(answer));
  return answer.reason;
}

const newCsr = async (): Promise<string> => (await createKeyAndCsr("whatever")).csrPem;
const device = async (Serial: string): Promise<object> => ({ csr: await newCsr(), parameters: { Serial } });

describe("devices of a bulk file", () => {
  test("get things, policies and certificates, and are answered in their order", async () => {
    await using world = await bulkWorld();
    const lines = await Promise.all(["1", "2", "3"].map(device));
    const answers = (await send(world, [{ ...lines[0], line: 70 }, lines[1]!, lines[2]!])).map(done);
    assert.deepEqual(
      answers.map(({ line, thing, again, deviceConfiguration }) => [line, thing, again, deviceConfiguration["site"]]),
      [
        [70, "pump-1", false, "bay"],
        [2, "pump-2", false, "bay"],
        [3, "pump-3", false, "bay"],
      ],
    );
    for (const { thing, certificateId, certificatePem } of answers) {
      assert.match(certificatePem, /BEGIN CERTIFICATE/);
      assert.equal(world.registry.things.find(thing)?.attributes["site"], "bay");
      const { status, policies } = principal(world, certificateId);
      assert.deepEqual([status, policies], ["ACTIVE", ["tidewire-default"]]);
    }
  });

  test("whoever asks again with the same key gets the same certificate, also at once and after the CSR was made anew", async () => {
    await using world = await bulkWorld();
    const line = await device("1");
    const [first, second] = await Promise.all([send(world, [line]), send(world, [line])]);
    const later = await send(world, [line]);
    const answers = [first[0], second[0], later[0]].map(done);
    assert.equal(new Set(answers.map(({ certificatePem }) => certificatePem)).size, 1);
    assert.equal(answers.filter(({ again }) => again).length, 2);
    assert.equal(world.registry.things.principalsOf("pump-1").length, 1);
  });

  test("one key is not for two things, nor for other parameters, nor good again when it was revoked", async () => {
    await using world = await bulkWorld();
    const csr = await newCsr();
    const { certificateId } = done((await send(world, [{ csr, parameters: { Serial: "1" } }]))[0]);
    for (const parameters of [{ Serial: "2" }, { Serial: "1", Site: "x" }])
      assert.match(failed((await send(world, [{ csr, parameters }]))[0]), /belongs to the thing 'pump-1'/);
    const twice = await send(world, [{ csr, parameters: { Serial: "3" } }, await device("4")]);
    assert.match(failed(twice[0]), /belongs/);
    done(twice[1]);
    world.registry.certificates.updateStatus(certificateId, "REVOKED");
    assert.match(failed((await send(world, [{ csr, parameters: { Serial: "1" } }]))[0]), /was revoked/);
    assert.equal(world.registry.things.count(), 2);
  });

  test("a crash between what is remembered and what is registered leaves no device without a certificate", async () => {
    await using world = await bulkWorld();
    const line = await device("1");
    const { certificateId } = done((await send(world, [line]))[0]);
    // As if the registry had not been written: nothing of the first attempt is there but its record.
    world.registry.things.detach("pump-1", certificateId);
    world.registry.things.delete("pump-1");
    world.registry.certificates.updateStatus(certificateId, "INACTIVE");
    world.registry.certificates.delete(certificateId, { force: true });
    const again = done((await send(world, [line]))[0]);
    assert.equal(again.again, false);
    assert.notEqual(again.certificateId, certificateId);
    assert.equal(done((await send(world, [line]))[0]).certificateId, again.certificateId);
  });

  test("a thing that exists keeps to itself, unless it is said otherwise", async () => {
    await using world = await bulkWorld();
    world.registry.things.create("pump-1");
    assert.match(failed((await send(world, [await device("1")]))[0]), /'pump-1' exists already/);
    done((await send(world, [await device("1")], "?known=allow"))[0]);
    assert.equal(world.registry.things.principalsOf("pump-1").length, 1);
  });

  test("two lines of one thing: the second is refused", async () => {
    await using world = await bulkWorld();
    const answers = await send(world, [await device("1"), await device("1")]);
    assert.deepEqual(answers.map(({ outcome }) => outcome).toSorted(), ["done", "failed"]);
    assert.equal(world.registry.things.principalsOf("pump-1").length, 1);
  });

  test("hostile names, odd lines and bad requests fail by line, and take nobody along", async () => {
    await using world = await bulkWorld();
    const csr = await newCsr();
    const der = Buffer.from(csr.replaceAll(/-----.*-----/g, ""), "base64");
    der[der.length - 1]! ^= 1; // of the signature
    const tampered = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
    const hostile = ["#", "+", "../x", "a/b", "${iot:ClientId}", "\u202Eevil", "x".repeat(1000), " "];
    const lines = [
      ...hostile.map((Serial) => JSON.stringify({ csr, parameters: { Serial } })),
      "{",
      "[]",
      JSON.stringify({ parameters: { Serial: "1" } }),
      JSON.stringify({ csr: "nonsense", parameters: { Serial: "1" } }),
      JSON.stringify({ csr: tampered, parameters: { Serial: "1" } }),
      JSON.stringify({ csr, parameters: {} }),
      JSON.stringify({ csr, parameters: { Serial: "1", Sight: "x" } }),
      JSON.stringify({ csr, parameters: { Serial: 1 } }),
      JSON.stringify({ csr, parameters: { Serial: "1" }, thing: "root" }),
      JSON.stringify({ csr, parameters: { Serial: "x".repeat(LIMITS.provisioning.requestBytesMax) } }),
      JSON.stringify(await device("good")),
    ];
    const { status, text } = await raw(world, lines.join("\n"));
    assert.equal(status, 200, text);
    const answers = text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as BulkAnswer);
    assert.equal(answers.length, lines.length);
    for (const answer of answers.slice(0, -1)) assert.notEqual(failed(answer), "");
    assert.equal(done(answers.at(-1)).thing, "pump-good");
    assert.equal(world.registry.things.count(), 1);
    const says = answers.slice(hostile.length, -1).map(failed);
    assert.deepEqual(
      says.map((reason) => reason.slice(0, 25)),
      [
        "The line is no JSON objec",
        "The line is no JSON objec",
        "csr is missing, or no tex",
        "The certificate signing r",
        "The certificate signing r",
        "The parameter 'Serial' is",
        "The template has no param",
        "parameters are at most 64",
        "'thing' is not known in a",
        "A line has at most 32768 ",
      ],
    );
  });

  test("AWS's own form of the template, with the CSR as a parameter, needs no such column", async () => {
    const own = { Type: "AWS::IoT::Certificate", Properties: { CertificateSigningRequest: { Ref: "CSR" } } };
    await using world = await bulkWorld(bodyOf({}, own, { CSR: { Type: "String" } }));
    const { json } = await world.ask("GET", "/api/bulk-provisioning/pumps");
    assert.deepEqual(json, {
      template: "pumps",
      parameters: [
        { name: "Serial", required: true },
        { name: "Site", required: false },
      ],
    });
    assert.equal(done((await send(world, [await device("1")]))[0]).thing, "pump-1");
    assert.equal((await send(world, [{ parameters: { Serial: "2" } }], "?dryRun=true"))[0]!.outcome, "checked");
  });
});

describe("a rehearsal", () => {
  test("says what would be refused, and leaves nothing behind", async () => {
    await using world = await bulkWorld();
    world.registry.things.create("pump-known");
    const serials = ["1", "known", "a b", "1"];
    const lines = [...serials.map((Serial) => ({ parameters: { Serial } })), { parameters: {} }, { parameters: [] }];
    const answers = await send(world, lines, "?dryRun=true");
    assert.deepEqual(answers[0], { line: 1, outcome: "checked", thing: "pump-1" });
    const reasons = answers.slice(1).map(failed);
    for (const [i, says] of [
      /exists already/,
      /a space at position/,
      /'pump-1' exists/,
      /'Serial' is missing/,
      /texts/,
    ].entries())
      assert.match(reasons[i]!, says);
    assert.equal(world.registry.things.count(), 1);
    assert.equal(world.registry.certificates.list().items.length, 0);
    done((await send(world, [await device("1")]))[0]);
  });

  test("finds a policy that is missing", async () => {
    const policy = { Type: "AWS::IoT::Policy", Properties: { PolicyName: "nowhere" } };
    await using world = await bulkWorld(bodyOf({ policy }));
    const [answer] = await send(world, [{ parameters: { Serial: "1" } }], "?dryRun=true");
    assert.match(failed(answer), /no policy named 'nowhere'/);
  });
});

describe("a bulk request", () => {
  test("is refused as a whole where its template or its size is wrong, or who asks may not", async () => {
    await using world = await bulkWorld();
    world.provisioning.templates.create({ name: "off", body: bodyOf() });
    world.provisioning.templates.create({ name: "claims", enabled: true, type: "JITP", body: bodyOf() });
    const bare = JSON.stringify({ Resources: { certificate } });
    world.provisioning.templates.create({ name: "bare", enabled: true, body: bare });
    const line = JSON.stringify(await device("1"));
    assert.equal((await raw(world, line, "", "none")).status, 404);
    for (const [template, says] of [
      ["off", /not enabled/],
      ["claims", /type JITP/],
      ["bare", /makes no thing/],
    ] as const) {
      const { status, text } = await raw(world, line, "", template);
      assert.equal(status, 400);
      assert.match(text, says);
      assert.equal((await world.ask("GET", `/api/bulk-provisioning/${template}`)).status, 400);
    }
    const tooMany = `${line}\n`.repeat(LIMITS.provisioning.bulkLinesMax + 1);
    assert.equal((await raw(world, tooMany)).status, 400);
    assert.equal((await raw(world, "\n\n")).status, 400);
    assert.equal((await raw(world, "x".repeat(LIMITS.http.bodyBytesMax + 1))).status, 413);
    assert.equal((await world.askAs({}, "POST", "/api/bulk-provisioning/pumps", {})).status, 401);
    assert.equal(world.registry.things.count(), 0);
  });

  test("waits where devices come faster than the limit", async () => {
    await using world = await bulkWorld();
    const { bulkPerSecondMax, bulkLinesMax } = LIMITS.provisioning;
    const lines = Array.from({ length: bulkLinesMax }, () => ({ csr: "nonsense", parameters: {} }));
    for (let sent = 0; sent < bulkPerSecondMax; sent += bulkLinesMax) await send(world, lines);
    const answered: number[] = [];
    const late = send(world, lines).then((answers) => answered.push(answers.length));
    for (let turn = 0; turn < 50; turn++) await setImmediate();
    assert.deepEqual(answered, []);
    while (answered.length === 0) {
      await world.clock.run(seconds(1) / bulkPerSecondMax);
      await setImmediate();
    }
    await late;
  });

  test("beyond those that are worked on is told to come back", async () => {
    await using world = await bulkWorld();
    const { bulkRequestsMax } = LIMITS.provisioning;
    const lines = await Promise.all(Array.from({ length: bulkRequestsMax + 2 }, (_, i) => device(String(i))));
    const answers = await Promise.all(lines.map((line) => raw(world, JSON.stringify(line))));
    const statuses = answers.map(({ status }) => status);
    assert.equal(statuses.filter((status) => status === 429).length, 2);
    assert.equal(statuses.filter((status) => status === 200).length, bulkRequestsMax);
  });
});

function principal(world: ApiWorld, certificateId: string): { status: string; policies: readonly string[] } {
  const { certificate: found, policies } = world.registry.principalOf(certificateId)!;
  return { status: found.status, policies: policies.map(({ policyName }) => policyName) };
}
