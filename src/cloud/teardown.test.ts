import assert from "node:assert/strict";
import { test } from "node:test";
import { SimLogger } from "../../sim/world.ts";
import { Teardown } from "./teardown.ts";

test("parts end in reverse order, one that fails is told and holds nobody up, and a second run does nothing", async () => {
  const ended: string[] = [];
  const logger = new SimLogger();
  const teardown = new Teardown();
  teardown.add("first", () => void ended.push("first"));
  teardown.add("broken", () => Promise.reject(new Error("no")));
  teardown.add("last", async () => void ended.push("last"));
  await teardown.run(logger);
  await teardown.run(logger);
  assert.deepEqual(ended, ["last", "first"]);
  assert.deepEqual(
    logger.lines.map((line) => line.fields),
    [{ part: "broken", reason: "no" }],
  );
});
