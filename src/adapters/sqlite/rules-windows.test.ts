/** State of windows is staged in pages: what counts after a crash, a full disk, a rule that went. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, test } from "node:test";
import type { SaveBatch, SavedWindows } from "../../rules/mod.ts";
import { MIGRATIONS } from "./rules-rows.ts";
import { SqliteRulesStore } from "./rules-store.ts";
import { NOTHING, SEALING, refuse } from "./rules-store.fixture.ts";

const utf8 = new TextEncoder();

describe("the state of rules' windows", () => {
  const save = (batch: SaveBatch): number => store.save(batch, false).waiting;

  let folder: string;
  let path: string;
  let store: SqliteRulesStore;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "tidewire-rules-windows-"));
    path = join(folder, "rules.db");
    store = new SqliteRulesStore({ path, sealing: SEALING });
  });

  afterEach(() => {
    store.close();
    rmSync(folder, { recursive: true });
  });

  /** The process dies, and starts again. */
  function crash(): void {
    store.close();
    store = new SqliteRulesStore({ path, sealing: SEALING });
  }

  function state(rule: string, header: string, pages: readonly (readonly [number, string])[] = []): SavedWindows {
    const snapshot = {
      header: utf8.encode(header),
      pages: pages.map(([page, body]) => [page, utf8.encode(body)] as const),
    };
    return { rule, snapshot, replaces: false, staged: [] };
  }

  function stage(rule: string, ...pages: readonly (readonly [number, string])[]): void {
    for (const [page, body] of pages) store.stage(rule, [[page, utf8.encode(body)]]);
  }

  /** Rule, header, pages; of each that has state. */
  function kept(): unknown[] {
    const text = new TextDecoder();
    return store.load().windows.map(({ rule, snapshot }) => {
      const pages = snapshot!.pages.map(([page, body]) => `${page}${text.decode(body)}`);
      return [rule, text.decode(snapshot!.header)].concat(pages);
    });
  }

  const rowsOf = (table: string): number => {
    const database = new DatabaseSync(path);
    const { n } = database.prepare(`SELECT count(*) AS n FROM ${table}`).get() as { n: number };
    database.close();
    return n;
  };

  test("pages that were staged count once their save is there; a crash before leaves what was saved before, whole", () => {
    save({
      ...NOTHING,
      checkpoint: 1,
      windows: [
        state("r", "1", [
          [0, "a"],
          [1, "b"],
          [2, "c"],
        ]),
      ],
    });
    stage("r", [0, "A"], [2, "C"]);
    assert.deepEqual(kept(), [["r", "1", "0a", "1b", "2c"]]);
    stage("r", [0, "A"], [2, "C"]);
    crash();
    assert.deepEqual(kept(), [["r", "1", "0a", "1b", "2c"]]);
    assert.equal(rowsOf("window_pages"), 3, "what was staged is gone");
    stage("r", [2, "D"], [3, "e"]);
    save({ ...NOTHING, checkpoint: 2, windows: [{ ...state("r", "2"), staged: [2, 3] }] });
    crash();
    assert.deepEqual(kept(), [["r", "2", "0a", "1b", "2D", "3e"]]);
    stage("r", [0, "F"], [2, "G"]);
    save({ ...NOTHING, checkpoint: 3, windows: [{ ...state("r", "3"), staged: [0, 2] }] });
    save({ ...NOTHING, checkpoint: 4, windows: [state("r", "4", [[2, "H"]])] });
    crash();
    assert.deepEqual(kept(), [["r", "4", "0F", "1b", "2H", "3e"]]);
  });

  test("a save that is torn by a full disk leaves the state before, and what was staged goes with the next one", () => {
    save({ ...NOTHING, checkpoint: 1, windows: [state("r", "1", [[0, "a"]])] });
    stage("r", [0, "b"]);
    const batch = { ...NOTHING, checkpoint: 2, windows: [{ ...state("r", "2"), staged: [0] }] };
    refuse(path, "meta", "RAISE(ROLLBACK, 'the disk is full')");
    assert.throws(() => save(batch));
    refuse(path, "meta", null);
    save(batch);
    assert.deepEqual(kept(), [["r", "2", "0b"]]);
  });

  test("the state of one rule that the store refuses costs the others nothing", () => {
    save({ ...NOTHING, checkpoint: 1, windows: [state("good", "1", [[0, "a"]]), state("bad", "1", [[0, "a"]])] });
    refuse(path, "window_pages", "RAISE(ABORT, 'too large')", "NEW.rule = 'bad'");
    assert.throws(() => stage("bad", [0, "b"]), /too large/);
    const windows = [state("bad", "2", [[0, "b"]]), state("good", "2", [[0, "b"]])];
    const { refused } = store.save({ ...NOTHING, checkpoint: 2, windows }, false);
    assert.deepEqual(refused, [{ rule: "bad", reason: "too large" }]);
    assert.equal(store.load().checkpoint, 2);
    assert.deepEqual(kept(), [
      ["bad", "1", "0a"],
      ["good", "2", "0b"],
    ]);
  });

  test("a rule that goes, and one that begins anew, leave no page; a thing that is forgotten, none that does not count", () => {
    save({
      ...NOTHING,
      windows: [
        state("r", "1", [
          [0, "a"],
          [1, "b"],
        ]),
        state("s", "1", [[0, "x"]]),
      ],
    });
    stage("r", [0, "A"]);
    save({ ...NOTHING, windows: [{ ...state("r", "2"), staged: [0] }] });
    assert.equal(rowsOf("window_pages"), 4);
    store.forgetThing("thing-1");
    assert.equal(rowsOf("window_pages"), 3);
    save({ ...NOTHING, windows: [{ ...state("r", "3", [[0, "n"]]), replaces: true }] });
    assert.deepEqual(kept(), [
      ["r", "3", "0n"],
      ["s", "1", "0x"],
    ]);
    store.change({ rules: [], deletes: ["r"], documents: [] });
    stage("r", [0, "other"]);
    save({ ...NOTHING, windows: [{ rule: "s", snapshot: null, replaces: true, staged: [] }] });
    assert.deepEqual(kept(), []);
    assert.equal(rowsOf("window_pages"), 0);
  });

  test("state of a version that kept its pages as they are is still read", () => {
    store.close();
    const old = new DatabaseSync(join(folder, "old.db"));
    const before = MIGRATIONS.findIndex((sql) => sql.includes("window_pages"));
    for (const sql of MIGRATIONS.slice(0, before)) old.exec(sql);
    old.exec(`PRAGMA user_version = ${before}`);
    const put = old.prepare("INSERT INTO window_state (rule, page, body) VALUES (?, ?, ?)");
    for (const [page, body] of [
      [-1, "head"],
      [0, "a"],
      [1, "b"],
    ] as const)
      put.run("r", page, utf8.encode(body));
    old.close();
    store = new SqliteRulesStore({ path: join(folder, "old.db"), sealing: SEALING });
    assert.deepEqual(kept(), [["r", "head", "0a", "1b"]]);
    stage("r", [1, "B"]);
    save({ ...NOTHING, windows: [{ ...state("r", "next"), staged: [1] }] });
    assert.deepEqual(kept(), [["r", "next", "0a", "1B"]]);
  });
});
