import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock } from "../../../sim/world.ts";
import { Together } from "./together.ts";

/** A transaction over a list. */
function world() {
  const clock = new SimClock();
  const kept: string[] = [];
  const commits: number[] = [];
  const together = new Together((work) => {
    const before = kept.length;
    try {
      work();
      commits.push(kept.length - before);
    } catch (error) {
      kept.length = before;
      throw error;
    }
  }, clock);
  const add = (text: string): Promise<number> => together.make(() => kept.push(text));
  const fail = (text: string): Promise<number> =>
    together.make(() => {
      kept.push(text);
      throw new Error(`no ${text}`);
    });
  return { clock, kept, commits, add, fail };
}

test("what is asked for in one turn is one transaction", async () => {
  const { clock, kept, commits, add } = world();
  const answers = Promise.all([add("a"), add("b"), add("c")]);
  await clock.run(0);
  assert.deepEqual(await answers, [1, 2, 3]);
  const later = add("d");
  await clock.run(0);
  await later;
  assert.deepEqual(
    [kept, commits],
    [
      ["a", "b", "c", "d"],
      [3, 1],
    ],
  );
});

test("one that fails is told so, and takes nobody along", async () => {
  const { clock, kept, commits, add, fail } = world();
  const answers = Promise.allSettled([add("a"), fail("b"), add("c")]);
  await clock.run(0);
  assert.deepEqual(
    (await answers).map((each) => (each.status === "fulfilled" ? each.value : String(each.reason))),
    [1, "Error: no b", 2],
  );
  assert.deepEqual(
    [kept, commits],
    [
      ["a", "c"],
      [1, 1],
    ],
  );
});
