import assert from "node:assert/strict";
import { test } from "node:test";
import type { Silence } from "../../cloud/api/contract.ts";
import { inOrder, matchersIn, phaseOf } from "./silence-words.ts";

const silence = (id: string, startsAt: number, endsAt: number): Silence => ({
  id,
  matchers: ["rule=x"],
  startsAt,
  endsAt,
  createdBy: "ada",
  comment: "",
});

test("what holds now stands before what is planned, and that before what is over", () => {
  const all = [silence("old", 0, 10), silence("ended", 0, 90), silence("planned", 200, 300), silence("long", 0, 500)];
  const sorted = inOrder([...all, silence("short", 0, 150)], 100);
  assert.deepEqual(
    sorted.map(({ id }) => id),
    ["short", "long", "planned", "ended", "old"],
  );
  assert.deepEqual(
    [99, 100, 199, 200].map((now) => phaseOf(silence("x", 100, 200), now)),
    ["later", "now", "now", "over"],
  );
});

test("conditions are lines; empty ones are none", () => {
  assert.deepEqual(matchersIn(" rule=cpu_* \n\n thing=a,b\r\n"), ["rule=cpu_*", "thing=a,b"]);
});
