import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { SimClient } from "../../../sim/mqtt-client.ts";
import { SimRandom } from "../../../sim/world.ts";
import { passwordHasher } from "../../adapters/password-hash.ts";
import { scramHash } from "../../adapters/scram-hash.ts";
import { LIMITS, TidewireError, encodeUtf8, minutes } from "../../base/mod.ts";
import { DEFAULT_POLICY_NAME } from "../../identity/mod.ts";
import type { PasswordHasher, SharedAttempts } from "../../people/mod.ts";
import { REASON } from "../../wire/mqtt/mod.ts";
import { withDoor } from "./logins.fixture.ts";
import type { DoorWorld } from "./logins.fixture.ts";
import { passwordDesk } from "./password-desk.ts";
import { PasswordLogin } from "./password-login.ts";
import { PasswordUses } from "./password-uses.ts";

/** Quick, and counts what is asked of it; the real one is `adapters/password-hash.ts`. */
class CountedHasher implements PasswordHasher {
  verified: string[] = [];
  busy = false;
  outdated = false;

  async hash(password: string): Promise<string> {
    return `hash of ${password}`;
  }

  async verify(password: string, stored: string): Promise<"wrong" | "right" | "outdated"> {
    if (this.busy) throw new TidewireError("TOO_MANY_REQUESTS", { retryAfter: "a few seconds" });
    this.verified.push(stored);
    await new Promise((resolve) => setImmediate(resolve));
    if (stored === `old hash of ${password}`) return "outdated";
    return stored === `hash of ${password}` ? "right" : "wrong";
  }
}

const PASSWORD = "correct horse battery";

interface House extends DoorWorld {
  readonly hasher: CountedHasher;
  readonly logIn: (
    name: string | null,
    password: string | null,
    from?: string,
    clientId?: string,
  ) => Promise<SimClient>;
}

/** `pump-1` and `pump-2` have passwords and the default policy; `bare` is a thing without. */
const withHouse = (
  work: (house: House) => Promise<void>,
  hasher = new CountedHasher(),
  failures: SharedAttempts | null = null,
): Promise<void> =>
  withDoor(async (door) => {
    const { world, registry, gatekeeper } = door;
    const { clock, logger, metrics } = world;
    const ports = { clock, logger, metrics, random: new SimRandom(3), hash: scramHash };
    const passwordUses = new PasswordUses(ports.clock);
    const login = new PasswordLogin({ ...ports, registry, gatekeeper, passwords: hasher, passwordUses, failures });
    world.admit = (peer, connect) => login.admit(peer, connect);
    const desk = passwordDesk({ registry, random: ports.random, passwords: hasher, passwordUses });
    for (const thing of ["pump-1", "pump-2", "bare"]) registry.things.create(thing, { attributes: { site: "b" } });
    for (const thing of ["pump-1", "pump-2"]) await desk.set(thing, { password: PASSWORD });
    const logIn: House["logIn"] = (username, password, from, clientId = username?.split("?")[0] ?? "x") =>
      door.knock(clientId, { username, password: password === null ? null : encodeUtf8(password) }, from);
    await work({ ...door, hasher, logIn });
  });

const codeOf = (client: SimClient): number | undefined => client.last("connack")?.reasonCode;

