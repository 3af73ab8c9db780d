import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { SimRandom } from "../../sim/world.ts";
import { topicMatches } from "../base/mod.ts";
import { PendingAcknowledgements } from "./acknowledgements.ts";
import { FrameView, frameOf } from "./frame.ts";
import { Outbox, isSameMark, markFrom } from "./outbox.ts";
import { NOWHERE, RecentFrames } from "./recent-frames.ts";
import { SubscriptionTree } from "./subscription-tree.ts";

const byNumber = (a: number, b: number): number => a - b;
const level = fc.constantFrom("a", "b", "", "$x", "ü");
const topic = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join("/"));
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant("+")), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([levels, rest]) => [...levels, ...(rest ? ["#"] : [])].join("/"));

describe("the subscription tree", () => {
  test("finds what the filters say, after any additions and removals (section 4.7)", () => {
    fc.assert(
      fc.property(fc.array(filter), fc.array(fc.nat(20)), fc.array(topic), (filters, removals, topics) => {
        const tree = new SubscriptionTree<number>();
        for (const [i, f] of filters.entries()) tree.add(f, i);
        const removed = new Set(removals);
        for (const i of removed) if (i < filters.length) tree.remove(filters[i]!, i);
        for (const name of topics) {
          const found: number[] = [];
          tree.match(name, found);
          const expected = filters.flatMap((f, i) => (!removed.has(i) && topicMatches(f, name) ? [i] : []));
          assert.deepEqual(found.toSorted(byNumber), expected.toSorted(byNumber), name);
        }
      }),
      { seed: 1 },
    );
  });

  test("a hundred thousand subscribers of one filter are found, without a deep stack", () => {
    const tree = new SubscriptionTree<number>();
    for (let i = 0; i < 200_000; i++) tree.add("a/#", i);
    const found: number[] = [];
    tree.match("a", found);
    assert.equal(found.length, 200_000);
  });
});

/** The ring and a plain list of what it should hold, through random steps. */
function outboxAgainstList(seed: number): void {
  const random = new SimRandom(seed);
  const start = random.pick([0, 32_760, 65_530]);
  const outbox = new Outbox();
  outbox.restore(
    { clientId: "c", head: start, tail: start, sentBefore: 0, bytes: 0, applied: 0, chunks: [] },
    Infinity,
  );
  const list: { offset: number; sequence: number; done: boolean }[] = [];
  let sent = 0;
  for (let step = 0; step < 400; step++) {
    const action = random.next();
    if (action < 0.45) {
      const sequence = outbox.push(step, step, step % 2 === 0, step * 8, step % 3 === 0 ? [step] : null);
      list.push({ offset: step, sequence, done: false });
    } else if (action < 0.7 && sent < list.length) {
      const entry = list[sent++]!;
      outbox.markSent();
      if (entry.done) outbox.finish(entry.sequence); // acknowledged on an earlier connection: skipped, as `pump` does
      while (list[0]?.done === true && sent > 0) {
        list.shift();
        sent--;
      }
    } else if (action < 0.95 && sent > 0) {
      const entry = list[random.below(sent)]!;
      assert.equal(outbox.acknowledge(outbox.packetId(entry.sequence)), !entry.done);
      entry.done = true;
      while (list[0]?.done === true && sent > 0) {
        list.shift();
        sent--;
      }
    } else if (action > 0.99) {
      outbox.rewind();
      sent = 0;
    }
    if (random.next() < 0.4) outbox.rest();
    assert.deepEqual(
      [outbox.size, outbox.inFlight, outbox.waiting],
      [list.length, sent, list.length - sent],
      `seed ${seed}`,
    );
    for (const { offset, sequence } of list) {
      assert.equal(outbox.offset(sequence), offset);
      assert.equal(outbox.sizeOf(sequence), offset);
      assert.equal(outbox.place(sequence), offset * 8);
      assert.equal(outbox.retain(sequence), offset % 2 === 0);
      assert.deepEqual(outbox.identifiers(sequence), offset % 3 === 0 ? [offset] : null);
    }
    assert.equal(
      outbox.bytes,
      list.reduce((sum, { offset }) => sum + offset, 0),
    );
  }
}

