import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { ArchiveWorld } from "./archive.fixture.ts";

let world: ArchiveWorld;
beforeEach(async () => {
  world = await ArchiveWorld.make();
});
afterEach(() => world.end());

describe("the archive", () => {
  test("every message of the log is in a file, once, in order, in the folder of its day", async () => {
    world.log.fill(1000);
    await world.open();
    await world.flush();
    assert.deepEqual(await world.offsets(), Array.from({ length: 1000 }, (_, n) => n));
    console.error(world.archive.progress());
  });
});
