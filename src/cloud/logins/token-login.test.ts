import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { SignJWT } from "jose";
import type { JWTHeaderParameters } from "jose";
import type { SimClient } from "../../../sim/mqtt-client.ts";
import { jwtVerifier } from "../../adapters/jwt-verifier.ts";
import { LIMITS, TidewireError, days, encodeUtf8, hours, minutes, seconds } from "../../base/mod.ts";
import { DEFAULT_POLICY_NAME } from "../../identity/mod.ts";
import { REASON } from "../../wire/mqtt/mod.ts";
import { withDoor } from "./logins.fixture.ts";
import type { DoorWorld } from "./logins.fixture.ts";
import { Review } from "./review.ts";
import { TokenLogin } from "./token-login.ts";
import type { TokenIssuer } from "./token-login.ts";

const ISSUER = "https://id.example";
const AUDIENCE = "tidewire";

interface Signer {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

function signer(kid: string, alg: "ES256" | "RS256" = "ES256"): Signer {
  const pair =
    alg === "ES256"
      ? generateKeyPairSync("ec", { namedCurve: "P-256" })
      : generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { kid, alg, ...pair };
}

const [first, second, rsa] = [signer("first"), signer("second"), signer("rsa", "RS256")];
const setOf = (...keys: readonly Signer[]): string =>
  JSON.stringify({
    keys: keys.map(({ kid, alg, publicKey }) => Object.assign(publicKey.export({ format: "jwk" }), { kid, alg })),
  });

interface House extends DoorWorld {
  readonly token: (
    claims?: Record<string, unknown>,
    by?: Signer,
    header?: Partial<JWTHeaderParameters>,
  ) => Promise<string>;
  readonly logIn: (token: string, clientId?: string) => Promise<SimClient>;
  /** What the issuer publishes; null: it cannot be reached. */
  published: string | null;
  asked: number;
}

async function withHouse(work: (house: House) => Promise<void>, change: Partial<TokenIssuer> = {}): Promise<void> {
  await withDoor(async (door) => {
    const { world, registry, gatekeeper } = door;
    const { clock, logger, metrics } = world;
    const now = (): number => Math.floor(clock.now() / 1000);
    const house: House = {
      ...door,
      published: setOf(first, rsa),
      asked: 0,
      token: (claims = {}, by = first, header = {}) =>
        new SignJWT({
          iss: ISSUER,
          aud: AUDIENCE,
          sub: "pump-1",
          iat: now(),
          exp: now() + 600,
          ...claims,
        })
          .setProtectedHeader({ alg: by.alg, kid: by.kid, ...header })
          .sign(by.privateKey),
      logIn: (token, clientId = "pump-1") => door.knock(clientId, { username: "?SDK=x", password: encodeUtf8(token) }),
    };
    const verifier = jwtVerifier({
      keys: new Map([[ISSUER, "https://id.example/keys"]]),
      fetchText: async () => {
        house.asked++;
        if (house.published === null) throw new TidewireError("OUTGOING_FAILED", { origin: ISSUER, reason: "refused" });
        return house.published;
      },
      clock,
      logger,
    });
    const issuer: TokenIssuer = {
      issuer: ISSUER,
      audience: AUDIENCE,
      algorithms: ["ES256", "RS256"],
      thing: "sub",
      clientId: null,
      policies: [DEFAULT_POLICY_NAME],
      policiesClaim: null,
      policiesAllowed: [],
      ...change,
    };
    const review = new Review({ scheduler: clock, logger });
    review.start(world.broker);
    const login = new TokenLogin({ issuers: [issuer], verifier, registry, gatekeeper, review, clock, logger, metrics });
    world.admit = (peer, connect) => login.admit(peer, connect);
    for (const thing of ["pump-1", "pump-2"]) registry.things.create(thing);
    try {
      await work(house);
    } finally {
      login.close();
      review.close();
    }
  });
}

const codeOf = (client: SimClient): number | undefined => client.last("connack")?.reasonCode;
const said = (client: SimClient): string => client.last("connack")?.reasonString ?? "";
const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

describe("a device with a token", () => {
  for (const by of [first, rsa]) {
    test(`is let in as the thing that the token names (${by.alg})`, () =>
      withHouse(async ({ logIn, token, world }) => {
        const client = await logIn(await token({}, by));
        assert.equal(codeOf(client), 0, said(client));
        client.publish("telemetry/pump-1/engine", "1", { qos: 1, packetId: 1 });
        client.publish("telemetry/pump-2/engine", "1", { qos: 1, packetId: 2 });
        await world.run();
        const codes = client.received.filter((p) => p.type === "puback").map((p) => p.reasonCode);
        assert.deepEqual(codes, [0, REASON.notAuthorized]);
        assert.deepEqual(
          [...world.broker.connections()].map(({ principal }) => principal),
          ["jwt/pump-1"],
        );
      }));
  }

  test("has policies that the token adds, of those that its issuer may give, and no other", () =>
    withHouse(
      async ({ logIn, token, registry, world }) => {
        const Statement = { Effect: "Allow", Action: ["iot:Publish"], Resource: "arn:aws:iot:l:0:topic/extra" };
        registry.policies.put("extra", JSON.stringify({ Version: "2012-10-17", Statement }));
        const client = await logIn(await token({ may: ["extra"] }));
        client.publish("extra", "1", { qos: 1, packetId: 1 });
        await world.run();
        assert.equal(client.received.find((p) => p.type === "puback")?.reasonCode, 0);
        for (const may of [["extra", "root"], "root", { a: 1 }, 7]) {
          const refused = await logIn(await token({ may }));
          assert.equal(codeOf(refused), REASON.badUserNameOrPassword, JSON.stringify(may));
          assert.match(said(refused), /which its issuer may not give/);
        }
      },
      { policiesClaim: "may", policiesAllowed: ["extra"] },
    ));

  test("may be held to the client id that the token names", () =>
    withHouse(
      async ({ logIn, token }) => {
        assert.equal(codeOf(await logIn(await token({ cid: "pump-1" }))), 0);
        assert.equal(codeOf(await logIn(await token({ cid: "pump-2" }))), REASON.clientIdentifierNotValid);
        assert.equal(codeOf(await logIn(await token())), REASON.badUserNameOrPassword);
      },
      { clientId: "cid" },
    ));

  test("is refused where a policy of its issuer is missing, or its thing is not there", () =>
    withHouse(async ({ logIn, token }) => assert.equal(codeOf(await logIn(await token())), REASON.notAuthorized), {
      policies: [DEFAULT_POLICY_NAME, "missing"],
    }).then(() =>
      withHouse(async ({ logIn, token, refusals }) => {
        const client = await logIn(await token({ sub: "nobody" }));
        assert.equal(codeOf(client), REASON.badUserNameOrPassword);
        assert.match(refusals.at(-1)?.sentence ?? "", /'nobody', and there is no such thing/);
      }),
    ));
});

describe("a token is refused", () => {
  const cases: Readonly<Record<string, readonly [RegExp, (house: House) => Promise<string> | string]>> = {
    "that has expired": [/expired/, ({ token, world }) => token({ exp: world.clock.now() / 1000 - 120 })],
    "that is not valid yet": [/not valid yet/, ({ token, world }) => token({ nbf: world.clock.now() / 1000 + 120 })],
    "that was issued in the future": [
      /in the future/,
      ({ token, world }) => token({ iat: world.clock.now() / 1000 + 120 }),
    ],
    "that is good for ten years": [
      /more than a year/,
      ({ token, world }) => token({ exp: world.clock.now() / 1000 + 315_360_000 }),
    ],
    "without expiry": [/'exp'/, ({ token }) => token({ exp: undefined })],
    "for somebody else": [/somebody else/, ({ token }) => token({ aud: "another" })],
    "without audience": [/somebody else|'aud'/, ({ token }) => token({ aud: undefined })],
    "of another issuer": [/not one of this platform's/, ({ token }) => token({ iss: "https://evil.example" })],
    "without issuer": [/names its issuer/, ({ token }) => token({ iss: undefined })],
    "signed with a key that the issuer does not have": [/does not have/, ({ token }) => token({}, second)],
    "signed by another with the issuer's key id": [/signature/, ({ token }) => token({}, { ...second, kid: "first" })],
    "whose key id is a path": [/does not have/, ({ token }) => token({}, first, { kid: "../../../../etc/passwd" })],
    "that brings its own key": [
      /signature/,
      ({ token }) => token({}, { ...second, kid: "first" }, { jwk: second.publicKey.export({ format: "jwk" }) }),
    ],
    "that says where its key is": [
      /does not have/,
      ({ token }) => token({}, second, { jku: "https://evil.example/keys", x5u: "https://evil.example/x" }),
    ],
    "with a critical header that nobody knows": [
      /not well-formed/,
      async ({ world }) => {
        const exp = Math.floor(world.clock.now() / 1000) + 600;
        const header = { alg: "ES256", kid: "first", crit: ["own"], own: 1 };
        return `${base64url(header)}.${base64url({ iss: ISSUER, aud: AUDIENCE, sub: "pump-1", exp })}.AAAA`;
      },
    ],
    "with the algorithm none": [
      /algorithm/,
      ({ world }) => {
        const exp = Math.floor(world.clock.now() / 1000) + 600;
        return `${base64url({ alg: "none" })}.${base64url({ iss: ISSUER, aud: AUDIENCE, sub: "pump-1", exp })}.`;
      },
    ],
    "signed with HS256 and the public key as the secret": [
      /algorithm/,
      ({ world }) => {
        const exp = Math.floor(world.clock.now() / 1000) + 600;
        const pem = first.publicKey.export({ format: "pem", type: "spki" });
        const claims = base64url({ iss: ISSUER, aud: AUDIENCE, sub: "pump-1", exp });
        const text = `${base64url({ alg: "HS256", kid: "first" })}.${claims}`;
        return `${text}.${createHmac("sha256", pem).update(text).digest("base64url")}`;
      },
    ],
    "whose claims were altered": [
      /signature/,
      async ({ token }) => {
        const [header, claims, signature] = (await token()).split(".") as [string, string, string];
        const altered = { ...(JSON.parse(Buffer.from(claims, "base64url").toString()) as object), sub: "pump-2" };
        return [header, base64url(altered), signature].join(".");
      },
    ],
    "whose thing is no name": [/no thing's name/, ({ token }) => token({ sub: "pump/+" })],
    "that is none": [/no token/, () => "just a password"],
    "of 9 KiB": [/bytes/, () => "x".repeat(9 * 1024)],
  };
  for (const [what, [reason, make]] of Object.entries(cases)) {
    test(what, () =>
      withHouse(async (house) => {
        const client = await house.logIn(await make(house));
        assert.equal(codeOf(client), REASON.badUserNameOrPassword, said(client));
        assert.match(said(client), reason);
      }),
    );
  }

  test("but not where the clocks differ by less than a minute", () =>
    withHouse(async ({ logIn, token, world }) => {
      const now = world.clock.now() / 1000;
      for (const claims of [{ exp: now - 30 }, { nbf: now + 30 }, { iat: now + 30 }])
        assert.equal(codeOf(await logIn(await token(claims))), 0, JSON.stringify(claims));
    }));

  test("and where our clock is ten years off, all are, with the clock as the reason", () =>
    withHouse(async ({ logIn, token, world }) => {
      const good = await token();
      world.clock.jump(3650 * days(1));
      assert.match(said(await logIn(good)), /expired/);
      world.clock.jump(-7300 * days(1));
      assert.match(said(await logIn(good)), /in the future/);
    }));
});

describe("a live connection by token", () => {
  test("ends when the token does", () =>
    withHouse(async ({ logIn, token, world }) => {
      const client = await logIn(await token({ exp: Math.floor(world.clock.now() / 1000) + 20 }));
      await world.run(seconds(15));
      assert.equal(client.open, true);
      await world.run(seconds(6));
      assert.equal(client.open, false);
      assert.equal(client.last("disconnect")?.reasonCode, REASON.notAuthorized);
    }));

  const deny = JSON.stringify({
    Version: "2012-10-17",
    Statement: { Effect: "Deny", Action: "iot:Connect", Resource: "*" },
  });
  const changes: Readonly<Record<string, (house: House) => unknown>> = {
    "its policy is changed": ({ registry }) => registry.policies.put(DEFAULT_POLICY_NAME, deny),
    "its group gets a policy that denies": ({ registry }) => {
      registry.policies.put("deny", deny);
      registry.groups.create("g");
      registry.groups.add("g", "pump-1");
      registry.policies.attach("deny", "arn:aws:iot:l:0:thinggroup/g");
    },
    "its thing comes into such a group": ({ registry }) => {
      registry.policies.put("deny", deny);
      registry.groups.create("g");
      registry.policies.attach("deny", "arn:aws:iot:l:0:thinggroup/g");
      registry.groups.add("g", "pump-1");
    },
    "its thing goes": ({ registry }) => registry.things.delete("pump-1"),
  };
  for (const [when, change] of Object.entries(changes)) {
    test(`ends within a second when ${when}`, () =>
      withHouse(async (house) => {
        const [concerned, other] = [
          await house.logIn(await house.token()),
          await house.logIn(await house.token({ sub: "pump-2" }), "pump-2"),
        ];
        assert.deepEqual([codeOf(concerned), codeOf(other)], [0, 0]);
        change(house);
        await house.world.run(500);
        assert.equal(concerned.open, false);
        assert.equal(other.open, when !== "its policy is changed");
      }));
  }
});

describe("an issuer's keys", () => {
  const { issuerKeysAskedEvery, issuerKeysFreshFor, issuerKeysKeptFor } = LIMITS.logins;

  test("are asked for once, and again when a key is not known, but not as often as such tokens come", () =>
    withHouse(async (house) => {
      for (let n = 0; n < 5; n++) await house.logIn(await house.token());
      assert.equal(house.asked, 1);
      await house.world.run(issuerKeysAskedEvery);
      for (let n = 0; n < 20; n++) await house.logIn(await house.token({}, second));
      assert.equal(house.asked, 2);
      house.published = setOf(first, second);
      await house.world.run(issuerKeysAskedEvery);
      assert.equal(codeOf(await house.logIn(await house.token({}, second))), 0, "the issuer has a new key");
      assert.equal(house.asked, 3);
    }));

  test("that are taken back are worth nothing once the set is old", () =>
    withHouse(async (house) => {
      assert.equal(codeOf(await house.logIn(await house.token())), 0);
      house.published = setOf(second);
      await house.world.run(issuerKeysFreshFor + 1);
      await house.logIn(await house.token());
      assert.equal(codeOf(await house.logIn(await house.token())), REASON.badUserNameOrPassword);
    }));

  test("stay for a day while the issuer is away; then, and before the first time, nobody is let in for now", () =>
    withHouse(async (house) => {
      const { world } = house;
      house.published = null;
      assert.equal(codeOf(await house.logIn(await house.token())), REASON.serverUnavailable);
      house.published = setOf(first);
      await world.run(issuerKeysAskedEvery);
      assert.equal(codeOf(await house.logIn(await house.token())), 0);
      house.published = null;
      world.clock.advance(hours(1));
      assert.equal(codeOf(await house.logIn(await house.token())), 0);
      world.clock.advance(issuerKeysKeptFor);
      assert.equal(codeOf(await house.logIn(await house.token())), REASON.serverUnavailable);
      assert.ok(world.logger.lines.some(({ message }) => /keys of a token issuer/.test(message)));
    }));

  test("that are no set, too many, or secrets are not taken", () =>
    withHouse(async (house) => {
      const secret = { kty: "oct", k: Buffer.from("secret").toString("base64url"), kid: "first", alg: "HS256" };
      const many = { keys: Array.from({ length: 101 }, () => first.publicKey.export({ format: "jwk" })) };
      for (const bad of ["{", "[]", '{"keys":7}', JSON.stringify(many)]) {
        house.published = bad;
        assert.equal(codeOf(await house.logIn(await house.token())), REASON.serverUnavailable, bad.slice(0, 20));
        await house.world.run(issuerKeysAskedEvery);
      }
      house.published = JSON.stringify({ keys: [secret] });
      assert.equal(codeOf(await house.logIn(await house.token())), REASON.badUserNameOrPassword);
    }));

  test("may stand in a file, which is read again when it is written anew", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tidewire-keys-"));
    try {
      await withDoor(async ({ world }) => {
        const { clock, logger } = world;
        const path = join(folder, "keys.json");
        writeFileSync(path, setOf(first));
        const fetchText = (): Promise<string> => assert.fail("nothing is fetched");
        const verifier = jwtVerifier({ keys: new Map([[ISSUER, path]]), fetchText, clock, logger });
        const rules = { issuer: ISSUER, audience: [AUDIENCE], algorithms: ["ES256"] };
        const verdict = async (by: Signer): Promise<boolean> => {
          const exp = Math.floor(clock.now() / 1000) + 600;
          const jwt = new SignJWT({ iss: ISSUER, aud: AUDIENCE, exp }).setProtectedHeader({
            alg: "ES256",
            kid: by.kid,
          });
          return (await verifier.verify(await jwt.sign(by.privateKey), rules, clock.now())).ok;
        };
        assert.deepEqual([await verdict(first), await verdict(second)], [true, false]);
        writeFileSync(path, setOf(second));
        clock.advance(minutes(1));
        assert.deepEqual([await verdict(second), await verdict(first)], [true, false]);
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
