import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, test } from "node:test";
import { keyOf } from "../../rules/mod.ts";
import type { Alert, DeadLetter, SaveBatch, SavedDelivery } from "../../rules/mod.ts";
import { SqliteRulesStore } from "./rules-store.ts";

function delivery(n: number, more: Partial<SavedDelivery> = {}): SavedDelivery {
  return {
    id: `r-${n}`,
    target: "webhook a",
    kind: "webhook",
    rule: "r",
    things: [`thing-${n % 2}`],
    url: "http://a/",
    headers: { "content-type": "application/json" },
    secret: null,
    body: Uint8Array.of(n & 0xff, 0, 255),
    offset: n,
    createdAt: 1000 + n,
    attempts: 0,
    nextAttemptAt: 1000 + n,
    lastError: null,
    ...more,
  };
}

function dead(n: number, more: Partial<DeadLetter> = {}): DeadLetter {
  const { nextAttemptAt: _, ...rest } = delivery(n);
  return { ...rest, attempts: 3, lastError: "HTTP 404", diedAt: 5000, ...more };
}

function alert(id: string, more: Partial<Alert> = {}): Alert {
  return {
    id,
    rule: "r",
    thing: "t",
    severity: "info",
    state: "active",
    summary: "s",
    raisedAt: 1,
    lastSeenAt: 2,
    resolvedAt: null,
    acknowledgedAt: null,
    count: 3,
    ...more,
  };
}

const NOTHING: SaveBatch = { checkpoint: 0, deliveries: [], done: [], dead: [], alerts: [] };

describe("rules store", () => {
  const save = (batch: SaveBatch): number => store.save(batch, false);

  let folder: string;
  let path: string;
  let store: SqliteRulesStore;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "tidewire-rules-store-"));
    path = join(folder, "rules.db");
    store = new SqliteRulesStore({ path, limits: { deadLettersMax: 5, alertsHistoryMax: 3 } });
  });

  afterEach(() => {
    store.close();
    rmSync(folder, { recursive: true });
  });

  function reopen(): void {
    store.close();
    store = new SqliteRulesStore({ path, limits: { deadLettersMax: 5, alertsHistoryMax: 3 } });
  }

  test("a new file is empty, and for its owner's eyes only", () => {
    assert.deepEqual(store.load(), {
      rules: [],
      alerts: [],
      targets: [],
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
    const first = delivery(1, { secret: "whsec_x", attempts: 2, lastError: "HTTP 500", rule: null });
    const slack = delivery(2, { target: "slack b", kind: "slack" });
    const stored = { alert: alert("a1"), lastOffset: 9, clearSince: 4 };
    save({ checkpoint: 42, deliveries: [first, slack], done: [], dead: [dead(7)], alerts: [stored] });
    reopen();
    const state = store.load();
    assert.deepEqual(state.rules, [rule]);
    assert.deepEqual(state.alerts, [stored]);
    assert.deepEqual(state.targets, [
      { target: "slack b", kind: "slack" },
      { target: "webhook a", kind: "webhook" },
    ]);
    assert.deepEqual([state.checkpoint, state.waiting, state.savedOffsetMax], [42, 2, 7]);
    assert.deepEqual(store.due("webhook a", 5000, 10), [first]);
    assert.deepEqual(store.deadLetters(10), [dead(7)]);
  });

  test("due: by time, then by offset, of this target only, not before its time", () => {
    const deliveries = [
      delivery(5, { nextAttemptAt: 100 }),
      delivery(3, { nextAttemptAt: 200 }),
      delivery(4, { nextAttemptAt: 100 }),
      delivery(1, { nextAttemptAt: 900 }),
      delivery(2, { nextAttemptAt: 1, target: "webhook b" }),
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
    const other = delivery(1, { target: "webhook b" });
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
      store.deadLetters(10).map((letter) => letter.offset),
      [19, 18, 17, 16, 15],
    );
    assert.equal(store.deadLetters(2).length, 2);
  });

  test("a revived dead letter waits again, from the beginning", () => {
    save({ ...NOTHING, dead: [dead(1)] });
    const revived = store.revive(keyOf(dead(1)), 7777);
    assert.deepEqual([revived!.attempts, revived!.createdAt, revived!.nextAttemptAt], [0, 7777, 7777]);
    assert.deepEqual(store.due("webhook a", 8000, 10), [revived]);
    assert.equal(store.deadLetters(10).length, 0);
    assert.equal(store.revive("nothing", 1), null);
    assert.equal(store.load().waiting, 1);
  });

  test("old ones expire to dead letters that say why", () => {
    save({ ...NOTHING, deliveries: [delivery(1, { lastError: "HTTP 503" }), delivery(2), delivery(500)] });
    assert.equal(store.expire(1100, 9000, "gave up"), 2);
    assert.equal(store.expire(1100, 9000, "gave up"), 0);
    assert.deepEqual(
      store.deadLetters(10).map((letter) => letter.lastError),
      ["gave up", "HTTP 503; gave up"],
    );
    assert.equal(store.load().waiting, 1);
  });

  test("deleting a rule drops its waiting deliveries only", () => {
    store.putRule({ ruleName: "r", sql: "s", ruleDisabled: false, actions: [], createdAt: 0, fromOffset: 0 });
    save({
      ...NOTHING,
      deliveries: [delivery(1), delivery(2), delivery(3, { rule: null }), delivery(4, { rule: "q" })],
    });
    assert.equal(store.deleteRule("r"), 2);
    const state = store.load();
    assert.deepEqual([state.rules.length, state.waiting], [0, 2]);
  });

  test("of the resolved alerts the newest are kept, of the active ones all", () => {
    const alerts = Array.from({ length: 10 }, (_, n) => ({
      alert: alert(`a${n}`, n < 6 ? { state: "resolved", resolvedAt: 100 + n } : {}),
      lastOffset: n,
      clearSince: null,
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
    const bad = { ...delivery(2), attempts: "many" as unknown as number };
    assert.throws(() =>
      save({ ...NOTHING, checkpoint: 2, done: [keyOf(delivery(1))], deliveries: [delivery(3), bad] }),
    );
    const state = store.load();
    assert.deepEqual([state.checkpoint, state.waiting], [1, 1]);
    assert.equal(save({ ...NOTHING, checkpoint: 3 }), 1, "the count is not off either");
  });

  test("a file that is no database, and one of a later version, are refused with a reason and left alone", () => {
    const text = join(folder, "text.db");
    writeFileSync(text, "this is not a database, however long it may be ".repeat(100));
    assert.throws(() => new SqliteRulesStore({ path: text }), { code: "DATABASE_UNUSABLE" });
    const later = join(folder, "later.db");
    const database = new DatabaseSync(later);
    database.exec("PRAGMA user_version = 99");
    database.close();
    assert.throws(() => new SqliteRulesStore({ path: later }), { code: "DATABASE_NEWER" });
  });
});
