import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { JsonObject } from "../../base/mod.ts";
import type { RuleActivityView, RuleFault, RuleSummary } from "../../cloud/api/contract.ts";
import { ApiFailure } from "../api/client.ts";
import type { CallOptions } from "../api/client.ts";
import { documentOf, markedLine, sameDocument, textOf } from "./rule-draft.ts";
import { saveRule, switchRule } from "./rule-save.ts";
import type { Ask } from "./rule-save.ts";
import { actionWords, activityWords, behindWords, describedActions, firstLine, troubleOf } from "./rule-words.ts";

const ACTIVITY: RuleActivityView = {
  matched: 0,
  lastMatchAt: null,
  failed: 0,
  failure: null,
  delivered: 0,
  retried: 0,
  dead: 0,
  deliveryFailure: null,
};

describe("a rule in words", () => {
  test("that it is behind is said where somebody would notice, and nowhere else", () => {
    assert.equal(behindWords({ messages: 0, age: 0 }), null);
    assert.equal(behindWords({ messages: 5_000, age: 900 }), null);
    const words = behindWords({ messages: 1_234_567, age: 200_000 })!;
    assert.match(words, /1,234,567 messages of the log behind: it looks at what came 3\smin/);
    assert.match(behindWords({ messages: 1, age: null })!, /1 message of the log behind\. Nothing/);
  });

  test("its statement on one line, its actions, what became of it", () => {
    assert.equal(firstLine(" SELECT *\n  FROM 'a/#'\n"), "SELECT * FROM 'a/#'");
    assert.equal(
      actionWords({ kind: "webhook", receiver: "https://hooks.example" }),
      "webhook to https://hooks.example",
    );
    assert.equal(actionWords({ kind: "telegram", receiver: "telegram 42" }), "telegram to 42");
    assert.equal(actionWords({ kind: "alert", receiver: null }), "raise an alert");
    assert.equal(actionWords({ kind: "republish", receiver: "this broker" }), "republish here");
    assert.equal(activityWords({ ...ACTIVITY, matched: 1 }), "1 match");
    assert.equal(
      activityWords({ ...ACTIVITY, matched: 1200, delivered: 7, retried: 2, dead: 1, failed: 3 }),
      "1,200 matches, 7 delivered, 2 tried again, 1 given up, failed on 3",
    );
  });

  test("each action with its settings, the error action as such", () => {
    const document = {
      actions: [
        { alert: { severity: "critical", summary: "hot" } },
        { webhook: { url: "https://x/h?key=1", headers: { a: "***" } } },
      ],
      errorAction: { telemetry: {} },
    };
    assert.deepEqual(describedActions(document), [
      {
        kind: "raise an alert",
        settings: [
          { name: "severity", value: "critical" },
          { name: "summary", value: "hot" },
        ],
      },
      {
        kind: "webhook",
        settings: [
          { name: "url", value: "https://x/h?…" },
          { name: "headers", value: '{"a":"***"}' },
        ],
      },
      { kind: "on failure: store as time series", settings: [] },
    ]);
    assert.deepEqual(describedActions({ actions: "no list" }), []);
  });

  test("trouble is what somebody should look at, not every hiccup", () => {
    const rule = (activity: Partial<RuleActivityView>): RuleSummary =>
      ({ activity: { ...ACTIVITY, ...activity } }) as RuleSummary;
    const deliveryFailure = { at: 1, reason: "HTTP 503" };
    assert.equal(troubleOf(rule({})), null);
    assert.equal(troubleOf(rule({ deliveryFailure, retried: 1, delivered: 900 })), null);
    assert.equal(troubleOf(rule({ deliveryFailure, retried: 5, delivered: 0 })), "HTTP 503");
    assert.equal(troubleOf(rule({ deliveryFailure, dead: 1, delivered: 900 })), "HTTP 503");
  });
});

