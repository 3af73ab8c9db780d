import assert from "node:assert/strict";
import { test } from "node:test";
import { ServerClock } from "./server-clock.ts";

test("the message with the shortest way tells the difference best", () => {
  const clock = new ServerClock();
  assert.equal(clock.now(5000), 5000);
  // The server is 90 s ahead; the messages need 400, 15 and 80 ms.
  for (const [sent, way] of [
    [1000, 400],
    [2000, 15],
    [3000, 80],
  ] as const) {
    clock.sample(sent + 90_000, sent + way);
  }
  assert.equal(clock.difference, 90_000 - 15);
});

test("after a clock was set, what was measured before counts no more", () => {
  const clock = new ServerClock();
  clock.sample(100_000, 0);
  clock.sample(1000, 1000);
  assert.equal(clock.difference, 0);
});
