import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { Worker } from "node:worker_threads";
import { SimClock, SimLogger, SimMetrics, SimRandom } from "../../../sim/world.ts";
import { SearchLink } from "../../adapters/sqlite/search-link.ts";
import { openRegistry } from "../../adapters/sqlite/registry-store.ts";
import { systemScheduler } from "../../adapters/system.ts";
import { TidewireError, isTidewireError } from "../../base/mod.ts";
import { PresenceBook, Registry } from "../../registry/mod.ts";
import { registryRules } from "../gatekeeper.ts";
import { FleetSearch } from "./fleet-search.ts";

/** Shadows as their service shows them. */
class Shadows {
  readonly #documents = new Map<string, string>();
  #listener: (change: { readonly thing: string; readonly name: string }) => void = () => {};

  put(thing: string, name: string, state: object): void {
    this.#documents.set(`${thing} ${name}`, JSON.stringify({ state, version: 1 }));
    this.#listener({ thing, name });
  }

  get({ thing, name }: { readonly thing: string; readonly name: string }): string {
    const found = this.#documents.get(`${thing} ${name}`);
    if (found === undefined) throw new TidewireError("SHADOW_NOT_FOUND", { reason: "none" });
    return found;
  }

  list(thing: string): { results: string[]; timestamp: number } {
    const names = [...this.#documents.keys()].filter((key) => key.startsWith(`${thing} `));
    return { results: names.map((key) => key.slice(thing.length + 1)).filter((name) => name !== ""), timestamp: 0 };
  }

  onChange(listener: (change: { readonly thing: string; readonly name: string }) => void): () => void {
    this.#listener = listener;
    return () => {};
  }
}

class Fleet {
  readonly folder = mkdtempSync(join(tmpdir(), "fleet-"));
  readonly shadows = new Shadows();
  readonly logger = new SimLogger();
  registry!: Registry;
  presence!: PresenceBook;
  search!: FleetSearch;
  thread!: Worker;
  #end: () => Promise<void> = async () => {};

  constructor(t: TestContext) {
    t.after(async () => {
      await this.stop();
      rmSync(this.folder, { recursive: true });
    });
    this.start();
  }

  get path(): string {
    return join(this.folder, "search.db");
  }

  start(): void {
    const { logger, shadows } = this;
    const [clock, metrics] = [new SimClock(), new SimMetrics()];
    const stores = openRegistry(join(this.folder, "registry.db"), logger);
    const base = { clock, logger, metrics, scheduler: systemScheduler };
    const registry = new Registry({ ...base, store: stores.store, rules: registryRules, random: new SimRandom(7) });
    const presence = new PresenceBook({ ...base, store: stores.presence, registry });
    const index = new SearchLink({
      path: this.path,
      logger,
      restartMs: { min: 10, max: 1_000 },
      spawn: (start) => {
        const file = new URL("../../adapters/sqlite/search-thread.ts", import.meta.url);
        return (this.thread = new Worker(file, { workerData: start, execArgv: [] }));
      },
    });
    const search = new FleetSearch({ ...base, registry, presence, shadows, index, shared: false });
    Object.assign(this, { registry, presence, search });
    this.#end = async () => {
      await search.close();
      await index.close();
      presence.close();
      stores.close();
    };
  }

  async stop(): Promise<void> {
    await this.#end();
    this.#end = async () => {};
  }

  async found(query: string): Promise<readonly string[]> {
    const { things } = await this.search.run(query);
    return things.map((thing) => thing.thingName);
  }

  /** Until groups are filled and their members are in the index. */
  async settle(): Promise<void> {
    do {
      await this.search.flush();
      await new Promise((resolve) => setImmediate(resolve));
    } while (!this.search.settled);
  }

  members(group: string): readonly string[] {
    return this.registry.groups.members(group).items;
  }
}

