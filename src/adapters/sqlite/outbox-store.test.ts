import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { queueStoreContract } from "../../queue/store.contract.ts";
import type { Reading } from "../../queue/mod.ts";
import { Outbox, QueueStoreError } from "../../queue/mod.ts";
import { SimQueueStore } from "../../../sim/queue-store.ts";
import { SimClock, SimLogger, SimMetrics, SimRandom } from "../../../sim/world.ts";
import { SqliteQueueStore, openOutboxStore } from "./outbox-store.ts";

function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "tidewire-outbox-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

queueStoreContract("SQLite", () => {
  const folder = temporaryFolder();
  const path = join(folder.path, "outbox.db");
  const open: SqliteQueueStore[] = [new SqliteQueueStore(path)];
  return {
    store: open[0]!,
    reopen: () => {
      const again = new SqliteQueueStore(path);
      open.push(again);
      return again;
    },
    close: () => {
      for (const store of open) store.close();
      folder.remove();
    },
  };
});

queueStoreContract("simulated", () => {
  const store = new SimQueueStore();
  return { store, reopen: () => store, close: () => {} };
});

const STATE = { outbox: "abc", lastSequence: 1, count: 1, bytes: 1, dropped: 0, expired: 0, refused: 0 };

function reading(sequence: number, bytes: number): Reading {
  return {
    sequence,
    topic: "t",
    payload: new Uint8Array(bytes).fill(65),
    priority: 5,
    acceptedAt: 1,
    expiresAt: null,
  };
}

test("the file is readable for its owner only", () => {
  const folder = temporaryFolder();
  const file = openOutboxStore(join(folder.path, "outbox.db"), 1);
  assert.equal(statSync(join(folder.path, "outbox.db")).mode & 0o777, 0o600);
  assert.equal(file.movedAside, null);
  file.close();
  folder.remove();
});

test("a full disk is told as full, and the store is as before; deleting makes room again", () => {
  const folder = temporaryFolder();
  const store = new SqliteQueueStore(join(folder.path, "outbox.db"));
  store.commit({ state: STATE, put: [reading(1, 50_000)], remove: [], bury: [], deadLettersMax: 10 });
  store.limitPages(40);
  assert.throws(
    () =>
      store.commit({
        state: { ...STATE, lastSequence: 2 },
        put: [reading(2, 200_000)],
        remove: [],
        bury: [],
        deadLettersMax: 10,
      }),
    (error) => error instanceof QueueStoreError && error.kind === "full",
  );
  assert.equal(store.load()?.lastSequence, 1);
  assert.equal(store.find(1)?.payload.length, 50_000);
  store.commit({
    state: { ...STATE, lastSequence: 2 },
    put: [reading(2, 60_000)],
    remove: [1],
    bury: [],
    deadLettersMax: 10,
  });
  assert.equal(store.load()?.lastSequence, 2);
  store.close();
  folder.remove();
});

test("an outbox on a disk that fills up goes on: the oldest readings make room for the newest, and all of it is counted", () => {
  const folder = temporaryFolder();
  const store = new SqliteQueueStore(join(folder.path, "outbox.db"));
  const clock = new SimClock();
  const logger = new SimLogger();
  const outbox = new Outbox({
    store,
    clock,
    scheduler: clock,
    random: new SimRandom(1),
    logger,
    metrics: new SimMetrics(),
    limits: { messages: 1_000_000, bytes: 100_000_000 },
  });
  store.limitPages(100);
  for (let i = 0; i < 1000; i++) {
    outbox.put("telemetry/a/system", new Uint8Array(400));
    clock.advance(1000);
  }
  clock.advance(10_000);
  const { waiting, dropped, durable, failure } = outbox.statistics();
  assert.equal(failure, null);
  assert.equal(durable, 1000);
  assert.ok(waiting > 300 && waiting < 1000, `${waiting}`);
  assert.equal(waiting + dropped, 1000);
  assert.equal(outbox.take(1)[0]?.sequence, dropped + 1, "the oldest went");
  assert.ok(logger.lines.some((line) => line.message.includes("were dropped")));
  outbox.close();
  store.close();
  folder.remove();
});

for (const [what, damage] of [
  ["garbage from the first byte", (bytes: Buffer) => bytes.fill(0x5a)],
  ["garbage in the middle", (bytes: Buffer) => bytes.fill(0x5a, 8192)],
] as const) {
  test(`a damaged file (${what}) is moved aside and the agent starts a new one`, () => {
    const folder = temporaryFolder();
    const path = join(folder.path, "outbox.db");
    const first = new SqliteQueueStore(path);
    first.commit({
      state: STATE,
      put: Array.from({ length: 200 }, (_, i) => reading(i + 1, 500)),
      remove: [],
      bury: [],
      deadLettersMax: 10,
    });
    first.close();
    writeFileSync(path, damage(readFileSync(path)));
    const file = openOutboxStore(path, 12345);
    assert.equal(file.movedAside, `${path}.damaged-12345`);
    assert.equal(file.store.load(), null);
    assert.ok(readdirSync(folder.path).includes("outbox.db.damaged-12345"));
    file.close();
    folder.remove();
  });
}
