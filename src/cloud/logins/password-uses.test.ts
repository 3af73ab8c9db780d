import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock, SimLogger } from "../../../sim/world.ts";
import { PasswordUses } from "./password-uses.ts";

test("uses are gathered and kept in rounds, those that wait for longest first; what fails is kept in the next", () => {
  const clock = new SimClock(1_000);
  const logger = new SimLogger();
  const kept = new Map<string, number>();
  let away = false;
  const saved: number[] = [];
  const store = {
    usedAt: (thing: string) => kept.get(thing) ?? null,
    saveUses: (uses: ReadonlyMap<string, number>) => {
      if (away) throw new Error("the database is away");
      saved.push(uses.size);
      for (const [thing, at] of uses) kept.set(thing, at);
    },
  };
  const uses = new PasswordUses(clock, store, logger);
  for (const thing of ["a", "b", "a", "c"]) {
    clock.advance(1);
    uses.note(thing);
  }
  assert.deepEqual([uses.of("a"), uses.of("x"), kept.size], [1_003, null, 0]);
  away = true;
  uses.flush();
  assert.equal(logger.lines.length, 1);
  away = false;
  uses.flush(2);
  assert.deepEqual(
    [...kept],
    [
      ["b", 1_002],
      ["a", 1_003],
    ],
  );
  uses.forget("c"); // set anew
  uses.flush();
  assert.deepEqual([saved, uses.of("c")], [[2], null]);
  const next = new PasswordUses(clock, store, logger);
  assert.equal(next.of("a"), 1_003, "a restart later");
});