describe("a device with a password", () => {
  test("is let in as its thing, with its policies; certificates' variables have no value for it", () =>
    withHouse(async ({ logIn, registry, world }) => {
      const statement = {
        Effect: "Allow",
        Action: "iot:Publish",
        Resource: "arn:aws:iot:l:0:topic/c/${iot:Certificate.Subject.CommonName}",
      };
      registry.policies.put("by-certificate", JSON.stringify({ Version: "2012-10-17", Statement: statement }));
      registry.policies.attach("by-certificate", "password/pump-1");
      const client = await logIn("pump-1", PASSWORD);
      assert.equal(codeOf(client), 0);
      client.publish("telemetry/pump-1/engine", "1", { qos: 1, packetId: 1 });
      client.publish("telemetry/pump-2/engine", "1", { qos: 1, packetId: 2 });
      client.publish("c/", "1", { qos: 1, packetId: 3 });
      await world.run();
      const codes = client.received.filter((p) => p.type === "puback").map((p) => p.reasonCode);
      assert.deepEqual(codes, [0, REASON.notAuthorized, REASON.notAuthorized]);
      const [info] = [...world.broker.connections()];
      assert.deepEqual([info?.thing, info?.principal, info?.certificateId], ["pump-1", "password/pump-1", null]);
    }));

  test("may carry AWS's parameters in its user name", () =>
    withHouse(async ({ logIn }) => {
      const parameters = "?SDK=JSv2&Version=1.0&x-amz-customauthorizer-name=mine";
      assert.equal(codeOf(await logIn(`pump-1${parameters}`, PASSWORD)), 0);
      assert.equal(codeOf(await logIn(parameters, PASSWORD)), REASON.badUserNameOrPassword);
    }));

  test("is refused in the same words whatever was wrong; who looks after it is told what, and which thing", () =>
    withHouse(async ({ logIn, refusals }) => {
      const told = new Set<string | undefined>();
      for (const [name, password] of [
        ["pump-1", "wrong password"],
        ["bare", PASSWORD],
        ["nobody", PASSWORD],
        ["a#b", PASSWORD],
      ] as const) {
        const client = await logIn(name, password);
        assert.equal(codeOf(client), REASON.badUserNameOrPassword, name);
        told.add(client.last("connack")?.reasonString);
      }
      assert.equal(told.size, 1);
      assert.deepEqual(
        refusals.map(({ reason, thing, sentence }) => [reason, thing, sentence]),
        [
          ["wrong-password", "pump-1", "The password is not that of 'pump-1'"],
          ["unknown-name", "bare", "The thing 'bare' has no password"],
          ["unknown-name", "nobody", "There is no thing 'nobody'"],
          ["unknown-name", null, "The user name is no thing's name"],
        ],
      );
    }));

  test("unknown names cost the same slow hash as known ones", () =>
    withHouse(async ({ logIn, hasher }) => {
      await logIn("pump-1", "wrong password");
      await logIn("nobody", "wrong password");
      assert.deepEqual(hasher.verified, [`hash of ${PASSWORD}`, "hash of nobody's"]);
    }));

  test("without user name or password, or with what is no password, nothing is hashed", () =>
    withHouse(async ({ logIn, knock, hasher, refusals }) => {
      for (const [name, password] of [
        [null, PASSWORD],
        ["pump-1", null],
        ["pump-1", ""],
        ["pump-1", "x".repeat(257)],
      ] as const)
        assert.equal(codeOf(await logIn(name, password)), REASON.badUserNameOrPassword);
      const notText = { username: "pump-1", password: new Uint8Array([0xff, 0xfe]) };
      assert.equal(codeOf(await knock("pump-1", notText)), REASON.badUserNameOrPassword);
      assert.deepEqual(hasher.verified, []);
      assert.ok(refusals.every(({ reason }) => reason === "no-password"));
    }));

  test("that has no policy, or another client id than its policy wants, is told so", () =>
    withHouse(async ({ logIn, registry, refusals }) => {
      assert.equal(codeOf(await logIn("pump-1", PASSWORD, undefined, "pump-2")), REASON.notAuthorized);
      registry.policies.detach(DEFAULT_POLICY_NAME, "password/pump-1");
      assert.equal(codeOf(await logIn("pump-1", PASSWORD)), REASON.notAuthorized);
      assert.deepEqual(
        refusals.map(({ thing }) => thing),
        ["pump-1", "pump-1"],
      );
      assert.match(refusals[1]!.sentence, /No policy for the password of 'pump-1'/);
    }));
});

describe("a live connection by password ends in the same turn", () => {
  const changes: Readonly<Record<string, (house: House) => unknown>> = {
    "when the password is taken away": ({ registry }) => registry.passwords.remove("pump-1"),
    "when it is changed": ({ registry }) => registry.passwords.set("pump-1", "hash of another"),
    "when its policy is": ({ registry }) => registry.policies.detach(DEFAULT_POLICY_NAME, "password/pump-1"),
    "when its group gets a policy that denies": ({ registry }) => {
      registry.groups.create("g");
      registry.groups.add("g", "pump-1");
      const Statement = { Effect: "Deny", Action: "iot:Connect", Resource: "*" };
      registry.policies.put("deny", JSON.stringify({ Version: "2012-10-17", Statement }));
      registry.policies.attach("deny", "arn:aws:iot:l:0:thinggroup/g");
    },
    "when its thing goes": ({ registry }) => registry.things.delete("pump-1"),
  };
  for (const [when, change] of Object.entries(changes)) {
    test(when, () =>
      withHouse(async (house) => {
        const [concerned, other] = [await house.logIn("pump-1", PASSWORD), await house.logIn("pump-2", PASSWORD)];
        change(house);
        await house.world.run();
        assert.deepEqual([concerned.open, other.open], [false, true]);
        assert.equal(concerned.last("disconnect")?.reasonCode, REASON.notAuthorized);
      }),
    );
  }

  test("but not when the same password is only hashed anew", () =>
    withHouse(async ({ logIn, registry, world }) => {
      registry.passwords.set("pump-1", `old hash of ${PASSWORD}`);
      const client = await logIn("pump-1", PASSWORD);
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
      await world.run();
      assert.equal(registry.passwords.find("pump-1")?.hash, `hash of ${PASSWORD}`);
      assert.equal(client.open, true);
    }));

  test("a password that is changed while it is being looked at lets nobody in", () =>
    withHouse(async ({ logIn, registry }) => {
      const coming = logIn("pump-1", PASSWORD);
      registry.passwords.set("pump-1", "hash of another");
      assert.equal(codeOf(await coming), REASON.badUserNameOrPassword);
    }));
});

