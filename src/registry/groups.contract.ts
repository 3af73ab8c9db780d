/** Types, groups and tags over any store. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { arnOf, minutes } from "../base/mod.ts";
import { RegistryWorld, allOf, factsOf, id, refused } from "./contract.fixture.ts";
import type { OpenStore } from "./contract.fixture.ts";
import type { Registry } from "./registry.ts";

export function groupsContract(adapter: string, open: OpenStore): void {
  describe(`types, groups and tags over ${adapter}`, () => {
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

    describe("thing types", () => {
      test("a type is made, changed and found again after a restart; making the same again succeeds", async () => {
        const properties = { description: "Pumpe – groß", searchableAttributes: ["model", "site", "model"] };
        const { type } = registry.types.create("pump", properties);
        assert.deepEqual(type.searchableAttributes, ["model", "site"]);
        assert.equal(registry.types.create("pump", properties).created, false);
        assert.throws(() => registry.types.create("pump"), refused("ALREADY_EXISTS"));
        world.clock.advance(5);
        registry.types.update("pump", { searchableAttributes: ["model"] });
        await restart();
        const expected = { ...type, searchableAttributes: ["model"], updatedAt: type.createdAt + 5 };
        assert.deepEqual(registry.types.describe("pump"), expected);
      });

      test("no thing gets a type that is unknown or deprecated; those that have it keep it", () => {
        assert.throws(
          () => registry.things.create("a", { thingTypeName: "pump" }),
          refused("NOT_FOUND", /thing type named 'pump'/),
        );
        registry.types.create("pump");
        registry.things.create("a", { thingTypeName: "pump" });
        registry.things.create("b");
        registry.types.deprecate("pump");
        assert.throws(
          () => registry.things.create("c", { thingTypeName: "pump" }),
          refused("REQUEST_INVALID", /deprecated/),
        );
        assert.throws(
          () => registry.things.update("b", { thingTypeName: "pump" }),
          refused("REQUEST_INVALID", /deprecated/),
        );
        assert.equal(
          registry.things.update("a", { thingTypeName: "pump", attributes: { x: "1" } }).thingTypeName,
          "pump",
        );
        registry.types.deprecate("pump", { undo: true });
        registry.things.update("b", { thingTypeName: "pump" });
      });

      test("deleting takes deprecation, five minutes, and that no thing has it", () => {
        registry.types.create("pump");
        registry.things.create("a", { thingTypeName: "pump" });
        assert.throws(() => registry.types.delete("pump"), refused("THING_TYPE_STATE", /not deprecated/));
        registry.types.deprecate("pump");
        world.clock.advance(minutes(5) - 1);
        registry.types.deprecate("pump"); // again: does not start anew
        assert.throws(() => registry.types.delete("pump"), refused("THING_TYPE_STATE", /a moment ago/));
        world.clock.advance(1);
        assert.throws(() => registry.types.delete("pump"), refused("THING_TYPE_STATE", /things have it/));
        registry.things.update("a", { removeThingType: true });
        registry.types.delete("pump");
        assert.throws(() => registry.types.delete("pump"), refused("NOT_FOUND"));
      });

      test("listing is by name, in pages, or one by its name", () => {
        for (let i = 0; i < 30; i++) registry.types.create(`t${String(i).padStart(2, "0")}`);
        const names = allOf((nextToken) => registry.types.list({ maxResults: 7, nextToken })).map(
          (t) => t.thingTypeName,
        );
        assert.deepEqual(
          names,
          Array.from({ length: 30 }, (_, i) => `t${String(i).padStart(2, "0")}`),
        );
        assert.equal(registry.types.list({ thingTypeName: "t07" }).items.length, 1);
        assert.equal(registry.types.list({ thingTypeName: "none" }).items.length, 0);
      });
    });

    describe("hostile names", () => {
      const hostile: readonly (readonly [name: string, says: RegExp])[] = [
        ["", /empty/],
        ["a#", /'#' at position 2/],
        ["+", /'\+' at position 1/],
        ["a/b", /'\/' at position 2/],
        ["${iot:ClientId}", /'\$' at position 1/],
        ["..", /'\.' at position 1/],
        ["a b", /a space at position 2/],
        ["x".repeat(1_000), /1000 characters, 128 at most/],
        ["abc\u202egnp", /U\+202E at position 4/],
        ["\u200fabc", /U\+200F at position 1/],
        ["a\0", /U\+0000 at position 2/],
        ["a\u007f", /U\+007F at position 2/],
        ["😀b", /'😀' at position 1/],
        ["ab\ud800", /U\+D800 at position 3/],
      ];
      for (const [name, says] of hostile) {
        test(`${JSON.stringify(name.slice(0, 20))} names nothing; the sentence says which character it is`, () => {
          for (const make of [
            () => registry.things.create(name),
            () => registry.types.create(name),
            () => registry.groups.create(name),
            () => registry.groups.createDynamic(name, { queryString: "thingName:*" }),
            () => registry.things.create("a", { billingGroupName: name }),
          ]) {
            assert.throws(make, (error) => {
              refused("REQUEST_INVALID", says)(error);
              assert.doesNotMatch((error as Error).message, /[\p{Cc}\p{Bidi_Control}\p{Cs}]/u);
              return true;
            });
          }
          assert.deepEqual(world.heard(), []);
        });
      }

      test("a name that is not there is told without what it could do to a terminal", () => {
        const name = `\u202e\u001b[31m${"x".repeat(1_000)}`;
        for (const look of [
          () => registry.things.describe(name),
          () => registry.groups.members(name),
          () => registry.policies.version(name, "\u0007"),
          () => registry.policies.attachedTo(`thinggroup/${name}`),
        ]) {
          assert.throws(look, (error) => {
            refused("NOT_FOUND", /no .* named '\?\?\[31mx+'/)(error);
            assert.ok((error as Error).message.length < 200);
            return true;
          });
        }
      });

      test("descriptions and values are printable and end somewhere", () => {
        const wrong =
          (attributes: Record<string, string>): (() => unknown) =>
          () =>
            registry.groups.create("g", { attributes });
        assert.throws(
          () => registry.groups.create("g", { description: "a\u202eb" }),
          refused("REQUEST_INVALID", /U\+202E/),
        );
        assert.throws(
          () => registry.types.create("t", { description: "x".repeat(2_029) }),
          refused("REQUEST_INVALID", /2028/),
        );
        assert.throws(wrong({ a: "\u2066hidden" }), refused("REQUEST_INVALID", /'a'.*U\+2066 at position 1/));
        assert.throws(wrong({ "a b": "x" }), refused("REQUEST_INVALID", /a space at position 2/));
      });
    });

    describe("groups", () => {
      const tree = (): void => {
        registry.groups.create("plant", { description: "all", attributes: { city: "Kiel" } });
        registry.groups.create("hall-1", { parentGroupName: "plant" });
        registry.groups.create("hall-2", { parentGroupName: "plant" });
        registry.groups.create("line-1", { parentGroupName: "hall-1" });
        registry.groups.create("other");
      };
      const names = (options: Parameters<Registry["groups"]["list"]>[0]): string[] =>
        registry.groups.list(options).items.map((group) => group.thingGroupName);

      test("a hierarchy is kept: path from the root, children, all below, by prefix", async () => {
        tree();
        await restart();
        assert.deepEqual(
          registry.groups.pathTo("line-1").map((group) => group.thingGroupName),
          ["plant", "hall-1", "line-1"],
        );
        assert.equal(registry.groups.describe("line-1").parentGroupName, "hall-1");
        assert.deepEqual(names({}), ["hall-1", "hall-2", "line-1", "other", "plant"]);
        assert.deepEqual(names({ recursive: false }), ["other", "plant"]);
        assert.deepEqual(names({ parent: "plant" }), ["hall-1", "hall-2"]);
        assert.deepEqual(names({ parent: "plant", recursive: true }), ["hall-1", "hall-2", "line-1"]);
        assert.deepEqual(names({ parent: "plant", recursive: true, prefix: "hall" }), ["hall-1", "hall-2"]);
        assert.deepEqual(names({ prefix: "hall-2" }), ["hall-2"]);
        assert.throws(() => names({ parent: "none" }), refused("NOT_FOUND"));
      });

      test("properties change with the version that is expected; the parent never does", () => {
        tree();
        const again = { description: "all", attributes: { city: "Kiel" } };
        assert.equal(registry.groups.create("plant", again).created, false);
        assert.throws(() => registry.groups.create("plant"), refused("ALREADY_EXISTS"));
        assert.throws(() => registry.groups.create("hall-1", { parentGroupName: "other" }), refused("ALREADY_EXISTS"));
        const changed = registry.groups.update("plant", {
          attributes: { floor: "2" },
          merge: true,
          expectedVersion: 1,
        });
        assert.deepEqual(
          [changed.attributes, changed.version, changed.description],
          [{ city: "Kiel", floor: "2" }, 2, "all"],
        );
        const late = (): unknown => registry.groups.update("plant", { description: "x", expectedVersion: 1 });
        assert.throws(late, refused("VERSION_CONFLICT", /has version 2, not 1/));
        assert.throws(() => registry.groups.update("none", {}), refused("NOT_FOUND"));
      });

      test("depth and children are limited", () => {
        let parent = "g1";
        registry.groups.create(parent);
        for (let depth = 2; depth <= 7; depth++) {
          registry.groups.create(`g${depth}`, { parentGroupName: parent });
          parent = `g${depth}`;
        }
        assert.throws(
          () => registry.groups.create("g8", { parentGroupName: parent }),
          refused("LIMIT_REACHED", /7 at most/),
        );
        registry.atomically(() => {
          for (let i = 1; i < 100; i++) registry.groups.create(`c${i}`, { parentGroupName: "g1" });
        });
        assert.throws(
          () => registry.groups.create("c100", { parentGroupName: "g1" }),
          refused("LIMIT_REACHED", /100 at most/),
        );
        assert.throws(() => registry.groups.create("x", { parentGroupName: "none" }), refused("NOT_FOUND"));
      });

      test("names of the groups of many things, in one look-up", () => {
        const things = Array.from({ length: 300 }, (_, index) => `t-${index}`);
        for (const name of ["g1", "g2"]) registry.groups.create(name);
        registry.atomically(() => {
          for (const thing of things) registry.things.create(thing);
          for (const thing of things.slice(0, 299)) registry.groups.add("g1", thing);
          registry.groups.add("g2", "t-7");
        });
        const names = registry.groups.namesOf(things);
        assert.equal(names.size, 299);
        assert.deepEqual([names.get("t-7"), names.get("t-8"), names.get("t-299")], [["g1", "g2"], ["g1"], undefined]);
        assert.equal(registry.groups.namesOf([]).size, 0);
      });

      test("a group with groups below it stays; then it goes with its members, tags and policies", () => {
        tree();
        registry.things.create("a");
        registry.groups.add("line-1", "a");
        registry.policies.put("p", "{}");
        registry.policies.attach("p", arnOf.group("line-1"));
        registry.tags.add(arnOf.group("line-1"), [{ key: "k", value: "v" }]);
        assert.throws(() => registry.groups.delete("hall-1"), refused("GROUP_HAS_CHILDREN", /'line-1' is below/));
        assert.throws(() => registry.groups.delete("line-1", 9), refused("VERSION_CONFLICT"));
        assert.equal(registry.groups.delete("line-1"), true);
        assert.equal(registry.groups.delete("line-1"), false);
        assert.deepEqual(registry.groups.ofThing("a"), []);
        registry.policies.delete("p");
        registry.groups.create("line-1", { parentGroupName: "hall-1" });
        assert.deepEqual(registry.tags.of(arnOf.group("line-1")), []);
        assert.equal(registry.groups.members("line-1").items.length, 0);
      });

      test("members are listed in pages, with those of the groups below where asked", async () => {
        tree();
        registry.atomically(() => {
          for (let i = 0; i < 40; i++) {
            registry.things.create(`t${String(i).padStart(2, "0")}`);
            registry.groups.add(["plant", "hall-1", "line-1", "other"][i % 4]!, `t${String(i).padStart(2, "0")}`);
          }
        });
        await restart();
        const members = (group: string, recursive: boolean): string[] =>
          allOf((nextToken) => registry.groups.members(group, { recursive, nextToken, maxResults: 7 }));
        assert.equal(members("plant", false).length, 10);
        assert.deepEqual(
          members("plant", true),
          Array.from({ length: 40 }, (_, i) => `t${String(i).padStart(2, "0")}`).filter((_, i) => i % 4 !== 3),
        );
        assert.equal(members("hall-1", true).length, 20);
        registry.things.delete("t00");
        assert.equal(members("plant", true).length, 29);
        assert.throws(() => members("none", true), refused("NOT_FOUND"));
      });

      test("a thing is in one group of a tree at most, and in ten groups", () => {
        tree();
        registry.things.create("a");
        registry.groups.add("line-1", "a");
        registry.groups.add("line-1", "a");
        assert.throws(() => registry.groups.add("hall-2", "a"), refused("REQUEST_INVALID", /'line-1'.*below 'plant'/));
        for (let i = 0; i < 9; i++) {
          registry.groups.create(`r${i}`);
          registry.groups.add(`r${i}`, "a");
        }
        assert.throws(() => registry.groups.add("other", "a"), refused("LIMIT_REACHED", /10 at most/));
        assert.throws(() => registry.groups.add("other", "a", { override: true }), refused("LIMIT_REACHED"));
        assert.equal(registry.groups.remove("r3", "a"), true);
        assert.equal(registry.groups.remove("r3", "a"), false);
        registry.groups.add("other", "a");
        assert.throws(() => registry.groups.add("none", "a"), refused("NOT_FOUND", /group/));
        assert.throws(() => registry.groups.add("other", "none"), refused("NOT_FOUND", /thing/));
      });

      test("all memberships of a thing change at once or not at all", () => {
        tree();
        registry.things.create("a");
        registry.groups.add("line-1", "a");
        registry.groups.updateForThing("a", { add: ["hall-2", "other"], remove: ["line-1"] });
        const groups = (): string[] => registry.groups.ofThing("a").map((group) => group.thingGroupName);
        assert.deepEqual(groups(), ["hall-2", "other"]);
        world.heard();
        const wrong = (): void => registry.groups.updateForThing("a", { add: ["none"], remove: ["other"] });
        assert.throws(wrong, refused("NOT_FOUND"));
        assert.deepEqual([groups(), world.heard()], [["hall-2", "other"], []]);
      });

      test("a change of membership is told with the things, and with their certificates", () => {
        tree();
        for (const [n, name] of ["a", "b"].entries()) {
          registry.things.create(name);
          registry.certificates.register("PEM", factsOf(n));
          registry.things.attach(name, id(n));
        }
        world.heard();
        registry.groups.add("line-1", "a");
        assert.deepEqual(world.changes.pop(), {
          kind: "group",
          id: "line-1",
          change: "attached",
          others: ["a"],
          principals: [id(0)],
        });
      });
    });

    describe("dynamic groups", () => {
      const make = (name = "dry"): void => {
        registry.groups.createDynamic(name, { queryString: "attributes.dry:yes" });
      };

      test("it is filled by whoever runs its query, by nobody else", async () => {
        make();
        for (const name of ["a", "b", "c"]) registry.things.create(name);
        assert.equal(registry.groups.describe("dry").query?.status, "BUILDING");
        world.heard();
        const { skipped } = registry.groups.setDynamicMembers("dry", {
          add: ["a", "b", "gone"],
          remove: [],
          status: "ACTIVE",
        });
        assert.deepEqual(skipped, ["gone"]);
        assert.deepEqual(world.heard(), ["group dry attached", "group dry updated"]);
        await restart();
        assert.deepEqual(registry.groups.members("dry").items, ["a", "b"]);
        registry.groups.setDynamicMembers("dry", { add: ["b", "c"], remove: ["a"] });
        assert.deepEqual(registry.groups.members("dry").items, ["b", "c"]);
        assert.equal(registry.groups.describe("dry").query?.status, "ACTIVE");
        assert.throws(() => registry.groups.add("dry", "a"), refused("REQUEST_INVALID", /dynamic group/));
        assert.throws(() => registry.groups.remove("dry", "b"), refused("REQUEST_INVALID", /dynamic group/));
        assert.throws(() => registry.groups.update("dry", {}), refused("REQUEST_INVALID", /dynamic group/));
        assert.throws(() => registry.groups.delete("dry"), refused("REQUEST_INVALID", /dynamic group/));
        assert.throws(
          () => registry.groups.create("x", { parentGroupName: "dry" }),
          refused("REQUEST_INVALID", /dynamic/),
        );
        assert.equal(registry.groups.deleteDynamic("dry"), true);
        assert.deepEqual(registry.groups.ofThing("b"), []);
      });

      test("another query rebuilds it; other properties do not", () => {
        make();
        registry.groups.setDynamicMembers("dry", { add: [], remove: [], status: "ACTIVE" });
        assert.equal(registry.groups.updateDynamic("dry", { description: "d" }).query?.status, "ACTIVE");
        const { query } = registry.groups.updateDynamic("dry", { queryString: "thingName:p*" });
        assert.deepEqual([query?.queryString, query?.status], ["thingName:p*", "REBUILDING"]);
        assert.deepEqual(
          registry.groups.list({ dynamic: true }).items.map((group) => group.thingGroupName),
          ["dry"],
        );
        const empty = (): unknown => registry.groups.createDynamic("e", { queryString: " " });
        assert.throws(empty, refused("REQUEST_INVALID", /empty/));
        const index = (): unknown => registry.groups.createDynamic("e", { queryString: "x", indexName: "mine" });
        assert.throws(index, refused("REQUEST_INVALID", /'mine'/));
      });

      test("it gives way to a group chosen by hand where that is asked for", () => {
        make();
        registry.things.create("a");
        for (let i = 0; i < 9; i++) {
          registry.groups.create(`r${i}`);
          registry.groups.add(`r${i}`, "a");
        }
        registry.groups.setDynamicMembers("dry", { add: ["a"], remove: [] });
        registry.groups.create("last");
        assert.throws(() => registry.groups.add("last", "a"), refused("LIMIT_REACHED"));
        registry.groups.add("last", "a", { override: true });
        assert.deepEqual(registry.groups.members("dry").items, []);
        assert.deepEqual(registry.groups.setDynamicMembers("dry", { add: ["a"], remove: [] }).skipped, ["a"]);
      });

      test("no policy is attached to it: who fills it does not grant rights", () => {
        make();
        registry.policies.put("p", "{}");
        assert.throws(
          () => registry.policies.attach("p", arnOf.group("dry")),
          refused("REQUEST_INVALID", /dynamic group/),
        );
      });
    });

    describe("tags", () => {
      test("are kept by resource, replaced by key, and limited", async () => {
        registry.groups.create("g");
        registry.policies.put("p", "{}");
        registry.tags.add(arnOf.group("g"), [
          { key: "b", value: "2" },
          { key: "a", value: "1" },
        ]);
        registry.tags.add("arn:aws:iot:us-east-1:123456789012:thinggroup/g", [{ key: "a", value: "Größe 3" }]);
        registry.tags.add(arnOf.policy("p"), [{ key: "a", value: "p" }]);
        await restart();
        assert.deepEqual(registry.tags.of(arnOf.group("g")), [
          { key: "a", value: "Größe 3" },
          { key: "b", value: "2" },
        ]);
        registry.tags.remove(arnOf.group("g"), ["b", "none"]);
        assert.equal(registry.tags.of(arnOf.group("g")).length, 1);
        const many = Array.from({ length: 50 }, (_, i) => ({ key: `k${i}`, value: "" }));
        assert.throws(() => registry.tags.add(arnOf.group("g"), many), refused("LIMIT_REACHED", /50 at most/));
        assert.equal(registry.tags.of(arnOf.group("g")).length, 1);
      });

      test("only what is there, and may have tags, has any", () => {
        registry.things.create("a");
        const add =
          (arn: string, key = "k", value = "v"): (() => void) =>
          () =>
            registry.tags.add(arn, [{ key, value }]);
        assert.throws(add(arnOf.thing("a")), refused("REQUEST_INVALID", /'thing' has no tags.*thinggroup/));
        assert.throws(add(arnOf.group("none")), refused("NOT_FOUND"));
        assert.throws(add("nonsense"), refused("REQUEST_INVALID", /ARN/));
        registry.groups.create("g");
        for (const key of ["", "aws:x", "x".repeat(129), "a\u202eb", "a<b"]) {
          assert.throws(add(arnOf.group("g"), key), refused("REQUEST_INVALID"), key);
        }
        assert.throws(add(arnOf.group("g"), "k", "x".repeat(257)), refused("REQUEST_INVALID", /256/));
        registry.tags.taggable("rule", (name) => name === "hot");
        add(arnOf.rule("hot"))();
        assert.throws(add(arnOf.rule("cold")), refused("NOT_FOUND"));
        registry.tags.forget("rule/hot");
        assert.deepEqual(registry.tags.of(arnOf.rule("hot")), []);
      });
    });
  });
}
