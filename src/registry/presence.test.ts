import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { SIM_EPOCH, SimClock, SimLogger, SimMetrics } from "../../sim/world.ts";
import { seconds } from "../base/mod.ts";
import { PresenceBook } from "./presence.ts";
import type { Presence } from "./presence.ts";
import type { Change } from "./records.ts";
import type { PresenceStore, SavedPresence } from "./store.ts";

/** Keeps what was saved, counts transactions, and fails when told to, as a full disk does. */
class FaultyStore implements PresenceStore {
  readonly rows = new Map<string, SavedPresence>();
  saves = 0;
  failing = false;

  load(): readonly SavedPresence[] {
    return [...this.rows.values()];
  }
  save(entries: readonly SavedPresence[]): void {
    if (this.failing) throw new Error("disk full");
    this.saves++;
    for (const entry of entries) this.rows.set(entry.thing, entry);
  }
  remove(thing: string): void {
    this.rows.delete(thing);
  }
}

let clock: SimClock;
let store: FaultyStore;
let metrics: SimMetrics;
let book: PresenceBook;
let told: (readonly [thing: string, presence: Presence])[];
let tellRegistryChange: (change: Change) => void;

function start(): PresenceBook {
  metrics = new SimMetrics();
  const made = new PresenceBook({
    store,
    clock,
    scheduler: clock,
    logger: new SimLogger(),
    metrics,
    registry: {
      onChange: (listener) => {
        tellRegistryChange = listener;
        return () => {};
      },
    },
  });
  told = [];
  made.onChange((thing, presence) => told.push([thing, presence]));
  return made;
}

beforeEach(() => {
  clock = new SimClock();
  store = new FaultyStore();
  book = start();
});