/** A database that several platforms count in, which can be away from some call on. */
class SharedCounts implements SharedAttempts {
  readonly failures = new Map<string, number>();
  readonly asked: string[] = [];
  away: readonly string[] = [];

  claim = (name: string): number => this.#answer("claim", name, 1);
  succeeded = (name: string): void => void this.#answer("succeeded", name, -1);
  abandoned = (name: string): void => void this.#answer("abandoned", name, -1);
  failed = (address: string): void => void this.#answer("failed", address, 1);
  sweep = (): void => {};

  #answer(call: string, source: string, more: number): 0 {
    this.asked.push(call);
    if (this.away.includes(call)) throw new TidewireError("REGISTRY_UNAVAILABLE", { reason: "connection refused" });
    this.failures.set(source, (this.failures.get(source) ?? 0) + more);
    return 0;
  }
}

describe("where the database that counts goes away", () => {
  const inHouse = (work: (house: House, counts: SharedCounts) => Promise<void>): Promise<void> => {
    const counts = new SharedCounts();
    return withHouse((house) => work(house, counts), undefined, counts);
  };

  test("before the password is looked at, nobody's is", () =>
    inHouse(async ({ logIn, hasher }, counts) => {
      counts.away = ["claim"];
      assert.equal(codeOf(await logIn("pump-1", PASSWORD)), REASON.serverUnavailable);
      assert.deepEqual(hasher.verified, []);
    }));

  test("afterwards, who guesses wrong and who is right are told the same, and nobody is let in; once it is back, all goes on", () =>
    inHouse(async ({ logIn, world, hasher }, counts) => {
      counts.away = ["failed", "succeeded"];
      for (const password of ["guess", PASSWORD]) {
        const client = await logIn("pump-1", password);
        assert.equal(codeOf(client), REASON.serverUnavailable);
        assert.equal(client.open, false);
      }
      assert.equal(codeOf(await logIn("nobody", "guess")), REASON.serverUnavailable);
      assert.equal(hasher.verified.length, 3);
      assert.deepEqual(counts.asked, ["claim", "failed", "claim", "succeeded", "claim", "failed"]);
      assert.equal(counts.failures.get("pump-1"), 2, "counted since the beginning, and stays so");
      assert.equal(world.metrics.value("tidewire_device_logins_uncounted_total"), 3);
      const told = (): string[] =>
        world.logger.lines.map(({ message }) => message).filter((line) => line.startsWith("Devices "));

      counts.away = [];
      assert.equal(codeOf(await logIn("pump-1", "guess")), REASON.badUserNameOrPassword);
      assert.equal((await logIn("pump-1", PASSWORD)).open, true);
      assert.deepEqual(told(), [
        "Devices cannot log in with a password: failures cannot be counted",
        "Devices may log in with a password again: failures are counted",
      ]);
    }));
});

