import assert from "node:assert/strict";
import { test } from "node:test";
import { apiWorld, ok } from "./api.fixture.ts";
import type { ForgottenThings } from "./contract.ts";

test("who left is told in pages, newest first, each once while others leave; of one thing on its own", async () => {
  await using world = await apiWorld();
  const leave = async (thing: string): Promise<void> => {
    world.registry.things.create(thing);
    assert.equal((await world.ask("POST", `/api/things/${thing}/retire`, {})).status, 200);
  };
  const asked = async (query: string, path = "/api/retirements"): Promise<ForgottenThings> =>
    ok<ForgottenThings>(await world.ask("GET", `${path}${query}`));
  const names = ({ things }: ForgottenThings): string[] => things.map(({ thing }) => thing);
  assert.deepEqual(await asked(""), { things: [], next: null });
  for (const n of [1, 2, 3]) await leave(`pump-${n}`);
  world.registry.things.create("pump-4");
  assert.equal((await world.ask("DELETE", "/api/things/pump-4/data")).status, 202);
  await leave("pump-1");

  const first = await asked("?limit=2");
  assert.deepEqual(names(first), ["pump-1", "pump-3"], "who was only forgotten is still there");
  await leave("pump-5");
  const second = await asked(`?limit=2&before=${first.next}`);
  assert.deepEqual([names(second), second.next], [["pump-2", "pump-1"], null], "none twice, and none left out");
  assert.deepEqual(names(await asked("?thing=pump-1")), ["pump-1", "pump-1"]);
  assert.deepEqual(names(await asked("?thing=pump-4")), []);
  assert.deepEqual(names(await asked("?limit=3", "/api/forgotten")), ["pump-5", "pump-1", "pump-4"]);
  for (const wrong of ["?limit=0", "?limit=251", "?before=x", "?thing=a/b", "?after=1"])
    assert.equal((await world.ask("GET", `/api/retirements${wrong}`)).status, 400, wrong);
});