test("what was changed before a search is found by it: registry, groups, connectivity and shadows", async (t) => {
  const fleet = new Fleet(t);
  const { registry, presence, shadows } = fleet;
  registry.things.create("boiler", { attributes: { site: "Berlin", floor: "3" } });
  registry.things.create("pump", { attributes: { site: "Rome" } });
  assert.deepEqual(await fleet.found("attributes.site:berlin"), ["boiler"]);
  registry.things.update("pump", { attributes: { floor: "2" }, merge: true });
  assert.deepEqual(await fleet.found("attributes.floor<3"), ["pump"]);
  registry.groups.create("cellar");
  registry.groups.add("cellar", "pump");
  assert.deepEqual(await fleet.found("thingGroupNames:cellar"), ["pump"]);
  presence.connected("boiler", "1", null);
  assert.deepEqual(await fleet.found("connectivity.connected:true"), ["boiler"]);
  presence.disconnected("boiler", "1", "CLIENT_ERROR");
  assert.deepEqual(await fleet.found("connectivity.disconnectReason:client_error"), ["boiler"]);
  shadows.put("pump", "", { reported: { battery: 41 }, desired: { on: true }, delta: { on: true } });
  shadows.put("pump", "config", { reported: { mode: "eco" } });
  assert.deepEqual(await fleet.found("shadow.reported.battery:[40 TO 50] shadow.hasDelta:true"), ["pump"]);
  assert.deepEqual(await fleet.found("shadow.name.config.reported.mode:eco"), ["pump"]);
  const { things } = await fleet.search.run("thingName:pump");
  const { thingId } = registry.things.describe("pump");
  const { shadow, ...rest } = things[0]!;
  const attributes = { floor: "2", site: "Rome" };
  assert.deepEqual(rest, {
    thingName: "pump",
    thingId,
    thingGroupNames: ["cellar"],
    attributes: { site: attributes.site, floor: attributes.floor },
    connectivity: { connected: false },
  });
  assert.deepEqual(JSON.parse(shadow!), {
    reported: { battery: 41 },
    desired: { on: true },
    delta: { on: true },
    hasDelta: true,
    version: 1,
    name: { config: { reported: { mode: "eco" }, hasDelta: false, version: 1 } },
  });
  registry.groups.delete("cellar");
  await fleet.settle();
  assert.deepEqual(await fleet.found("thingGroupNames:cellar"), []);
  registry.things.delete("pump");
  assert.deepEqual(await fleet.found("*"), ["boiler"]);
});

test("pages go on where the last one ended, and a token belongs to its query", async (t) => {
  const fleet = new Fleet(t);
  fleet.registry.atomically(() => {
    for (let n = 0; n < 25; n++)
      fleet.registry.things.create(`t-${String(n).padStart(2, "0")}`, { attributes: { k: "v" } });
  });
  const seen: string[] = [];
  let nextToken: string | null = null;
  do {
    const page = await fleet.search.run("attributes.k:v", { maxResults: 10, nextToken });
    seen.push(...page.things.map((thing) => thing.thingName));
    ({ nextToken } = page);
  } while (nextToken !== null);
  assert.equal(new Set(seen).size, 25);
  assert.deepEqual(seen, seen.toSorted());
  const first = await fleet.search.run("attributes.k:v", { maxResults: 10 });
  const isRefused = (error: unknown): boolean => isTidewireError(error) && error.code === "REQUEST_INVALID";
  await assert.rejects(fleet.search.run("*", { nextToken: first.nextToken }), isRefused);
  await assert.rejects(fleet.search.run("*", { maxResults: 251 }), isRefused);
});