describe("guessing", () => {
  const { freePerName, freePerAddress, delayMaxPerName } = LIMITS.logins;

  test("at one name is slowed down from everywhere, and costs no hash then; time forgets", () =>
    withHouse(async ({ logIn, hasher, world }) => {
      for (let n = 0; n < freePerName; n++) await logIn("pump-1", `guess number ${n}`, `198.51.${n}.1`);
      const hashed = hasher.verified.length;
      assert.equal(codeOf(await logIn("pump-1", "another guess", "203.0.113.5")), REASON.quotaExceeded);
      assert.equal(codeOf(await logIn("pump-1", PASSWORD, "203.0.113.5")), REASON.quotaExceeded);
      assert.equal(hasher.verified.length, hashed);
      assert.equal(codeOf(await logIn("pump-2", PASSWORD)), 0, "the others are not concerned");
      await world.run(delayMaxPerName);
      assert.equal(codeOf(await logIn("pump-1", PASSWORD)), 0);
    }));

  test("does not lock out the device that was there before", () =>
    withHouse(async ({ logIn }) => {
      assert.equal(codeOf(await logIn("pump-1", PASSWORD)), 0);
      for (let n = 0; n < 3 * freePerName; n++) await logIn("pump-1", `guess number ${n}`, "198.51.100.1");
      assert.equal(codeOf(await logIn("pump-1", PASSWORD)), 0);
    }));

  test("at many names from one address is slowed down there, and nowhere else", () =>
    withHouse(async ({ logIn, world }) => {
      for (let n = 0; n < freePerAddress; n++) await logIn(`guessed-${n}`, "some password", "198.51.100.1");
      assert.equal(codeOf(await logIn("pump-1", PASSWORD, "198.51.100.1")), REASON.quotaExceeded);
      assert.equal(codeOf(await logIn("pump-1", PASSWORD, "203.0.113.5")), 0);
      await world.run(minutes(2));
      assert.equal(codeOf(await logIn("pump-2", PASSWORD, "198.51.100.1")), 0);
    }));

  test("two hundred devices behind one address log in at once", () =>
    withHouse(async ({ logIn, registry }) => {
      const names = Array.from({ length: 200 }, (_, n) => `meter-${n}`);
      for (const name of names) {
        registry.things.create(name);
        registry.passwords.set(name, `hash of ${PASSWORD}`);
        registry.policies.attach(DEFAULT_POLICY_NAME, `password/${name}`);
      }
      const clients = await Promise.all(names.map((name) => logIn(name, PASSWORD, "198.51.100.1")));
      assert.ok(clients.every((client) => codeOf(client) === 0));
    }));
});

test("where too many hashes wait, a device is told to come again, and it counts as no failure", () =>
  withHouse(async ({ logIn, hasher, refusals }) => {
    hasher.busy = true;
    for (let n = 0; n < 3 * LIMITS.logins.freePerName; n++)
      assert.equal(codeOf(await logIn("pump-1", PASSWORD)), REASON.serverBusy);
    assert.ok(refusals.every(({ reason }) => reason === "busy"));
    hasher.busy = false;
    assert.equal(codeOf(await logIn("pump-1", PASSWORD)), 0);
  }));

test("who comes back with the same password is not hashed again; with another, it is", () =>
  withHouse(async ({ logIn, hasher }) => {
    for (let n = 0; n < 5; n++) assert.equal(codeOf(await logIn("pump-1", PASSWORD)), 0);
    assert.equal(hasher.verified.length, 1);
    assert.equal(codeOf(await logIn("pump-1", "wrong password")), REASON.badUserNameOrPassword);
    assert.equal(hasher.verified.length, 2);
  }));

test("with real hashes: the right one is let in, the wrong one is not", () =>
  withDoor(async ({ world, registry, gatekeeper, knock }) => {
    const { clock, logger, metrics } = world;
    const passwords = passwordHasher({ atOnceMax: 1, waitingMax: 4 });
    const random = new SimRandom(3);
    const passwordUses = new PasswordUses(clock);
    const login = new PasswordLogin({
      registry,
      gatekeeper,
      passwords,
      hash: scramHash,
      clock,
      random,
      logger,
      metrics,
      passwordUses,
    });
    world.admit = (peer, connect) => login.admit(peer, connect);
    registry.things.create("pump-1");
    const desk = passwordDesk({ registry, random, passwords, passwordUses });
    const { password, usedAt } = await desk.set("pump-1", {});
    assert.equal(usedAt, null);
    assert.match(password!, /^[\w-]{32}$/);
    assert.match(registry.passwords.find("pump-1")!.hash, /^\$(?:argon2id|scrypt)\$/);
    const wrong = await knock("pump-1", { username: "pump-1", password: encodeUtf8("x".repeat(32)) });
    const right = await knock("pump-1", { username: "pump-1", password: encodeUtf8(password!) });
    assert.deepEqual([codeOf(wrong), codeOf(right)], [REASON.badUserNameOrPassword, 0]);
    assert.equal(desk.get("pump-1").usedAt, clock.now());
    await desk.set("pump-1", {});
    assert.equal(desk.get("pump-1").usedAt, null, "the new one has let nobody in");
    const many = await Promise.all(
      Array.from({ length: 8 }, (_, n) => knock(`n${n}`, { username: `n${n}`, password: encodeUtf8("some password") })),
    );
    assert.equal(many.filter((client) => codeOf(client) === REASON.serverBusy).length, 3);
  }));
