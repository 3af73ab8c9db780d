import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { OpenLine } from "./open-line.ts";

interface Item {
  readonly name: number;
  place: number;
}

const itemOf = (name: number): Item => ({ name, place: -1 });

test("a line is a list that anything may leave, in any order and twice", () => {
  const step = fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, fc.nat({ max: 200 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const line = new OpenLine<Item>();
      const all: Item[] = [];
      let model: Item[] = [];
      for (const leaves of steps) {
        if (leaves === null) {
          const item = itemOf(all.length);
          all.push(item);
          model.push(item);
          line.push(item);
        } else if (leaves < all.length) {
          line.remove(all[leaves]!);
          model = model.filter((item) => item !== all[leaves]);
        }
        assert.deepEqual([...line], model);
        assert.equal(line.first, model[0]);
      }
    }),
  );
});

test("one that stays while thousands pass, and one that comes back", () => {
  const line = new OpenLine<Item>();
  const [first, second] = [itemOf(-1), itemOf(-2)];
  line.push(first);
  for (let n = 0; n < 5_000; n++) {
    const item = itemOf(n);
    line.push(item);
    if (n === 2_000) line.push(second);
    line.remove(item);
    assert.equal(line.first, first);
  }
  line.remove(first);
  assert.deepEqual([...line], [second]);
  line.push(first);
  assert.deepEqual([...line], [second, first]);
});

test("what was in a line that was cleared is in none, and may come into it anew", () => {
  const line = new OpenLine<Item>();
  const [a, b] = [itemOf(1), itemOf(2)];
  line.push(a);
  line.push(b);
  line.clear();
  assert.deepEqual([...line], []);
  line.push(b);
  line.remove(a);
  assert.deepEqual([...line], [b]);
});
