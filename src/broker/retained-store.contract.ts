/** What every store of retained messages must do; run against SQLite (`adapters/sqlite`) and against the simulated one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { topicMatches } from "../base/mod.ts";
import type { RetainedStore } from "./ports.ts";
import type { SavedRetained } from "./session.ts";
import { compareTopics } from "./topic-order.ts";

export interface RetainedUnderTest {
  readonly store: RetainedStore;
  /** The same data through a store that was opened anew. */
  reopen(): RetainedStore;
  close(): void;
}

const ROOM = { messages: 1e6, bytes: 1e9 };
const NONE = { messages: 0, bytes: 0 };

function message(topic: string, offset: number, more: Partial<SavedRetained> = {}): SavedRetained {
  const frame = new TextEncoder().encode(`${topic}@${offset}`);
  return { topic, frame, offset, clientId: `of ${topic}`, receivedAt: 2 ** 41 + offset, expiresAt: null, ...more };
}

const removed = (topic: string, offset: number): SavedRetained => message(topic, offset, { frame: null });

/** All pages one after the other, and how many there were. */
async function all(
  store: RetainedStore,
  filter: string,
  max = 100,
): Promise<{ found: SavedRetained[]; pages: number }> {
  const found: SavedRetained[] = [];
  let after: string | null = null;
  for (let pages = 1; ; pages++) {
    const page = await store.page(filter, after, max);
    assert.ok(page.found.length <= max, `${page.found.length} found, ${max} wanted`);
    found.push(...page.found);
    if (page.upTo === null) return { found, pages };
    assert.ok(after === null || compareTopics(page.upTo, after) > 0, "each page gets further");
    after = page.upTo;
  }
}

async function topics(store: RetainedStore, filter: string, max = 100): Promise<string[]> {
  return (await all(store, filter, max)).found.map(({ topic }) => topic);
}

const level = fc.constantFrom("a", "b", "ab", "a-1", "", "$x", "ü", "\u{1F600}", "\uFFFD", "\u0001", " ");
const topic = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join("/"));
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant("+")), { maxLength: 4 }), fc.boolean())
  .filter(([levels, open]) => levels.length > 0 || open)
  .map(([levels, open]) => [...levels, ...(open ? ["#"] : [])].join("/"))
  .filter((text) => text !== "");

type Scenario = (under: RetainedUnderTest) => Promise<void>;
const scenarios: (readonly [title: string, run: Scenario])[] = [];

function scenario(title: string, run: Scenario): void {
  scenarios.push([title, run]);
}

scenario("what was saved is there after reopening, byte for byte; removed and replaced ones are not", async (under) => {
  const first = [message("a", 0), message("a/ü/\u{1F600}", 2 ** 45, { expiresAt: 7 }), message("gone", 2)];
  await under.store.save(first, ROOM);
  const second = [
    message("a", 9, { frame: new Uint8Array(100_000).fill(9) }),
    removed("gone", 10),
    removed("none", 11),
  ];
  const totals = await under.store.save(second, ROOM);
  const again = under.reopen();
  const kept = [second[0]!, first[1]!];
  assert.deepEqual((await all(again, "#")).found, kept);
  assert.deepEqual(await again.page("a", null, 1), { found: [kept[0]], upTo: null });
  assert.deepEqual(await again.page("gone", null, 1), { found: [], upTo: null });
  const bytes = kept.reduce((sum, { frame }) => sum + frame!.length, 0);
  assert.deepEqual(totals, { messages: 2, bytes, refused: [] });
  assert.deepEqual(await again.forgetFrom(Number.MAX_SAFE_INTEGER), { messages: 2, bytes });
});

scenario("saving the same again changes nothing", async ({ store }) => {
  const changes = [message("a", 1), removed("b", 2)];
  const once = await store.save(changes, ROOM);
  assert.deepEqual(await store.save(changes, ROOM), once);
  assert.deepEqual(await topics(store, "#"), ["a"]);
});

scenario("a message is found by its offset until another takes its place", async ({ store }) => {
  await store.save([message("a", 5), message("b", 2 ** 45)], ROOM);
  assert.deepEqual(await store.at(2 ** 45), message("b", 2 ** 45));
  await store.save([message("a", 6)], ROOM);
  assert.deepEqual([await store.at(5), (await store.at(6))?.topic], [null, "a"]);
});

