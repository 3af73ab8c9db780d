/** What the registry promises over any store; every adapter of `RegistryStore` runs it. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { isTidewireError } from "../base/mod.ts";
import { SimClock, SimLogger, SimMetrics, SimRandom } from "../../sim/world.ts";
import type { CertificateFacts, CertificateStatus, Change } from "./records.ts";
import { Registry } from "./registry.ts";
import type { RegistryRules } from "./registry.ts";
import type { RegistryStore } from "./store.ts";

export interface StoreUnderTest {
  readonly store: RegistryStore;
  /** Closes and opens the same data again, as a restart does. */
  reopen(): RegistryStore | Promise<RegistryStore>;
  close(): void | Promise<void>;
}

/** The n-th certificate of a test. */
export function factsOf(n: number): CertificateFacts {
  return {
    certificateId: n.toString(16).padStart(64, "0"),
    serialNumber: String(n),
    subject: { CommonName: [`thing-${n}`], OrganizationalUnit: ["a", "b"] },
    issuer: { CommonName: ["Tidewire CA test"] },
    notBefore: 1_700_000_000_000,
    notAfter: 1_900_000_000_000,
  };
}

const RULES: RegistryRules = {
  checkPolicy: (document) => (document.includes("odd") ? ["odd document"] : []),
  mayBecome: (from: CertificateStatus, to: CertificateStatus) => from !== "REVOKED" || to === "REVOKED",
};

const id = (n: number): string => factsOf(n).certificateId;

function refused(code: string, says: RegExp = /./): (error: unknown) => boolean {
  return (error) => isTidewireError(error) && error.code === code && says.test(error.message);
}