test("statistics over a field", async (t) => {
  const fleet = new Fleet(t);
  for (const [name, w] of Object.entries({ a: "1", b: "2", c: "3", d: "heavy" })) {
    fleet.registry.things.create(name, { attributes: { w } });
  }
  const [query, field] = ["*", "attributes.w"];
  const { average, count, sum, maximum, variance } = await fleet.search.aggregate({ ask: "statistics", query, field });
  assert.deepEqual([average, count, sum, maximum, variance], [2, 4, 6, 3, 2 / 3]);
  assert.equal(await fleet.search.aggregate({ ask: "cardinality", query, field }), 4);
  const percents = [0, 50, 75, 100];
  const percentiles = await fleet.search.aggregate({ ask: "percentiles", query, field, percents });
  assert.deepEqual(
    percentiles.map(({ value }) => value),
    [1, 2, 2.5, 3],
  );
  const { buckets } = await fleet.search.aggregate({ ask: "buckets", query, field, maxBuckets: 1 });
  assert.deepEqual(buckets, [{ keyValue: "1", count: 1 }]);
  const counted = await fleet.search.aggregate({ ask: "count", query: "attributes.w>1", within: 1_000 });
  assert.deepEqual(counted, { count: 2, complete: true });
});

test("an index that is missing, damaged or was not closed is made to agree by itself", async (t) => {
  const fleet = new Fleet(t);
  fleet.registry.things.create("a");
  fleet.registry.things.create("b");
  await fleet.search.flush();
  await fleet.stop();
  writeFileSync(
    fleet.path,
    "this is no database at all, and longer than a header of one would be: 0123456789".repeat(20),
  );
  fleet.start();
  await fleet.settle();
  assert.deepEqual(await fleet.found("thingName:*"), ["a", "b"]);
  await fleet.stop();

  // Changes that the index does not hear of, and nobody told it that it is complete.
  const stores = openRegistry(join(fleet.folder, "registry.db"));
  const { store } = stores;
  store.transaction(() => {
    store.things.remove("a");
    store.things.save({ ...store.things.find("b")!, thingName: "c", thingId: "c" });
  });
  stores.close();
  const link = new SearchLink({ path: fleet.path, logger: fleet.logger });
  assert.equal(await link.ready, true);
  await link.ask({ order: "complete", complete: false });
  await link.close();
  fleet.start();
  await fleet.settle();
  assert.deepEqual(await fleet.found("*"), ["b", "c"]);
});

test("a restart keeps the index, and nobody is connected after it", async (t) => {
  const fleet = new Fleet(t);
  fleet.registry.things.create("a");
  fleet.presence.connected("a", "1", null);
  assert.deepEqual(await fleet.found("connectivity.connected:true"), ["a"]);
  await fleet.stop();
  fleet.start();
  await fleet.settle();
  assert.deepEqual(await fleet.found("connectivity.connected:true"), []);
  assert.deepEqual(await fleet.found("connectivity.connected:false"), ["a"]);
});

test("a dynamic group is filled, and follows attributes, connectivity, shadows and other groups", async (t) => {
  const fleet = new Fleet(t);
  const { registry, presence, shadows } = fleet;
  registry.atomically(() => {
    for (let n = 0; n < 120; n++)
      registry.things.create(`t-${n}`, { attributes: { site: n % 2 === 0 ? "berlin" : "rome" } });
  });
  await fleet.search.flush();
  const { group } = registry.groups.createDynamic("in-berlin", { queryString: "attributes.site:berlin" });
  assert.equal(group.query?.status, "BUILDING");
  registry.groups.createDynamic("weak", { queryString: "shadow.reported.battery<20 OR connectivity.connected:true" });
  registry.groups.createDynamic("weak-in-berlin", { queryString: "thingGroupNames:in-berlin thingGroupNames:weak" });
  await fleet.settle();
  assert.equal(registry.groups.describe("in-berlin").query?.status, "ACTIVE");
  assert.equal(fleet.members("in-berlin").length, 60);
  assert.deepEqual(fleet.members("weak-in-berlin"), []);

  shadows.put("t-2", "", { reported: { battery: 10 } });
  presence.connected("t-4", "1", null);
  registry.things.update("t-6", { attributes: { site: "rome" } });
  registry.things.create("new", { attributes: { site: "berlin" } });
  await fleet.settle();
  assert.deepEqual(fleet.members("weak"), ["t-2", "t-4"]);
  assert.deepEqual(fleet.members("weak-in-berlin"), ["t-2", "t-4"]);
  assert.ok(!fleet.members("in-berlin").includes("t-6"));
  assert.ok(fleet.members("in-berlin").includes("new"));

  presence.disconnected("t-4", "1", "CLIENT_INITIATED_DISCONNECT");
  registry.groups.updateDynamic("in-berlin", { queryString: "NOT attributes.site:*" });
  assert.equal(registry.groups.describe("in-berlin").query?.status, "REBUILDING");
  registry.things.create("nowhere");
  await fleet.settle();
  assert.deepEqual(fleet.members("in-berlin"), ["nowhere"]);
  assert.deepEqual(fleet.members("weak-in-berlin"), []);
  assert.equal(registry.groups.describe("in-berlin").query?.status, "ACTIVE");
});

