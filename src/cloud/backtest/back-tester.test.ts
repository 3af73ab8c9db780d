import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { SimClock, SimLogger, SimMetrics } from "../../../sim/world.ts";
import { nodeSqlEnvironment } from "../../adapters/sql-environment.ts";
import { systemClock } from "../../adapters/system.ts";
import { LIMITS, TidewireError, days, isTidewireError } from "../../base/mod.ts";
import type { Message } from "../../base/mod.ts";
import { validateRule } from "../../rules/mod.ts";
import type { SqlEnvironment } from "../../sql/mod.ts";
import { START, event } from "../store/archive.fixture.ts";
import { BackTester } from "./back-tester.ts";
import { startPastProcess } from "./child.ts";
import { testOnPast } from "./past-test.ts";
import { Past } from "./past.fixture.ts";

const rule = (sql: string) =>
  validateRule("tried", {
    sql,
    actions: [{ webhook: { url: "http://127.0.0.1:1/never", secret: `whsec_${"A".repeat(32)}` } }],
  });
const FIRED = rule("SELECT n FROM 'line/1/#' WHERE n > 100");
const ORDER = {
  rule: FIRED,
  against: rule("SELECT n FROM 'line/1/#' WHERE n > 200"),
  from: START,
  to: START + days(1),
  untilNow: false,
  thing: null,
  examples: 2,
};

const events = (count: number, more: (n: number) => Partial<Message> = () => ({})): Message[] =>
  Array.from({ length: count }, (_, n) => event(n, more(n)));

/** Over a real folder, by real processes; only time is played. */
async function tester(messages: readonly Message[], archived = false, external?: SqlEnvironment["external"]) {
  const past = await Past.make();
  await past.publish(messages);
  if (archived) await past.world.flush();
  const [clock, metrics, logger] = [new SimClock(), new SimMetrics(), new SimLogger()];
  const limits = LIMITS.backTests;
  const { root: data } = past.world;
  const start = (given: Parameters<typeof startPastProcess>[0]) => startPastProcess(given, limits);
  return {
    data,
    clock,
    metrics,
    logger,
    tester: new BackTester({ data, start, scheduler: clock, logger, metrics, external }),
  };
}

const codeOf = (error: unknown): unknown => (isTidewireError(error) ? error.code : error);
const never = (): AbortSignal => new AbortController().signal;

afterEach(async () => {
  for (const past of Past.all.splice(0)) await past.end();
});

