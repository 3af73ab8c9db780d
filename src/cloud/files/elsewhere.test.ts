import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SimLogger } from "../../../sim/world.ts";
import type { JsonObject } from "../../base/mod.ts";
import type { StoredDocument } from "../../rules/mod.ts";
import { Elsewhere } from "./elsewhere.ts";
import type { KindElsewhere } from "./elsewhere.ts";

/** Documents in a store that may be away, and the platform's own disk. */
class World {
  readonly there = new Map<string, JsonObject>();
  readonly disk = new Map<string, StoredDocument>();
  readonly logger = new SimLogger();
  isAway = false;

  start(): Elsewhere {
    const kind: KindElsewhere = {
      kind: "policy",
      list: () => [...this.there].map(([name, document]) => ({ name, document })),
      find: (name) => this.there.get(name) ?? null,
      check: (_, input) => input as JsonObject,
      isNeeded: () => false,
      make: (changes) => {
        if (this.isAway) throw new Error("it is away");
        for (const { name, after } of changes) {
          if (after === null) this.there.delete(name);
          else this.there.set(name, after);
        }
      },
    };
    const stored = [...this.disk.values()];
    return new Elsewhere({ kinds: [kind], stored, keep: (documents) => this.keep(documents), logger: this.logger });
  }

  keep(documents: readonly StoredDocument[]): void {
    for (const one of documents) {
      if (one.document === null) this.disk.delete(one.name);
      else this.disk.set(one.name, one);
    }
  }
}

const CHANGE = [
  { kind: "policy", name: "a", after: { v: 2 } },
  { kind: "policy", name: "b", after: null },
  { kind: "rule", name: "c", after: {} },
];

describe("documents that are kept elsewhere", () => {
  test("a crash right after the rest was kept: the next start does what is owed, once", () => {
    const world = new World();
    world.there.set("b", {});
    world.keep(world.start().owe(CHANGE));
    assert.equal(world.there.size, 1, "nothing is done before the rest is on disk");
    world.start();
    assert.deepEqual([...world.there], [["a", { v: 2 }]]);
    assert.equal(world.disk.size, 0);
  });

  test("a store that is away at the start: it is told, stays owed, and is done before the next look", () => {
    const world = new World();
    world.keep(world.start().owe(CHANGE));
    world.isAway = true;
    const elsewhere = world.start();
    assert.equal(world.logger.lines.filter(({ level }) => level === "error").length, 1);
    assert.throws(() => elsewhere.settle(), /it is away/);
    world.isAway = false;
    elsewhere.settle();
    assert.deepEqual([[...world.there.keys()], world.disk.size], [["a"], 0]);
  });

  test("where the rest was not kept, nothing is owed", () => {
    const world = new World();
    const elsewhere = world.start();
    elsewhere.owe(CHANGE);
    elsewhere.disown();
    elsewhere.settle();
    assert.equal(world.there.size, 0);
  });
});
