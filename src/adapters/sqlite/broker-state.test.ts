import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { SimJournal } from "../../../sim/broker-ports.ts";
import { SimClient } from "../../../sim/mqtt-client.ts";
import { SimClock, SimLogger, SimMetrics, SimRandom } from "../../../sim/world.ts";
import { LIMITS, isTidewireError } from "../../base/mod.ts";
import { Broker } from "../../broker/mod.ts";
import type { SavedExchanges, SavedSession, StoredSession } from "../../broker/mod.ts";
import { brokerDatabaseOfFormat1 } from "./broker-state.fixture.ts";
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
  thing: null,
  leftGroup: false,
  will: null,
  ...fields,
});
const subscription = (filter: string) =>
  ({ filter, qos: 1, noLocal: true, retainAsPublished: false, identifier: 268_435_455, since: 2 ** 40 }) as const;

async function loaded(state: SqliteBrokerState): Promise<{ appliedOffset: number; sessions: StoredSession[] }> {
  const { appliedOffset, sessions } = await state.load();
  const all: StoredSession[] = [];
  for await (const some of sessions) all.push(...some);
  return { appliedOffset, sessions: all };
}

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
  assert.deepEqual(await loaded(state), { appliedOffset: 0, sessions: [] });
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
  const full = session("full", {
    disconnectedAt: 1_767_225_600_000,
    versionNumber: 7,
    thing: "t2",
    leftGroup: true,
    will: { will, thing: "t", owner: "who" },
  });
  const plain = session("plain", {
    will: { will: { ...will, properties: null, payload: new Uint8Array(0) }, thing: null, owner: null },
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
    const { sessions } = await loaded(again);
    const [first, second] = sessions.toSorted((a, b) => (a.clientId < b.clientId ? -1 : 1));
    assert.deepEqual(
      { ...first, subscriptions: null },
      { ...full, subscriptions: null, outbox: null, exchanges: null },
    );
    assert.deepEqual(
      first?.subscriptions.toSorted((a, b) => (a.filter < b.filter ? -1 : 1)),
      [subscription("$b/#"), subscription("a/+")],
    );
    assert.deepEqual(second, { ...plain, subscriptions: [], outbox: null, exchanges: null });
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
      outboxes: [{ clientId, head: 0, tail: 1, sentBefore: 1, bytes: 100, applied: 6, chunks: [chunk] }],
      exchanges: [],
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
    const saved = await loaded(again);
    assert.deepEqual(
      saved.sessions.map((s) => [s.clientId, s.versionNumber]),
      [["one", 1]],
    );
    assert.deepEqual(saved.sessions[0]?.subscriptions.map((s) => s.filter).sort(), ["b", "c"]);
    assert.deepEqual(saved.sessions[0]?.outbox, { head: 0, tail: 1, sentBefore: 1, bytes: 100, applied: 6 });
    assert.deepEqual(await again.queued("one", 0, 10), [chunk]);
    assert.deepEqual(await again.queued("two", 0, 10), []);
  });
});

