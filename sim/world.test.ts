import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock, SimRandom } from "./world.ts";

test("simulated timers fire in order of time, then of setting, and see the time at which they fire", () => {
  const clock = new SimClock(1000);
  const seen: [string, number][] = [];
  clock.after(20, () => seen.push(["late", clock.now()]));
  clock.after(10, () => seen.push(["first", clock.now()]));
  clock.after(10, () => clock.after(5, () => seen.push(["nested", clock.now()])));
  clock.advance(15);
  assert.deepEqual(seen, [
    ["first", 1010],
    ["nested", 1015],
  ]);
  clock.advance(100);
  assert.deepEqual(seen.at(-1), ["late", 1020]);
  assert.equal(clock.now(), 1115);
});

test("a repeating timer repeats until it is cancelled, also from within", () => {
  const clock = new SimClock();
  let count = 0;
  const cancel = clock.every(10, () => {
    if (++count === 3) cancel();
  });
  clock.advance(1000);
  assert.equal(count, 3);
});

test("the wall clock may jump; timers and durations do not notice", () => {
  const clock = new SimClock(1000);
  let fired = false;
  clock.after(10, () => (fired = true));
  clock.jump(-500);
  clock.advance(9);
  assert.equal(fired, false);
  clock.advance(1);
  assert.equal(fired, true);
  assert.equal(clock.now(), 510);
  assert.equal(clock.monotonic(), 10);
});

test("one seed, one sequence; another seed, another", () => {
  const draw = (seed: number): number[] => {
    const random = new SimRandom(seed);
    return Array.from({ length: 50 }, () => random.next());
  };
  assert.deepEqual(draw(1), draw(1));
  assert.notDeepEqual(draw(1), draw(2));
  assert.ok(draw(3).every((value) => value >= 0 && value < 1));
});
