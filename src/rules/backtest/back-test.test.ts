import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { LIMITS, minutes, seconds } from "../../base/mod.ts";
import type { EpochMs, Message } from "../../base/mod.ts";
import { nodeSqlEnvironment } from "../../adapters/sql-environment.ts";
import type { ExternalRequest, SqlEnvironment } from "../../sql/mod.ts";
import { DONE } from "../delivery/sender.ts";
import { World, messageOf } from "../rules.fixture.ts";
import type { RuleDraft } from "../model.ts";
import { BackTest } from "./back-test.ts";
import { TodaysAnswers } from "./todays-answers.ts";

const T0 = 1_767_225_600_000;

function draft(sql: string, more: Partial<RuleDraft> = {}): RuleDraft {
  return { ruleName: "tested", sql, ruleDisabled: false, actions: [], ...more };
}

function at(second: number, thing: string, json: unknown, topic = `line/${thing}/temp`): Message {
  const payload = new TextEncoder().encode(JSON.stringify(json));
  return messageOf(topic, payload, { thing, clientId: thing, receivedAt: T0 + second * 1000 });
}

function tested(rule: RuleDraft, messages: readonly Message[], more: { against?: RuleDraft; examples?: number } = {}) {
  const test = new BackTest({ rule, from: T0, to: T0 + minutes(10), examples: 2, ...more });
  messages.forEach((message, offset) => {
    if (test.wants(message.topic)) test.handle(offset, message);
  });
  test.tick(T0 + minutes(10));
  return test.report();
}

interface Lived {
  /** What the rule's action was given to send. */
  readonly bodies: readonly string[];
  /** The log, with the times of this world. */
  readonly log: readonly Message[];
  readonly ended: EpochMs;
}

/** A rule, live, with pauses between its messages. */
async function live(sql: string, messages: readonly Message[]): Promise<Lived> {
  const bodies: string[] = [];
  const log: Message[] = [];
  const decoder = new TextDecoder();
  const world = await World.start({
    republish: () => ({
      send: async (batch) => batch.map(({ body }) => (bodies.push(decoder.decode(body)), DONE)),
      close: async () => {},
    }),
  });
  try {
    world.rules.put("tested", { sql, actions: [REPUBLISH] }, 0);
    const begun = world.clock.now();
    for (const message of messages) {
      const due = begun + (message.receivedAt - T0);
      if (due > world.clock.now()) await world.pass(due - world.clock.now(), seconds(5));
      const accepted = { ...message, receivedAt: world.clock.now() };
      log.push(accepted);
      world.publish(message.topic, message.payload, accepted);
    }
    await world.pass(minutes(5), seconds(5));
    return { bodies, log, ended: world.clock.now() };
  } finally {
    await world.close();
  }
}

const REPUBLISH = { republish: { topic: "out/tested", qos: 1 } } as const;

const STATEMENTS = [
  "SELECT v, topic(2) AS t FROM 'line/+/temp' WHERE v > 5",
  "SELECT avg(v) AS a, count(*) AS n, topic(2) AS t FROM 'line/+/temp' GROUP BY topic(2), TUMBLE('10 s')",
  "SELECT sum(v) AS s, topic(2) AS t FROM 'line/+/temp' GROUP BY topic(2), HOP('20 s', '10 s') HAVING sum(v) > 6",
  "SELECT v, lag(v) AS before, topic(2) AS t FROM 'line/+/temp' WHERE v > lag(v)",
  "SELECT v, topic(2) AS t FROM 'line/+/temp' WHERE v > 5 FOR '15 s'",
  "SELECT topic(2) AS t FROM 'line/+/temp' ABSENT FOR '20 s'",
];