test("queues grow by chunks and lose those that are finished; offsets beyond 32 bits survive", async () => {
  const state = new SqliteBrokerState(path);
  await state.saveSessions([{ clientId: "c", reset: true, session: session("c"), subscriptions: [] }]);
  const far = 2 ** 45 + 1;
  const save = (head: number, first: number, ...offsets: number[]): Promise<void> => {
    const slots = Float64Array.from(offsets.flatMap((offset) => [offset, 401]));
    const identifiers = [[first, [1, 2]]] as const;
    const tail = first + offsets.length;
    return state.saveProgress({
      appliedOffset: far,
      outboxes: [
        { clientId: "c", head, tail, sentBefore: 2, bytes: 7, applied: far, chunks: [{ first, slots, identifiers }] },
      ],
      exchanges: [],
    });
  };
  await save(0, 0, 1, 2, 3);
  await save(1, 3, far, far + 1);
  await save(3, 5, far + 2);
  await reopened(state, async (again) => {
    const { appliedOffset, sessions } = await loaded(again);
    assert.equal(appliedOffset, far);
    assert.deepEqual(sessions[0]?.outbox, { head: 3, tail: 6, sentBefore: 2, bytes: 7, applied: far });
    const chunks = [
      { first: 3, slots: Float64Array.of(far, 401, far + 1, 401), identifiers: [[3, [1, 2]]] },
      { first: 5, slots: Float64Array.of(far + 2, 401), identifiers: [[5, [1, 2]]] },
    ];
    assert.deepEqual(await again.queued("c", 3, 100), chunks);
    assert.deepEqual(await again.queued("c", 4, 1), [chunks[0]], "at least one chunk, that with the entry in it");
    assert.deepEqual(await again.queued("c", 5, 1), [chunks[1]]);
    assert.deepEqual(await again.queued("c", 6, 1), []);
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
  const save = (...exchanges: SavedExchanges[]) => state.saveProgress({ appliedOffset: 1, outboxes: [], exchanges });
  for (const clientId of ["a", "b", "c"]) {
    await state.saveSessions([
      { clientId, reset: true, session: session(clientId, { since: 2 ** 41 }), subscriptions: [] },
    ]);
  }
  await save({ ...none, clientId: "a", received: [5] }, { ...full, clientId: "b" }, { ...full, clientId: "c" });
  await save(full, { ...none, clientId: "b" });
  await state.saveSessions([{ clientId: "c", reset: true, session: null, subscriptions: [] }]);
  await reopened(state, async (again) => {
    const saved = await loaded(again);
    assert.deepEqual(
      saved.sessions.map(({ exchanges }) => exchanges),
      [full, null],
    );
    assert.deepEqual(
      saved.sessions.map(({ since }) => since),
      [2 ** 41, 2 ** 41],
    );
  });
});

test("a call that fails leaves nothing of itself", async () => {
  const state = new SqliteBrokerState(path);
  const wrong = {
    clientId: "bad",
    head: 0,
    tail: 1,
    sentBefore: 0,
    bytes: 0,
    applied: 0,
    chunks: [{ first: 0, slots: Float64Array.of(1, 2), identifiers: [[1, [1n as never]]] as never }],
  };
  const good = { clientId: "good", head: 0, tail: 1, sentBefore: 0, bytes: 0, applied: 0, chunks: [] };
  await state.saveSessions([{ clientId: "good", reset: true, session: session("good"), subscriptions: [] }]);
  await assert.rejects(state.saveProgress({ appliedOffset: 9, outboxes: [good, wrong], exchanges: [] }));
  const saved = await loaded(state);
  assert.deepEqual([saved.appliedOffset, saved.sessions[0]?.outbox], [0, null]);
  state.close();
});

test("a file of format 1 is brought up to date with all that it held", async () => {
  await writeFile(path, brokerDatabaseOfFormat1());
  const state = new SqliteBrokerState(path);
  const { appliedOffset, sessions } = await loaded(state);
  assert.equal(appliedOffset, 9);
  assert.equal(state.appliedOffset(), 9);
  assert.deepEqual(
    sessions.map(({ clientId, subscriptions }) => [
      clientId,
      subscriptions.map((s) => [s.filter, s.qos, s.identifier]),
    ]),
    [
      [
        "c1",
        [
          ["q/#", 1, 4],
          ["x/+", 0, 0],
        ],
      ],
    ],
  );
  assert.deepEqual(sessions[0]?.outbox, { head: 0, tail: 2, sentBefore: 0, bytes: -1, applied: 0 });
  const [chunk] = await state.queued("c1", 0, 10);
  assert.deepEqual([chunk?.slots[0], chunk?.slots[2]], [6, 7]);
  const { found, upTo } = await state.retained.page("#", null, 100);
  assert.deepEqual(
    found.map(({ topic, offset, clientId, expiresAt }) => [topic, offset, clientId, expiresAt !== null]),
    [
      ["/lead/", 3, "pub", false],
      ["mortal", 5, "pub", true],
      ["r", 0, "pub", false],
      ["r/-1", 2, "pub", false],
      ["r/ü/1", 1, "pub", false],
    ],
  );
  assert.equal(upTo, null);
  const bytes = found.reduce((sum, { frame }) => sum + frame!.length, 0);
  assert.deepEqual(await state.retained.forgetFrom(9), { messages: 5, bytes });
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
