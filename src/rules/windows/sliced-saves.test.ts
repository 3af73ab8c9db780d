/** State that is saved in slices while messages go on: a crash wherever it may come changes nothing of what is told. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { inflateRawSync } from "node:zlib";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import { SIM_EPOCH, SimClock, SimLogger, SimMetrics, SimRandom, settle, mortalScheduler } from "../../../sim/world.ts";
import { sealingWith } from "../../adapters/sealing.ts";
import { SqliteRulesStore } from "../../adapters/sqlite/rules-store.ts";
import { LIMITS } from "../../base/mod.ts";
import type { Message } from "../../base/mod.ts";
import { HotRules } from "../hot-rules.ts";
import { HearsOnce, messageOf } from "../rules.fixture.ts";
import { Run, T0 } from "./windows.fixture.ts";
import type { Reading } from "./windows.fixture.ts";

const SEALING = sealingWith(new Uint8Array(32).fill(4));
const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "tidewire-slices-"));
let stores = 0;

after(() => rmSync(folder, { recursive: true }));

/** A slice is one step; a rule's keys make a dozen pages. */
const WINDOWS = {
  ...LIMITS.windows,
  stateSavePeriod: 300,
  stateSavePeriodMax: 300,
  stateSaveSlicePages: 1,
  stateSavePause: 20,
};
const KEYS = 700;

type Write = "save" | "stage" | "change" | "putRule";

/** One platform's rules over a log; its process dies at the writes to its store that it is told of. */
class Runtime {
  readonly clock = new SimClock(SIM_EPOCH);
  readonly log: Message[] = [];
  readonly path = join(folder, `${stores++}.db`);
  logger = new SimLogger();
  metrics = new SimMetrics();
  rules!: HotRules;
  /** How often the store was written to, by kind. */
  readonly writes = { save: 0, stage: 0, change: 0, putRule: 0 };
  /** Where among all writes the process dies, and whether that one is still done. */
  deaths: ReadonlyMap<number, "before" | "after"> = new Map();
  readonly #receiver = new HearsOnce();
  #store!: SqliteRulesStore;
  #alive = { yes: true };
  #count = 0;

  get said(): string[] {
    return this.#receiver.said;
  }

  get isDead(): boolean {
    return !this.#alive.yes;
  }

  async start(): Promise<this> {
    const alive = { yes: true };
    this.#alive = alive;
    const scheduler = mortalScheduler(this.clock, () => alive.yes);
    this.#store = new SqliteRulesStore({ path: this.path, sealing: SEALING });
    this.logger = new SimLogger();
    this.metrics = new SimMetrics();
    this.rules = new HotRules({
      store: this.#mortal(this.#store, alive),
      clock: this.clock,
      scheduler,
      random: new SimRandom(1),
      logger: this.logger,
      metrics: this.metrics,
      limits: { ...LIMITS.rules, savePeriod: 100 },
      windowLimits: WINDOWS,
      senders: this.#receiver.senders(alive),
      keyedHash: (text) => SEALING.hmac(text),
    });
    const from = await this.rules.start();
    this.rules.follow(
      () => this.log.length,
      () => () => {},
    );
    for (let offset = from; offset < this.log.length; offset++) this.rules.handle(offset, this.log[offset]!);
    this.rules.caughtUp(this.log.length);
    return this;
  }

  put(ruleName: string, sql: string): void {
    this.rules.put(ruleName, { sql, actions: [{ webhook: { url: "http://127.0.0.1/" } }] });
  }

  publish(thing: string, x: number): void {
    const payload = new TextEncoder().encode(JSON.stringify({ x }));
    const message = messageOf(`a/${thing}`, payload, { thing, receivedAt: this.clock.now() });
    const offset = this.log.push(message) - 1;
    if (!this.isDead) this.rules.handle(offset, message); // or it is read from the log, in the next life
  }

  async pass(span: number): Promise<void> {
    this.clock.advance(span);
    await settle();
    while (this.isDead) await this.crash();
  }

  /** As if it had been killed now. */
  async crash(): Promise<void> {
    this.#alive.yes = false;
    this.#store.close();
    await this.start();
  }