test("a group that was being filled when the platform ended is filled by the next one", async (t) => {
  const fleet = new Fleet(t);
  fleet.registry.things.create("a", { attributes: { k: "v" } });
  await fleet.search.flush();
  fleet.registry.groups.createDynamic("g", { queryString: "attributes.k:v" });
  await fleet.stop();
  fleet.start();
  await fleet.settle();
  assert.deepEqual(fleet.members("g"), ["a"]);
});

test("groups that would decide about themselves are refused", (t) => {
  const { registry } = new Fleet(t);
  const create = (name: string, queryString: string): unknown => registry.groups.createDynamic(name, { queryString });
  const isRefused = (code: string, says: RegExp) => (error: unknown) =>
    isTidewireError(error) && error.code === code && says.test(error.message);
  assert.throws(() => create("a", "NOT thingGroupNames:a"), isRefused("GROUP_QUERY_CYCLE", /a asks for a/));
  create("a", "thingGroupNames:b*");
  assert.throws(() => create("b1", "thingGroupNames:a"), isRefused("GROUP_QUERY_CYCLE", /b1 asks for a asks for b1/));
  create("c", "attributes.k:v");
  const update = (): unknown => registry.groups.updateDynamic("c", { queryString: "thingGroupNames:c" });
  assert.throws(update, isRefused("GROUP_QUERY_CYCLE", /c asks for c/));
  assert.throws(() => create("d", "(attributes.k:v"), isRefused("SEARCH_QUERY_INVALID", /character 1/));
});

test("a thread that dies is started again, and what changed meanwhile is found", async (t) => {
  const fleet = new Fleet(t);
  fleet.registry.things.create("before", { attributes: { site: "a" } });
  assert.deepEqual(await fleet.found("attributes.site:a"), ["before"]);
  await fleet.settle();
  for (const killed of ["first", "second"]) {
    const died = once(fleet.thread, "exit");
    await fleet.thread.terminate();
    await died;
    assert.match(fleet.search.problem ?? "", /started again/);
    await assert.rejects(
      fleet.search.run("attributes.site:a"),
      (error) => isTidewireError(error) && error.code === "SEARCH_UNAVAILABLE",
    );
    fleet.registry.things.create(killed, { attributes: { site: "a" } });
    while (fleet.search.problem !== null || !fleet.search.settled)
      await new Promise((resolve) => setImmediate(resolve));
    assert.ok((await fleet.found("attributes.site:a")).includes(killed));
  }
  assert.deepEqual(await fleet.found("attributes.site:a"), ["before", "first", "second"]);
  const anew = fleet.logger.lines.filter(({ message }) => message.includes("made anew"));
  assert.deepEqual(anew, [], "what it had is still there");
});

test("a thread that dies and leaves a damaged file: the index is made anew", async (t) => {
  const fleet = new Fleet(t);
  fleet.registry.things.create("kept", { attributes: { site: "a" } });
  assert.deepEqual(await fleet.found("attributes.site:a"), ["kept"]);
  await fleet.settle();
  await fleet.thread.terminate();
  for (const end of ["", "-wal", "-shm"]) rmSync(`${fleet.path}${end}`, { force: true });
  writeFileSync(fleet.path, "this is no database");
  while (fleet.search.problem !== null || !fleet.search.settled) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(await fleet.found("attributes.site:a"), ["kept"]);
});