describe("a back-test", () => {
  for (const sql of STATEMENTS) {
    test(`gives what the rule gave live: ${sql}`, async () => {
      let found = 0;
      const step = fc.record({
        pause: fc.integer({ min: 0, max: 25 }),
        thing: fc.constantFrom("a", "b", "c"),
        v: fc.oneof(fc.integer({ min: 0, max: 10 }), fc.constant("text"), fc.constant(null)),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
          let second = 0;
          const messages = steps.map(({ pause, thing, v }) => at((second += pause), thing, v === null ? {} : { v }));
          const { bodies, log, ended } = await live(sql, messages);
          const rule = draft(sql, { actions: [REPUBLISH] });
          const test = new BackTest({ rule, from: log[0]!.receivedAt, to: ended, examples: 1000 });
          log.forEach((message, offset) => test.handle(offset, message));
          test.tick(ended - LIMITS.windows.tickDelay);
          const { first } = test.report().rule.findings;
          assert.deepEqual(first.map(({ actions }) => actions[0]!.body).toSorted(), bodies.toSorted());
          found += bodies.length;
        }),
        { numRuns: 8, seed: 3 },
      );
      assert.ok(found > 0, "the rule never fired");
    });
  }

  test("asks nothing about the past: what statement and templates would ask is Undefined, and it says so", () => {
    const actions = [
      { http: { url: "http://127.0.0.1/", headers: [{ key: "x", value: "${get_secret('k', 'SecretString', 'r')}" }] } },
    ];
    const rule = draft("SELECT t, lookup('limits', thing(), 'max') AS max FROM 'line/+/temp'", { actions });
    const report = tested(rule, [at(1, "a", { t: 1 })]);
    assert.deepEqual(report.rule.unasked, ["lookup", "get_secret"]);
    assert.deepEqual(report.rule.findings.first[0]?.value, { t: 1 });
  });

  test("answers are today's where somebody gives them, in the log's order; a question is asked once, and it says so", async () => {
    const asked: ExternalRequest[] = [];
    const external: SqlEnvironment["external"] = async (request) => {
      asked.push(request);
      if (request.name !== "lookup") throw new Error("never");
      if (request.key === "b") throw new Error("the table is away");
      // The first answer is the last to come.
      for (let i = 0; i < (request.key === "a" ? 20 : 0); i++) await Promise.resolve();
      return { max: request.key === "a" ? 5 : 50 };
    };
    const environment = { ...nodeSqlEnvironment(), external };
    const answers = new TodaysAnswers({ environment, asked: ["lookup"] });
    const rule = draft("SELECT t, thing() AS th FROM 'line/+/temp' WHERE t > lookup('limits', thing(), 'max')", {
      actions: [{ webhook: { url: "http://127.0.0.1/", secret: "whsec_" + "A".repeat(32) } }],
    });
    const against = draft("SELECT get_secret('k', 'SecretString', 'r') AS s FROM 'line/+/temp'");
    const test = new BackTest({ rule, against, from: T0, to: T0 + minutes(10), examples: 9, environment, answers });
    const payload = new TextEncoder().encode(JSON.stringify({ t: 9 }));
    for (const [offset, thing] of ["a", "c", "b", "a"].entries()) {
      test.handle(offset, { ...at(offset, thing, null), payload });
    }
    payload.fill(0); // the reader's buffer is its own again
    await test.settle();
    const report = test.report();
    assert.deepEqual(
      report.rule.findings.first.map(({ offset, value }) => [offset, value]),
      [
        [0, { t: 9, th: "a" }],
        [3, { t: 9, th: "a" }],
      ],
    );
    assert.deepEqual([report.rule.askedToday, report.rule.unasked], [["lookup"], []]);
    assert.deepEqual([report.against!.askedToday, report.against!.unasked], [[], ["get_secret"]]);
    assert.equal(report.rule.counts.undecided, 1);
    assert.deepEqual(report.unanswered, { count: 1, reason: "lookup(): the table is away" });
    assert.deepEqual(
      asked.map((one) => (one.name === "lookup" ? one.key : one.name)),
      ["a", "c", "b"],
    );
  });

  test("what fails again and again is asked no more; what stops it stops the asking", async () => {
    let asked = 0;
    const external = (): Promise<never> => {
      asked++;
      return Promise.reject(new Error("away"));
    };
    const environment = { ...nodeSqlEnvironment(), external };
    const answers = new TodaysAnswers({ environment, asked: ["lookup"] });
    const rule = draft("SELECT lookup('limits', t) AS l FROM 'line/+/temp'");
    const test = new BackTest({ rule, from: T0, to: T0 + minutes(10), examples: 1, environment, answers });
    for (let offset = 0; offset < 200; offset++) test.handle(offset, at(0, "a", { t: offset }));
    await test.settle();
    assert.equal(test.report().rule.counts.fired, 200);
    assert.ok(asked < 40, `${asked} questions`);
    for (let offset = 200; offset < 400; offset++) test.handle(offset, at(0, "a", { t: offset }));
    await test.settle(() => false);
    assert.equal(test.report().rule.counts.fired, 200);
  });

  test("goes on where the rule fails, counts it and says why it did the first time", () => {
    const environment: SqlEnvironment = {
      accountId: "000000000000",
      random: () => 0,
      newUuid: () => "",
      hash: () => {
        throw new Error("no hash of that name here");
      },
    };
    const test = new BackTest({
      rule: draft("SELECT md5(v) AS h FROM 'line/+/temp' WHERE v <> 'plain' OR md5(v) = ''"),
      from: T0,
      to: T0 + minutes(10),
      examples: 2,
      environment,
    });
    test.handle(0, at(0, "a", { v: "plain" }));
    test.handle(1, at(1, "a", {}));
    const { counts, failure } = test.report().rule;
    assert.deepEqual(counts, { evaluated: 2, fired: 0, unmatched: 0, undecided: 1, failed: 1 });
    assert.match(failure!, /no hash of that name here/);
  });

  test("counts what fired, what did not, and what said nothing; on whom and when", () => {
    const rule = draft("SELECT v FROM 'line/+/temp' WHERE v > 5");
    const values = [7, 1, "text", undefined, 9];
    const { findings, counts } = tested(rule, [
      ...values.map((v, i) => at(i * 60, i < 3 ? "a" : "b", { v })),
      at(300, "b", { v: 99 }, "other/b"),
    ]).rule;
    assert.deepEqual(counts, { evaluated: 5, fired: 2, unmatched: 1, undecided: 2, failed: 0 });
    assert.deepEqual(findings.things, [
      { thing: "a", fired: 1 },
      { thing: "b", fired: 1 },
    ]);
    assert.deepEqual(
      findings.histogram.counts.flatMap((count, i) => (count === 0 ? [] : [[i * findings.histogram.step, count]])),
      [
        [0, 1],
        [240_000, 1],
      ],
    );
  });

  test("shows the first and the last as the actions would have sent them", () => {
    const rule = draft("SELECT v FROM 'line/+/temp'", { actions: [REPUBLISH] });
    for (const [count, last] of [
      [2, []],
      [3, [2]],
      [9, [7, 8]],
    ] as const) {
      const messages = Array.from({ length: count }, (_, i) => at(i, "a", { v: i }));
      const { findings } = tested(rule, messages).rule;
      assert.deepEqual(
        findings.first.map(({ offset }) => offset),
        [0, 1],
      );
      assert.deepEqual(
        findings.last.map(({ value }) => value),
        last.map((v) => ({ v })),
      );
      assert.deepEqual(
        findings.last.map(({ actions }) => actions[0]?.body),
        last.map((v) => `{"v":${v}}`),
      );
      assert.deepEqual(findings.actions, [{ kind: "republish", times: count }]);
    }
  });

  test("two thresholds: what both fire on, and what only one does", () => {
    const over = (limit: number): RuleDraft => draft(`SELECT v FROM 'line/+/temp' WHERE v > ${limit}`);
    const messages = [3, 6, 8, 6].map((v, i) => at(i, "a", { v }));
    const { comparison } = tested(over(5), messages, { against: over(7) });
    assert.equal(comparison!.both, 1);
    assert.deepEqual(
      comparison!.onlyThis.first.map(({ offset }) => offset),
      [1, 3],
    );
    assert.equal(comparison!.onlyOther.count, 0);
  });

  test("two windows are compared window by window", () => {
    const over = (limit: number): RuleDraft =>
      draft(`SELECT max(v) AS m FROM 'line/+/temp' GROUP BY topic(2), TUMBLE('1 minute') HAVING max(v) > ${limit}`);
    const messages = [3, 6, 8].map((v, i) => at(i * 60, "a", { v }));
    const { comparison, rule, against } = tested(over(5), messages, { against: over(7) });
    assert.deepEqual([rule.findings.fired, against!.findings.fired], [2, 1]);
    assert.deepEqual([comparison!.both, comparison!.onlyThis.count, comparison!.onlyOther.count], [1, 1, 0]);
    assert.equal(comparison!.onlyThis.first[0]!.time, T0 + minutes(2));
  });
});
