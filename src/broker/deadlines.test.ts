import assert from "node:assert/strict";
import { test } from "node:test";
import { SimRandom } from "../../sim/world.ts";
import { Deadlines } from "./deadlines.ts";

test("deadlines come in order, whatever was put in, moved and taken out", () => {
  const random = new SimRandom(1);
  const deadlines = new Deadlines<{ dueAt: number; duePlace: number }>();
  const items = Array.from({ length: 300 }, () => ({ dueAt: 0, duePlace: -1 }));
  const expected = new Map<(typeof items)[number], number>();
  for (let step = 0; step < 20_000; step++) {
    const item = random.pick(items);
    if (random.chance(0.3)) {
      deadlines.delete(item);
      expected.delete(item);
    } else if (random.chance(0.9)) {
      const at = random.below(1_000);
      deadlines.set(item, at);
      expected.set(item, at);
    } else {
      const now = random.below(100);
      const first = Math.min(...expected.values());
      const taken = deadlines.take(now);
      assert.equal(taken === null, expected.size === 0 || first > now);
      if (taken === null) continue;
      assert.equal(expected.get(taken), first);
      expected.delete(taken);
    }
    assert.equal(deadlines.size, expected.size);
  }
});
