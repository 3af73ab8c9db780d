import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { describe, test } from "node:test";
import { LIMITS, TidewireError, minutes, parseJoinCode } from "../../base/mod.ts";
import { apiWorld } from "../api/api.fixture.ts";
import type { Answer, ApiWorld } from "../api/api.fixture.ts";
import { fingerprintOf, joinProof } from "./joining.ts";

interface Keys {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

const newKeys = (): Keys => generateKeyPairSync("ec", { namedCurve: "P-256" });

function secretOf(code: string): Uint8Array {
  const parsed = parseJoinCode(code);
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed.secret;
}

async function invite(world: ApiWorld, body: object): Promise<string> {
  const { json, status, text } = await world.ask("POST", "/api/join-codes", body);
  assert.equal(status, 200, text);
  return (json as { code: string }).code;
}

function joinAs(world: ApiWorld, secret: Uint8Array, keys: Keys, signer: Keys = keys): Promise<Answer> {
  const publicKey = String(keys.publicKey.export({ type: "spki", format: "pem" }));
  const digest = keys.publicKey.asymmetricKeyType === "ed25519" ? null : "sha256";
  const proof = sign(digest, joinProof(secret), signer.privateKey).toString("base64");
  return world.askAs({}, "POST", "/api/join", { secret: Buffer.from(secret).toString("hex"), publicKey, proof });
}

const codeOf = ({ json }: Answer): string => (json as { code: string }).code;

describe("a join code", () => {
  test("names the CA, makes the thing with the default policy, and is good once", async () => {
    await using world = await apiWorld();
    const code = await invite(world, { thing: "pump-7" });
    const parsed = parseJoinCode(code);
    assert.deepEqual("fingerprint" in parsed && parsed.fingerprint, fingerprintOf(world.authority.certificatePem));
    const joined = await joinAs(world, secretOf(code), newKeys());
    assert.equal(joined.status, 200, joined.text);
    assert.equal(joined.headers["cache-control"], "no-store");
    const [attached] = world.registry.things.principalsOf("pump-7");
    const principal = world.registry.principalOf(attached!.certificateId)!;
    assert.deepEqual(
      principal.policies.map(({ policyName }) => policyName),
      ["tidewire-default"],
    );
    assert.equal(principal.certificate.status, "ACTIVE");
    const thief = await joinAs(world, secretOf(code), newKeys());
    assert.deepEqual([thief.status, codeOf(thief)], [403, "JOIN_CODE_INVALID"]);
  });

  test("answers a device again whose answer was lost, and nobody else", async () => {
    await using world = await apiWorld();
    const secret = secretOf(await invite(world, { thing: "pump-7" }));
    const keys = newKeys();
    const first = await joinAs(world, secret, keys);
    const again = await joinAs(world, secret, keys);
    assert.deepEqual(again.json, first.json);
    assert.equal(world.registry.things.principalsOf("pump-7").length, 1);
  });

  test("two devices with one code at once: one is let in", async () => {
    await using world = await apiWorld();
    const secret = secretOf(await invite(world, { thing: "pump-7" }));
    const answers = await Promise.all([newKeys(), newKeys()].map((keys) => joinAs(world, secret, keys)));
    assert.deepEqual(
      answers.map(({ status }) => status).toSorted((a, b) => a - b),
      [200, 403],
    );
  });

  test("ends with its time", async () => {
    await using world = await apiWorld();
    const secret = secretOf(await invite(world, { thing: "pump-7", validSeconds: 60 }));
    await world.clock.run(minutes(1));
    const late = await joinAs(world, secret, newKeys());
    assert.match(late.text, /it has expired/);
    assert.equal(world.registry.things.count(), 0);
  });

  test("of a template may have several uses; of a thing it has one", async () => {
    await using world = await apiWorld();
    const certificate = {
      Type: "AWS::IoT::Certificate",
      Properties: { CertificateId: { Ref: "AWS::IoT::Certificate::Id" } },
    };
    const thing = {
      Type: "AWS::IoT::Thing",
      Properties: { ThingName: { "Fn::Join": ["", ["u-", { Ref: "AWS::IoT::Certificate::Id" }]] } },
    };
    world.provisioning.templates.create({
      name: "t",
      enabled: true,
      body: JSON.stringify({ Resources: { certificate, thing } }),
    });
    const secret = secretOf(await invite(world, { template: "t", uses: 2 }));
    for (const expected of [200, 200, 403]) assert.equal((await joinAs(world, secret, newKeys())).status, expected);
    assert.equal(world.registry.things.count(), 2);
    for (const body of [
      {},
      { thing: "a", template: "t" },
      { thing: "a", uses: 2 },
      { template: "t", uses: 1_001 },
      { thing: "a", validSeconds: 10_000_000 },
      { thing: "../x" },
    ])
      assert.equal((await world.ask("POST", "/api/join-codes", body)).status, 400, JSON.stringify(body));
    assert.equal((await world.ask("POST", "/api/join-codes", { template: "none" })).status, 404);
    assert.equal((await world.askAs({}, "POST", "/api/join-codes", { thing: "a" })).status, 401);
  });

  test("is not in the list, the log or the database", async () => {
    await using world = await apiWorld();
    const code = await invite(world, { thing: "pump-7" });
    const secret = Buffer.from(secretOf(code)).toString("hex");
    const list = await world.ask("GET", "/api/join-codes");
    const said = `${list.text} ${JSON.stringify(world.logger.lines)}`;
    assert.match(list.text, /pump-7/);
    assert.ok(!said.includes(code) && !said.includes(secret));
  });
});

describe("who has no code", () => {
  test("may guess a few times a minute, and then not even a right one is taken", async () => {
    await using world = await apiWorld();
    const secret = secretOf(await invite(world, { thing: "pump-7" }));
    const { joinFailuresPerAddressMax } = LIMITS.provisioning;
    for (let i = 0; i < joinFailuresPerAddressMax; i++) {
      const guess = await joinAs(world, Uint8Array.of(i, 1, 2, 3, 4), newKeys());
      assert.deepEqual([guess.status, codeOf(guess)], [403, "JOIN_CODE_INVALID"]);
    }
    assert.equal((await joinAs(world, secret, newKeys())).status, 429);
    await world.clock.run(minutes(1));
    assert.equal((await joinAs(world, secret, newKeys())).status, 200);
  });

  test("nor the key that it names, nor one that is good enough: refused, and the code stays", async () => {
    await using world = await apiWorld();
    const secret = secretOf(await invite(world, { thing: "pump-7" }));
    const weak = generateKeyPairSync("rsa", { modulusLength: 1024 });
    for (const answer of [await joinAs(world, secret, newKeys(), newKeys()), await joinAs(world, secret, weak)])
      assert.equal(codeOf(answer), "CERTIFICATE_REFUSED", answer.text);
    const odd = await world.askAs({}, "POST", "/api/join", { secret: "00", publicKey: "x", proof: "" });
    assert.equal(codeOf(odd), "JOIN_CODE_INVALID");
    assert.equal((await joinAs(world, secret, generateKeyPairSync("ed25519"))).status, 200);
  });

  test("a device that cannot be made keeps its code for another attempt", async () => {
    await using world = await apiWorld();
    const { codes } = world.provisioning.joining;
    const { code } = codes.create({ offer: { kind: "thing", thing: "pump-7" } });
    const failing = codes.redeem(secretOf(code), "k", "a", () =>
      Promise.reject(new TidewireError("INTERNAL", { reason: "x" })),
    );
    await assert.rejects(failing, { code: "INTERNAL" });
    assert.equal((await joinAs(world, secretOf(code), newKeys())).status, 200);
  });
});
