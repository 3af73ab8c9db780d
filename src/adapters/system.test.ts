import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { SimClock } from "../../sim/world.ts";
import { releaseStartMemory } from "./system.ts";

const SYSTEM = new URL("system.ts", import.meta.url).href;
const ONLY_LINUX = process.platform === "linux" ? false : "threads have priorities of their own on Linux alone";

/** Names and nice values of a process's threads, once it has stepped back. */
function threadsAfter(call: string): { readonly name: string; readonly nice: number }[] {
  const script = `
    const { ENGINE_THREADS, stepBack } = await import(${JSON.stringify(SYSTEM)});
    const { readFileSync, readdirSync } = await import("node:fs");
    const { randomBytes } = await import("node:crypto");
    ${call};
    await new Promise((resolve) => randomBytes(8, resolve)); // starts the thread pool
    const threads = readdirSync("/proc/self/task").map((id) => {
      const stat = readFileSync("/proc/self/task/" + id + "/stat", "utf8");
      const [, name, rest] = /\\((.*)\\) (.*)/.exec(stat);
      return { name, nice: Number(rest.split(" ")[16]) };
    });
    console.log(JSON.stringify(threads));`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  assert.notEqual(stdout, "", stderr);
  return JSON.parse(stdout) as { name: string; nice: number }[];
}

test(
  "a process steps back with all its threads: those that ran already, and those that it starts",
  { skip: ONLY_LINUX },
  () => {
    const threads = threadsAfter("stepBack(19)");
    assert.ok(threads.length > 4);
    assert.deepEqual(
      threads.filter(({ nice }) => nice !== 19),
      [],
    );
  },
);

test("the engine's threads step back and the first one does not", { skip: ONLY_LINUX }, () => {
  const threads = threadsAfter("stepBack(10, ENGINE_THREADS)");
  const engine = threads.filter(({ name }) => name.startsWith("V8Worker"));
  assert.ok(engine.length > 0, "this Node names them otherwise");
  assert.ok(engine.every(({ nice }) => nice === 10));
  assert.ok(threads.every((thread) => engine.includes(thread) || thread.nice === 0));
});

test("memory is given back once, after the first period with little to do", () => {
  const clock = new SimClock();
  const shares = [0.6, 0.1, 0.04, 0.01];
  let released = 0;
  releaseStartMemory(clock, 5_000, { busyShare: () => shares.shift()!, release: () => void released++ });
  clock.advance(14_999);
  assert.equal(released, 0);
  clock.advance(1);
  assert.deepEqual([released, shares], [1, [0.01]]);
  clock.advance(60_000);
  assert.equal(released, 1);
});

test("a process that is asked for nothing any more gives nothing back", () => {
  const clock = new SimClock();
  const cancel = releaseStartMemory(clock, 5_000, { busyShare: () => 0, release: () => assert.fail("it did") });
  cancel();
  clock.advance(60_000);
});