  async close(): Promise<void> {
    await this.rules.close();
    this.#alive.yes = false;
    this.#store.close();
  }

  #mortal(store: SqliteRulesStore, alive: { yes: boolean }): SqliteRulesStore {
    const write = (name: Write, done: () => unknown): unknown => {
      if (!alive.yes) throw new Error("it is dead");
      this.writes[name]++;
      const death = this.deaths.get(this.#count++);
      if (death === "before") alive.yes = false;
      if (death === "before") throw new Error("it dies");
      const result = done();
      if (death === "after") alive.yes = false;
      return result;
    };
    return new Proxy(store, {
      get: (target, name: keyof SqliteRulesStore) => {
        const own = target[name] as (...args: unknown[]) => unknown;
        if (!(name in this.writes)) return own.bind(target);
        return (...args: unknown[]) => write(name as Write, () => own.apply(target, args));
      },
    });
  }
}

const MEAN =
  "SELECT topic(2) AS d, avg(x) AS a, count(*) AS n FROM 'a/#' GROUP BY topic(2), TUMBLE('2 s') LATENESS '1 s'";
const JUMP = "SELECT topic(2) AS d, x, lag(x, 2) AS l FROM 'a/#' WHERE x > 8 AND changed(x)";

interface Step {
  /** Messages at once: from this key on, so many. */
  readonly key: number;
  readonly count: number;
  readonly wait: number;
}

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({ key: fc.nat({ max: KEYS - 1 }), count: fc.integer({ min: 1, max: 60 }), wait: fc.nat({ max: 60 }) }),
  { minLength: 30, maxLength: 60, size: "max" },
);
type Death = readonly [write: number, when: "before" | "after"];
const deaths: fc.Arbitrary<Death[]> = fc.array(
  fc.tuple(fc.nat({ max: 120 }), fc.constantFrom("before" as const, "after" as const)),
  {
    minLength: 1,
    maxLength: 8,
  },
);

/** What was sent; every key once, and then the steps. */
async function outputOf(story: readonly Step[], runtime: Runtime, dies: readonly Death[] = []): Promise<string[]> {
  await runtime.start();
  runtime.put("mean", MEAN);
  runtime.put("jump", JUMP);
  await runtime.pass(0);
  runtime.deaths = new Map(dies);
  for (let key = 0; key < KEYS; key++) runtime.publish(`k${key}`, key % 11);
  for (const { key, count, wait } of story) {
    await runtime.pass(wait);
    for (let i = 0; i < count; i++) runtime.publish(`k${(key + i * 37) % KEYS}`, (key + i) % 11);
    await runtime.pass(0);
  }
  for (let i = 0; i < 40; i++) await runtime.pass(250);
  await runtime.close();
  return runtime.said.sort();
}

