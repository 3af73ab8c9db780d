import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { NOT_ON_THE_AGENT } from "./house.ts";
import { importsOf, isTest, reach, root, sourceFiles } from "./source.ts";

const SNAPSHOT = join(root, "test/house/agent-reach.txt");

const imports = sourceFiles("src")
  .flatMap(importsOf)
  .filter((edge) => !edge.typeOnly && !isTest(edge.from));
const chains = reach(["src/cli/agent-main.ts"], imports);

test("what the agent reaches holds no database engine, HTTP server or dashboard", () => {
  assert.ok(chains.size > 30, "the agent reaches its own files");
  const leaks = [...chains].filter(([path]) => NOT_ON_THE_AGENT.some((name) => path === name || path.startsWith(name)));
  assert.deepEqual(
    leaks.map(([, chain]) => chain.join(" → ")),
    [],
  );
});

test("the platform's own process loads no database engine: the store has it", () => {
  const chain = reach(["src/cloud/mod.ts"], imports).get("@duckdb/node-api");
  assert.equal(chain?.join(" → "), undefined);
});

test("what the agent reaches is as in the snapshot (UPDATE_SNAPSHOT=1 writes it; look at what came in)", () => {
  const found = `${[...chains.keys()].sort().join("\n")}\n`;
  if (process.env["UPDATE_SNAPSHOT"] === "1") writeFileSync(SNAPSHOT, found);
  assert.equal(readFileSync(SNAPSHOT, "utf8"), found);
});
