import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import fc from "fast-check";
import { SimRandom } from "../../sim/world.ts";
import { LIMITS, TidewireError, topicMatches } from "../base/mod.ts";
import { backoff } from "./delivery/backoff.ts";
import { defaultRules } from "./defaults.ts";
import { MessageInput } from "./input.ts";
import type { RuleDocument, RuleDraft } from "./model.ts";
import { CARRIERS, validateNotify } from "./actions/registry.ts";
import { secretBytes, signedPost } from "./actions/webhook.ts";
import { RuleSet, compiledRule } from "./rule-set.ts";
import { World, messageOf } from "./rules.fixture.ts";
import { redactRule, validateRule } from "./validate.ts";
import { parseRetryAfter } from "./delivery/verdict.ts";
import { hmacSha256 } from "../adapters/outgoing-http.ts";

const SQL = "SELECT * FROM 'a/#'";
const SECRET = `whsec_${btoa("k".repeat(32))}`;

function faultOf(action: () => unknown): TidewireError {
  let fault: unknown;
  assert.throws(action, (error: unknown) => {
    fault = error;
    return error instanceof TidewireError;
  });
  return fault as TidewireError;
}

describe("validation", () => {
  const withAction = (action: unknown): unknown => ({ sql: SQL, actions: [action] });
  const alert = (more: object): unknown => withAction({ alert: { severity: "info", summary: "s", ...more } });
  const hook = (more: object): unknown => withAction({ webhook: { url: "https://example.com", ...more } });

  const REFUSED: readonly (readonly [input: unknown, at: string, reason: RegExp])[] = [
    [null, "the rule", /object/],
    [[], "the rule", /object/],
    [{ sql: SQL }, "actions", /list/],
    [{ actions: [] }, "sql", /missing/],
    [{ sql: 5, actions: [] }, "sql", /not text/],
    [{ sql: SQL, actions: [], sqlVersion: 1 }, "sqlVersion", /not known; there are ruleName, sql/],
    [
      { sql: SQL, actions: [], awsIotSqlVersion: "2017-01-01" },
      "awsIotSqlVersion",
      /must be one of 2015-10-08, 2016-03-23, beta/,
    ],
    [{ sql: SQL, actions: [], errorAction: {} }, "errorAction", /exactly one key/],
    [withAction({ lambda: { functionArn: "f" } }), "actions[0].lambda", /AWS's lambda is no action here; use program/],
    [withAction({ lamda: {} }), "actions[0].lamda", /not known; there are webhook, http/],
    [withAction({ slock: {} }), "actions[0].slock", /Did you mean slack/],
    [withAction({ http: { url: "https://example.com", auth: {} } }), "actions[0].http.auth", /not known/],
    [withAction({ http: { url: "https://example.com", headers: {} } }), "actions[0].http.headers", /list/],
    [
      withAction({ http: { url: "https://example.com", headers: [{ key: "Host", value: "x" }] } }),
      "actions[0].http.headers.Host",
      /itself/,
    ],
    [{ sql: SQL, actions: [], ruleDisabled: "no" }, "ruleDisabled", /true or false/],
    [{ sql: SQL, actions: [], ruleName: "other" }, "ruleName", /differs/],
    [{ sql: SQL, actions: [], description: "x".repeat(5000) }, "description", /longer than 4096/],
    [{ sql: SQL, actions: Array.from({ length: 11 }, () => ({ telemetry: {} })) }, "actions", /at most 10/],
    [withAction("webhook"), "actions[0]", /object/],
    [withAction({}), "actions[0]", /exactly one key/],
    [withAction({ webhook: {}, slack: {} }), "actions[0]", /exactly one key/],
    [withAction({ constructor: {} }), "actions[0].constructor", /not known/],
    [withAction({ webhook: {} }), "actions[0].webhook.url", /missing/],
    [hook({ url: "ftp://example.com" }), "actions[0].webhook.url", /http/],
    [hook({ url: "example.com" }), "actions[0].webhook.url", /http/],
    [hook({ url: "https://u:p@example.com" }), "actions[0].webhook.url", /use a header/],
    [hook({ url: `https://example.com/${"x".repeat(3000)}` }), "actions[0].webhook.url", /longer than 2048/],
    [hook({ method: "PUT" }), "actions[0].webhook.method", /not known/],
    [hook({ secret: "hunter2" }), "actions[0].webhook.secret", /whsec_/],
    [hook({ secret: `whsec_${btoa("short")}` }), "actions[0].webhook.secret", /24 to 64 bytes/],
    [hook({ headers: { "bad name": "x" } }), "actions[0].webhook.headers.bad name", /not a header name/],
    [hook({ headers: { "X-A": "a\r\nX-B: b" } }), "actions[0].webhook.headers.X-A", /line breaks/],
    [hook({ headers: { "Webhook-Id": "x" } }), "actions[0].webhook.headers.Webhook-Id", /itself/],
    [hook({ headers: { "Content-Length": "0" } }), "actions[0].webhook.headers.Content-Length", /itself/],
    [
      withAction({ slack: { url: "https://example.com", text: "${a +}" } }),
      "actions[0].slack.text",
      /expected a value/,
    ],
    [alert({ severity: "fatal" }), "actions[0].alert.severity", /info, warning, critical/],
    [alert({ summary: "" }), "actions[0].alert.summary", /missing/],
    [alert({ summary: "${" }), "actions[0].alert.summary", /closing/],
    [alert({ clearAfterSeconds: -1 }), "actions[0].alert.clearAfterSeconds", /from 0 to/],
    [alert({ clearAfterSeconds: Number.NaN }), "actions[0].alert.clearAfterSeconds", /from 0 to/],
    [
      { sql: SQL, actions: Array.from({ length: 2 }, () => ({ alert: { severity: "info", summary: "s" } })) },
      "actions",
      /one kind/,
    ],
    [withAction({ telemetry: { table: "x" } }), "actions[0].telemetry.table", /not known; there are measurement/],
  ];
  for (const [input, at, reason] of REFUSED) {
    test(`refused at '${at}': ${reason.source}`, () => {
      const fault = faultOf(() => validateRule("r", input));
      assert.equal(fault.code, "RULE_INVALID");
      assert.equal(fault.details["at"], at);
      assert.match(String(fault.details["reason"]), reason);
    });
  }

  test("names are AWS IoT's", () => {
    for (const name of ["", "a-b", "a b", "ü", "x".repeat(129), "../x"]) {
      assert.equal(faultOf(() => validateRule(name, { sql: SQL, actions: [] })).details["at"], "ruleName");
    }
    validateRule("A_1", { sql: SQL, actions: [] });
  });

  test("wrong SQL is told with its place and what to do", () => {
    const fault = faultOf(() => validateRule("r", { sql: "SELECT * FORM 'a'", actions: [] }));
    assert.equal(fault.code, "RULE_SQL_INVALID");
    assert.match(fault.message, /line 1, column 10: expected FROM, found 'FORM'\n {2}SELECT \* FORM 'a'\n {11}\^$/);
    assert.equal(fault.fix, "Did you mean FROM?");
  });

  test("a full rule is taken over; what is left out has its default", () => {
    const actions = [
      { webhook: { url: "https://example.com/x#part", headers: { "X-Team": "blue" }, secret: SECRET } },
      { slack: { url: "https://hooks.slack.com/services/T/B/X", text: "${a}" } },
      { telemetry: { measurement: "m" } },
      { alert: { severity: "critical", summary: "${thing}", clearAfterSeconds: 60 } },
    ];
    const rule = validateRule("r", {
      ruleName: "r",
      sql: SQL,
      description: "d",
      actions,
      awsIotSqlVersion: "2016-03-23",
    });
    const expected = structuredClone(actions);
    expected[0]!.webhook!.url = "https://example.com/x";
    const said = { ruleName: "r", sql: SQL, awsIotSqlVersion: "2016-03-23", description: "d", ruleDisabled: false };
    assert.deepEqual(rule, { ...said, actions: expected });
  });

  test("shown rules hide what is secret", () => {
    const rule = validateRule("r", {
      sql: SQL,
      actions: [
        { webhook: { url: "https://example.com/x", headers: { Authorization: "Bearer T" }, secret: SECRET } },
        { slack: { url: "https://hooks.slack.com/services/T/B/X" } },
      ],
    });
    const shown = JSON.stringify(redactRule({ ...rule, createdAt: 0, fromOffset: 0 }));
    assert.doesNotMatch(shown, /Bearer|whsec|services/);
    assert.match(shown, /example\.com\/x/);
  });

  test("notify targets are webhooks or slack", () => {
    assert.deepEqual(validateNotify({ webhook: { url: "http://localhost:1" } }, "--webhook"), {
      webhook: { url: "http://localhost:1/" },
    });
    assert.throws(() => validateNotify({ telemetry: {} }, "--webhook"), /must be one of webhook/);
  });

  test("the default rules are valid, and are stored as they are written", () => {
    for (const draft of defaultRules()) {
      const { ruleName, ...input } = draft;
      assert.deepEqual(validateRule(ruleName, input), draft);
    }
  });
});

describe("routing", () => {
  const document = (ruleName: string, sql: string, more: Partial<RuleDocument> = {}): RuleDocument => ({
    ruleName,
    sql,
    ruleDisabled: false,
    actions: [{ telemetry: {} }],
    createdAt: 0,
    fromOffset: 0,
    ...more,
  });
  const names = (set: RuleSet, topic: string): string[] => set.route(topic).map((found) => found.rule.ruleName);

  test("the same rules as asking each, whatever the filters and topics, and after every change", () => {
    const level = fc.constantFrom("a", "b", "+", "$x", "");
    const filter = fc
      .tuple(fc.array(level, { minLength: 1, maxLength: 4 }), fc.boolean())
      .map(([levels, all]) => [...levels, ...(all ? ["#"] : [])].join("/"))
      .filter((text) => text !== "");
    const topic = fc
      .array(fc.constantFrom("a", "b", "$x", ""), { minLength: 1, maxLength: 4 })
      .map((levels) => levels.join("/"));
    fc.assert(
      fc.property(fc.array(filter, { maxLength: 8 }), fc.array(topic, { maxLength: 8 }), (filters, topics) => {
        const set = new RuleSet(["telemetry"], compiledRule);
        const expected = new Map<string, string>();
        for (const [i, text] of filters.entries()) {
          set.put(document(`r${i}`, `SELECT * FROM '${text}'`));
          expected.set(`r${i}`, text);
          if (i === 4) {
            set.delete("r2");
            expected.delete("r2");
          }
          for (const name of topics) {
            const wanted = [...expected].filter(([, f]) => topicMatches(f, name)).map(([n]) => n);
            assert.deepEqual(names(set, name), wanted);
            assert.deepEqual(names(set, name), wanted, "and from the cache");
          }
        }
      }),
    );
  });

  test("disabled rules and rules of other kinds are left out; a broken one is told and harms nobody", () => {
    const set = new RuleSet(["telemetry"], compiledRule);
    const broken = set.replaceAll([
      document("fine", SQL),
      document("off", SQL, { ruleDisabled: true }),
      document("hot", SQL, { actions: [{ webhook: { url: "http://x" } }] }),
      document("broken", "SELECT * FROM"),
    ]);
    assert.deepEqual(names(set, "a/b"), ["fine"]);
    assert.deepEqual(
      broken.map(({ ruleName }) => ruleName),
      ["broken"],
    );
    assert.deepEqual(set.filters(), ["a/#"]);
    assert.throws(() => set.put(document("fine", "SELECT")), /expected/);
    assert.deepEqual(names(set, "a/b"), ["fine"], "a refused change changes nothing");
  });

  test("the cache of topics is bounded and keeps answering right", () => {
    const set = new RuleSet(["telemetry"], compiledRule);
    set.put(document("r", "SELECT * FROM 'a/+'"));
    for (let i = 0; i < 50_000; i++) assert.equal(set.route(`a/${i}`).length, 1);
    assert.equal(set.route("a/0").length, 1);
    assert.equal(set.route("b/0").length, 0);
  });

  test("a payload is parsed once for all rules, and a JSON bomb is no JSON", () => {
    const text = new TextEncoder();
    const input = new MessageInput(messageOf("t", text.encode('{"a":1}')));
    assert.equal(input.json(), input.json());
    assert.equal(new MessageInput(messageOf("t", text.encode("[".repeat(100_000)))).json(), undefined);
    assert.equal(new MessageInput(messageOf("t", text.encode("null"))).json(), null);
  });
});

describe("the list of rules", () => {
  let world: World;
  afterEach(async () => world.close());

  test("put, get, list, disable, enable, delete; listeners hear of each", async () => {
    world = await World.start();
    let changes = 0;
    world.rules.onRulesChange(() => changes++);
    world.rules.put("b", { sql: SQL, actions: [] }, 100);
    world.rules.put("a", { sql: "SELECT * FROM 'x'", actions: [] }, 50);
    assert.deepEqual(
      world.rules.list().map((rule) => rule.ruleName),
      ["a", "b"],
    );
    assert.deepEqual(
      world.rules.listFor("a/1").map((rule) => rule.ruleName),
      ["b"],
    );
    assert.equal(world.rules.get("b")!.fromOffset, 100);
    assert.equal(world.rules.put("b", { sql: SQL, description: "new", actions: [] }, 200).fromOffset, 100);
    assert.equal(world.rules.disable("b").ruleDisabled, true);
    assert.equal(world.rules.enable("b", 300).fromOffset, 300);
    world.rules.delete("a");
    assert.equal(world.rules.get("a"), null);
    for (const act of [
      (): unknown => world.rules.delete("a"),
      (): unknown => world.rules.enable("a"),
      (): unknown => world.rules.disable("a"),
    ]) {
      assert.equal(faultOf(act).code, "NOT_FOUND");
    }
    assert.equal(changes, 6);
    await world.crash();
    assert.deepEqual(
      world.rules.list().map((rule) => [rule.ruleName, rule.description]),
      [["b", "new"]],
    );
  });

  test("a rule sees messages from its offset on, and none while it is disabled", async () => {
    world = await World.start();
    const matches = (): number => world.metrics.value("tidewire_rule_matches_total");
    const actions = [{ alert: { severity: "info", summary: "s" } }];
    world.rules.put("r", { sql: SQL, actions }, 2);
    world.publish("a", {});
    world.publish("a", {});
    assert.equal(matches(), 0);
    world.publish("a", {});
    assert.equal(matches(), 1);
    world.rules.disable("r");
    world.publish("a", {});
    world.rules.enable("r");
    world.publish("a", {});
    assert.equal(matches(), 2);
  });

  test("default rules come once: a deleted one stays deleted", async () => {
    world = await World.start({ defaults: defaultRules() });
    assert.deepEqual(
      world.rules.list().map((rule) => rule.ruleName),
      ["cpu_high", "disk_high", "memory_high", "tidewire_telemetry"],
    );
    world.rules.delete("disk_high");
    await world.crash();
    assert.equal(world.rules.get("disk_high"), null);
  });

  test("where the log was removed, the rules go on with the new one and do not wait for it to grow", async () => {
    world = await World.start();
    world.rules.put("r", { sql: SQL, actions: [{ alert: { severity: "info", summary: "s" } }] }, 5);
    world.rules.caughtUp(1000);
    await world.restart();
    assert.equal(world.resumeFrom, 1000);
    await world.restart(3);
    assert.equal(world.resumeFrom, 3);
    assert.match(JSON.stringify(world.logger.lines), /log is shorter/);
    world.rules.handle(3, messageOf("a", new Uint8Array()));
    assert.equal(world.rules.alerts.active().length, 1);
  });

  test("there is a limit to the number of rules", async () => {
    world = await World.start({ limits: { rulesMax: 2 } });
    world.rules.put("a", { sql: SQL, actions: [] });
    world.rules.put("b", { sql: SQL, actions: [] });
    assert.match(faultOf(() => world.rules.put("c", { sql: SQL, actions: [] })).message, /2 rules at most/);
    world.rules.put("b", { sql: SQL, actions: [] });
  });

  test("a message that was handled is not handled again, and a finished batch moves the checkpoint", async () => {
    world = await World.start();
    world.rules.put("r", { sql: SQL, actions: [{ alert: { severity: "info", summary: "s" } }] }, 0);
    const message = messageOf("a", new Uint8Array());
    assert.deepEqual([world.rules.wants("a"), world.rules.wants("b")], [true, false]);
    world.rules.handle(5, message);
    world.rules.handle(5, message);
    world.rules.handle(4, message);
    assert.equal(world.metrics.value("tidewire_rule_matches_total"), 1);
    assert.equal(world.rules.checkpoint(), 6);
    world.rules.caughtUp(10);
    assert.equal(world.rules.checkpoint(), 10);
    world.rules.caughtUp(8);
    assert.equal(world.rules.checkpoint(), 10);
  });
});

describe("requests", () => {
  test("the signature is that of the Standard Webhooks reference libraries", () => {
    const { headers } = signedPost(
      { url: "x", headers: {}, secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" },
      [
        {
          id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
          body: new TextEncoder().encode('{"test": 2432232314}'),
          fields: {},
          createdAt: 0,
        },
      ],
      1_614_265_330_999,
      hmacSha256,
    );
    assert.deepEqual(headers, {
      "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
      "webhook-timestamp": "1614265330",
      "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    });
  });

  test("secrets are whsec_ and base64 of 24 to 64 bytes", () => {
    for (const [bytes, valid] of [
      [23, false],
      [24, true],
      [32, true],
      [64, true],
      [65, false],
    ] as const) {
      const key = secretBytes(`whsec_${btoa("x".repeat(bytes))}`);
      assert.equal(key?.length ?? null, valid ? bytes : null);
    }
    assert.equal(secretBytes(btoa("x".repeat(32))), null);
  });

  test("what answers mean", () => {
    const of = (kind: "webhook" | "slack", status: number, body = "", headers = {}): string => {
      const verdict = CARRIERS.get(kind)!.http!.verdict({ status, body, headers }, 0);
      return verdict.type === "retry" ? `${verdict.type} ${verdict.scope}` : verdict.type;
    };
    assert.deepEqual(
      [200, 201, 204, 299].map((status) => of("webhook", status)),
      ["done", "done", "done", "done"],
    );
    assert.deepEqual(
      [301, 304, 408, 500, 501].map((status) => of("webhook", status)),
      Array(5).fill("retry delivery"),
    );
    assert.deepEqual(
      [429, 502, 503, 504].map((status) => of("webhook", status)),
      Array(4).fill("retry target"),
    );
    assert.deepEqual(
      [400, 403, 404, 410, 451].map((status) => of("webhook", status)),
      Array(5).fill("dead"),
    );
    assert.equal(of("slack", 200, "ok"), "done");
    assert.equal(of("slack", 200, "no_text"), "retry delivery");
    assert.equal(of("slack", 204, ""), "retry delivery");
    assert.equal(of("slack", 404, "no_service"), "dead");
  });

  test("Retry-After is seconds or a date", () => {
    const now = Date.parse("2026-01-01T00:00:00Z");
    assert.equal(parseRetryAfter("120", now), 120_000);
    assert.equal(parseRetryAfter("Thu, 01 Jan 2026 00:01:00 GMT", now), 60_000);
    assert.equal(parseRetryAfter("Wed, 31 Dec 2025 00:00:00 GMT", now), 0);
    assert.equal(parseRetryAfter("soon", now), null);
    assert.equal(parseRetryAfter(undefined, now), null);
  });

  test("backoff doubles within its limits and is never the same for all", () => {
    const random = new SimRandom(3);
    for (let failures = 1; failures < 2000; failures++) {
      const delay = backoff(failures, random, LIMITS.rules);
      const step = Math.min(600_000, 1000 * 2 ** (failures - 1));
      assert.ok(delay >= Math.max(1000, step / 2 - 1) && delay <= step, `${delay} after ${failures}`);
    }
  });
});

describe("a rule's statement", () => {
  const sent = (sql: string, action: object, version?: string): RuleDraft =>
    validateRule("r", { sql, actions: [action], ...(version === undefined ? {} : { awsIotSqlVersion: version }) });
  const slack = (text: string): object => ({ slack: { url: "https://hooks.slack.com/services/T/B/X", text } });

  test("has variables that its actions' templates know, and no others", () => {
    assert.doesNotThrow(() => sent("SET @limit = 5 SELECT * FROM 'a'", slack("over ${@limit}")));
    const unknown = { code: "RULE_INVALID", message: /actions\[0\].*@limt/s };
    assert.throws(() => sent("SET @limit = 5 SELECT * FROM 'a'", slack("over ${@limt}")), unknown);
    const none = { code: "RULE_INVALID", message: /actions\[0\].*@limit/s };
    assert.throws(() => sent("SELECT * FROM 'a'", slack("over ${@limit}")), none);
  });

  test("is of the version that the rule says", () => {
    assert.equal(sent("SELECT * FROM 'a'", slack("x"), "2015-10-08").awsIotSqlVersion, "2015-10-08");
    const laterOnly = "SELECT VALUE [1, 2] FROM 'a'";
    assert.doesNotThrow(() => sent(laterOnly, slack("x"), "2016-03-23"));
    assert.throws(() => sent(laterOnly, slack("x"), "2015-10-08"), { code: "RULE_SQL_INVALID" });
  });

  test("with a function that nothing answers here is refused, and says which", () => {
    const sql = "SELECT get_thing_shadow('pump', 'role') AS s FROM 'a'";
    assert.throws(() => sent(sql, slack("x")), { code: "RULE_SQL_INVALID", message: /get_thing_shadow/ });
  });
});
