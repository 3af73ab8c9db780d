import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { SimJournal } from "../../../sim/broker-ports.ts";
import { SimClient } from "../../../sim/mqtt-client.ts";
import { SimClock, SimLogger, SimMetrics, SimRandom } from "../../../sim/world.ts";
import { LIMITS, isTidewireError } from "../../base/mod.ts";
import { Broker } from "../../broker/mod.ts";
import type { SavedExchanges, SavedSession } from "../../broker/mod.ts";
import { SqliteBrokerState } from "./broker-state.ts";
import { openDatabase } from "./open.ts";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidewire-broker-state-"));
  path = join(folder, "broker.db");
});
afterEach(() => rm(folder, { recursive: true }));

const session = (clientId: string, fields: Partial<SavedSession> = {}): SavedSession => ({
  clientId,
  expirySeconds: 600,
  disconnectedAt: null,
  versionNumber: 0,
  since: 0,
  will: null,
  ...fields,
});
const subscription = (filter: string) =>
  ({ filter, qos: 1, noLocal: true, retainAsPublished: false, identifier: 268_435_455, since: 2 ** 40 }) as const;

async function reopened<T>(state: SqliteBrokerState, work: (again: SqliteBrokerState) => Promise<T>): Promise<T> {
  state.close();
  const again = new SqliteBrokerState(path);
  try {
    return await work(again);
  } finally {
    again.close();
  }
}

test("an empty store starts at the beginning of the log", async () => {
  const state = new SqliteBrokerState(path);
  assert.deepEqual(await state.load(), { appliedOffset: 0, sessions: [], outboxes: [], exchanges: [], retained: [] });
  state.close();
});

test("sessions, subscriptions and wills come back as they were saved", async () => {
  const state = new SqliteBrokerState(path);
  const payload = Uint8Array.of(0, 255, 1);
  const properties = {
    correlationData: Uint8Array.of(9),
    userProperties: [["base64:x", "base64:AAAA"]],
    contentType: "c",
  } as const;
  const will = { topic: "w/ü", payload, qos: 1, retain: true, delaySeconds: 5, properties } as const;
  const full = session("full", { disconnectedAt: 1_767_225_600_000, versionNumber: 7, will: { will, thing: "t" } });
  const plain = session("plain", {
    will: { will: { ...will, properties: null, payload: new Uint8Array(0) }, thing: null },
  });
  const subscriptions = [
    ["a/+", subscription("a/+")],
    ["$b/#", subscription("$b/#")],
  ] as const;
  await state.saveSessions([
    { clientId: "full", reset: true, session: full, subscriptions },
    { clientId: "plain", reset: true, session: plain, subscriptions: [] },
  ]);
  await reopened(state, async (again) => {
    const { sessions } = await again.load();
    const [first, second] = sessions.toSorted((a, b) => (a.clientId < b.clientId ? -1 : 1));
    assert.deepEqual({ ...first, subscriptions: null }, { ...full, subscriptions: null });
    assert.deepEqual(
      first?.subscriptions.toSorted((a, b) => (a.filter < b.filter ? -1 : 1)),
      [subscription("$b/#"), subscription("a/+")],
    );
    assert.deepEqual(second, { ...plain, subscriptions: [] });
  });
});

test("a change touches only what it names; a reset takes everything of the client id, and of no other", async () => {
  const state = new SqliteBrokerState(path);
  const chunk = { first: 0, slots: Float64Array.of(5, 400), identifiers: [] };
  for (const clientId of ["one", "two"]) {
    const subscriptions = [
      ["a", subscription("a")],
      ["b", subscription("b")],
    ] as const;
    await state.saveSessions([{ clientId, reset: true, session: session(clientId), subscriptions }]);
    await state.saveProgress({
      appliedOffset: 6,
      outboxes: [{ clientId, head: 0, sentBefore: 1, chunks: [chunk] }],
      exchanges: [],
      retained: [],
    });
  }
  const change = [
    ["a", null],
    ["c", subscription("c")],
  ] as const;
  await state.saveSessions([
    { clientId: "one", reset: false, session: session("one", { versionNumber: 1 }), subscriptions: change },
    { clientId: "two", reset: true, session: null, subscriptions: [] },
  ]);
  await reopened(state, async (again) => {
    const saved = await again.load();
    assert.deepEqual(
      saved.sessions.map((s) => [s.clientId, s.versionNumber]),
      [["one", 1]],
    );
    assert.deepEqual(saved.sessions[0]?.subscriptions.map((s) => s.filter).sort(), ["b", "c"]);
    assert.deepEqual(
      saved.outboxes.map((o) => o.clientId),
      ["one"],
    );
    assert.equal(saved.outboxes[0]?.chunks.length, 1);
  });
});

