import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { areWords, copyWords, hashWords, wordsOf } from "./words.ts";

/** Memory with bytes on both sides of what is looked at, which must stay as they are. */
function surrounded(bytes: Uint8Array, before: number): { all: Uint8Array; words: DataView } {
  const all = new Uint8Array(before + bytes.length + 9).fill(0xaa);
  all.set(bytes, before);
  return { all, words: wordsOf(all.subarray(before, before + bytes.length)) };
}

const someBytes = fc.uint8Array({ maxLength: 100 });
/** Around the steps of 8 and 32, and beyond what is copied by words. */
const lengths = [...Array(80).keys(), 399, 400, 401, 402, 5000];

suite("copyWords", () => {
  test("copies every length from and to every alignment, and nothing beside it", () => {
    for (const length of lengths) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 7 + 1) % 251);
      for (let shift = 0; shift < 8; shift++) {
        const { words } = surrounded(Uint8Array.of(9, ...bytes, 9), shift);
        const target = new Uint8Array(length + 24).fill(0x55);
        const expected = target.slice();
        expected.set(bytes, 5 + 7 - shift);
        const to = wordsOf(target.subarray(5));
        assert.equal(copyWords(to, 7 - shift, words, 1, 1 + length), 7 - shift + length);
        assert.deepEqual(target, expected, `${length} bytes at ${shift}`);
      }
    }
  });

  test("refuses to copy beyond either end", () => {
    for (const length of [3, 20, 500]) {
      const [short, long] = [wordsOf(new Uint8Array(length - 1)), wordsOf(new Uint8Array(length))];
      assert.throws(() => copyWords(short, 0, long, 0, length), RangeError);
      assert.throws(() => copyWords(long, 0, short, 0, length), RangeError);
    }
  });
});

test("areWords says whether bytes are the same", () => {
  fc.assert(
    fc.property(someBytes, fc.nat(7), fc.nat(), (bytes, before, place) => {
      const { words } = surrounded(Uint8Array.of(1, 2, 3, ...bytes), before);
      assert.ok(areWords(wordsOf(bytes), bytes.length, words, 3));
      if (bytes.length === 0) return;
      const other = bytes.slice();
      other[place % bytes.length]! ^= 1;
      assert.ok(!areWords(wordsOf(other), bytes.length, words, 3));
    }),
    { seed: 1 },
  );
});

test("hashWords depends on the bytes and the seed, and on nothing beside them", () => {
  fc.assert(
    fc.property(someBytes, fc.nat(7), fc.integer(), (bytes, before, seed) => {
      const { words } = surrounded(Uint8Array.of(1, ...bytes, 2), before);
      assert.equal(hashWords(words, 1, 1 + bytes.length, seed), hashWords(wordsOf(bytes), 0, bytes.length, seed));
    }),
    { seed: 1 },
  );
  const encoder = new TextEncoder();
  const hashes = new Set<number>();
  for (let i = 0; i < 10_000; i++) {
    const topic = encoder.encode(`site/7/line/${i}/temperature`);
    hashes.add(hashWords(wordsOf(topic), 0, topic.length, 5) & 0xffff);
  }
  // Of 10,000 thrown into 65,536 places at random, 9,274 differ on average.
  assert.ok(hashes.size > 9_100, `${hashes.size} of 10,000 topics have a place of their own`);
  const same = wordsOf(encoder.encode("telemetry"));
  assert.notEqual(hashWords(same, 0, 9, 1), hashWords(same, 0, 9, 2));
});
