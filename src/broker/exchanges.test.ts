import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SimRandom } from "../../sim/world.ts";
import { Exchanges } from "./exchanges.ts";
import { IdentifierSet } from "./identifier-set.ts";
import { Outbox } from "./outbox.ts";
import { NOWHERE } from "./recent-frames.ts";

describe("the set of identifiers", () => {
  test("behaves as a Set, from empty to full and back", () => {
    const random = new SimRandom(1);
    const [own, plain] = [new IdentifierSet(), new Set<number>()];
    for (const range of [20, 300, 65_535, 300]) {
      for (let step = 0; step < 20_000; step++) {
        const identifier = 1 + random.below(range);
        if (random.chance(0.55)) {
          assert.equal(own.add(identifier), !plain.has(identifier));
          plain.add(identifier);
        } else assert.equal(own.delete(identifier), plain.delete(identifier));
        const other = 1 + random.below(range);
        assert.deepEqual([own.has(other), own.size], [plain.has(other), plain.size]);
      }
      assert.deepEqual(own.values().toSorted((a, b) => a - b), [...plain].toSorted((a, b) => a - b)); // prettier-ignore
    }
    for (let identifier = 1; identifier <= 65_535; identifier++) own.add(identifier);
    assert.equal(own.size, 65_535);
    for (let identifier = 65_535; identifier > 0; identifier--) assert.ok(own.delete(identifier));
    assert.deepEqual([own.size, own.values(), own.has(1)], [0, [], false]);
  });
});

describe("exchanges", () => {
  test("a name may leave once its note is on disk, and not with an earlier one", () => {
    const exchanges = new Exchanges();
    assert.deepEqual([exchanges.name(3), exchanges.name(5)], [32_768, 32_769]);
    assert.equal(exchanges.mayLeave(3, 1_000), false, "in no note yet");
    exchanges.noted(10);
    exchanges.name(6);
    assert.equal(exchanges.mayLeave(3, 10), false);
    assert.equal(exchanges.mayLeave(3, 11), true);
    assert.equal(exchanges.mayLeave(4, 11), false, "not named");
    assert.deepEqual([exchanges.mayLeave(5, 11), exchanges.mayLeave(6, 11)], [true, false]);
    exchanges.noted(20);
    exchanges.name(8);
    exchanges.noted(30);
    assert.deepEqual([exchanges.mayLeave(6, 21), exchanges.mayLeave(8, 21), exchanges.mayLeave(8, 31)], [true, false, true]); // prettier-ignore
  });

  test("an identifier comes again only when nothing stands for it", () => {
    const exchanges = new Exchanges();
    for (let sequence = 0; sequence < 32_768; sequence++) exchanges.name(sequence);
    exchanges.forget(7);
    exchanges.release(9);
    assert.equal(exchanges.name(40_000), 32_775);
    exchanges.released.delete(32_777);
    assert.equal(exchanges.name(40_001), 32_777);
  });
});

describe("an outbox with QoS 2 in it", () => {
  test("is restored with its identifiers, and with what was finished early; what is gone is to be released", () => {
    const outbox = new Outbox();
    for (let i = 0; i < 8; i++) outbox.push(100 + i, 10 + i, i === 2, NOWHERE, null, i !== 4);
    const exchanges = (outbox.exchanges = new Exchanges());
    for (const sequence of [0, 1, 2, 3, 5]) exchanges.name(sequence);
    for (let i = 0; i < 6; i++) outbox.markSent();
    exchanges.release(1);
    outbox.finish(1);
    exchanges.released.delete(32_769);
    exchanges.release(2);
    outbox.finish(2);
    const chunk = outbox.pack(0, 8);
    const done = outbox.finishedEarly();
    const state = { clientId: "c", received: [], sent: exchanges.pack(), released: [...exchanges.released], done };
    assert.deepEqual(state.done, [1, 2]);
    exchanges.release(0); // after the exchanges were looked at, and before the outbox is saved
    outbox.finish(0);
    const { head, sentBefore } = outbox;
    const saved = { clientId: "c", head, tail: 8, sentBefore, bytes: outbox.bytes, applied: 0, chunks: [chunk] };
    const restored = new Outbox();
    restored.restore(saved, Infinity, state);
    assert.deepEqual([restored.head, restored.tail, restored.sentBefore], [3, 8, 6]);
    assert.deepEqual([3, 4, 5].map((at) => restored.exchanges!.identifier(at)), [32_771, undefined, 32_772]); // prettier-ignore
    assert.deepEqual([...restored.exchanges!.released], [32_770, 32_768]);
    assert.deepEqual([restored.isExactlyOnce(3), restored.isExactlyOnce(4), restored.sizeOf(3)], [true, false, 13]);
    const cut = new Outbox();
    cut.restore(saved, 105, state);
    assert.deepEqual([cut.head, cut.tail, cut.offset(8), cut.exchanges!.identifier(8)], [8, 10, 103, 32_771]);
    assert.deepEqual([...cut.exchanges!.released], [32_770, 32_768, 32_772], "the log lost the message of the last");
  });

  test("a PUBACK finds no QoS 2 entry, whatever identifier it names", () => {
    const outbox = new Outbox();
    for (let i = 0; i < 4; i++) outbox.push(i, 10, false, NOWHERE, null, i % 2 === 0);
    outbox.exchanges = new Exchanges();
    for (const sequence of [0, 2]) outbox.exchanges.name(sequence);
    for (let i = 0; i < 4; i++) outbox.markSent();
    for (const packetId of [1, 3, 32_768, 32_769, 65_535]) assert.equal(outbox.acknowledge(packetId), false);
    for (const packetId of [2, 4]) assert.equal(outbox.acknowledge(packetId), true);
    assert.equal(outbox.inFlight, 4);
  });
});

test("what was finished before its turn is so after the second restart, too: the queue itself may not have been saved since", () => {
  const outbox = new Outbox();
  for (const offset of [20, 45, 51]) outbox.push(offset, 10, false, NOWHERE, null, true);
  const chunks = [outbox.pack(0, 3)];
  const saved = { clientId: "c", head: 0, tail: 3, sentBefore: 2, bytes: 30, applied: 66, chunks };
  let done: readonly number[] = [1, 2];
  for (let restart = 0; restart < 2; restart++) {
    const restored = new Outbox();
    restored.restore(saved, Infinity, { clientId: "c", received: [], sent: [], released: [], done });
    done = restored.finishedEarly();
    assert.deepEqual(done, [1, 2]);
  }
});
