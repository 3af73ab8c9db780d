/** What the registry promises over any store; every adapter of `RegistryStore` runs it. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import type { SimLogger } from "../../sim/world.ts";
import { RegistryWorld, factsOf, id, refused } from "./contract.fixture.ts";
import type { OpenStore } from "./contract.fixture.ts";
import { groupsContract } from "./groups.contract.ts";
import { policiesContract } from "./policies.contract.ts";
import type { Change } from "./records.ts";
import type { Registry } from "./registry.ts";

export function registryContract(adapter: string, open: OpenStore): void {
  recordsContract(adapter, open);
  groupsContract(adapter, open);
  policiesContract(adapter, open);
}

function recordsContract(adapter: string, open: OpenStore): void {
  describe(`registry over ${adapter}`, () => {
    let world: RegistryWorld;
    let registry: Registry;
    let changes: Change[];
    let logger: SimLogger;

    beforeEach(async () => {
      world = await RegistryWorld.open(open);
      ({ registry, changes, logger } = world);
    });
    afterEach(() => world.under.close());
    const restart = async (): Promise<void> => {
      await world.restart();
      ({ registry, changes } = world);
    };

    describe("things", () => {
      test("a thing is made, changed and found again after a restart", async () => {
        registry.types.create("pump");
        const { thing } = registry.things.create("dev:1", {
          thingTypeName: "pump",
          attributes: { room: "Halle 3 – Süd" },
        });
        assert.equal(thing.version, 1);
        assert.match(thing.thingId, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
        world.clock.advance(1000);
        registry.things.update("dev:1", { attributes: { floor: "2" }, merge: true, expectedVersion: 1 });
        await restart();
        const found = registry.things.describe("dev:1");
        assert.deepEqual(found, {
          ...thing,
          attributes: { room: "Halle 3 – Süd", floor: "2" },
          version: 2,
          updatedAt: thing.createdAt + 1000,
        });
        assert.equal(world.metrics.value("tidewire_registry_things"), 1);
      });

      test("making the same thing again succeeds; with other attributes it is refused", () => {
        const first = registry.things.create("a", { attributes: { x: "1" } });
        const again = registry.things.create("a", { attributes: { x: "1", empty: "" } });
        assert.deepEqual(again, { thing: first.thing, created: false });
        assert.throws(() => registry.things.create("a", { attributes: { x: "2" } }), refused("ALREADY_EXISTS"));
        assert.throws(() => registry.things.create("a", { thingTypeName: "t" }), refused("ALREADY_EXISTS"));
        assert.equal(changes.length, 1);
      });

      test("attributes merge or replace; an empty value removes; the type goes when asked to", () => {
        registry.types.create("t");
        registry.things.create("a", { thingTypeName: "t", attributes: { x: "1", y: "2" } });
        const merged = registry.things.update("a", { attributes: { x: "", z: "3" }, merge: true });
        assert.deepEqual(merged.attributes, { y: "2", z: "3" });
        assert.deepEqual(registry.things.update("a", { attributes: { q: "9" } }).attributes, { q: "9" });
        assert.equal(registry.things.update("a", { removeThingType: true }).thingTypeName, null);
        assert.deepEqual(registry.things.describe("a").attributes, { q: "9" });
      });

      test("a change or deletion that expects another version is refused and changes nothing", () => {
        registry.things.create("a");
        registry.things.update("a", { attributes: { x: "1" } });
        const conflict = refused("VERSION_CONFLICT", /has version 2, not 1/);
        assert.throws(() => registry.things.update("a", { attributes: {}, expectedVersion: 1 }), conflict);
        assert.throws(() => registry.things.delete("a", 1), conflict);
        assert.deepEqual(registry.things.describe("a").attributes, { x: "1" });
        assert.equal(registry.things.delete("a", 2), true);
        assert.equal(registry.things.delete("a"), false);
        assert.throws(() => registry.things.describe("a"), refused("NOT_FOUND", /no thing named 'a'/));
      });

      test("names and attributes that AWS IoT does not know are refused", () => {
        for (const name of ["", "a b", "ä", "a/b", "a+", "x".repeat(129), "a\n"]) {
          assert.throws(() => registry.things.create(name), refused("REQUEST_INVALID"), name);
        }
        registry.things.create("x".repeat(128));
        const attributes: readonly Record<string, string>[] = [
          { "a b": "x" },
          { "": "x" },
          { a: "x".repeat(801) },
          { a: "line\nbreak" },
          { a: 3 as unknown as string },
          JSON.parse('{"__proto__":"x"}') as Record<string, string>,
        ];
        for (const given of attributes) {
          assert.throws(() => registry.things.create("b", { attributes: given }), refused("REQUEST_INVALID"));
        }
        const many = Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`k${i}`, "v"]));
        assert.throws(() => registry.things.create("b", { attributes: many }), refused("LIMIT_REACHED", /50 at most/));
        assert.equal(registry.things.find("b"), undefined);
      });

      test("listing goes through all pages once, in order, by type, attribute, prefix and search", () => {
        registry.atomically(() => {
          for (const type of ["even", "odd"]) registry.types.create(type);
          for (let i = 0; i < 1000; i++) {
            const name = `thing-${String(i).padStart(4, "0")}`;
            const attributes = { site: `S${i % 10}`, note: i === 777 ? "Éole_100%" : "" };
            registry.things.create(name, { thingTypeName: i % 2 === 0 ? "even" : "odd", attributes });
          }
        });
        const seen: string[] = [];
        let nextToken: string | null = null;
        do {
          const page: { items: readonly { thingName: string }[]; nextToken: string | null } = registry.things.list({
            thingTypeName: "even",
            maxResults: 99,
            nextToken,
          });
          seen.push(...page.items.map((thing) => thing.thingName));
          nextToken = page.nextToken;
        } while (nextToken !== null);
        assert.equal(seen.length, 500);
        assert.deepEqual(seen, [...new Set(seen)].sort());
        const names = (filter: Parameters<Registry["things"]["list"]>[0]): number => registry.things.count(filter);
        assert.equal(names({ attributeName: "site", attributeValue: "S3" }), 100);
        assert.equal(names({ attributeName: "site", attributeValue: "S", prefix: true }), 1000);
        assert.equal(names({ attributeName: "site", attributeValue: "s3" }), 0);
        assert.equal(names({ attributeName: "note" }), 1);
        assert.equal(names({ search: "THING-099" }), 10);
        assert.equal(names({ search: "_100%" }), 1);
        assert.equal(names({ search: "éole" }), 1);
        assert.equal(names({ search: "s4" }), 100);
        assert.equal(names({ search: "s4", thingTypeName: "even" }), 100);
        assert.equal(registry.things.list().items.length, 250);
        const long = { search: "x".repeat(801) };
        assert.throws(() => registry.things.list(long), refused("REQUEST_INVALID", /search is longer/));
        assert.throws(() => registry.things.count(long), refused("REQUEST_INVALID"));
      });

      test("a token of another listing, a broken one and a wrong page size are refused", () => {
        for (const name of ["a", "b", "c"]) registry.policies.put(name, "{}");
        const { nextToken } = registry.policies.list({ maxResults: 1 });
        assert.ok(nextToken !== null);
        for (const token of [nextToken, "", "?", "AAAAA", "x".repeat(600)]) {
          assert.throws(
            () => registry.things.list({ nextToken: token }),
            refused("REQUEST_INVALID", /nextToken/),
            token,
          );
        }
        for (const maxResults of [0, -1, 1.5, 251, Number.NaN]) {
          assert.throws(() => registry.things.list({ maxResults }), refused("REQUEST_INVALID", /maxResults/));
        }
      });
    });

    describe("certificates", () => {
      test("status changes, is kept, and ends with REVOKED", async () => {
        registry.certificates.register("PEM 1", factsOf(1));
        assert.throws(() => registry.certificates.register("PEM 1", factsOf(1)), refused("ALREADY_EXISTS"));
        registry.certificates.updateStatus(id(1), "INACTIVE");
        world.clock.advance(5);
        registry.certificates.updateStatus(`arn:aws:iot:eu-west-1:1:cert/${id(1)}`, "REVOKED");
        await restart();
        const { pem, status, subject, notAfter, createdAt, updatedAt } = registry.certificates.describe(id(1));
        assert.deepEqual([pem, status, updatedAt - createdAt], ["PEM 1", "REVOKED", 5]);
        assert.deepEqual([subject, notAfter], [factsOf(1).subject, factsOf(1).notAfter]);
        assert.throws(
          () => registry.certificates.updateStatus(id(1), "ACTIVE"),
          refused("CERTIFICATE_STATE", /is REVOKED/),
        );
        registry.certificates.updateStatus(id(1), "REVOKED");
        assert.deepEqual(changes, []);
      });

      test("a principal must be an id or an ARN", () => {
        for (const wrong of [
          "",
          "abc",
          "ABCDEF".repeat(11).slice(0, 64),
          `arn:aws:iot:x:1:thing/${id(1)}`,
          `${id(1)} `,
        ]) {
          assert.throws(() => registry.certificates.describe(wrong), refused("REQUEST_INVALID"), wrong);
        }
        assert.throws(() => registry.certificates.describe(id(9)), refused("NOT_FOUND"));
      });

      test("deleting needs INACTIVE or REVOKED and nothing attached; force lets policies go", () => {
        registry.things.create("t");
        registry.policies.put("p", "{}");
        registry.certificates.register("PEM", factsOf(1));
        registry.things.attach("t", id(1));
        registry.policies.attach("p", id(1));
        assert.throws(() => registry.certificates.delete(id(1)), refused("CERTIFICATE_STATE", /ACTIVE/));
        registry.certificates.updateStatus(id(1), "INACTIVE");
        assert.throws(() => registry.certificates.delete(id(1), { force: true }), refused("STILL_IN_USE", /thing/));
        registry.things.detach("t", id(1));
        assert.throws(() => registry.certificates.delete(id(1)), refused("STILL_IN_USE", /policies/));
        registry.certificates.delete(id(1), { force: true });
        assert.equal(registry.principalOf(id(1)), undefined);
        registry.policies.delete("p");
      });

      test("listing is by time of creation, either way, also where many share a moment", () => {
        for (let i = 1; i <= 30; i++) {
          registry.certificates.register("PEM", factsOf(i));
          if (i % 10 === 0) world.clock.advance(1);
        }
        const all = (ascending: boolean): number[] => {
          const found: number[] = [];
          let nextToken: string | null = null;
          do {
            const page: ReturnType<Registry["certificates"]["list"]> = registry.certificates.list({
              ascending,
              maxResults: 7,
              nextToken,
            });
            found.push(...page.items.map((certificate) => Number(certificate.serialNumber)));
            nextToken = page.nextToken;
          } while (nextToken !== null);
          return found;
        };
        const expected = Array.from({ length: 30 }, (_, i) => i + 1);
        assert.deepEqual(all(true), expected);
        assert.deepEqual(all(false), expected.reverse());
      });
    });

    describe("attachments", () => {
      test("things and certificates find each other; a thing in use is not deleted", async () => {
        for (const name of ["a", "b"]) registry.things.create(name);
        for (const n of [1, 2]) registry.certificates.register("PEM", factsOf(n));
        registry.things.attach("a", id(1));
        registry.things.attach("b", id(1));
        registry.things.attach("a", id(2));
        await restart();
        assert.deepEqual(
          registry.things.principalsOf("a").map((attachment) => attachment.certificateId),
          [id(1), id(2)],
        );
        assert.deepEqual(
          registry.things.ofPrincipal(id(1)).map((attachment) => attachment.thingName),
          ["a", "b"],
        );
        assert.throws(() => registry.things.delete("a"), refused("THING_HAS_PRINCIPALS", /2 certificate/));
        assert.equal(registry.things.detach("a", id(1)), true);
        assert.equal(registry.things.detach("a", id(1)), false);
        registry.things.detach("a", id(2));
        assert.equal(registry.things.delete("a"), true);
        assert.throws(() => registry.things.attach("a", id(1)), refused("NOT_FOUND", /thing/));
        assert.throws(() => registry.things.attach("b", id(7)), refused("NOT_FOUND", /certificate/));
      });

      test("an exclusive attachment stands alone", () => {
        for (const name of ["a", "b"]) registry.things.create(name);
        registry.certificates.register("PEM", factsOf(1));
        registry.things.attach("a", id(1));
        registry.things.attach("a", id(1), "EXCLUSIVE_THING");
        assert.deepEqual(registry.things.ofPrincipal(id(1)), [
          { thingName: "a", certificateId: id(1), type: "EXCLUSIVE_THING" },
        ]);
        assert.throws(() => registry.things.attach("b", id(1)), refused("REQUEST_INVALID", /exclusively.*'a'/));
        registry.things.attach("a", id(1), "NON_EXCLUSIVE_THING");
        registry.things.attach("b", id(1));
        const asExclusive = (): void => registry.things.attach("b", id(1), "EXCLUSIVE_THING");
        assert.throws(asExclusive, refused("REQUEST_INVALID", /'a' as well/));
      });

      test("policies and certificates find each other; limits hold", () => {
        registry.certificates.register("PEM", factsOf(1));
        for (let i = 0; i < 11; i++) registry.policies.put(`p${i}`, "{}");
        for (let i = 0; i < 10; i++) registry.policies.attach(`p${i}`, id(1));
        registry.policies.attach("p0", id(1));
        assert.throws(() => registry.policies.attach("p10", id(1)), refused("LIMIT_REACHED", /10 at most/));
        assert.equal(registry.policies.attachedTo(id(1)).length, 10);
        assert.deepEqual(registry.policies.targets("p3").items, [`cert/${id(1)}`]);
        assert.throws(() => registry.policies.delete("p3"), refused("STILL_IN_USE"));
        assert.equal(registry.policies.detach("p3", id(1)), true);
        assert.equal(registry.policies.detach("p3", id(1)), false);
        registry.policies.delete("p3");
        assert.throws(() => registry.policies.describe("p3"), refused("NOT_FOUND"));
      });
    });

    describe("policies", () => {
      test("putting replaces and counts versions; the same text again changes nothing", () => {
        assert.deepEqual(registry.policies.put("p", "odd").warnings, ["odd document"]);
        assert.equal(registry.policies.put("p", "even").policy.version, 2);
        assert.equal(registry.policies.put("p", "even").policy.version, 2);
        assert.equal(changes.length, 2);
        assert.throws(() => registry.policies.create("p", "x"), refused("ALREADY_EXISTS"));
        registry.policies.create("q", "x");
        assert.deepEqual(
          registry.policies.list().items.map((policy) => [policy.policyName, policy.document]),
          [
            ["p", "even"],
            ["q", "x"],
          ],
        );
        for (const wrong of ["", "a b", "a/b", "x".repeat(129)]) {
          assert.throws(() => registry.policies.put(wrong, "{}"), refused("REQUEST_INVALID"));
        }
      });
    });

    describe("rights of a certificate", () => {
      beforeEach(() => {
        registry.things.create("t", { attributes: { room: "1" } });
        registry.policies.put("p", "one");
        registry.certificates.register("PEM", factsOf(1));
        registry.things.attach("t", id(1), "EXCLUSIVE_THING");
        registry.policies.attach("p", id(1));
        changes.length = 0;
      });

      test("are one look-up, the same object until something in them changes", () => {
        const first = registry.principalOf(id(1));
        assert.deepEqual(
          [
            first?.certificate.status,
            first?.things[0]?.thing.thingName,
            first?.things[0]?.exclusive,
            first?.policies[0]?.document,
          ],
          ["ACTIVE", "t", true, "one"],
        );
        assert.equal("pem" in first!.certificate, false);
        registry.things.create("other");
        registry.policies.put("other", "x");
        assert.equal(registry.principalOf(id(1)), first);
        assert.equal(world.metrics.value("tidewire_registry_principals_cached"), 1);
        assert.equal(registry.principalOf(id(2)), undefined);
      });

      const effects: readonly (readonly [
        what: string,
        change: () => void,
        expected: Partial<Change>,
        seen: () => unknown,
      ])[] = [
        [
          "revocation",
          () => registry.certificates.updateStatus(id(1), "REVOKED"),
          { kind: "certificate", change: "updated" },
          () => registry.principalOf(id(1))?.certificate.status === "REVOKED",
        ],
        [
          "a changed attribute",
          () => registry.things.update("t", { attributes: { room: "2" } }),
          { kind: "thing", change: "updated" },
          () => registry.principalOf(id(1))?.things[0]?.thing.attributes["room"] === "2",
        ],
        [
          "a changed policy",
          () => registry.policies.put("p", "two"),
          { kind: "policy", change: "updated" },
          () => registry.principalOf(id(1))?.policies[0]?.document === "two",
        ],
        [
          "a detached policy",
          () => registry.policies.detach("p", id(1)),
          { kind: "policy", change: "detached" },
          () => registry.principalOf(id(1))?.policies.length === 0,
        ],
        [
          "a detached thing",
          () => registry.things.detach("t", id(1)),
          { kind: "thing", change: "detached" },
          () => registry.principalOf(id(1))?.things.length === 0,
        ],
      ];
      for (const [what, change, expected, seen] of effects) {
        test(`${what} is told with the certificate that it concerns, and seen by the next look-up, also in the listener`, () => {
          registry.principalOf(id(1));
          let seenInListener: unknown = false;
          registry.onChange(() => {
            seenInListener = seen();
          });
          change();
          assert.deepEqual([changes.length, changes[0]?.kind, changes[0]?.change], [1, expected.kind, expected.change]);
          assert.deepEqual(changes[0]?.principals, [id(1)]);
          assert.equal(seen(), true);
          assert.equal(seenInListener, true);
        });
      }
    });

    describe("several changes as one", () => {
      test("all are kept, listeners hear of them afterwards", () => {
        let heardInside = -1;
        registry.atomically(() => {
          registry.things.create("a");
          registry.certificates.register("PEM", factsOf(1));
          registry.things.attach("a", id(1));
          heardInside = changes.length;
        });
        assert.equal(heardInside, 0);
        assert.deepEqual(
          changes.map((change) => `${change.kind} ${change.change}`),
          ["thing created", "certificate created", "thing attached"],
        );
      });

      test("a failure undoes all of them, tells nobody, and leaves no rights behind in memory", () => {
        registry.things.create("a");
        registry.certificates.register("PEM", factsOf(1));
        changes.length = 0;
        assert.throws(
          () =>
            registry.atomically(() => {
              registry.things.attach("a", id(1));
              assert.equal(registry.principalOf(id(1))?.things.length, 1);
              registry.things.create("b");
              throw new Error("power failed");
            }),
          /power failed/,
        );
        assert.equal(registry.principalOf(id(1))?.things.length, 0);
        assert.equal(registry.things.find("b"), undefined);
        assert.deepEqual(changes, []);
        registry.things.create("b");
        assert.equal(changes.length, 1);
      });

      test("a listener that fails does not keep the others from hearing", () => {
        registry.onChange(() => {
          throw new Error("broken listener");
        });
        const heard: string[] = [];
        registry.onChange((change) => heard.push(change.id));
        registry.things.create("a");
        assert.deepEqual(heard, ["a"]);
        assert.ok(logger.lines.some((line) => line.level === "error" && line.fields["reason"] === "broken listener"));
      });
    });
  });
}