describe("a rule that is being written", () => {
  test("statement and rest are apart, and one document again", () => {
    const document = { sql: "SELECT *\nFROM 'a'", actions: [{ telemetry: {} }], description: "d" };
    const text = textOf(document);
    assert.equal(text.sql, document.sql);
    assert.doesNotMatch(text.rest, /SELECT/);
    const back = documentOf(text);
    assert.ok(back.ok && sameDocument(back.document, document));
    assert.deepEqual(documentOf({ sql: "x", rest: "" }), { ok: true, document: { sql: "x" } });
    // The statement has a field of its own; what the rest says of it does not count.
    assert.deepEqual(documentOf({ sql: "x", rest: '{"sql": "y"}' }), { ok: true, document: { sql: "x" } });
    for (const rest of ["{", "[]", "5", "null"]) assert.equal(documentOf({ sql: "x", rest }).ok, false, rest);
  });

  test("a fault's place is marked in its line", () => {
    const fault = { at: "sql", reason: "r", hint: null, position: 9 };
    const at = (line: number | null, column: number | null): RuleFault => ({ ...fault, line, column });
    assert.deepEqual(markedLine("SELECT *\nFORM 'a'", at(2, 1)), { line: "FORM 'a'", caret: "^" });
    assert.deepEqual(markedLine("SELECT *\n\tFORM", at(2, 2)), { line: " FORM", caret: " ^" });
    const long = markedLine("x".repeat(200), at(1, 150))!;
    assert.equal(long.line.length, 80);
    assert.equal(long.caret.length, 41);
    assert.equal(markedLine("SELECT", at(null, null)), null);
  });
});

/** A platform that has one rule and a revision; `meanwhile` is done before each change is taken. */
class Platform {
  document: JsonObject;
  revision = 1;
  meanwhile: (() => void) | null = null;

  constructor(document: JsonObject) {
    this.document = document;
  }

  readonly ask: Ask = <T>(path: string, options: CallOptions = {}): Promise<T> => {
    if (path.endsWith("/document")) {
      return Promise.resolve({ document: this.document, revision: String(this.revision) } as T);
    }
    this.meanwhile?.();
    if (options.ifMatch !== String(this.revision)) {
      return Promise.reject(new ApiFailure(409, { code: "CONFIGURATION_CHANGED", message: "", fix: "" }));
    }
    this.document = (options.body as { documents: [{ document: JsonObject }] }).documents[0].document;
    this.revision++;
    return Promise.resolve({} as T);
  };
}

describe("saving", () => {
  const seen = { sql: "a", actions: [] };

  test("a change elsewhere in the configuration is no conflict", async () => {
    const platform = new Platform(seen);
    let others = 2;
    platform.meanwhile = () => {
      if (others-- > 0) platform.revision++;
    };
    await saveRule("r", { sql: "b", actions: [] }, seen, platform.ask);
    assert.deepEqual(platform.document, { sql: "b", actions: [] });
  });

  test("a change of the rule itself is one, and nothing of it is overwritten", async () => {
    const platform = new Platform({ sql: "theirs", actions: [] });
    await assert.rejects(saveRule("r", { sql: "mine", actions: [] }, seen, platform.ask), /Somebody else/);
    platform.document = seen;
    platform.meanwhile = () => {
      platform.document = { sql: "theirs", actions: [] };
      platform.revision++;
    };
    await assert.rejects(saveRule("r", { sql: "mine", actions: [] }, seen, platform.ask), /Somebody else/);
    assert.equal(platform.document["sql"], "theirs");
  });

  test("who is always too late is told, and does not try for ever", async () => {
    const platform = new Platform(seen);
    platform.meanwhile = () => platform.revision++;
    await assert.rejects(saveRule("r", { sql: "b" }, seen, platform.ask), ApiFailure);
  });

  test("off and on again leaves the rule as it was", async () => {
    const platform = new Platform(seen);
    await switchRule("r", false, platform.ask);
    assert.deepEqual(platform.document, { ...seen, ruleDisabled: true });
    await switchRule("r", true, platform.ask);
    assert.deepEqual(platform.document, seen);
  });
});