describe("rules on the past of a platform that runs", () => {
  test("another process finds what this one would: over archive and log, two rules beside each other", async () => {
    const world = await tester(events(600), true);
    let told = 0;
    const { took: _, ...found } = await world.tester.test(ORDER, () => told++, never());
    const ports = { clock: systemClock, environment: nodeSqlEnvironment(), goOn: () => true };
    const { took: __, ...expected } = await testOnPast({ ...ORDER, data: world.data }, ports);
    assert.deepEqual(found, expected);
    assert.deepEqual([found.rule.findings.fired, found.against!.findings.fired], [166, 133]);
    assert.deepEqual([found.comparison!.both, found.comparison!.onlyThis.count], [133, 33]);
    assert.equal(found.rule.findings.first[0]!.actions[0]!.body, '{"n":103}');
    assert.ok(told > 0);
    assert.equal(world.metrics.value("tidewire_back_tests_total", { kind: "test", outcome: "finished" }), 1);
    await world.tester.explain({ rule: FIRED, count: 1 }, true, never());
    assert.deepEqual(world.logger.lines, [], "that its process is ended is no news");
  });

  test("a value of a megabyte does not travel to a page", async () => {
    const text = new TextEncoder().encode(JSON.stringify({ n: "x".repeat(500_000) }));
    const world = await tester(events(3, () => ({ payload: text })));
    const order = { ...ORDER, rule: rule("SELECT n FROM 'line/#'"), against: null };
    const { rule: tested } = await world.tester.test(order, () => {}, never());
    assert.equal(tested.findings.fired, 3);
    assert.ok(JSON.stringify(tested).length < 50_000);
  });

  test("a second one is refused while the first runs; where the time is up, the first says what it has found", async () => {
    const world = await tester(events(50_000));
    let begun = (): void => {};
    const first = new Promise<void>((resolve) => (begun = resolve));
    const long = world.tester.test(ORDER, () => begun(), never());
    await first;
    await assert.rejects(
      world.tester.test(ORDER, () => {}, never()),
      (error) => codeOf(error) === "BACK_TEST_BUSY",
    );
    world.clock.advance(LIMITS.backTests.testTimeMax);
    const { complete, messages } = await long;
    assert.equal(complete, messages.log === 50_000);
    assert.equal(world.metrics.value("tidewire_back_tests_total", { kind: "test", outcome: "busy" }), 1);
  });

  test("who goes away ends it, and the next one may run; so does the platform's end", async () => {
    const world = await tester(events(100));
    const gone = new AbortController();
    const reason = new TidewireError("BACK_TEST_FAILED", { reason: "gone" });
    const left = world.tester.test(ORDER, () => {}, gone.signal);
    gone.abort(reason);
    await assert.rejects(left, reason);
    assert.equal((await world.tester.test(ORDER, () => {}, never())).complete, true);
    const cut = world.tester.test(ORDER, () => {}, never());
    world.tester.close();
    await assert.rejects(cut, (error) => codeOf(error) === "BACK_TEST_FAILED");
    await assert.rejects(world.tester.explain({ rule: FIRED, count: 1 }, true, never()), /the platform stops/);
  });

  test("a process that dies, and a folder that holds no log, are told as what they are", async () => {
    const world = await tester(events(10));
    const scheduler = world.clock;
    const dying = new BackTester({
      ...world,
      scheduler,
      start: (told) => ({
        send: () => queueMicrotask(() => told.exit("SIGKILL", "out of memory")),
        kill: () => {},
      }),
    });
    await assert.rejects(
      dying.test(ORDER, () => {}, never()),
      /ended with SIGKILL/,
    );
    assert.equal(world.metrics.value("tidewire_back_tests_total", { kind: "test", outcome: "failed" }), 1);
    const start = (given: Parameters<typeof startPastProcess>[0]) => startPastProcess(given, LIMITS.backTests);
    const nowhere = new BackTester({ ...world, scheduler, start, data: "/nowhere" });
    await assert.rejects(
      nowhere.test(ORDER, () => {}, never()),
      (error) => codeOf(error) === "DATA_FOLDER_UNUSABLE",
    );
  });

  test("what a rule looks up is asked of the platform, and told as today's; functions and secrets never are", async () => {
    const asked: string[] = [];
    const external: SqlEnvironment["external"] = async (request) => {
      asked.push(request.name);
      return { max: 295 };
    };
    const world = await tester(
      events(300, (n) => ({ payload: new TextEncoder().encode(JSON.stringify({ n })) })),
      false,
      external,
    );
    const sql = "SELECT n, function('score', n) AS score FROM 'line/1/#' WHERE n > lookup('limits', topic(2), 'max')";
    // The platform knows what it can answer when a rule is written.
    const asking = validateRule("tried", { sql, actions: [] }, { unanswerable: () => null });
    const { rule: found, unanswered } = await world.tester.test(
      { ...ORDER, rule: asking, against: null },
      () => {},
      never(),
    );
    assert.deepEqual([found.askedToday, found.unasked], [["lookup"], ["function"]]);
    assert.deepEqual(found.findings.first.map(({ value }) => value)[0], { n: 298 });
    assert.deepEqual([...new Set(asked)], ["lookup"]);
    assert.equal(unanswered.count, 0);
    const told = await world.tester.explain({ rule: asking, count: 1 }, true, never());
    assert.deepEqual([told.askedToday, told.messages[0]?.verdict], [["lookup"], "matched"]);
    const silent = await world.tester.explain({ rule: asking, count: 1 }, false, never());
    assert.deepEqual([silent.askedToday, silent.messages[0]?.verdict], [[], "undecided"]);
  });

  test("why the newest messages match or not: newest first, of FROM's topics only", async () => {
    const payload = (n: number): Uint8Array => new TextEncoder().encode(n === 298 ? "no JSON" : JSON.stringify({ n }));
    const world = await tester(events(300, (n) => ({ payload: payload(n) })));
    const asked = rule("SELECT n, topic() AS t FROM 'line/1/#' WHERE n > 290 AND n < 296");
    const { messages, looked } = await world.tester.explain({ rule: asked, count: 3 }, true, never());
    assert.deepEqual(
      messages.map(({ offset, verdict, selected }) => [offset, verdict, selected]),
      [
        [298, "undecided", null],
        [295, "matched", '{"n":295,"t":"line/1/press"}'],
        [292, "matched", '{"n":292,"t":"line/1/press"}'],
      ],
    );
    assert.equal(looked, 300);
    assert.deepEqual([messages[0]!.payload, messages[0]!.thing], ["no JSON", "press-1"]);
    assert.ok(messages[0]!.where.some(({ reason }) => reason === "the payload is not JSON"));
    const [whole, left] = messages[1]!.where;
    assert.deepEqual([whole!.value, left!.text, left!.value], ["true", "n > 290", "true"]);
  });
});