test("queues grow by chunks and lose those that are finished; offsets beyond 32 bits survive", async () => {
  const state = new SqliteBrokerState(path);
  await state.saveSessions([{ clientId: "c", reset: true, session: session("c"), subscriptions: [] }]);
  const far = 2 ** 45 + 1;
  const save = (head: number, first: number, ...offsets: number[]): Promise<void> => {
    const slots = Float64Array.from(offsets.flatMap((offset) => [offset, 401]));
    const identifiers = [[first, [1, 2]]] as const;
    return state.saveProgress({
      appliedOffset: far,
      outboxes: [{ clientId: "c", head, sentBefore: 2, chunks: [{ first, slots, identifiers }] }],
      exchanges: [],
      retained: [],
    });
  };
  await save(0, 0, 1, 2, 3);
  await save(1, 3, far, far + 1);
  await save(3, 5, far + 2);
  await reopened(state, async (again) => {
    const { appliedOffset, outboxes } = await again.load();
    assert.equal(appliedOffset, far);
    assert.deepEqual(outboxes[0], {
      clientId: "c",
      head: 3,
      sentBefore: 2,
      chunks: [
        { first: 3, slots: Float64Array.of(far, 401, far + 1, 401), identifiers: [[3, [1, 2]]] },
        { first: 5, slots: Float64Array.of(far + 2, 401), identifiers: [[5, [1, 2]]] },
      ],
    });
  });
});

test("QoS 2 exchanges are replaced as a whole, gone when empty, and gone with their session", async () => {
  const state = new SqliteBrokerState(path);
  const none = { received: [], sent: [], released: [], done: [] };
  const full = {
    clientId: "a",
    received: [1, 65_535],
    sent: [2 ** 40, 32_768],
    released: [40_000, 3],
    done: [2 ** 40 + 1],
  };
  const save = (...exchanges: SavedExchanges[]) =>
    state.saveProgress({ appliedOffset: 1, outboxes: [], exchanges, retained: [] });
  for (const clientId of ["a", "b", "c"]) {
    await state.saveSessions([
      { clientId, reset: true, session: session(clientId, { since: 2 ** 41 }), subscriptions: [] },
    ]);
  }
  await save({ ...none, clientId: "a", received: [5] }, { ...full, clientId: "b" }, { ...full, clientId: "c" });
  await save(full, { ...none, clientId: "b" });
  await state.saveSessions([{ clientId: "c", reset: true, session: null, subscriptions: [] }]);
  await reopened(state, async (again) => {
    const saved = await again.load();
    assert.deepEqual(saved.exchanges, [full]);
    assert.deepEqual(
      saved.sessions.map(({ since }) => since),
      [2 ** 41, 2 ** 41],
    );
  });
});

test("a file from before there was QoS 2 is upgraded: its sessions and queues are as they were", async () => {
  const old = openDatabase({ path, name: "broker", migrations: [VERSION_1], durability: "normal" });
  old.exec(`
    UPDATE progress SET applied_offset = 7;
    INSERT INTO sessions VALUES ('c', 600, NULL, 3, NULL);
    INSERT INTO subscriptions VALUES ('c', 'a', 1, 0, 0, 0, 2);
    INSERT INTO outboxes VALUES ('c', 0, 1);
  `);
  const slots = new Uint8Array(Float64Array.of(5, 403).buffer); // 100 bytes, retained, finished
  old.prepare("INSERT INTO queued VALUES ('c', 0, 1, ?, NULL)").run(slots);
  old.close();
  const state = new SqliteBrokerState(path);
  const saved = await state.load();
  assert.deepEqual([saved.appliedOffset, saved.exchanges], [7, []]);
  assert.deepEqual(
    saved.sessions.map(({ clientId, since, subscriptions }) => [clientId, since, subscriptions.length]),
    [["c", 0, 1]],
  );
  assert.deepEqual(saved.outboxes[0]?.chunks[0]?.slots, Float64Array.of(5, 403));
  state.close();
});

test("retained messages are replaced and removed", async () => {
  const state = new SqliteBrokerState(path);
  const retained = (topic: string, frame: Uint8Array | null, expiresAt: number | null = null) =>
    ({ topic, frame, offset: 3, clientId: "c", receivedAt: 1_767_225_600_000, expiresAt }) as const;
  await state.saveProgress({
    appliedOffset: 1,
    outboxes: [],
    exchanges: [],
    retained: [retained("a", Uint8Array.of(1)), retained("b", Uint8Array.of(2))],
  });
  await state.saveProgress({
    appliedOffset: 2,
    outboxes: [],
    exchanges: [],
    retained: [retained("a", Uint8Array.of(3), 17), retained("b", null)],
  });
  await reopened(state, async (again) => {
    const saved = (await again.load()).retained;
    assert.deepEqual(
      saved.map(({ topic, frame, expiresAt }) => [topic, frame![0], expiresAt]),
      [["a", 3, 17]],
    );
  });
});

