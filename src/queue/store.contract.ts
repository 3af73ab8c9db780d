/** What every queue store must do; run against SQLite (`adapters/sqlite`) and against the simulated one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Change, OutboxState, QueueStore, Reading } from "./store.ts";
import { sizeOf } from "./store.ts";

export interface StoreUnderTest {
  readonly store: QueueStore;
  /** The same data through a store that was opened anew. */
  reopen(): QueueStore;
  close(): void;
}

const STATE: OutboxState = { outbox: "abc", lastSequence: 0, count: 0, bytes: 0, dropped: 0, expired: 0, refused: 0 };

function reading(sequence: number, more: Partial<Reading> = {}): Reading {
  const payload = new TextEncoder().encode(`{"n":${sequence}}`);
  return { sequence, topic: "telemetry/a/é", payload, priority: 5, acceptedAt: 1_000, expiresAt: null, ...more };
}

function change(more: Partial<Change>): Change {
  return { state: STATE, put: [], remove: [], bury: [], deadLettersMax: 100, ...more };
}

const numbers = (found: readonly { readonly sequence: number }[]): number[] => found.map(({ sequence }) => sequence);

const scenarios: (readonly [title: string, run: (under: StoreUnderTest) => void])[] = [];

function scenario(title: string, run: (under: StoreUnderTest) => void): void {
  scenarios.push([title, run]);
}

scenario("a new store has no state; what was committed is there after reopening", (under) => {
  assert.equal(under.store.load(), null);
  const state = { ...STATE, lastSequence: 7, count: 1, bytes: 90, dropped: 2, expired: 3, refused: 4 };
  const kept = reading(7, { priority: 9, expiresAt: 5_000 });
  under.store.commit(change({ state, put: [kept] }));
  const again = under.reopen();
  assert.deepEqual(again.load(), state);
  const [found] = again.read(0, 10, 10_000);
  assert.deepEqual({ ...found, payload: [...found!.payload] }, { ...kept, payload: [...kept.payload] });
});

scenario("the identity of a store never changes", (under) => {
  under.store.commit(change({}));
  under.store.commit(change({ state: { ...STATE, outbox: "other" } }));
  assert.equal(under.store.load()?.outbox, "abc");
});

scenario("reads in order of sequence, bounded by count and by bytes", (under) => {
  under.store.commit(change({ put: [reading(3), reading(1), reading(2), reading(9)] }));
  assert.deepEqual(numbers(under.store.read(0, 10, 10_000)), [1, 2, 3, 9]);
  assert.deepEqual(numbers(under.store.read(1, 2, 10_000)), [2, 3]);
  assert.deepEqual(numbers(under.store.read(0, 10, 1)), [1], "at least one, else a large reading blocks for ever");
  assert.deepEqual(numbers(under.store.read(9, 10, 10_000)), []);
  assert.equal(under.store.find(2)?.sequence, 2);
  assert.equal(under.store.find(4), null);
});

scenario("gives up the lowest priority first, then the oldest", (under) => {
  const put = [reading(1, { priority: 9 }), reading(2, { priority: 1 }), reading(3), reading(4, { priority: 1 })];
  under.store.commit(change({ put }));
  assert.deepEqual(numbers(under.store.expendable(3)), [2, 4, 3]);
  assert.deepEqual({ ...under.store.expendable(1)[0] }, { sequence: 2, priority: 1, size: sizeOf(put[1]!) });
});

scenario("finds what expired", (under) => {
  const put = [reading(1), reading(2, { expiresAt: 50 }), reading(3, { expiresAt: 20 }), reading(4, { expiresAt: 99 })];
  under.store.commit(change({ put }));
  assert.deepEqual(numbers(under.store.expired(50, 10)), [3, 2]);
  assert.deepEqual(numbers(under.store.expired(50, 1)), [3]);
});

scenario("removing what is not there does no harm", (under) => {
  under.store.commit(change({ put: [reading(1), reading(2)] }));
  under.store.commit(change({ remove: [1, 77] }));
  assert.deepEqual(numbers(under.store.read(0, 10, 10_000)), [2]);
});

scenario("a refused reading becomes a dead letter, and a reading again under its old number", (under) => {
  under.store.commit(change({ put: [reading(1), reading(2), reading(3)] }));
  const bury = [
    { sequence: 1, reasonCode: 0x87, at: 10 },
    { sequence: 2, reasonCode: 0x99, at: 11 },
  ];
  under.store.commit(change({ bury }));
  assert.deepEqual(numbers(under.store.read(0, 10, 10_000)), [3]);
  const dead = under.reopen().deadLetters(10);
  assert.deepEqual(
    dead.map(({ sequence, reasonCode, at }) => ({ sequence, reasonCode, at })),
    bury,
  );
  assert.deepEqual({ ...under.store.exhume([0x87, 0x90]) }, { count: 1, bytes: sizeOf(reading(1)) });
  assert.deepEqual(numbers(under.store.read(0, 10, 10_000)), [1, 3]);
  assert.deepEqual(numbers(under.store.deadLetters(10)), [2]);
  assert.equal(under.store.load()?.count, STATE.count + 1);
});

scenario("dead letters are bounded: the oldest goes", (under) => {
  under.store.commit(change({ put: [reading(1), reading(2), reading(3)] }));
  const bury = [1, 2, 3].map((sequence) => ({ sequence, reasonCode: 0x99, at: 10 }));
  under.store.commit(change({ bury, deadLettersMax: 2 }));
  assert.deepEqual(numbers(under.store.deadLetters(10)), [2, 3]);
});

export function queueStoreContract(name: string, open: () => StoreUnderTest): void {
  for (const [title, run] of scenarios) {
    void test(`${name}: ${title}`, () => {
      const under = open();
      try {
        run(under);
      } finally {
        under.close();
      }
    });
  }
}
