import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { StoredShadow, TwinChanges } from "../../twin/mod.ts";
import { SqliteShadowStore } from "./shadow-store.ts";

let folder: string;
let path: string;
let store: SqliteShadowStore;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tidewire-shadow-store-"));
  path = join(folder, "shadows.db");
  store = new SqliteShadowStore({ path });
});

afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true });
});

function reopen(tenant = "default"): void {
  store.close();
  store = new SqliteShadowStore({ path, tenant });
}

const NOTHING: TwinChanges = { position: 0, shadows: [], answers: [], answered: -1 };
const shadow = (thing: string, name = "", more: Partial<StoredShadow> = {}): StoredShadow => ({
  thing,
  name,
  version: 1,
  text: `{"state":{},"metadata":{}}`,
  changedAt: 1_000,
  ...more,
});
const answer = (topic: string, until: number | null = null) => ({ topic, payload: `{"to":"${topic}"}`, until });

test("a new file is empty, knows no place, and is for its owner's eyes only", () => {
  assert.deepEqual(
    [store.position(), store.count(), store.waiting(), store.things("", 9), store.shadow("a", "")],
    [null, 0, [], [], undefined],
  );
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test("shadows, the place and answers are there after a restart, whether the save was waited for or not", () => {
  const named = shadow("a", "n", { version: 7, text: null, changedAt: 5 });
  store.save({ ...NOTHING, position: 3, shadows: [shadow("a"), named], answers: [answer("x"), answer("y", 9)] }, false);
  store.save({ ...NOTHING, position: 4, shadows: [shadow("b")], answers: [answer("z")] }, true);
  for (const reopened of [false, true]) {
    if (reopened) reopen();
    assert.equal(store.position(), 4);
    assert.deepEqual(store.shadow("a", ""), shadow("a"));
    assert.deepEqual(store.shadow("a", "n"), named);
    assert.deepEqual([store.count(), store.countOf("a"), store.things("", 9)], [2, 2, ["a", "b"]]);
    assert.deepEqual(store.waiting(), [
      { position: 3, answers: [answer("x"), answer("y", 9)] },
      { position: 4, answers: [answer("z")] },
    ]);
  }
});

test("answers go once they are in the log, up to the place that is said", () => {
  for (const position of [1, 2, 3]) store.save({ ...NOTHING, position, answers: [answer(`${position}`)] }, false);
  store.save({ ...NOTHING, position: 4, answered: 2 }, false);
  assert.deepEqual(
    store.waiting().map(({ position }) => position),
    [3],
  );
});

test("a save that fails leaves nothing behind, neither on disk nor in the count", () => {
  const broken = { ...shadow("b"), version: "one" as unknown as number };
  assert.throws(() =>
    store.save({ ...NOTHING, position: 9, shadows: [shadow("a"), broken], answers: [answer("x")] }, false),
  );
  assert.deepEqual([store.position(), store.count(), store.waiting(), store.things("", 9)], [null, 0, [], []]);
  store.save({ ...NOTHING, position: 9, shadows: [shadow("a")] }, false);
  assert.equal(store.count(), 1);
});

test("named shadows are listed by name, page by page, without the classic and the deleted ones", () => {
  const names = ["", "b", "a", "d", "c"].map((name) => shadow("t", name));
  store.save({ ...NOTHING, shadows: [...names, shadow("t", "aa", { text: null }), shadow("u", "z")] }, false);
  assert.deepEqual(store.named("t", "", 3), ["a", "b", "c"]);
  assert.deepEqual(store.named("t", "c", 3), ["d"]);
  assert.deepEqual(store.named("nobody", "", 3), []);
});

test("things are forgotten with everything, and those whose names begin alike stay", () => {
  const shadows = ["lamp", "lamp2", "lam", "other"].flatMap((thing) => [shadow(thing), shadow(thing, "n")]);
  store.save({ ...NOTHING, position: 5, shadows: [...shadows, shadow("lamp", "gone", { text: null })] }, false);
  assert.equal(store.forget(["lamp", "other", "nobody"]), 5);
  assert.deepEqual([store.count(), store.countOf("lamp"), store.things("", 9)], [4, 0, ["lam", "lamp2"]]);
  reopen();
  assert.equal(store.count(), 4);
});

test("numbers of deleted shadows go when they are old, some at a time; what is there stays", () => {
  const deleted = ["a", "b", "c"].map((name) => shadow("t", name, { text: null, changedAt: 10 }));
  store.save(
    { ...NOTHING, shadows: [...deleted, shadow("t", "young", { text: null, changedAt: 50 }), shadow("t")] },
    false,
  );
  assert.deepEqual([store.purge(50, 2), store.purge(50, 2), store.purge(50, 2)], [2, 1, 0]);
  assert.deepEqual([store.countOf("t"), store.count()], [2, 1]);
});

test("one tenant sees nothing of another's, and cannot remove it", () => {
  store.save({ ...NOTHING, position: 8, shadows: [shadow("a")], answers: [answer("x")] }, true);
  reopen("other");
  assert.deepEqual([store.position(), store.count(), store.waiting(), store.named("a", "", 9)], [null, 0, [], []]);
  assert.equal(store.forget(["a"]), 0);
  store.save({ ...NOTHING, position: 1, answered: 99 }, true);
  reopen();
  assert.deepEqual([store.position(), store.count(), store.waiting().length], [8, 1, 1]);
});

test("a file that is no database is refused and left as it is", () => {
  store.close();
  writeFileSync(path, "x".repeat(5_000));
  assert.throws(() => new SqliteShadowStore({ path }), { code: /^DATABASE_(DAMAGED|UNUSABLE)$/ } as never);
  rmSync(path);
  for (const companion of ["-pages", "-wal", "-shm"]) rmSync(`${path}${companion}`, { force: true });
  store = new SqliteShadowStore({ path });
});