test("a call that fails leaves nothing of itself", async () => {
  const state = new SqliteBrokerState(path);
  const wrong = {
    clientId: "bad",
    head: 0,
    sentBefore: 0,
    chunks: [{ first: 0, slots: Float64Array.of(1, 2), identifiers: [[1, [1n as never]]] as never }],
  };
  const good = { clientId: "good", head: 0, sentBefore: 0, chunks: [] };
  await assert.rejects(state.saveProgress({ appliedOffset: 9, outboxes: [good, wrong], exchanges: [], retained: [] }));
  const saved = await state.load();
  assert.deepEqual([saved.appliedOffset, saved.outboxes], [0, []]);
  state.close();
});

test("a database of a newer Tidewire is refused, not touched", () => {
  openDatabase({
    path,
    name: "broker",
    migrations: Array.from({ length: 99 }, () => "SELECT 1"),
    durability: "full",
  }).close();
  assert.throws(
    () => new SqliteBrokerState(path),
    (error: unknown) => isTidewireError(error) && error.code === "DATABASE_NEWER",
  );
});

test("a broker on it survives a crash: session, queue, identifiers and retained message", async () => {
  const clock = new SimClock();
  const journal = new SimJournal(clock);
  const start = async (): Promise<{ broker: Broker; state: SqliteBrokerState }> => {
    const state = new SqliteBrokerState(path);
    const everything = { revision: 1, publish: () => true, subscribe: () => true, receive: () => true };
    const broker = new Broker({
      journal,
      gatekeeper: { admit: () => ({ admitted: true, thing: null, authorizer: everything }) },
      state,
      clock,
      scheduler: clock,
      random: new SimRandom(1),
      logger: new SimLogger(),
      metrics: new SimMetrics(),
      limits: LIMITS.mqtt,
    });
    await broker.restore();
    return { broker, state };
  };
  const kept = { clientId: "c1", cleanStart: false, sessionExpirySeconds: 600 };
  const first = await start();
  const client = new SimClient({ clock, broker: first.broker }, 5, null)
    .connect(kept)
    .subscribe("a/#", { identifier: 4 });
  await clock.run(10);
  client.cut();
  const publisher = new SimClient({ clock, broker: first.broker }, 5, null).connect({ clientId: "pub" });
  publisher.publish("a/1", "saved", { qos: 1, retain: true, properties: { contentType: "x" } });
  await clock.run(2_000);
  publisher.publish("a/2", "in the log only", { qos: 1 });
  await clock.run(10);
  first.state.close();

  const second = await start();
  const back = new SimClient({ clock, broker: second.broker }, 5, null)
    .connect(kept)
    .subscribe("b")
    .subscribe("a/1", { packetId: 2 });
  await clock.run(100);
  assert.equal(back.last("connack")?.sessionPresent, true);
  assert.deepEqual(
    back.publishes.map((p) => [p.payload, p.retain, p.identifiers, p.properties?.contentType]),
    [
      ["saved", false, [4], "x"],
      ["in the log only", false, [4], undefined],
      ["saved", true, [], "x"],
    ],
  );
  second.state.close();
});

/** The file's first version, as it was. */
const VERSION_1 = `CREATE TABLE progress (one INTEGER PRIMARY KEY CHECK (one = 1), applied_offset INTEGER NOT NULL) STRICT;
   INSERT INTO progress VALUES (1, 0);
   CREATE TABLE sessions (
     client_id TEXT PRIMARY KEY, expiry_seconds INTEGER NOT NULL, disconnected_at INTEGER, version_number INTEGER NOT NULL,
     will TEXT
   ) STRICT;
   CREATE TABLE subscriptions (
     client_id TEXT NOT NULL, filter TEXT NOT NULL, qos INTEGER NOT NULL, no_local INTEGER NOT NULL,
     retain_as_published INTEGER NOT NULL, identifier INTEGER NOT NULL, since INTEGER NOT NULL,
     PRIMARY KEY (client_id, filter)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE outboxes (client_id TEXT PRIMARY KEY, head INTEGER NOT NULL, sent_before INTEGER NOT NULL) STRICT;
   -- One row is what one saving added: consecutive entries, two little-endian doubles each (offset, bytes and flags).
   CREATE TABLE queued (
     client_id TEXT NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL, slots BLOB NOT NULL, identifiers TEXT,
     PRIMARY KEY (client_id, first)
   ) STRICT;
   CREATE TABLE retained (
     topic TEXT PRIMARY KEY, frame BLOB NOT NULL, offset INTEGER NOT NULL, client_id TEXT NOT NULL,
     received_at INTEGER NOT NULL, expires_at INTEGER
   ) STRICT;`;
