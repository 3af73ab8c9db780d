import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { DuckDBInstance } from "@duckdb/node-api";
import { LIMITS, days, minutes } from "../../base/mod.ts";
import type { DuckStore, DuckStoreOptions } from "./duck-store.ts";
import { START, StoreFolder, commit, compacted, everything, modelAnswer } from "./store.scenario.ts";
import type { Reading } from "./store.scenario.ts";

const SMALL: Partial<DuckStoreOptions> = { limits: { ...LIMITS.telemetry, generationRowsMax: 300 } };
const SECRET = "what-nobody-shall-know";

/** Of three things in turn; one of them says secrets. Some days, every minute. */
function readingsOf(count: number): Reading[] {
  return Array.from({ length: count }, (_, i) => ({
    thing: ["kept-1", "gone-thing", "kept-2"][i % 3]!,
    measurement: "m",
    field: i % 2 === 0 ? "x" : "words",
    time: START + (i % 2) * days(1) + i * minutes(1),
    value: i % 2 === 0 ? i : i % 3 === 1 ? SECRET : `word ${i % 7}`,
  }));
}

const STATES = ["kept-1", "gone-thing"].map((thing) => ({ source: `thing ${thing}`, outbox: "o", state: "7:" }));

async function fill(store: DuckStore, readings: readonly Reading[], from: number): Promise<void> {
  for (let at = from; at < readings.length; at += 100) {
    const some = readings.slice(at, at + 100);
    await commit(store, some, at + some.length, at === 0 ? STATES : []);
  }
}

/** What a thing's forgetting commits before it retires the thing. */
const FORGOTTEN_STATE = { source: "thing gone-thing", outbox: "o", state: null };

async function forget(store: DuckStore, offset: number): ReturnType<DuckStore["retire"]> {
  await commit(store, [], offset, [FORGOTTEN_STATE]);
  return store.retire("gone-thing");
}

async function answersWithout(store: DuckStore, model: readonly Reading[], what: string): Promise<void> {
  for (const thing of ["kept-1", "gone-thing", "kept-2"]) {
    for (const query of [everything(thing), { ...everything(thing), window: days(1), aggregate: "count" as const }]) {
      assert.deepEqual((await store.query(query)).series, modelAnswer(model, query), `${what}: ${thing}`);
    }
  }
}

/** Every value in every Parquet file of the store of record, as text. */
async function textOfFiles(folder: string): Promise<string> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".parquet"));
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  const parts: string[] = [];
  for (const name of names) {
    const rows = await connection.runAndReadAll(`SELECT * FROM read_parquet('${join(folder, name)}')`);
    parts.push(`${name}: ${JSON.stringify(rows.getRowsJson())}`);
  }
  connection.closeSync();
  instance.closeSync();
  const manifests = (await readdir(folder)).filter((name) => name.startsWith("manifest.json"));
  for (const name of manifests) parts.push(await readFile(join(folder, name), "utf8"));
  return parts.join("\n");
}

test("a forgotten thing is in no file, no manifest, no answer; what it says afterwards is, also when the database is lost", async () => {
  const folder = await StoreFolder.make();
  try {
    const readings = readingsOf(900);
    let store = await folder.open(SMALL);
    await store.follow("log", 0);
    await fill(store, readings, 0);
    await compacted(store);
    await folder.close(store);
    assert.match(await textOfFiles(folder.coldPath), /gone-thing|what-nobody-shall-know/);
    store = await folder.open(SMALL);
    assert.deepEqual(await forget(store, 900), { series: 2, points: 300 });
    const later: Reading = { thing: "gone-thing", measurement: "m", field: "x", time: START + days(9), value: 42 };
    await commit(store, [later], 901);
    const model = [...readings.filter(({ thing }) => thing !== "gone-thing"), later];
    await answersWithout(store, model, "at once");
    await store.erased();
    await answersWithout(store, model, "erased");
    assert.equal(store.extent().quarantined, 0);
    await folder.close(store);
    const text = await textOfFiles(folder.coldPath);
    assert.doesNotMatch(text, /gone-thing|what-nobody-shall-know/);
    assert.match(text, /kept-1/);
    await rm(folder.path);
    store = await folder.open(SMALL);
    assert.notEqual(store.rebuilt, null);
    // The later reading was in the database alone: the log has it.
    await answersWithout(store, model.slice(0, -1), "without the database");
    await commit(store, [later], 901);
    await answersWithout(store, model, "brought up to date");
    assert.deepEqual(
      (await store.loadSequences()).map(({ source }) => source),
      ["thing kept-1"],
    );
    await store.erased();
  } finally {
    await folder.remove();
  }
});

test("killed before every step of forgetting, the next start finishes it and finds everything else", async () => {
  const folder = await StoreFolder.make();
  const copies = await mkdtemp(join(tmpdir(), "tidewire-forget-"));
  try {
    const readings = readingsOf(700);
    const deaths: { readonly step: string; readonly folder: string }[] = [];
    let watching = false;
    const seen = new Set<string>();
    // What lies on disk at a step is what a killed process leaves there.
    const onStep = async (step: string): Promise<void> => {
      const kind = step.replaceAll(/-\d.*$/g, "");
      if (!watching || seen.has(kind)) return;
      seen.add(kind);
      const copy = join(copies, String(deaths.length));
      deaths.push({ step, folder: copy });
      await cp(folder.folder, copy, { recursive: true });
    };
    const store = await folder.open({ ...SMALL, onStep });
    await store.follow("log", 0);
    await fill(store, readings, 0);
    await compacted(store);
    watching = true;
    await forget(store, 700);
    await store.erased();
    watching = false;
    await folder.close(store);
    assert.ok(deaths.length > 12, `${deaths.length} steps`);
    const model = readings.filter(({ thing }) => thing !== "gone-thing");
    for (const [index, { step, folder: copy }] of deaths.entries()) {
      const lost = index % 2 === 1; // the database as well
      const after = new StoreFolder(copy);
      if (lost) await rm(after.path, { force: true });
      if (lost) await rm(`${after.path}.wal`, { force: true });
      const next = await after.open(SMALL);
      // As the store process does: below the offset it is forgotten again, above it was.
      const offset = next.offset ?? 0;
      assert.ok(offset <= 700);
      await fill(next, readings, offset);
      await forget(next, 700);
      await next.erased();
      await answersWithout(next, model, `${step} lost=${lost}`);
      await after.close(next);
      assert.doesNotMatch(await textOfFiles(after.coldPath), /gone-thing|what-nobody-shall-know/, step);
      await after.remove();
    }
  } finally {
    await folder.remove();
    await rm(copies, { recursive: true, force: true });
  }
});
