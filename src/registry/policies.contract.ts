/** Policies with versions, on groups too, and CA certificates, over any store. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { arnOf } from "../base/mod.ts";
import { RegistryWorld, allOf, factsOf, id, refused } from "./contract.fixture.ts";
import type { OpenStore } from "./contract.fixture.ts";
import type { Registry } from "./registry.ts";

export function policiesContract(adapter: string, open: OpenStore): void {
  describe(`policies and authorities over ${adapter}`, () => {
    let world: RegistryWorld;
    let registry: Registry;

    beforeEach(async () => {
      world = await RegistryWorld.open(open);
      ({ registry } = world);
    });
    afterEach(() => world.under.close());
    const restart = async (): Promise<void> => {
      await world.restart();
      ({ registry } = world);
    };

    describe("versions", () => {
      const versions = (name = "p"): unknown[] =>
        registry.policies.versions(name).map(({ version, document, isDefault }) => [version, document, isDefault]);

      test("a version is added, made the default and deleted; numbers never come back", async () => {
        registry.policies.create("p", "one");
        world.clock.advance(5);
        assert.deepEqual(registry.policies.createVersion("p", "odd two").warnings, ["odd document"]);
        assert.equal(registry.policies.describe("p").document, "one");
        registry.policies.createVersion("p", "three", { setAsDefault: true });
        await restart();
        assert.deepEqual(versions(), [
          [1, "one", false],
          [2, "odd two", false],
          [3, "three", true],
        ]);
        const { document, version, createdAt, updatedAt } = registry.policies.describe("p");
        assert.deepEqual([document, version, updatedAt - createdAt], ["three", 3, 5]);
        registry.policies.setDefaultVersion("p", "2");
        registry.policies.deleteVersion("p", 3);
        assert.equal(registry.policies.createVersion("p", "four").version.version, 4);
        assert.equal(registry.policies.describe("p").document, "odd two");
        assert.equal(registry.policies.version("p", 1).createdAt, createdAt);
      });

      test("five at most; the default one stays; what is not there is told", () => {
        registry.policies.create("p", "1");
        for (const document of ["2", "3", "4", "5"]) registry.policies.createVersion("p", document);
        const sixth = (): unknown => registry.policies.createVersion("p", "6", { setAsDefault: true });
        assert.throws(sixth, refused("POLICY_VERSIONS_LIMIT", /'p' has 5 versions/));
        assert.throws(() => registry.policies.deleteVersion("p", 1), refused("STILL_IN_USE", /default version/));
        registry.policies.deleteVersion("p", 2);
        assert.throws(() => registry.policies.deleteVersion("p", 2), refused("NOT_FOUND", /p, version 2/));
        for (const wrong of ["", "1.0", "01", "x", "9"]) {
          assert.throws(() => registry.policies.setDefaultVersion("p", wrong), refused("NOT_FOUND"), wrong);
        }
        assert.throws(() => registry.policies.createVersion("none", "x"), refused("NOT_FOUND"));
      });

      test("a policy with other versions is not deleted", () => {
        registry.policies.create("p", "1");
        registry.policies.createVersion("p", "2");
        assert.throws(
          () => registry.policies.delete("p"),
          refused("STILL_IN_USE", /1 version\(s\) beside the default/),
        );
        registry.policies.deleteVersion("p", 2);
        registry.policies.delete("p");
        assert.throws(() => registry.policies.versions("p"), refused("NOT_FOUND"));
      });

      test("putting makes a version the default, and lets the oldest go", () => {
        for (let i = 1; i <= 7; i++) registry.policies.put("p", String(i));
        assert.deepEqual(
          versions(),
          [3, 4, 5, 6, 7].map((n) => [n, String(n), n === 7]),
        );
        registry.policies.setDefaultVersion("p", 3);
        registry.policies.put("p", "8");
        assert.equal(registry.policies.versions("p")[0]?.version, 3);
      });

      test("`.` and `..` name no policy", () => {
        for (const name of [".", ".."]) {
          assert.throws(() => registry.policies.put(name, "{}"), refused("REQUEST_INVALID", /folder/));
        }
        registry.policies.put("...", "{}");
      });
    });

    describe("on groups", () => {
      /** plant > hall > line; thing n with certificate n is in one of them. */
      beforeEach(() => {
        registry.groups.create("plant");
        registry.groups.create("hall", { parentGroupName: "plant" });
        registry.groups.create("line", { parentGroupName: "hall" });
        for (const [n, group] of ["plant", "hall", "line"].entries()) {
          registry.things.create(`t${n}`);
          registry.certificates.register("PEM", factsOf(n));
          registry.things.attach(`t${n}`, id(n));
          registry.groups.add(group, `t${n}`);
        }
        for (const name of ["own", "plant", "hall", "line"]) registry.policies.create(name, `${name} 1`);
        registry.policies.attach("own", id(2));
        for (const name of ["plant", "hall", "line"]) registry.policies.attach(name, arnOf.group(name));
        world.heard();
      });
      const rights = (n: number): string[] | undefined =>
        registry.principalOf(id(n))?.policies.map((p) => p.policyName);

      test("a certificate has those of its things' groups and of the groups above, each once", async () => {
        assert.deepEqual(
          [rights(0), rights(1), rights(2)],
          [["plant"], ["hall", "plant"], ["hall", "line", "own", "plant"]],
        );
        registry.policies.attach("own", arnOf.group("plant"));
        assert.deepEqual(rights(2), ["hall", "line", "own", "plant"]);
        await restart();
        assert.deepEqual(rights(0), ["own", "plant"]);
      });

      const effects: readonly (readonly [
        what: string,
        change: () => void,
        concerned: readonly number[],
        n: number,
        after: readonly string[],
      ])[] = [
        ["a policy's new text", () => registry.policies.put("hall", "hall 2"), [1, 2], 1, ["hall", "plant"]],
        ["a version made the default", () => setBack(), [1, 2], 1, ["hall", "plant"]],
        [
          "a policy attached",
          () => registry.policies.attach("own", arnOf.group("hall")),
          [1, 2],
          1,
          ["hall", "own", "plant"],
        ],
        ["a policy detached", () => registry.policies.detach("plant", arnOf.group("plant")), [0, 1, 2], 0, []],
        ["a thing that leaves", () => registry.groups.remove("line", "t2"), [2], 2, ["own"]],
        [
          "a thing that comes",
          () => registry.groups.updateForThing("t0", { remove: ["plant"], add: ["line"] }),
          [0],
          0,
          ["hall", "line", "plant"],
        ],
        ["a group deleted", () => registry.groups.delete("line"), [2], 2, ["own"]],
      ];
      function setBack(): void {
        registry.policies.createVersion("hall", "hall 2");
        registry.policies.setDefaultVersion("hall", 2);
      }
      for (const [what, change, concerned, n, after] of effects) {
        test(`${what} is told with all certificates that it concerns, and seen by the next look-up`, () => {
          for (const one of [0, 1, 2]) registry.principalOf(id(one));
          change();
          const told = world.changes.flatMap(({ principals }) => {
            assert.ok(principals !== "all");
            return principals;
          });
          assert.deepEqual([...new Set(told)].sort(), concerned.map(id));
          assert.deepEqual(rights(n), after);
          const hall = registry.principalOf(id(1))?.policies.find((policy) => policy.policyName === "hall")?.document;
          assert.equal(hall, registry.policies.describe("hall").document);
        });
      }

      test("a version that is not the default concerns nobody", () => {
        const before = registry.principalOf(id(1));
        registry.policies.createVersion("hall", "hall 2");
        registry.policies.deleteVersion("hall", 2);
        assert.equal(registry.principalOf(id(1)), before);
      });

      test("targets, attached and effective policies say where each comes from", () => {
        registry.policies.attach("hall", id(0));
        assert.deepEqual(registry.policies.targets("hall").items, [`cert/${id(0)}`, "thinggroup/hall"]);
        const names = (policies: readonly { policyName: string }[]): string[] => policies.map((p) => p.policyName);
        assert.deepEqual(names(registry.policies.attachedTo(arnOf.group("line"))), ["line"]);
        assert.deepEqual(names(registry.policies.attachedTo(arnOf.group("line"), { recursive: true })), [
          "hall",
          "line",
          "plant",
        ]);
        const effective = (of: Parameters<Registry["policies"]["effective"]>[0]): unknown[] =>
          registry.policies
            .effective(of)
            .map(({ policy, through }) => [
              policy.policyName,
              through.map((target) => (target.kind === "group" ? target.thingGroupName : "certificate")),
            ]);
        const groups = [
          ["hall", ["hall"]],
          ["line", ["line"]],
        ];
        assert.deepEqual(effective({ principal: id(2) }), [...groups, ["own", ["certificate"]], ["plant", ["plant"]]]);
        assert.deepEqual(effective({ thingName: "t2" }), [...groups, ["plant", ["plant"]]]);
        assert.deepEqual(effective({ principal: id(0), thingName: "t1" }), [
          ["hall", ["certificate", "hall"]],
          ["plant", ["plant"]],
        ]);
        assert.throws(() => effective({}), refused("REQUEST_INVALID"));
        assert.throws(() => effective({ thingName: "none" }), refused("NOT_FOUND"));
        assert.throws(() => registry.policies.delete("hall"), refused("STILL_IN_USE", /certificates or groups/));
      });

      test("ten policies on one group at most", () => {
        for (let i = 0; i < 9; i++) {
          registry.policies.put(`p${i}`, "{}");
          registry.policies.attach(`p${i}`, arnOf.group("hall"));
        }
        assert.throws(
          () => registry.policies.attach("own", arnOf.group("hall")),
          refused("LIMIT_REACHED", /10 at most/),
        );
        assert.throws(() => registry.policies.attach("own", arnOf.group("none")), refused("NOT_FOUND"));
        assert.throws(
          () => registry.policies.attach("own", arnOf.thing("t1")),
          refused("REQUEST_INVALID", /thing group's ARN/),
        );
      });
    });

    describe("a thing's password", () => {
      const names = (): unknown =>
        registry.passwordPrincipalOf("pump")?.policies.map(({ policyName, document }) => [policyName, document]);

      beforeEach(() => {
        registry.things.create("pump", { attributes: { site: "b" } });
        registry.groups.create("hall");
        registry.groups.create("cell", { parentGroupName: "hall" });
        for (const policy of ["own", "hall"]) registry.policies.create(policy, policy);
      });

      test("is kept as a hash, with a version that grows with each new one", async () => {
        assert.throws(() => registry.passwords.set("none", "h"), refused("NOT_FOUND"));
        assert.equal(registry.passwords.set("pump", "hash 1").version, 1);
        world.clock.advance(5);
        const second = registry.passwords.set("pump", "hash 2");
        assert.equal(registry.passwords.rehash(second, "hash 2 anew"), true);
        assert.equal(registry.passwords.rehash({ ...second, version: 1 }, "late"), false);
        await restart();
        const { hash, version, updatedAt, createdAt } = registry.passwords.find("pump")!;
        assert.deepEqual([hash, version, updatedAt - createdAt], ["hash 2 anew", 2, 5]);
        assert.equal(registry.passwords.remove("pump"), true);
        assert.equal(registry.passwords.remove("pump"), false);
        await restart();
        assert.equal(registry.passwordPrincipalOf("pump"), undefined);
      });

      test("when it was last used is kept for many at once, told to nobody, and never goes back", async () => {
        const set = registry.passwords.set("pump", "hash 1");
        const { updatedAt } = set;
        const principal = registry.passwordPrincipalOf("pump");
        const changes = world.changes.length;
        assert.equal(registry.passwords.usedAt("pump"), null);
        const crowd = Array.from({ length: 1_200 }, (_, n) => [`gone-${n}`, updatedAt + 1] as const);
        registry.passwords.saveUses(new Map([...crowd, ["pump", updatedAt + 7]]));
        registry.passwords.saveUses(new Map([["pump", updatedAt + 3]]));
        assert.deepEqual([world.changes.length, registry.passwordPrincipalOf("pump")], [changes, principal]);
        registry.passwords.rehash(set, "hash 1 anew");
        await restart();
        assert.equal(registry.passwords.usedAt("pump"), updatedAt + 7);
        world.clock.advance(20);
        registry.passwords.set("pump", "hash 2");
        assert.equal(registry.passwords.usedAt("pump"), null);
        registry.passwords.saveUses(new Map([["pump", updatedAt + 19]]));
        assert.equal(registry.passwords.usedAt("pump"), null, "that was the one before");
      });

      test("has its own policies and those of its thing's groups; the same object until something in it changes", async () => {
        registry.passwords.set("pump", "hash");
        registry.policies.attach("own", "password/pump");
        registry.policies.attach("hall", arnOf.group("hall"));
        registry.groups.add("cell", "pump");
        await restart();
        assert.deepEqual(names(), [
          ["hall", "hall"],
          ["own", "own"],
        ]);
        const before = registry.passwordPrincipalOf("pump");
        assert.deepEqual(
          before?.things.map(({ thing, exclusive }) => [thing.thingName, exclusive]),
          [["pump", true]],
        );
        assert.equal(registry.freshPasswordPrincipalOf("pump"), before);
        registry.things.create("other");
        assert.equal(registry.passwordPrincipalOf("pump"), before);
        registry.policies.put("hall", "hall anew");
        assert.deepEqual(names(), [
          ["hall", "hall anew"],
          ["own", "own"],
        ]);
        assert.deepEqual(
          registry.standingOf("pump").policies.map(({ document }) => document),
          ["hall anew"],
        );
      });

      test("every change that touches it names it", () => {
        const told = (change: () => unknown): unknown => {
          world.changes.length = 0;
          change();
          return world.changes.map(({ principals }) => principals);
        };
        const concerned = [["password/pump"]];
        const concernedBy: readonly (readonly [string, () => unknown])[] = [
          ["made", () => registry.passwords.set("pump", "hash")],
          ["changed", () => registry.passwords.set("pump", "hash 2")],
          ["attached", () => registry.policies.attach("own", "password/pump")],
          ["policy changed", () => registry.policies.put("own", "anew")],
          ["into a group", () => registry.groups.add("cell", "pump")],
          ["group's policy", () => registry.policies.attach("hall", arnOf.group("hall"))],
          ["group's policy changed", () => registry.policies.put("hall", "anew")],
          ["thing changed", () => registry.things.update("pump", { attributes: { site: "c" }, merge: true })],
          ["out of the group", () => registry.groups.remove("cell", "pump")],
          ["detached", () => registry.policies.detach("own", "password/pump")],
          ["removed", () => registry.passwords.remove("pump")],
        ];
        for (const [what, change] of concernedBy) assert.deepEqual(told(change), concerned, what);
        assert.deepEqual(
          told(() => registry.things.update("pump", { attributes: {} })),
          [[]],
        );
      });

      test("goes with its thing, and lets its policies go", () => {
        registry.passwords.set("pump", "hash");
        registry.policies.attach("own", "password/pump");
        assert.throws(() => registry.policies.delete("own"), refused("STILL_IN_USE"));
        registry.things.delete("pump");
        registry.policies.delete("own");
        registry.things.create("pump");
        assert.equal(registry.passwordPrincipalOf("pump"), undefined);
        assert.throws(() => registry.policies.attach("hall", "password/pump"), refused("NOT_FOUND", /password/));
      });
    });

    describe("CA certificates", () => {
      test("one is registered, changed, found after a restart, and deleted when it is inactive", async () => {
        const made = registry.authorities.register("CA PEM", factsOf(1), { active: true });
        assert.throws(() => registry.authorities.register("CA PEM", factsOf(1)), refused("ALREADY_EXISTS"));
        world.clock.advance(7);
        const registrationConfig = { templateName: "first-connect" };
        registry.authorities.update(id(1), { autoRegistration: true, registrationConfig });
        await restart();
        const expected = {
          ...made,
          autoRegistration: true,
          registrationConfig,
          version: 2,
          updatedAt: made.createdAt + 7,
        };
        assert.deepEqual(registry.authorities.describe(arnOf.authority(id(1))), expected);
        assert.equal(registry.authorities.list({ templateName: "first-connect" }).items.length, 1);
        assert.equal(registry.authorities.list({ templateName: "other" }).items.length, 0);
        assert.throws(() => registry.authorities.delete(id(1)), refused("CERTIFICATE_STATE", /ACTIVE/));
        registry.tags.add(arnOf.authority(id(1)), [{ key: "k", value: "v" }]);
        registry.authorities.update(id(1), { status: "INACTIVE", removeAutoRegistration: true });
        const { autoRegistration, registrationConfig: none } = registry.authorities.describe(id(1));
        assert.deepEqual([autoRegistration, none], [false, null]);
        registry.authorities.delete(id(1));
        assert.throws(() => registry.authorities.describe(id(1)), refused("NOT_FOUND", /CA certificate/));
      });

      test("what contradicts itself, or is too much, is refused", () => {
        const config = { templateBody: "{}", templateName: "t" };
        const both = (): unknown => registry.authorities.register("PEM", factsOf(1), { registrationConfig: config });
        assert.throws(both, refused("REQUEST_INVALID", /either/));
        const long = { templateBody: "x".repeat(10_241) };
        const tooLong = (): unknown => registry.authorities.register("PEM", factsOf(1), { registrationConfig: long });
        assert.throws(tooLong, refused("REQUEST_INVALID", /10240/));
        for (let n = 1; n <= 10; n++) registry.authorities.register("PEM", factsOf(n));
        assert.throws(() => registry.authorities.register("PEM", factsOf(11)), refused("LIMIT_REACHED", /10 at most/));
        const update = (): unknown =>
          registry.authorities.update(id(1), { removeAutoRegistration: true, autoRegistration: true });
        assert.throws(update, refused("REQUEST_INVALID", /contradict/));
        assert.throws(
          () => registry.authorities.describe(arnOf.certificate(id(1))),
          refused("REQUEST_INVALID", /CA certificate/),
        );
      });

      test("certificates know who signed them, and are listed by it", async () => {
        registry.authorities.register("CA PEM", factsOf(100), { certificateMode: "SNI_ONLY" });
        for (let n = 1; n <= 20; n++) {
          const caCertificateId = n % 2 === 0 ? id(100) : null;
          registry.certificates.register("PEM", factsOf(n), { caCertificateId, certificateMode: "SNI_ONLY" });
          if (n % 5 === 0) world.clock.advance(1);
        }
        await restart();
        const { caCertificateId, certificateMode } = registry.certificates.describe(id(2));
        assert.deepEqual([caCertificateId, certificateMode], [id(100), "SNI_ONLY"]);
        const listed = (ascending: boolean): number[] =>
          allOf((nextToken) =>
            registry.certificates.list({ caCertificateId: id(100), ascending, nextToken, maxResults: 3 }),
          ).map((certificate) => Number(certificate.serialNumber));
        const even = Array.from({ length: 10 }, (_, i) => 2 * i + 2);
        assert.deepEqual(listed(true), even);
        assert.deepEqual(listed(false), even.toReversed());
        assert.equal(registry.certificates.list().items.length, 20);
        registry.authorities.delete(id(100));
        assert.equal(registry.certificates.describe(id(2)).caCertificateId, id(100));
      });

      test("every change of status counts; a certificate registered again is another one", () => {
        const first = registry.certificates.register("PEM", factsOf(1), { status: "PENDING_ACTIVATION" });
        assert.equal(registry.certificates.updateStatus(id(1), "ACTIVE").version, 2);
        assert.equal(registry.certificates.updateStatus(id(1), "ACTIVE").version, 2);
        registry.certificates.updateStatus(id(1), "INACTIVE");
        registry.certificates.delete(id(1));
        const second = registry.certificates.register("PEM", factsOf(1));
        assert.equal(second.version, 1);
        assert.notEqual(second.generationId, first.generationId);
      });

      test("the registration code stays until it is deleted", async () => {
        const code = registry.authorities.registrationCode();
        assert.match(code, /^[0-9a-f]{64}$/);
        await restart();
        assert.equal(registry.authorities.registrationCode(), code);
        registry.authorities.deleteRegistrationCode();
        assert.match(registry.authorities.registrationCode(), /^[0-9a-f]{64}$/);
      });
    });
  });
}