describe("state that is saved in slices", () => {
  test("a crash at any write to the store, before or after it, changes nothing of what is told", async () => {
    const staged: number[] = [];
    await fc.assert(
      fc.asyncProperty(steps, deaths, async (story, dies) => {
        const calm = await outputOf(story, new Runtime());
        const runtime = new Runtime();
        assert.deepEqual(await outputOf(story, runtime, dies), calm);
        staged.push(runtime.writes.stage);
      }),
      { numRuns: 10 },
    );
    assert.ok(Math.max(...staged) > 12, "a round has several slices");
  });

  /** Until the round under way has staged something, and more is to come. */
  async function midway(): Promise<Runtime> {
    const runtime = await new Runtime().start();
    runtime.put("mean", MEAN);
    for (let key = 0; key < KEYS; key++) runtime.publish(`k${key}`, 1);
    while (runtime.writes.stage < 2) await runtime.pass(10);
    return runtime;
  }

  const means = (runtime: Runtime): number[] => runtime.said.map((line) => (JSON.parse(line) as { n: number }).n);

  async function end(runtime: Runtime): Promise<void> {
    for (let i = 0; i < 40; i++) await runtime.pass(250);
    await runtime.close();
  }

  test("between two slices messages are handled, and the log is kept from where the state on disk is", async () => {
    const runtime = await midway();
    assert.equal(runtime.rules.checkpoint(), 0);
    runtime.publish("k1", 1);
    await runtime.pass(150);
    assert.equal(runtime.rules.checkpoint(), KEYS, "as of the moment at which the save began");
    await runtime.pass(600);
    assert.equal(runtime.rules.checkpoint(), KEYS + 1);
    await end(runtime);
    assert.deepEqual(
      means(runtime)
        .toSorted((a, b) => a - b)
        .slice(-2),
      [1, 2],
    );
  });

  test("an orderly stop saves all of it, and the next start reads nothing again", async () => {
    const runtime = await midway();
    runtime.publish("k1", 1);
    await runtime.close();
    await runtime.start();
    assert.equal(runtime.rules.checkpoint(), KEYS + 1);
    await end(runtime);
    assert.equal(means(runtime).length, KEYS);
  });

  test("a rule that is deleted, put again or put otherwise meanwhile has nothing of the save under way", async () => {
    for (const change of ["deleted", "same", "other"] as const) {
      const runtime = await midway();
      if (change === "deleted") runtime.rules.delete("mean");
      runtime.put("mean", change === "other" ? MEAN.replace("2 s", "4 s") : MEAN.replace("avg(x)", "avg(x) * 2"));
      runtime.publish("k3", 1);
      await runtime.pass(1_000);
      await runtime.crash();
      await end(runtime);
      assert.equal(means(runtime).length, change === "same" ? KEYS : 1, change);
    }
  });

  test("a thing that is forgotten meanwhile is on disk nowhere", async () => {
    const runtime = await midway();
    assert.ok(namedOnDisk(runtime, "k455"));
    runtime.rules.eraseThing("k455");
    assert.ok(!namedOnDisk(runtime, "k455"));
    assert.ok(namedOnDisk(runtime, "k456"));
    await end(runtime);
    assert.equal(means(runtime).length, KEYS - 1);
  });

  function namedOnDisk(runtime: Runtime, thing: string): boolean {
    const store = new DatabaseSync(runtime.path, { readOnly: true });
    const rows = store.prepare("SELECT body FROM window_pages").all() as { body: Uint8Array }[];
    store.close();
    return rows.some(({ body }) => inflateRawSync(body).includes(`a/${thing}`));
  }

  test("one rule whose pages the store refuses is told of; the others are saved, and it is when they are taken again", async () => {
    const runtime = await new Runtime().start();
    runtime.put("bad", MEAN);
    runtime.put("good", MEAN);
    for (let key = 0; key < KEYS; key++) runtime.publish(`k${key}`, 1);
    refuse(
      runtime,
      "CREATE TRIGGER refused BEFORE INSERT ON window_pages WHEN NEW.rule = 'bad' BEGIN SELECT RAISE(ABORT, 'too large'); END",
    );
    await runtime.pass(3_000);
    assert.equal(runtime.rules.problem, "the state of bad cannot be saved");
    assert.equal(runtime.metrics.value("tidewire_window_state_unsaved", {}), 1);
    assert.equal(runtime.rules.activity("bad")?.failure?.reason, "its state cannot be saved: too large");
    assert.equal(runtime.rules.activity("good")?.failure, null);
    assert.equal(runtime.logger.lines.filter(({ level }) => level === "error").length, 1, "told once");
    assert.equal(runtime.rules.checkpoint(), 0, "the log is kept for it");
    await runtime.crash();
    refuse(runtime, "DROP TRIGGER refused");
    await runtime.pass(1_000);
    assert.deepEqual([runtime.rules.problem, runtime.rules.checkpoint()], [null, KEYS]);
    await end(runtime);
    assert.equal(means(runtime).length, 2 * KEYS);
  });

  test("state that is refused as a whole is written out more and more seldom, and at once where somebody waits for it", async () => {
    const runtime = await new Runtime().start();
    refuse(
      runtime,
      "CREATE TRIGGER refused BEFORE INSERT ON window_heads WHEN NEW.rule = 'bad' BEGIN SELECT RAISE(ABORT, 'too large'); END",
    );
    runtime.put("bad", MEAN);
    for (let key = 0; key < KEYS; key++) runtime.publish(`k${key}`, 1);
    const tries = (): number => runtime.metrics.value("tidewire_window_state_refusals_total", {});
    await runtime.pass(20_000);
    const soon = tries();
    assert.ok(soon >= 4 && soon <= 7, `${soon} of 200 saves`);
    await runtime.pass(40 * 60_000);
    const seldom = tries() - soon;
    assert.ok(seldom >= 8 && seldom <= 24, `${seldom} in 40 minutes: 5 minutes apart at most, half of it at least`);
    assert.equal(runtime.logger.lines.filter(({ level }) => level === "error").length, 1, "told once");
    const order = { move: "m-1", to: "there", overlap: 0 };
    assert.throws(() => runtime.rules.moves.depart("bad", order), { code: "STORE_UNAVAILABLE" });
    assert.equal(tries(), soon + seldom + 1);
    refuse(runtime, "DROP TRIGGER refused");
    await runtime.pass(5 * 60_000);
    assert.equal(runtime.rules.problem, null);
    runtime.put("bad", MEAN.replace("TUMBLE('", "TUMBLE('1"));
    assert.equal(runtime.metrics.value("tidewire_window_state_unsaved", {}), 0);
    await runtime.close();
  });

  function refuse(runtime: Runtime, sql: string): void {
    const store = new DatabaseSync(runtime.path);
    store.exec(sql);
    store.close();
  }
});

