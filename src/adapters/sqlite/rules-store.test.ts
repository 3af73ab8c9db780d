import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, test } from "node:test";
import { keyOf } from "../../rules/mod.ts";
import type { DeadLetterQuery, KeptLetter, SaveBatch } from "../../rules/mod.ts";
import { MIGRATIONS } from "./rules-rows.ts";
import { CALM } from "../../rules/alerts/life-cycle.ts";
import { SqliteRulesStore } from "./rules-store.ts";
import { NOTHING, SEALING, SLACK, WEBHOOK, alert, dead, delivery, refuse } from "./rules-store.fixture.ts";

describe("rules store", () => {
  const save = (batch: SaveBatch): number => store.save(batch, false).waiting;

  let folder: string;
  let path: string;
  let store: SqliteRulesStore;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "tidewire-rules-store-"));
    path = join(folder, "rules.db");
    store = new SqliteRulesStore({ path, sealing: SEALING, limits: { deadLettersMax: 5, alertsHistoryMax: 3 } });
  });

  afterEach(() => {
    store.close();
    rmSync(folder, { recursive: true });
  });

  function reopen(): void {
    store.close();
    open();
  }

  function open(): void {
    store = new SqliteRulesStore({ path, sealing: SEALING, limits: { deadLettersMax: 5, alertsHistoryMax: 3 } });
  }

  test("a new file is empty, and for its owner's eyes only", () => {
    assert.deepEqual(store.load(), {
      rules: [],
      alerts: [],
      alertRows: [],
      windows: [],
      toldUntil: null,
      owed: [],
      receivers: [],
      checkpoint: null,
      waiting: 0,
      savedOffsetMax: -1,
      newestCreatedAt: null,
    });
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  test("everything comes back as it was saved, after the file was closed and opened", () => {
    const rule = {
      ruleName: "r",
      sql: "SELECT * FROM 'é'",
      ruleDisabled: false,
      actions: [],
      createdAt: 5,
      fromOffset: 7,
    };
    store.putRule(rule);
    const first = delivery(1, { fields: { subject: "é" }, attempts: 2, lastError: "HTTP 500", rule: null });
    const slack = delivery(2, { receiver: "slack b" });
    const stored = { alert: alert("a1"), lastOffset: 9, clearSince: 4, more: { history: [], told: ["g"], life: CALM } };
    const row = { kind: "silence", id: "s1", thing: null, document: "{}" } as const;
    save({
      checkpoint: 42,
      receivers: [WEBHOOK, SLACK],
      deliveries: [first, slack],
      done: [],
      dead: [dead(7)],
      alerts: [stored],
      alertRows: [row],
      windows: [],
      toldUntil: null,
      owed: [],
    });
    reopen();
    const state = store.load();
    assert.deepEqual(state.rules, [rule]);
    assert.deepEqual(state.alerts, [stored]);
    assert.deepEqual(state.alertRows, [row]);
    assert.deepEqual(state.receivers, [SLACK, WEBHOOK]);
    assert.deepEqual([state.checkpoint, state.waiting, state.savedOffsetMax], [42, 2, 7]);
    assert.deepEqual(store.due("webhook a", 5000, 10), [first]);
    const [{ number, carrier, label, ...letter }] = store.deadLetters({ limit: 10 }) as [KeptLetter];
    assert.deepEqual([number, carrier, label, letter], [1, "webhook", "http://a", dead(7)]);
  });

  test("due: by time, then by offset, of this target only, not before its time", () => {
    const deliveries = [
      delivery(5, { nextAttemptAt: 100 }),
      delivery(3, { nextAttemptAt: 200 }),
      delivery(4, { nextAttemptAt: 100 }),
      delivery(1, { nextAttemptAt: 900 }),
      delivery(2, { nextAttemptAt: 1, receiver: "webhook b" }),
    ];
    assert.equal(save({ ...NOTHING, deliveries }), 5);
    assert.deepEqual(
      store.due("webhook a", 500, 10).map((row) => row.offset),
      [4, 5, 3],
    );
    assert.deepEqual(
      store.due("webhook a", 500, 2).map((row) => row.offset),
      [4, 5],
    );
    assert.equal(store.nextDue("webhook a"), 100);
    assert.equal(store.nextDue("webhook c"), null);
  });

  test("saving again counts the attempt, not the delivery; attempts never go back", () => {
    save({ ...NOTHING, deliveries: [delivery(1, { attempts: 3 })] });
    assert.equal(save({ ...NOTHING, deliveries: [delivery(1, { attempts: 4, nextAttemptAt: 9, lastError: "x" })] }), 1);
    assert.equal(save({ ...NOTHING, deliveries: [delivery(1)] }), 1);
    assert.equal(store.due("webhook a", 9999, 10)[0]!.attempts, 4);
  });

  test("done ones go; one that was never there does no harm; the same event for another target stays", () => {
    const other = delivery(1, { receiver: "webhook b" });
    save({ ...NOTHING, deliveries: [delivery(1), other] });
    assert.equal(save({ ...NOTHING, done: [keyOf(delivery(1)), "nothing"] }), 1);
    assert.equal(store.has(keyOf(delivery(1))), false);
    assert.equal(store.has(keyOf(other)), true);
  });

  test("one that is done after all is no dead letter any more", () => {
    save({ ...NOTHING, dead: [dead(1)] });
    save({ ...NOTHING, done: [keyOf(dead(1))] });
    assert.equal(store.has(keyOf(dead(1))), false);
  });

  test("a dead letter leaves the waiting ones; only the newest are kept", () => {
    save({ ...NOTHING, deliveries: [delivery(1)] });
    assert.equal(save({ ...NOTHING, dead: [dead(1)] }), 0);
    assert.equal(store.has(keyOf(dead(1))), true);
    for (let n = 2; n < 20; n++) save({ ...NOTHING, dead: [dead(n)] });
    assert.deepEqual(
      store.deadLetters({ limit: 10 }).map((letter) => letter.offset),
      [19, 18, 17, 16, 15],
    );
    assert.equal(store.deadLetters({ limit: 2 }).length, 2);
  });

  test("a revived dead letter waits again, from the beginning", () => {
    save({ ...NOTHING, receivers: [WEBHOOK], dead: [dead(1)] });
    assert.deepEqual(store.revive({ number: 1, limit: 1 }, 7777), [{ receiver: WEBHOOK, count: 1 }]);
    const [revived] = store.due("webhook a", 8000, 10);
    assert.deepEqual([revived!.attempts, revived!.createdAt, revived!.nextAttemptAt], [0, 7777, 7777]);
    assert.equal(store.deadLetters({ limit: 10 }).length, 0);
    assert.deepEqual(store.revive({ number: 1, limit: 1 }, 1), []);
    assert.equal(store.load().waiting, 1);
  });

  test("old ones are found, the oldest first", () => {
    save({ ...NOTHING, deliveries: [delivery(2), delivery(1), delivery(500)] });
    const offsets = (limit: number): number[] => store.older(1100, limit).map(({ offset }) => offset);
    assert.deepEqual([offsets(10), offsets(1)], [[1, 2], [1]]);
  });

  test("dead letters by rule, receiver and page; changed; dropped", () => {
    const letters = [dead(1), dead(2, { rule: "q" }), dead(3, { receiver: "slack b" }), dead(4)];
    save({ ...NOTHING, receivers: [WEBHOOK, SLACK], dead: letters });
    const offsets = (query: Partial<DeadLetterQuery>): number[] =>
      store.deadLetters({ limit: 10, ...query }).map(({ offset }) => offset);
    assert.deepEqual(offsets({}), [4, 3, 2, 1]);
    assert.deepEqual(offsets({ rule: "r" }), [4, 3, 1]);
    assert.deepEqual(offsets({ receiver: "slack b" }), [3]);
    assert.deepEqual(offsets({ before: 3, limit: 1 }), [2]);
    const body = Uint8Array.of(7);
    assert.deepEqual(store.editDeadLetter(2, { body })!.body, body);
    assert.deepEqual(store.editDeadLetter(2, { fields: { a: "b" } })!.fields, { a: "b" });
    assert.deepEqual(store.deadLetters({ number: 2, limit: 1 })[0]!.body, body);
    assert.equal(store.editDeadLetter(99, { body }), null);
    assert.equal(store.dropDeadLetters({ rule: "r", limit: 2 }), 2);
    assert.deepEqual(offsets({}), [2, 1]);
  });

  test("headers that a rule was given as secrets are sealed on the disk, waiting or dead, moved or changed", () => {
    const fields = { "content-type": "application/json", authorization: "Bearer hunter2" };
    save({
      ...NOTHING,
      receivers: [WEBHOOK, SLACK],
      deliveries: [delivery(1, { fields })],
      dead: [dead(2, { fields })],
    });
    store.changeReceiver("r", WEBHOOK.key, SLACK);
    assert.deepEqual(store.due(SLACK.key, 9_000, 10)[0]?.fields, fields);
    assert.deepEqual(store.deadLetters({ limit: 1 })[0]?.fields, fields);
    const changed = { ...fields, authorization: "Bearer hunter3" };
    assert.deepEqual(store.editDeadLetter(1, { fields: changed })!.fields, changed);
    assert.deepEqual(store.deadLetters({ limit: 1 })[0]?.fields, changed);
    store.revive({ limit: 1 }, 9_000);
    assert.deepEqual(
      store.due(SLACK.key, 9_000, 10).map((row) => row.fields),
      [fields, changed],
    );
    for (const file of [path, `${path}-wal`]) assert.equal(readFileSync(file).includes("hunter"), false);
  });

  test("what died of a rule's message is known, with the message for the error action", () => {
    const origin = {
      event: "5",
      action: "HttpAction",
      resource: "http://a",
      topic: "t",
      clientId: "c",
      payload: Uint8Array.of(1),
    };
    save({ ...NOTHING, dead: [dead(5, { origin })] });
    reopen();
    assert.deepEqual([store.hasDied("r", "5"), store.hasDied("r", "6"), store.hasDied("q", "5")], [true, false, false]);
    assert.deepEqual(store.deadLetters({ limit: 1 })[0]!.origin, origin);
  });

  test("what waits and what was given up of one rule gets another receiver", () => {
    save({ ...NOTHING, receivers: [WEBHOOK], deliveries: [delivery(1), delivery(2, { rule: "q" })], dead: [dead(3)] });
    assert.equal(store.changeReceiver("r", "webhook a", SLACK), 1);
    assert.deepEqual(
      store.due("slack b", 9999, 10).map(({ offset }) => offset),
      [1],
    );
    assert.equal(store.has("r-1 slack b"), true);
    assert.equal(store.deadLetters({ limit: 1 })[0]!.receiver, "slack b");
    assert.equal(store.due("webhook a", 9999, 10).length, 1);
    assert.equal(store.load().receivers.length, 2);
  });

  test("secrets are sealed on disk, in rules and receivers; a receiver that nothing needs is gone", () => {
    const secret = `whsec_${btoa("k".repeat(32))}`;
    store.putRule({
      ruleName: "r",
      sql: "SELECT * FROM 'a'",
      ruleDisabled: false,
      actions: [{ webhook: { url: "http://a/", headers: { authorization: "Bearer TOP" }, secret } }],
      errorAction: { slack: { url: "https://hooks.slack.com/services/TOP" } },
      createdAt: 0,
      fromOffset: 0,
    });
    const settings = { url: "http://a/", headers: { authorization: "Bearer TOP" }, secret };
    save({ ...NOTHING, receivers: [{ ...WEBHOOK, settings }], deliveries: [delivery(1)] });
    const text = (): string => readFileSync(path).toString("latin1") + readFileSync(`${path}-wal`).toString("latin1");
    assert.doesNotMatch(text(), /TOP|whsec_/);
    assert.deepEqual(store.load().receivers[0]!.settings, settings);
    assert.match(JSON.stringify(store.load().rules), /Bearer TOP.*whsec_.*services\/TOP/);
    save({ ...NOTHING, done: [keyOf(delivery(1))] });
    store.load();
    save({ ...NOTHING, deliveries: [delivery(2)] });
    assert.deepEqual(store.load().receivers, []);
  });

  test("a file of the format before goes on: requests with address and secret become receivers and deliveries", () => {
    store.close();
    rmSync(path);
    rmSync(`${path}-pages`);
    const old = new DatabaseSync(path);
    for (const sql of MIGRATIONS.slice(0, 2)) old.exec(sql);
    old.exec("PRAGMA user_version = 2");
    const columns = "key, id, target, kind, rule, url, headers, secret, body, log_offset, created_at, attempts, things";
    const row = (
      table: string,
      more: string,
      n: number,
      kind: string,
      url: string,
      headers: object,
      secret: string | null,
    ): void => {
      const values = [
        `r-${n} ${kind} ${url}`,
        `r-${n}`,
        `${kind} ${url}`,
        kind,
        "r",
        url,
        JSON.stringify(headers),
        secret,
      ];
      old
        .prepare(
          `INSERT INTO ${table} (${columns}, ${more}) VALUES (${"?, ".repeat(13)} ${table === "deliveries" ? "7, 'e'" : "'e', 8"})`,
        )
        .run(...values, Uint8Array.of(n), n, 5, 2, '["t"]');
    };
    const json = { "content-type": "application/json" };
    row(
      "deliveries",
      "next_attempt_at, last_error",
      1,
      "webhook",
      "http://a/x",
      { ...json, "x-key": "SECRET" },
      "whsec_a",
    );
    row("deliveries", "next_attempt_at, last_error", 2, "slack", "https://hooks.slack.com/services/SECRET", json, null);
    row("dead_letters", "last_error, died_at", 3, "webhook", "http://a/x", { "content-type": "text/csv" }, null);
    old.prepare("INSERT INTO rules VALUES ('r', ?)").run(
      JSON.stringify({
        ruleName: "r",
        sql: "s",
        ruleDisabled: false,
        actions: [{ slack: { url: "https://hooks.slack.com/SECRET" } }],
      }),
    );
    old.close();
    open();
    const state = store.load();
    assert.equal(state.waiting, 2);
    assert.deepEqual(
      new Set(state.receivers.map(({ carrier, label, settings }) => JSON.stringify({ carrier, label, settings }))),
      new Set([
        JSON.stringify({
          carrier: "webhook",
          label: "http://a",
          settings: { url: "http://a/x", headers: { "x-key": "SECRET" }, secret: "whsec_a" },
        }),
        JSON.stringify({
          carrier: "slack",
          label: "https://hooks.slack.com",
          settings: { url: "https://hooks.slack.com/services/SECRET" },
        }),
      ]),
    );
    const webhook = state.receivers.flatMap(({ key }) => store.due(key, 9, 9)).find(({ id }) => id === "r-1");
    assert.deepEqual([webhook!.fields, webhook!.attempts, webhook!.lastError, webhook!.things], [json, 2, "e", ["t"]]);
    assert.deepEqual(
      store.deadLetters({ limit: 9 }).map(({ id, label }) => [id, label]),
      [["r-3", "http://a"]],
    );
    assert.match(JSON.stringify(state.rules), /SECRET/);
    store.close();
    assert.doesNotMatch(readFileSync(path).toString("latin1"), /SECRET|whsec_/);
    open();
  });

  test("deleting a rule drops its waiting deliveries only", () => {
    store.putRule({ ruleName: "r", sql: "s", ruleDisabled: false, actions: [], createdAt: 0, fromOffset: 0 });
    save({
      ...NOTHING,
      deliveries: [delivery(1), delivery(2), delivery(3, { rule: null }), delivery(4, { rule: "q" })],
    });
    assert.deepEqual(store.change({ rules: [], deletes: ["r"], documents: [] }), [2]);
    const state = store.load();
    assert.deepEqual([state.rules.length, state.waiting], [0, 2]);
  });

  test("of the resolved alerts the newest are kept, of the active ones all", () => {
    const alerts = Array.from({ length: 10 }, (_, n) => ({
      alert: alert(`a${n}`, n < 6 ? { state: "resolved", resolvedAt: 100 + n } : {}),
      lastOffset: n,
      clearSince: null,
      more: null,
    }));
    save({ ...NOTHING, alerts });
    const ids = store.load().alerts.map((stored) => stored.alert.id);
    assert.deepEqual(
      ids.toSorted((a, b) => (a < b ? -1 : 1)),
      ["a3", "a4", "a5", "a6", "a7", "a8", "a9"],
    );
  });

  test("a save that fails changes nothing at all", () => {
    save({ ...NOTHING, checkpoint: 1, deliveries: [delivery(1)] });
    refuse(path, "meta", "RAISE(ROLLBACK, 'the disk is full')");
    assert.throws(() => save({ ...NOTHING, checkpoint: 2, done: [keyOf(delivery(1))], deliveries: [delivery(3)] }));
    const state = store.load();
    assert.deepEqual([state.checkpoint, state.waiting], [1, 1]);
    refuse(path, "meta", null);
    assert.equal(save({ ...NOTHING, checkpoint: 3 }), 1, "the count is not off either");
  });

  test("a row that can never be stored costs itself alone, and is told", () => {
    const bad = { ...delivery(2), attempts: "many" as unknown as number };
    const batch = { ...NOTHING, checkpoint: 2, deliveries: [delivery(1), bad, delivery(3)] };
    const { waiting, lost } = store.save(batch, false);
    assert.equal(waiting, 2);
    assert.deepEqual(
      lost.map(({ rule }) => rule),
      ["r"],
    );
    assert.match(lost[0]!.reason, /TEXT value in INTEGER column/);
    assert.deepEqual([store.load().checkpoint, store.load().waiting], [2, 2]);
  });

  test("a file that is no database, and one of a later version, are refused with a reason and left alone", () => {
    const text = join(folder, "text.db");
    writeFileSync(text, "this is not a database, however long it may be ".repeat(100));
    assert.throws(() => new SqliteRulesStore({ path: text, sealing: SEALING }), { code: "DATABASE_UNUSABLE" });
    const later = join(folder, "later.db");
    const database = new DatabaseSync(later);
    database.exec("PRAGMA user_version = 99");
    database.close();
    assert.throws(() => new SqliteRulesStore({ path: later, sealing: SEALING }), { code: "DATABASE_NEWER" });
  });
});