describe("presence", () => {
  test("never → online → offline with the reason; each is told and saved at the end of the turn", () => {
    assert.deepEqual(book.of("a"), { state: "never", lastSeenAt: null, disconnectReason: null, remoteAddress: null });
    book.connected("a", "s1", "192.0.2.1");
    const online = { state: "online", lastSeenAt: SIM_EPOCH, disconnectReason: null, remoteAddress: "192.0.2.1" };
    assert.deepEqual(book.of("a"), online);
    assert.equal(store.saves, 0);
    clock.advance(0);
    assert.equal(store.rows.get("a")?.online, true);
    clock.advance(seconds(5));
    book.disconnected("a", "s1", "MQTT_KEEP_ALIVE_TIMEOUT");
    clock.advance(0);
    const offline = {
      ...online,
      state: "offline",
      lastSeenAt: SIM_EPOCH + 5000,
      disconnectReason: "MQTT_KEEP_ALIVE_TIMEOUT",
    };
    assert.deepEqual(book.of("a"), offline);
    assert.deepEqual(told, [
      ["a", online],
      ["a", offline],
    ]);
    assert.equal(store.rows.get("a")?.disconnectReason, "MQTT_KEEP_ALIVE_TIMEOUT");
  });

  test("a take-over, whichever end is told first, never shows the thing offline", () => {
    book.connected("a", "old", "192.0.2.1");
    book.connected("a", "new", "192.0.2.2");
    book.disconnected("a", "old", "DUPLICATE_CLIENTID");
    assert.deepEqual([book.of("a").state, book.of("a").remoteAddress], ["online", "192.0.2.2"]);
    assert.equal(book.onlineCount, 1);
    assert.ok(told.every(([, presence]) => presence.state === "online"));
    book.disconnected("a", "old", "CONNECTION_LOST");
    assert.equal(book.of("a").state, "online");
    book.disconnected("a", "new", "CONNECTION_LOST");
    assert.equal(book.of("a").state, "offline");
    assert.equal(book.onlineCount, 0);
    told.length = 0;
    book.connected("a", "old", "192.0.2.1");
    book.disconnected("a", "old", "DUPLICATE_CLIENTID");
    book.connected("a", "new", "192.0.2.2");
    clock.advance(0);
    assert.ok(told.length > 0 && told.every(([, presence]) => presence.state === "online"));
    assert.deepEqual([book.of("a").state, book.onlineCount], ["online", 1]);
  });

  test("a take-over by a connection of another thing leaves the first one offline", () => {
    book.connected("a", "old", "192.0.2.1");
    book.disconnected("a", "old", "DUPLICATE_CLIENTID");
    book.connected("b", "new", "192.0.2.1");
    clock.advance(0);
    assert.deepEqual([book.of("a").state, book.of("a").disconnectReason], ["offline", "DUPLICATE_CLIENTID"]);
    assert.equal(book.onlineCount, 1);
  });

  test("ten thousand devices that come back together cost one transaction", () => {
    for (let i = 0; i < 10_000; i++) book.connected(`thing-${i}`, `s${i}`, null);
    clock.advance(0);
    assert.equal(store.saves, 1);
    assert.equal(store.rows.size, 10_000);
    assert.equal(metrics.value("tidewire_things_online"), 10_000);
  });

  test("last seen moves with every message and is saved at most every 30 s", () => {
    book.connected("a", "s", null);
    clock.advance(0);
    for (let i = 0; i < 29; i++) {
      clock.advance(seconds(1));
      book.seen("a");
    }
    assert.equal(book.of("a").lastSeenAt, SIM_EPOCH + 29_000);
    assert.equal(store.saves, 1);
    clock.advance(seconds(1));
    assert.equal(store.saves, 2);
    assert.equal(store.rows.get("a")?.lastSeenAt, SIM_EPOCH + 29_000);
    clock.advance(seconds(300));
    assert.equal(store.saves, 2);
    book.seen("stranger");
    assert.equal(book.of("stranger").state, "never");
  });

  test("after a restart nobody is online until they connect", () => {
    book.connected("a", "s", "192.0.2.1");
    book.connected("b", "s2", null);
    book.disconnected("b", "s2", "CLIENT_INITIATED_DISCONNECT");
    clock.advance(0);
    book = start(); // killed, not closed
    assert.equal(book.onlineCount, 0);
    assert.deepEqual(book.of("a"), {
      state: "offline",
      lastSeenAt: SIM_EPOCH,
      disconnectReason: "SERVER_INITIATED_DISCONNECT",
      remoteAddress: "192.0.2.1",
    });
    assert.equal(book.of("b").disconnectReason, "CLIENT_INITIATED_DISCONNECT");
    book.close();
    assert.equal(store.rows.get("a")?.online, false);
  });

  test("a disk that fails loses nothing: it is counted and tried again", () => {
    store.failing = true;
    book.connected("a", "s", null);
    clock.advance(0);
    assert.equal(metrics.value("tidewire_presence_save_failures_total"), 1);
    assert.equal(store.rows.size, 0);
    store.failing = false;
    clock.advance(seconds(30));
    assert.equal(store.rows.get("a")?.online, true);
  });

  test("lists by state, by name, in pages", () => {
    for (const name of ["c", "a", "b", "d"]) book.connected(name, `s-${name}`, null);
    book.disconnected("b", "s-b", "CONNECTION_LOST");
    assert.deepEqual(book.list("online"), ["a", "c", "d"]);
    assert.deepEqual(book.list("online", "a", 1), ["c"]);
    assert.deepEqual(book.list("offline"), ["b"]);
  });

  test("a deleted thing is forgotten, on disk too, also while its connection lingers", () => {
    book.connected("a", "s", null);
    clock.advance(0);
    tellRegistryChange({ kind: "thing", id: "a", change: "deleted", principals: [] });
    assert.equal(book.of("a").state, "never");
    assert.equal(book.onlineCount, 0);
    assert.equal(store.rows.size, 0);
    book.disconnected("a", "s", "CONNECTION_LOST");
    assert.equal(book.of("a").state, "never");
    assert.equal(book.onlineCount, 0);
  });
});
