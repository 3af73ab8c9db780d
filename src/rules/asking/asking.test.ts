import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { nodeSqlEnvironment } from "../../adapters/sql-environment.ts";
import { LIMITS } from "../../base/mod.ts";
import type { JsonValue } from "../../base/mod.ts";
import type { ExternalRequest, SqlEnvironment } from "../../sql/mod.ts";
import { Receiver, World } from "../rules.fixture.ts";
import type { WorldOptions } from "../rules.fixture.ts";

/** The world that rules ask, played: it answers when it is told to, in any order. */
class Oracle {
  readonly requests: ExternalRequest[] = [];
  /** Answers at once; null: it waits for `answer`. */
  instant: ((request: ExternalRequest) => JsonValue | undefined) | null = null;
  refusal: string | null = null;
  readonly #waiting: { readonly request: ExternalRequest; readonly resolve: (value: JsonValue | undefined) => void }[] =
    [];

  get environment(): SqlEnvironment {
    return {
      ...nodeSqlEnvironment(),
      external: (request) => this.#asked(request),
      unanswerable: ({ name, of }) =>
        name === "lookup" && of === "none" ? { reason: "has no table 'none'", fix: "Configure it." } : null,
    };
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  #asked(request: ExternalRequest): Promise<JsonValue | undefined> {
    this.requests.push(request);
    if (this.refusal !== null) return Promise.reject(new Error(this.refusal));
    if (this.instant !== null) return Promise.resolve(this.instant(request));
    return new Promise((resolve) => this.#waiting.push({ request, resolve }));
  }

  /** The `index`th of those that wait. */
  answer(index: number, value: JsonValue | undefined): void {
    this.#waiting.splice(index, 1)[0]!.resolve(value);
  }
}

const ASKING = "SELECT n, lookup('t', n, 'v') AS v FROM 'a'";

async function scene(sql: string, more: Partial<WorldOptions> & { readonly actions?: readonly object[] } = {}) {
  const oracle = new Oracle();
  const { actions = [], ...options } = more;
  const world = await World.start({ ...options, environment: oracle.environment });
  const receiver = await Receiver.start();
  worlds.push(world);
  world.rules.put("asker", { sql, actions: [{ webhook: { url: receiver.url } }, ...actions] });
  const told = (): unknown[] => receiver.bodies.map((body) => JSON.parse(body) as unknown);
  /** What is on its way inside gets as far as it can. */
  const turn = async (): Promise<void> => {
    for (let i = 0; i < 5; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      await world.pass(1);
    }
  };
  const ids = (): unknown[] => receiver.received.map(({ headers }) => headers["webhook-id"]);
  return { world, oracle, receiver, told, turn, ids };
}

const worlds: World[] = [];

describe("rules that ask", () => {
  afterEach(async () => {
    await Receiver.downAll();
    await Promise.all(worlds.splice(0).map((world) => world.close()));
  });

  test("act in the order of the messages, whatever the order of the answers", async () => {
    const { world, oracle, told, turn } = await scene(ASKING);
    for (let n = 0; n < 4; n++) world.publish("a", { n });
    await turn();
    assert.deepEqual([oracle.waiting, told()], [4, []]);
    oracle.answer(3, { v: "d" });
    oracle.answer(1, { v: "b" });
    await turn();
    assert.deepEqual(told(), []);
    oracle.answer(0, { v: "a" });
    await turn();
    assert.deepEqual(told(), [
      { n: 0, v: "a" },
      { n: 1, v: "b" },
    ]);
    oracle.answer(0, { v: "c" });
    await turn();
    assert.deepEqual(
      told(),
      ["a", "b", "c", "d"].map((v, n) => ({ n, v })),
    );
    assert.equal(world.metrics.value("tidewire_rule_asks_total", { function: "lookup", outcome: "answered" }), 4);
  });

  test("hold up nobody else, and a message that they need not ask about costs no question", async () => {
    const { world, oracle, receiver, told, turn } = await scene(`${ASKING} WHERE n > 1`);
    world.rules.put("other", { sql: "SELECT 'other' AS r FROM 'a'", actions: [{ webhook: { url: receiver.url } }] });
    for (let n = 0; n < 3; n++) world.publish("a", { n });
    await turn();
    assert.deepEqual(told(), [{ r: "other" }, { r: "other" }, { r: "other" }]);
    assert.deepEqual(oracle.requests, [{ name: "lookup", table: "t", key: 2 }]);
    oracle.answer(0, { v: 1 });
    await turn();
    assert.deepEqual(told()[3], { n: 2, v: 1 });
  });

  test("ask once per message for the same, whatever asks: statement, variables, templates", async () => {
    const sql = "SET @row = lookup('t', n) SELECT @row.v AS v, lookup('t', n, 'w') AS w FROM 'a' WHERE @row.v > 0";
    const { world, oracle, receiver, told, turn } = await scene(sql, {
      actions: [{ http: { url: "http://127.0.0.1:1/", headers: [] } }],
    });
    world.rules.put("asker", {
      sql,
      actions: [
        { http: { url: receiver.url, headers: [{ key: "x-row", value: "${lookup('t', n, 'v')} ${lookup('s', 1)}" }] } },
      ],
    });
    oracle.instant = (request) => (request.name === "lookup" && request.table === "s" ? "late" : { v: 1, w: 2 });
    world.publish("a", { n: 7 });
    await turn();
    assert.deepEqual(told(), [{ v: 1, w: 2 }]);
    assert.equal(receiver.received[0]!.headers["x-row"], "1 late");
    assert.deepEqual(
      oracle.requests.map((request) => "table" in request && request.table),
      ["t", "s"],
    );
    oracle.instant = () => ({ v: 0 });
    world.publish("a", { n: 8 });
    await turn();
    assert.equal(oracle.requests.length, 3, "templates of a message that does not match are not asked about");
  });

  test("get Undefined for what fails, is not there or comes too late, and go on; it is counted and told", async () => {
    const { world, oracle, told, turn } = await scene(ASKING);
    oracle.refusal = "the table is away";
    world.publish("a", { n: 1 });
    await turn();
    oracle.refusal = null;
    oracle.instant = () => undefined;
    world.publish("a", { n: 2 });
    await turn();
    oracle.instant = null;
    world.publish("a", { n: 3 });
    await turn();
    await world.pass(2_000);
    await turn();
    oracle.answer(0, { v: "too late" });
    await turn();
    assert.deepEqual(told(), [{ n: 1 }, { n: 2 }, { n: 3 }]);
    for (const outcome of ["failed", "nothing", "late"]) {
      assert.equal(world.metrics.value("tidewire_rule_asks_total", { function: "lookup", outcome }), 1, outcome);
    }
    assert.match(JSON.stringify(world.logger.lines), /lookup\(\): the table is away/);
  });

  test("that are slower than their messages read the log again: nothing is lost, nothing comes twice, memory is bounded", async () => {
    const { world, oracle, turn, told, ids } = await scene(ASKING);
    const count = LIMITS.answers.waitingPerRuleMax * 3;
    for (let n = 0; n < count; n++) world.publish("a", { n });
    await turn();
    assert.equal(oracle.requests.length, LIMITS.answers.inflightPerRuleMax);
    assert.equal(world.metrics.value("tidewire_rule_asks_waiting"), LIMITS.answers.waitingPerRuleMax);
    assert.equal(world.metrics.value("tidewire_rule_asks_behind"), 1);
    assert.equal(world.rules.checkpoint(), 0, "the log is needed from the first message that is not answered");
    while (told().length < count) {
      while (oracle.waiting > 0) oracle.answer(0, { v: "x" });
      await turn();
    }
    assert.deepEqual(
      world.http.started.map((body) => (JSON.parse(body) as { n: number }).n),
      Array.from({ length: count }, (_, n) => n),
    );
    assert.equal(new Set(ids()).size, count);
    await turn();
    assert.equal(world.metrics.value("tidewire_rule_asks_behind"), 0);
    world.publish("a", { n: "after" });
    await turn();
    oracle.answer(0, { v: 1 });
    await world.pass(1_000);
    assert.deepEqual(told().at(-1), { n: "after", v: 1 });
    assert.equal(world.rules.checkpoint(), count + 1);
  });

  test("lose nothing in a crash: what was not answered is asked again, with the same ids, and others are not replayed for it", async () => {
    const { world, oracle, receiver, turn, told, ids } = await scene(ASKING);
    world.rules.put("other", { sql: "SELECT 'other' AS r FROM 'a'", actions: [{ webhook: { url: receiver.url } }] });
    for (let n = 0; n < 5; n++) world.publish("a", { n });
    await turn();
    oracle.answer(0, { v: 0 });
    oracle.answer(2, { v: 3 }); // of the fourth, which waits for the others
    await world.pass(2_000 - 500, 500);
    assert.equal(told().length, 6);
    const before = oracle.requests.length;
    await world.crash();
    await turn();
    assert.deepEqual([world.resumeFrom, world.rules.checkpoint()], [5, 1]);
    assert.equal(oracle.requests.length - before, 4, "all but the first are asked again");
    oracle.instant = () => ({ v: "again" });
    while (oracle.waiting > 0) oracle.answer(0, { v: "again" });
    await turn();
    const own = told().filter((row) => Object.hasOwn(row as object, "n"));
    assert.deepEqual(
      own,
      [0, "again", "again", "again", "again"].map((v, n) => ({ n, v })),
    );
    assert.deepEqual(
      ids().filter((id) => String(id).startsWith("asker")),
      [0, 1, 2, 3, 4].map((n) => `asker-${n}`),
    );
    assert.equal(told().length, 10, "the other rule said what it says once");
    await world.pass(1_000);
    assert.equal(world.rules.checkpoint(), 5);
  });

  test("are stopped and go on where they were, however often, while messages come", async () => {
    const { world, oracle, turn, ids } = await scene(ASKING);
    let n = 0;
    for (let round = 0; round < 6; round++) {
      for (let i = 0; i < 200; i++) world.publish("a", { n: n++ });
      await turn();
      for (let i = 0; i < 40 && oracle.waiting > 0; i++)
        oracle.answer(round % 2 === 0 ? 0 : oracle.waiting - 1, { v: 1 });
      await turn();
      while (oracle.waiting > 0) oracle.answer(0, undefined);
      await (round % 2 === 0 ? world.crash() : world.restart());
    }
    oracle.instant = () => ({ v: 1 });
    while (new Set(ids()).size < n) await turn();
    assert.equal(new Set(ids()).size, n);
  });

  test("ask no more once the log is about to close; what comes then, and what waits, is for the next start", async () => {
    const { world, oracle, turn, told, ids } = await scene(`${ASKING} WHERE n <> 3`);
    for (let n = 0; n < 2; n++) world.publish("a", { n });
    await turn();
    world.rules.unfollow();
    while (oracle.waiting > 0) oracle.answer(0, { v: "unheard" });
    for (let n = 2; n < 5; n++) world.publish("a", { n });
    await world.pass(2_000, 500);
    assert.deepEqual([told(), oracle.requests.length], [[], 2]);
    oracle.instant = () => ({ v: "heard" });
    await world.restart();
    await turn();
    assert.deepEqual(new Set(ids()), new Set([0, 1, 2, 4].map((n) => `asker-${n}`)));
    assert.deepEqual(new Set(told().map((row) => (row as { v: string }).v)), new Set(["heard"]));
  });

  test("that are replaced ask anew about what waits; deleted or disabled ones ask no more", async () => {
    const { world, oracle, receiver, turn, told } = await scene(ASKING);
    for (let n = 0; n < 3; n++) world.publish("a", { n });
    await turn();
    world.rules.put("asker", {
      sql: "SELECT n, 'new' AS by, lookup('s', n, 'v') AS v FROM 'a'",
      actions: [{ webhook: { url: receiver.url } }],
    });
    await turn();
    while (oracle.waiting > 0) oracle.answer(0, { v: 1 });
    await turn();
    assert.deepEqual(
      told(),
      [0, 1, 2].map((n) => ({ n, by: "new", v: 1 })),
    );
    world.publish("a", { n: 3 });
    await turn();
    world.rules.put("asker", { sql: "SELECT n FROM 'a'", actions: [{ webhook: { url: receiver.url } }] });
    world.publish("a", { n: 4 });
    await turn();
    assert.deepEqual(told().slice(3), [{ n: 3 }, { n: 4 }], "what waited is for the one that asks nothing");
    world.rules.put("asker", { sql: ASKING, actions: [{ webhook: { url: receiver.url } }] });
    world.publish("a", { n: 5 });
    await turn();
    world.rules.disable("asker");
    while (oracle.waiting > 0) oracle.answer(0, { v: 1 });
    await turn();
    assert.equal(told().length, 5);
    assert.equal(world.metrics.value("tidewire_rule_asks_waiting"), 0);
    await world.pass(1_000);
    assert.equal(world.rules.checkpoint(), 6, "nothing keeps the log");
  });

  test("that are deleted and made again, or disabled and enabled, owe nothing of before", async () => {
    const { world, oracle, receiver, turn, told } = await scene(ASKING);
    const count = LIMITS.answers.waitingPerRuleMax + 10;
    for (let n = 0; n < count; n++) world.publish("a", { n });
    await world.pass(1_000);
    world.rules.delete("asker");
    world.rules.put("asker", { sql: ASKING, actions: [{ webhook: { url: receiver.url } }] });
    world.publish("a", { n: "new" });
    await world.pass(1_000);
    world.rules.disable("asker");
    world.rules.enable("asker");
    world.publish("a", { n: "newer" });
    oracle.instant = () => ({ v: 1 });
    while (oracle.waiting > 0) oracle.answer(0, { v: 1 });
    await turn();
    world.publish("a", { n: "newest" });
    await turn();
    assert.deepEqual(told().at(-1), { n: "newest", v: 1 });
    assert.deepEqual(
      told().filter((row) => typeof (row as { n: unknown }).n === "number"),
      [],
    );
    await world.pass(1_000);
    assert.equal(world.rules.checkpoint(), count + 3, "nothing keeps the log");
  });

  test("do not speak of a thing that was forgotten while they waited", async () => {
    const { world, oracle, turn, told } = await scene(ASKING);
    world.publish("a", { n: 1 }, { thing: "gone", clientId: "gone" });
    world.publish("a", { n: 2 });
    await turn();
    world.rules.eraseThing("gone");
    while (oracle.waiting > 0) oracle.answer(0, { v: 1 });
    await turn();
    assert.deepEqual(told(), [{ n: 2, v: 1 }]);
  });

  test("raise alerts that say what was answered", async () => {
    const { world, oracle, turn } = await scene("SELECT * FROM 'b'");
    oracle.instant = () => ({ v: 80, name: "Boiler 3" });
    world.rules.put("hot", {
      sql: "SET @limits = lookup('limits', thing()) SELECT t FROM 'a' WHERE t > @limits.v",
      actions: [{ alert: { severity: "critical", summary: "${@limits.name}: ${t} °C", threshold: "${@limits.v}" } }],
    });
    world.publish("a", { t: 79 });
    world.publish("a", { t: 81 });
    await turn();
    const [alert] = world.rules.alerts.list({ state: "active", limit: 10 });
    assert.deepEqual([alert?.summary, alert?.threshold], ["Boiler 3: 81 °C", "80"]);
    world.publish("a", { t: 70 });
    await world.pass(20_000, 1_000);
    world.publish("a", { t: 70 });
    await turn();
    assert.equal(world.rules.alerts.list({ state: "all", limit: 10 })[0]?.state, "resolved");
  });

  test("are refused where nothing can answer them, where they store, have windows, or ask in an error action", async () => {
    const { world } = await scene("SELECT * FROM 'b'");
    const put = (sql: string, action: object = { webhook: { url: "http://127.0.0.1/" } }, more: object = {}): void =>
      void world.rules.put("r", { sql, actions: [action], ...more });
    const refused = (run: () => void, pattern: RegExp): void =>
      assert.throws(run, (error: Error & { fix?: string }) => pattern.test(`${error.message} ${error.fix ?? ""}`));
    refused(() => put("SELECT lookup('none', 1) FROM 'a'"), /lookup\(\) has no table 'none'[^]*Configure it/);
    const header = { http: { url: "http://127.0.0.1/", headers: [{ key: "a", value: "${lookup('none', 1)}" }] } };
    refused(() => put("SELECT * FROM 'a'", header), /lookup\(\) has no table 'none'/);
    refused(() => put(ASKING, { telemetry: {} }), /a statement that asks cannot store/);
    const windowed = "SELECT count(*) AS n FROM 'a' GROUP BY TUMBLE('1 minute')";
    const asking = { http: { url: "http://127.0.0.1/", headers: [{ key: "a", value: "${lookup('t', 1)}" }] } };
    refused(() => put(windowed, asking), /cannot be asked here/);
    refused(() => put("SELECT * FROM 'a'", undefined, { errorAction: asking }), /cannot be asked here[^]*SET/);
    const alert = { alert: { severity: "info", summary: "${lookup('t', 1)}" } };
    refused(() => put("SELECT * FROM 'a'", alert), /cannot be asked here/);
  });
});