describe("the outbox", () => {
  test("behaves as a list, also where packet identifiers go round [MQTT-2.2.1-3]", () => {
    for (let seed = 1; seed <= 60; seed++) outboxAgainstList(seed);
  });

  test("packs and restores itself; what the journal lost is left out, and the rest is numbered anew", () => {
    const outbox = new Outbox();
    for (let i = 0; i < 20; i++)
      outbox.push(100 + i, 10 + i, i % 2 === 1, NOWHERE, i === 7 ? [9] : null, i % 3 === 1, 4_193_791 * (i % 2));
    for (let i = 0; i < 6; i++) outbox.markSent();
    const chunks = [outbox.pack(0, 8), outbox.pack(8, 20)];
    const saved = { clientId: "c", head: 3, tail: 20, sentBefore: outbox.sentBefore, bytes: 0, applied: 0, chunks };
    const restored = new Outbox();
    assert.equal(restored.restore(saved, 120), 20);
    assert.deepEqual([restored.head, restored.sent, restored.tail, restored.sentBefore], [3, 3, 20, 6]);
    assert.deepEqual([restored.offset(7), restored.sizeOf(7), restored.retain(7)], [107, 17, true]);
    assert.deepEqual(restored.identifiers(7), [9]);
    assert.deepEqual([restored.mark(7), restored.mark(8)], [4_193_791, 0]);
    assert.deepEqual([restored.origin(7), restored.origin(8)], [2 * 4_193_791 + 1, 0]);
    assert.deepEqual(
      [7, 9, 10].map((at) => restored.isExactlyOnce(at)),
      [true, false, true],
    );
    assert.deepEqual([restored.sizeOf(9), restored.sizeOf(10)], [19, 20]);
    assert.equal(restored.packetId(7), outbox.packetId(7));
    const cut = new Outbox();
    assert.equal(cut.restore(saved, 115), 20, "the store's entries are all to be replaced");
    assert.deepEqual([cut.head, cut.sent, cut.tail, cut.sentBefore], [20, 20, 32, 20]);
    assert.deepEqual([cut.offset(24), cut.sizeOf(24), cut.retain(24)], [107, 17, true]);
    assert.deepEqual(cut.identifiers(24), [9]);
  });
});

test("marks tell two million shared subscriptions apart, and know what was kept when they told apart four thousand", () => {
  for (const hash of [0, 1, 4094, 4095, 4096, 1_234_567_890, 0xffff_ffff]) {
    const mark = markFrom(hash);
    const outbox = new Outbox();
    outbox.push(7, 536_870_911, true, NOWHERE, null, true, mark);
    assert.deepEqual([outbox.mark(0), outbox.sizeOf(0), outbox.retain(0)], [mark, 536_870_911, true]);
    assert.ok(isSameMark(mark, outbox.mark(0)));
    // As it was packed then: bytes and flags, 2 ** 40 for QoS 2, the mark above that.
    const bits = (1 + (hash % 4095)) * 2 ** 41 + 2 ** 40 + 99 * 4;
    const chunks = [{ first: 0, slots: Float64Array.of(7, bits), identifiers: [] }];
    const earlier = new Outbox();
    earlier.restore({ clientId: "c", head: 0, tail: 1, sentBefore: 0, bytes: 99, applied: 8, chunks }, 8);
    assert.deepEqual([earlier.sizeOf(0), earlier.isExactlyOnce(0)], [99, true]);
    assert.ok(isSameMark(mark, earlier.mark(0)));
  }
  assert.equal(isSameMark(markFrom(0), markFrom(1)), false);
  assert.equal(isSameMark(markFrom(0), markFrom(4095)), false);
});

describe("pending acknowledgements", () => {
  test("are released in order, up to what is durable, however the ring has grown", () => {
    const pending = new PendingAcknowledgements<string>(2);
    const released: string[] = [];
    const release = (owner: string, packetId: number, reasonCode: number): unknown =>
      released.push(`${owner}${packetId}:${reasonCode}`);
    for (let i = 0; i < 3; i++) pending.push("a", 65_535 - i, 0, i);
    pending.release(2, release);
    for (let i = 3; i < 10; i++) pending.push("b", i, i === 5 ? 0x87 : 0, i);
    assert.deepEqual(released.splice(0), ["a65535:0", "a65534:0"]);
    pending.release(6, release);
    assert.deepEqual(released.splice(0), ["a65533:0", "b3:0", "b4:0", "b5:135"]);
    pending.release(Infinity, release);
    assert.deepEqual([released, pending.size], [["b6:0", "b7:0", "b8:0", "b9:0"], 0]);
  });
});

describe("recent frames", () => {
  test("are found until they are overwritten, and never as something else", () => {
    const recent = new RecentFrames(4096);
    const view = new FrameView();
    const places: number[] = [];
    for (let i = 0; i < 500; i++) {
      const payload = new Uint8Array(i % 150).fill(i % 256);
      const retain = i % 2 === 0;
      const frame = frameOf({ topic: `t/${i}`, payload, qos: 1, retain, properties: { contentType: `c${i}` } });
      places.push(recent.put(frame, 1000 + i));
    }
    let found = 0;
    for (const [i, place] of places.entries()) {
      if (!recent.get(place, view)) continue;
      found++;
      assert.equal(new TextDecoder().decode(view.buffer.subarray(view.topicStart, view.topicEnd)), `t/${i}`);
      assert.equal(view.payloadEnd - view.payloadStart, i % 150);
      assert.ok(view.buffer.subarray(view.payloadStart, view.payloadEnd).every((byte) => byte === i % 256));
      assert.deepEqual([view.qos, view.retain, view.version, recent.receivedAt], [1, i % 2 === 0, 5, 1000 + i]);
    }
    assert.ok(found > 10 && found < 60, `${found}`);
    assert.equal(recent.get(places.at(-1)!, view), true, "the latest is always there");
    assert.equal(recent.get(NOWHERE, view), false);
  });

  test("what is larger than a quarter of the memory is not kept", () => {
    const recent = new RecentFrames(4096);
    const frame = frameOf({ topic: "t", payload: new Uint8Array(2000), qos: 1, retain: false, properties: null });
    assert.equal(recent.put(frame, 0), NOWHERE);
  });
});