scenario("pages: any names, any filters, any size, each topic once and in order (section 4.7)", async ({ store }) => {
  const property = fc.asyncProperty(
    fc.uniqueArray(topic, { maxLength: 30 }),
    fc.array(filter, { maxLength: 5 }),
    fc.integer({ min: 1, max: 5 }),
    async (names, filters, max) => {
      await store.forgetFrom(0);
      const valid = names.filter((name) => name !== "");
      await store.save(
        valid.map((name, i) => message(name, i)),
        ROOM,
      );
      for (const each of filters) {
        const expected = valid.filter((name) => topicMatches(each, name)).sort(compareTopics);
        assert.deepEqual(await topics(store, each, max), expected, each);
      }
    },
  );
  await fc.assert(property, { seed: 1, numRuns: 300 });
});

scenario(
  "a wildcard between names passes over what lies there; one page does not look at everything",
  async ({ store }) => {
    const names: string[] = [];
    for (let i = 0; i < 40; i++) for (let k = 0; k < 60; k++) names.push(`site/dev-${i}/${k}`);
    await store.save(
      [...names, "site/dev-7/state", "site", "site/dev-7/state/more", "other/dev-7/state"].map((name, i) =>
        message(name, i),
      ),
      ROOM,
    );
    assert.deepEqual(await topics(store, "site/+/state"), ["site/dev-7/state"]);
    assert.deepEqual(await topics(store, "+/dev-7/state/#"), [
      "other/dev-7/state",
      "site/dev-7/state",
      "site/dev-7/state/more",
    ]);
    assert.deepEqual((await topics(store, "site/#", 7)).length, names.length + 3);
    assert.deepEqual((await topics(store, "site/+/59")).length, 40);
    assert.deepEqual(await topics(store, "site/+/+/none"), []);
  },
);

scenario("large messages make short pages", async ({ store }) => {
  const large = Array.from({ length: 12 }, (_, i) => message(`l/${i}`, i, { frame: new Uint8Array(200_000).fill(i) }));
  await store.save(large, ROOM);
  const { found } = await all(store, "l/+");
  assert.deepEqual(
    found.map(({ frame }) => frame![0]).sort((a, b) => a! - b!),
    large.map(({ frame }) => frame![0]),
  );
});

scenario("room for so many messages: a new one is refused, a known one is replaced", async ({ store }) => {
  const room = { messages: 2, bytes: 1e9 };
  const { refused } = await store.save([message("a", 0), message("b", 1), message("c", 2)], room);
  assert.deepEqual(
    refused.map((each) => each.topic),
    ["c"],
  );
  assert.deepEqual((await store.save([message("b", 3)], room)).refused, []);
  assert.deepEqual((await store.save([removed("a", 4), message("c", 5)], room)).refused, []);
  assert.deepEqual(await topics(store, "+"), ["b", "c"]);
});

scenario("room for so many bytes: what does not fit goes, and the stale one before it too", async ({ store }) => {
  const room = { messages: 100, bytes: 1_000 };
  const sized = (name: string, offset: number, bytes: number) =>
    message(name, offset, { frame: new Uint8Array(bytes) });
  await store.save([sized("a", 0, 400), sized("b", 1, 400)], room);
  const grown = await store.save([sized("a", 2, 601)], room);
  assert.deepEqual([grown.messages, grown.bytes, grown.refused.length], [1, 400, 1]);
  assert.deepEqual((await store.save([sized("a", 3, 600)], room)).refused, []);
  assert.deepEqual(await topics(store, "#"), ["a", "b"]);
});

scenario("those that expired go, some at a time; others stay", async ({ store }) => {
  const mortal = Array.from({ length: 5 }, (_, i) => message(`m/${i}`, i, { expiresAt: 100 + i }));
  await store.save([...mortal, message("immortal", 9)], ROOM);
  assert.equal((await store.expire(99, 10)).removed, 0);
  const first = await store.expire(103, 3);
  assert.deepEqual([first.removed, first.messages], [3, 3]);
  const second = await store.expire(103, 3);
  assert.deepEqual([second.removed, second.messages], [1, 2]);
  assert.deepEqual(await topics(store, "#"), ["immortal", "m/4"]);
});

scenario("what the journal lost is forgotten", async ({ store }) => {
  await store.save([message("a", 3), message("b", 4), message("c", 5)], ROOM);
  const { messages } = await store.forgetFrom(4);
  assert.equal(messages, 1);
  assert.deepEqual(await topics(store, "#"), ["a"]);
  assert.deepEqual(await store.forgetFrom(0), NONE);
});

export function retainedStoreContract(name: string, open: () => RetainedUnderTest): void {
  for (const [title, run] of scenarios) {
    void test(`${name}: ${title}`, async () => {
      const under = open();
      try {
        await run(under);
      } finally {
        under.close();
      }
    });
  }
}