export function registryContract(adapter: string, open: () => StoreUnderTest | Promise<StoreUnderTest>): void {
  describe(`registry over ${adapter}`, () => {
    let under: StoreUnderTest;
    let clock: SimClock;
    let logger: SimLogger;
    let metrics: SimMetrics;
    let registry: Registry;
    let changes: Change[];

    const start = (store: RegistryStore): Registry => {
      metrics = new SimMetrics();
      const made = new Registry({ store, rules: RULES, clock, random: new SimRandom(7), logger, metrics });
      changes = [];
      made.onChange((change) => changes.push(change));
      return made;
    };
    beforeEach(async () => {
      under = await open();
      clock = new SimClock();
      logger = new SimLogger();
      registry = start(under.store);
    });
    afterEach(() => under.close());

    describe("things", () => {
      test("a thing is made, changed and found again after a restart", async () => {
        const { thing } = registry.createThing("dev:1", {
          thingTypeName: "pump",
          attributes: { room: "Halle 3 – Süd" },
        });
        assert.equal(thing.version, 1);
        assert.match(thing.thingId, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
        clock.advance(1000);
        registry.updateThing("dev:1", { attributes: { floor: "2" }, merge: true, expectedVersion: 1 });
        registry = start(await under.reopen());
        const found = registry.describeThing("dev:1");
        assert.deepEqual(found, {
          ...thing,
          attributes: { room: "Halle 3 – Süd", floor: "2" },
          version: 2,
          updatedAt: thing.createdAt + 1000,
        });
        assert.equal(metrics.value("tidewire_registry_things"), 1);
      });

      test("making the same thing again succeeds; with other attributes it is refused", () => {
        const first = registry.createThing("a", { attributes: { x: "1" } });
        const again = registry.createThing("a", { attributes: { x: "1", empty: "" } });
        assert.deepEqual(again, { thing: first.thing, created: false });
        assert.throws(() => registry.createThing("a", { attributes: { x: "2" } }), refused("ALREADY_EXISTS"));
        assert.throws(() => registry.createThing("a", { thingTypeName: "t" }), refused("ALREADY_EXISTS"));
        assert.equal(changes.length, 1);
      });

      test("attributes merge or replace; an empty value removes; the type goes when asked to", () => {
        registry.createThing("a", { thingTypeName: "t", attributes: { x: "1", y: "2" } });
        const merged = registry.updateThing("a", { attributes: { x: "", z: "3" }, merge: true });
        assert.deepEqual(merged.attributes, { y: "2", z: "3" });
        assert.deepEqual(registry.updateThing("a", { attributes: { q: "9" } }).attributes, { q: "9" });
        assert.equal(registry.updateThing("a", { removeThingType: true }).thingTypeName, null);
        assert.deepEqual(registry.describeThing("a").attributes, { q: "9" });
      });

      test("a change or deletion that expects another version is refused and changes nothing", () => {
        registry.createThing("a");
        registry.updateThing("a", { attributes: { x: "1" } });
        const conflict = refused("VERSION_CONFLICT", /has version 2, not 1/);
        assert.throws(() => registry.updateThing("a", { attributes: {}, expectedVersion: 1 }), conflict);
        assert.throws(() => registry.deleteThing("a", 1), conflict);
        assert.deepEqual(registry.describeThing("a").attributes, { x: "1" });
        assert.equal(registry.deleteThing("a", 2), true);
        assert.equal(registry.deleteThing("a"), false);
        assert.throws(() => registry.describeThing("a"), refused("NOT_FOUND", /no thing named 'a'/));
      });

      test("names and attributes that AWS IoT does not know are refused", () => {
        for (const name of ["", "a b", "ä", "a/b", "a+", "x".repeat(129), "a\n"]) {
          assert.throws(() => registry.createThing(name), refused("REQUEST_INVALID"), name);
        }
        registry.createThing("x".repeat(128));
        const attributes: readonly Record<string, string>[] = [
          { "a b": "x" },
          { "": "x" },
          { a: "x".repeat(801) },
          { a: "line\nbreak" },
          { a: 3 as unknown as string },
          JSON.parse('{"__proto__":"x"}') as Record<string, string>,
        ];
        for (const given of attributes) {
          assert.throws(() => registry.createThing("b", { attributes: given }), refused("REQUEST_INVALID"));
        }
        const many = Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`k${i}`, "v"]));
        assert.throws(() => registry.createThing("b", { attributes: many }), refused("LIMIT_REACHED", /50 at most/));
        assert.equal(registry.findThing("b"), undefined);
      });

      test("listing goes through all pages once, in order, by type, attribute, prefix and search", () => {
        registry.atomically(() => {
          for (let i = 0; i < 1000; i++) {
            const name = `thing-${String(i).padStart(4, "0")}`;
            const attributes = { site: `S${i % 10}`, note: i === 777 ? "Éole_100%" : "" };
            registry.createThing(name, { thingTypeName: i % 2 === 0 ? "even" : "odd", attributes });
          }
        });
        const seen: string[] = [];
        let nextToken: string | null = null;
        do {
          const page: { items: readonly { thingName: string }[]; nextToken: string | null } = registry.listThings({
            thingTypeName: "even",
            maxResults: 99,
            nextToken,
          });
          seen.push(...page.items.map((thing) => thing.thingName));
          nextToken = page.nextToken;
        } while (nextToken !== null);
        assert.equal(seen.length, 500);
        assert.deepEqual(seen, [...new Set(seen)].sort());
        const names = (filter: Parameters<Registry["listThings"]>[0]): number => registry.countThings(filter);
        assert.equal(names({ attributeName: "site", attributeValue: "S3" }), 100);
        assert.equal(names({ attributeName: "site", attributeValue: "S", prefix: true }), 1000);
        assert.equal(names({ attributeName: "site", attributeValue: "s3" }), 0);
        assert.equal(names({ attributeName: "note" }), 1);
        assert.equal(names({ search: "THING-099" }), 10);
        assert.equal(names({ search: "_100%" }), 1);
        assert.equal(names({ search: "éole" }), 1);
        assert.equal(names({ search: "s4" }), 100);
        assert.equal(names({ search: "s4", thingTypeName: "even" }), 100);
        assert.equal(registry.listThings().items.length, 250);
        const long = { search: "x".repeat(801) };
        assert.throws(() => registry.listThings(long), refused("REQUEST_INVALID", /search is longer/));
        assert.throws(() => registry.countThings(long), refused("REQUEST_INVALID"));
      });

      test("a token of another listing, a broken one and a wrong page size are refused", () => {
        for (const name of ["a", "b", "c"]) registry.putPolicy(name, "{}");
        const { nextToken } = registry.listPolicies({ maxResults: 1 });
        assert.ok(nextToken !== null);
        for (const token of [nextToken, "", "?", "AAAAA", "x".repeat(600)]) {
          assert.throws(
            () => registry.listThings({ nextToken: token }),
            refused("REQUEST_INVALID", /nextToken/),
            token,
          );
        }
        for (const maxResults of [0, -1, 1.5, 251, Number.NaN]) {
          assert.throws(() => registry.listThings({ maxResults }), refused("REQUEST_INVALID", /maxResults/));
        }
      });
    });

    describe("certificates", () => {
      test("status changes, is kept, and ends with REVOKED", async () => {
        registry.registerCertificate("PEM 1", factsOf(1));
        assert.throws(() => registry.registerCertificate("PEM 1", factsOf(1)), refused("ALREADY_EXISTS"));
        registry.updateCertificateStatus(id(1), "INACTIVE");
        clock.advance(5);
        registry.updateCertificateStatus(`arn:aws:iot:eu-west-1:1:cert/${id(1)}`, "REVOKED");
        registry = start(await under.reopen());
        const { pem, status, subject, notAfter, createdAt, updatedAt } = registry.describeCertificate(id(1));
        assert.deepEqual([pem, status, updatedAt - createdAt], ["PEM 1", "REVOKED", 5]);
        assert.deepEqual([subject, notAfter], [factsOf(1).subject, factsOf(1).notAfter]);
        assert.throws(
          () => registry.updateCertificateStatus(id(1), "ACTIVE"),
          refused("CERTIFICATE_STATE", /is REVOKED/),
        );
        registry.updateCertificateStatus(id(1), "REVOKED");
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
          assert.throws(() => registry.describeCertificate(wrong), refused("REQUEST_INVALID"), wrong);
        }
        assert.throws(() => registry.describeCertificate(id(9)), refused("NOT_FOUND"));
      });

      test("deleting needs INACTIVE or REVOKED and nothing attached; force lets policies go", () => {
        registry.createThing("t");
        registry.putPolicy("p", "{}");
        registry.registerCertificate("PEM", factsOf(1));
        registry.attachThingPrincipal("t", id(1));
        registry.attachPolicy("p", id(1));
        assert.throws(() => registry.deleteCertificate(id(1)), refused("CERTIFICATE_STATE", /ACTIVE/));
        registry.updateCertificateStatus(id(1), "INACTIVE");
        assert.throws(() => registry.deleteCertificate(id(1), { force: true }), refused("STILL_IN_USE", /thing/));
        registry.detachThingPrincipal("t", id(1));
        assert.throws(() => registry.deleteCertificate(id(1)), refused("STILL_IN_USE", /policies/));
        registry.deleteCertificate(id(1), { force: true });
        assert.equal(registry.principalOf(id(1)), undefined);
        registry.deletePolicy("p");
      });

      test("listing is by time of creation, either way, also where many share a moment", () => {
        for (let i = 1; i <= 30; i++) {
          registry.registerCertificate("PEM", factsOf(i));
          if (i % 10 === 0) clock.advance(1);
        }
        const all = (ascending: boolean): number[] => {
          const found: number[] = [];
          let nextToken: string | null = null;
          do {
            const page: ReturnType<Registry["listCertificates"]> = registry.listCertificates({
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
        for (const name of ["a", "b"]) registry.createThing(name);
        for (const n of [1, 2]) registry.registerCertificate("PEM", factsOf(n));
        registry.attachThingPrincipal("a", id(1));
        registry.attachThingPrincipal("b", id(1));
        registry.attachThingPrincipal("a", id(2));
        registry = start(await under.reopen());
        assert.deepEqual(
          registry.listThingPrincipals("a").map((attachment) => attachment.certificateId),
          [id(1), id(2)],
        );
        assert.deepEqual(
          registry.listPrincipalThings(id(1)).map((attachment) => attachment.thingName),
          ["a", "b"],
        );
        assert.throws(() => registry.deleteThing("a"), refused("THING_HAS_PRINCIPALS", /2 certificate/));
        assert.equal(registry.detachThingPrincipal("a", id(1)), true);
        assert.equal(registry.detachThingPrincipal("a", id(1)), false);
        registry.detachThingPrincipal("a", id(2));
        assert.equal(registry.deleteThing("a"), true);
        assert.throws(() => registry.attachThingPrincipal("a", id(1)), refused("NOT_FOUND", /thing/));
        assert.throws(() => registry.attachThingPrincipal("b", id(7)), refused("NOT_FOUND", /certificate/));
      });

      test("an exclusive attachment stands alone", () => {
        for (const name of ["a", "b"]) registry.createThing(name);
        registry.registerCertificate("PEM", factsOf(1));
        registry.attachThingPrincipal("a", id(1));
        registry.attachThingPrincipal("a", id(1), "EXCLUSIVE_THING");
        assert.deepEqual(registry.listPrincipalThings(id(1)), [
          { thingName: "a", certificateId: id(1), type: "EXCLUSIVE_THING" },
        ]);
        assert.throws(() => registry.attachThingPrincipal("b", id(1)), refused("REQUEST_INVALID", /exclusively.*'a'/));
        registry.attachThingPrincipal("a", id(1), "NON_EXCLUSIVE_THING");
        registry.attachThingPrincipal("b", id(1));
        const asExclusive = (): void => registry.attachThingPrincipal("b", id(1), "EXCLUSIVE_THING");
        assert.throws(asExclusive, refused("REQUEST_INVALID", /'a' as well/));
      });

      test("policies and certificates find each other; limits hold", () => {
        registry.registerCertificate("PEM", factsOf(1));
        for (let i = 0; i < 11; i++) registry.putPolicy(`p${i}`, "{}");
        for (let i = 0; i < 10; i++) registry.attachPolicy(`p${i}`, id(1));
        registry.attachPolicy("p0", id(1));
        assert.throws(() => registry.attachPolicy("p10", id(1)), refused("LIMIT_REACHED", /10 at most/));
        assert.equal(registry.listAttachedPolicies(id(1)).length, 10);
        assert.deepEqual(registry.listTargetsForPolicy("p3").items, [id(1)]);
        assert.throws(() => registry.deletePolicy("p3"), refused("STILL_IN_USE"));
        assert.equal(registry.detachPolicy("p3", id(1)), true);
        assert.equal(registry.detachPolicy("p3", id(1)), false);
        registry.deletePolicy("p3");
        assert.throws(() => registry.getPolicy("p3"), refused("NOT_FOUND"));
      });
    });

    describe("policies", () => {
      test("putting replaces and counts versions; the same text again changes nothing", () => {
        assert.deepEqual(registry.putPolicy("p", "odd").warnings, ["odd document"]);
        assert.equal(registry.putPolicy("p", "even").policy.version, 2);
        assert.equal(registry.putPolicy("p", "even").policy.version, 2);
        assert.equal(changes.length, 2);
        assert.throws(() => registry.createPolicy("p", "x"), refused("ALREADY_EXISTS"));
        registry.createPolicy("q", "x");
        assert.deepEqual(
          registry.listPolicies().items.map((policy) => [policy.policyName, policy.document]),
          [
            ["p", "even"],
            ["q", "x"],
          ],
        );
        for (const wrong of ["", "a b", "a/b", "x".repeat(129)]) {
          assert.throws(() => registry.putPolicy(wrong, "{}"), refused("REQUEST_INVALID"));
        }
      });
    });

    describe("rights of a certificate", () => {
      beforeEach(() => {
        registry.createThing("t", { attributes: { room: "1" } });
        registry.putPolicy("p", "one");
        registry.registerCertificate("PEM", factsOf(1));
        registry.attachThingPrincipal("t", id(1), "EXCLUSIVE_THING");
        registry.attachPolicy("p", id(1));
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
        registry.createThing("other");
        registry.putPolicy("other", "x");
        assert.equal(registry.principalOf(id(1)), first);
        assert.equal(metrics.value("tidewire_registry_principals_cached"), 1);
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
          () => registry.updateCertificateStatus(id(1), "REVOKED"),
          { kind: "certificate", change: "updated" },
          () => registry.principalOf(id(1))?.certificate.status === "REVOKED",
        ],
        [
          "a changed attribute",
          () => registry.updateThing("t", { attributes: { room: "2" } }),
          { kind: "thing", change: "updated" },
          () => registry.principalOf(id(1))?.things[0]?.thing.attributes["room"] === "2",
        ],
        [
          "a changed policy",
          () => registry.putPolicy("p", "two"),
          { kind: "policy", change: "updated" },
          () => registry.principalOf(id(1))?.policies[0]?.document === "two",
        ],
        [
          "a detached policy",
          () => registry.detachPolicy("p", id(1)),
          { kind: "policy", change: "detached" },
          () => registry.principalOf(id(1))?.policies.length === 0,
        ],
        [
          "a detached thing",
          () => registry.detachThingPrincipal("t", id(1)),
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
          registry.createThing("a");
          registry.registerCertificate("PEM", factsOf(1));
          registry.attachThingPrincipal("a", id(1));
          heardInside = changes.length;
        });
        assert.equal(heardInside, 0);
        assert.deepEqual(
          changes.map((change) => `${change.kind} ${change.change}`),
          ["thing created", "certificate created", "thing attached"],
        );
      });

      test("a failure undoes all of them, tells nobody, and leaves no rights behind in memory", () => {
        registry.createThing("a");
        registry.registerCertificate("PEM", factsOf(1));
        changes.length = 0;
        assert.throws(
          () =>
            registry.atomically(() => {
              registry.attachThingPrincipal("a", id(1));
              assert.equal(registry.principalOf(id(1))?.things.length, 1);
              registry.createThing("b");
              throw new Error("power failed");
            }),
          /power failed/,
        );
        assert.equal(registry.principalOf(id(1))?.things.length, 0);
        assert.equal(registry.findThing("b"), undefined);
        assert.deepEqual(changes, []);
        registry.createThing("b");
        assert.equal(changes.length, 1);
      });

      test("a listener that fails does not keep the others from hearing", () => {
        registry.onChange(() => {
          throw new Error("broken listener");
        });
        const heard: string[] = [];
        registry.onChange((change) => heard.push(change.id));
        registry.createThing("a");
        assert.deepEqual(heard, ["a"]);
        assert.ok(logger.lines.some((line) => line.level === "error" && line.fields["reason"] === "broken listener"));
      });
    });
  });
}
