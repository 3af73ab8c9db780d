import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { SequenceBook, sourceOf } from "./sequence-book.ts";
import { SequenceWindow, formatSequenceState, parseSequenceState } from "./sequence-window.ts";

describe("one outbox", () => {
  test("a resent number is dropped, a late one is taken once", () => {
    const window = new SequenceWindow(10);
    const answers = [1, 2, 5, 4, 5, 2, 3, 3, 1, 6].map((sequence) => window.accept(sequence));
    assert.deepEqual(answers, [true, true, true, true, false, false, true, false, false, true]);
    assert.deepEqual(window.state(), { highest: 6, gaps: [] });
  });

  test("an outbox that begins above 1 has a gap below", () => {
    const window = new SequenceWindow(10);
    window.accept(100);
    assert.deepEqual(window.state(), { highest: 100, gaps: [[1, 99]] });
    assert.equal(window.accept(50), true);
    assert.deepEqual(window.state(), {
      highest: 100,
      gaps: [
        [1, 49],
        [51, 99],
      ],
    });
  });

  test("whatever the order: as a Set would have it, also when saved and brought back at any moment", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ sequence: fc.integer({ min: 1, max: 60 }), restart: fc.boolean() }), { maxLength: 200 }),
        (steps) => {
          let window = new SequenceWindow(1_000);
          const seen = new Set<number>();
          for (const { sequence, restart } of steps) {
            if (restart) window = new SequenceWindow(1_000, parseSequenceState(formatSequenceState(window.state())));
            assert.equal(window.accept(sequence), !seen.has(sequence));
            seen.add(sequence);
          }
          const { highest, gaps } = window.state();
          assert.equal(highest, Math.max(0, ...seen));
          const missing = gaps.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, i) => from + i));
          assert.deepEqual(
            missing,
            Array.from({ length: highest }, (_, i) => i + 1).filter((n) => !seen.has(n)),
          );
        },
      ),
      { numRuns: 500 },
    );
  });

  test("with too many gaps nothing unseen is ever dropped, and the list stays bounded", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 300 }), (sequences) => {
        const window = new SequenceWindow(4);
        const seen = new Set<number>();
        for (const sequence of sequences) {
          const taken = window.accept(sequence);
          if (!seen.has(sequence)) assert.equal(taken, true);
          seen.add(sequence);
          assert.ok(window.state().gaps.length <= 4);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("a damaged state is refused", () => {
    for (const text of ["", "5", "x:", "5:1", "5:1-", "5:1-2,", "5:1-2;3-4"]) {
      assert.throws(() => parseSequenceState(text), /not a sequence state/);
    }
    assert.deepEqual(parseSequenceState("9:1-2,5-5"), {
      highest: 9,
      gaps: [
        [1, 2],
        [5, 5],
      ],
    });
  });
});

describe("all outboxes", () => {
  const limits = { outboxesPerThingMax: 2, sequenceGapsMax: 8, stampedPublishersMax: 3 };

  test("things, outboxes and publishers without a thing are kept apart", () => {
    const book = new SequenceBook(limits);
    const stamp = { outbox: "o", sequence: 1 };
    assert.equal(book.accept(sourceOf({ thing: "a", clientId: "a" }), stamp), true);
    assert.equal(book.accept(sourceOf({ thing: "a", clientId: "b" }), stamp), false);
    assert.equal(book.accept(sourceOf({ thing: null, clientId: "a" }), stamp), true);
    assert.equal(book.accept("thing a", { outbox: "p", sequence: 1 }), true);
  });

  test("one outbox too many: the one that was used longest ago is forgotten, and that is saved", () => {
    const book = new SequenceBook(limits);
    for (const outbox of ["old", "new", "old", "third"]) book.accept("thing a", { outbox, sequence: 1 });
    const rows = book.takeChanged();
    assert.deepEqual(
      rows.map(({ outbox, state }) => [outbox, state]),
      [
        ["old", "1:"],
        ["new", null],
        ["third", "1:"],
      ],
    );
    assert.equal(book.accept("thing a", { outbox: "old", sequence: 1 }), false);
    assert.equal(book.changed, false);
  });

  test("one publisher too many: the first is forgotten, and that is saved", () => {
    const book = new SequenceBook(limits);
    for (const source of ["a", "b", "c", "d"]) book.accept(source, { outbox: "o", sequence: 1 });
    assert.deepEqual(
      book.takeChanged().map(({ source, state }) => [source, state]),
      [
        ["a", null],
        ["b", "1:"],
        ["c", "1:"],
        ["d", "1:"],
      ],
    );
    assert.equal(book.accept("b", { outbox: "o", sequence: 1 }), false);
  });

  test("what was saved comes back, with the same order of use", () => {
    const first = new SequenceBook(limits);
    first.accept("thing a", { outbox: "x", sequence: 3 });
    first.accept("thing a", { outbox: "y", sequence: 1 });
    const second = new SequenceBook(limits);
    for (const row of first.takeChanged()) second.load(row);
    assert.equal(second.accept("thing a", { outbox: "y", sequence: 1 }), false);
    assert.equal(second.accept("thing a", { outbox: "x", sequence: 2 }), true);
    second.accept("thing a", { outbox: "z", sequence: 1 });
    assert.deepEqual(
      second.all().map(({ outbox, state }) => [outbox, state]),
      [
        ["x", "3:1-1"],
        ["z", "1:"],
      ],
    );
  });
});