describe("one save of a state that goes on", () => {
  const sql = "SELECT topic(2) AS d, sum(x) AS s FROM '#' GROUP BY topic(2), TUMBLE('10 s')";
  const at = (thing: string, second: number, x: number): Reading => {
    return { topic: `a/${thing}`, thing, receivedAt: T0 + second * 1_000, json: { x } };
  };

  test("keys that change, come and go before their page's turn are written as they were when it began", () => {
    const run = new Run(sql, {}, 2).take(["a", "b", "c", "d", "e"].map((thing) => at(thing, 1, 1)));
    const before = run.state.snapshot("everything");
    const save = run.state.beginSave();
    const first = save.next()!;
    run.take(["a", "c", "f", "g"].map((thing) => at(thing, 2, 10)));
    run.state.forget("d");
    run.take([at("h", 3, 5)]);
    assert.equal(save.kept, 3, "c, d and the place of f: what was written or is new is not held twice");
    assert.deepEqual([first, save.next(), save.next(), save.next()], [...before.pages, null]);
    assert.deepEqual([save.header, save.position, save.kept], [before.header, 5, 0]);
    run.state.endSave(true);
    const again = new Run(sql, {}, 2);
    again.state.restore({ header: save.header, pages: before.pages });
    assert.equal(again.state.keys, 5);
    const changed = run.state.snapshot("changes").pages.map(([page]) => page);
    assert.deepEqual(changed, [0, 1, 2, 3], "what changed meanwhile is for the next save");
  });

  test("windows that close meanwhile are written open", () => {
    const run = new Run(sql, {}, 2).take(["a", "b", "c"].map((thing) => at(thing, 1, 1)));
    const before = run.state.snapshot("everything");
    const save = run.state.beginSave();
    run.tick(60);
    assert.deepEqual([run.said().length, run.state.keys], [3, 0]);
    assert.deepEqual([save.next(), save.next()], before.pages);
  });

  test("a save that is given up leaves its pages to the next one, and a move in the middle has all", () => {
    const run = new Run(sql, {}, 2).take(["a", "b", "c"].map((thing) => at(thing, 1, 1)));
    const save = run.state.beginSave();
    save.next();
    run.take([at("c", 2, 4)]);
    const everything = run.state.snapshot("everything");
    const moved = new Run(sql, {}, 2);
    moved.state.restore(everything);
    moved.tick(60);
    assert.deepEqual(moved.said(), [
      { d: "a", s: 1 },
      { d: "b", s: 1 },
      { d: "c", s: 5 },
    ]);
    assert.ok(!save.isOver);
    const { pages } = run.state.snapshot("changes");
    assert.deepEqual([save.isOver, pages], [true, everything.pages]);
  });
});
