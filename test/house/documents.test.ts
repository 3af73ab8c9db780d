import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { LIMITS, assertLimits } from "../../src/base/mod.ts";
import { generatedDocuments } from "../../tools/reference.ts";
import { FLOORS } from "./house.ts";
import { filesBelow, root } from "./source.ts";

const documents = [
  ...filesBelow("docs", /\.md$/),
  ...filesBelow("src", /\.md$/),
  "README.md",
  "ARCHITECTURE.md",
  "STYLE.md",
  "HACKING.md",
  "CHANGELOG.md",
  "SECURITY.md",
];

test("every link and every path of ours that a document names exists", () => {
  const missing: string[] = [];
  for (const path of documents) {
    const text = readFileSync(join(root, path), "utf8").replace(/```[\s\S]*?```/g, "");
    for (const [, target] of text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)/g)) {
      if (!existsSync(join(root, dirname(path), target!))) missing.push(`${path}: link to ${target}`);
    }
    for (const [, named] of text.matchAll(/`((?:src|test|sim|bench|docs|tools|examples)\/[\w./-]+)`/g)) {
      if (!existsSync(join(root, named!))) missing.push(`${path}: names ${named}`);
    }
  }
  assert.deepEqual(missing, []);
});

test("every room has a README of at most 40 lines", () => {
  const rooms = FLOORS.flat().filter((name) => !name.endsWith(".ts"));
  for (const room of [...rooms, "web"]) {
    const path = join(root, "src", room, "README.md");
    assert.ok(existsSync(path), `src/${room}/README.md is missing`);
    const lines = readFileSync(path, "utf8").trimEnd().split("\n").length;
    assert.ok(lines <= 40, `src/${room}/README.md has ${lines} lines`);
  }
});

test("generated references are those of the code (`npm run docs` writes them)", () => {
  for (const [path, text] of generatedDocuments()) {
    assert.equal(readFileSync(join(root, path), "utf8"), text, `${path} is out of date: run \`npm run docs\``);
  }
});

test("the limits do not contradict each other, and a contradiction is seen", () => {
  assertLimits();
  const wrong = { ...LIMITS, mqtt: { ...LIMITS.mqtt, connectBytesMax: LIMITS.mqtt.packetBytesMax + 1 } };
  assert.throws(() => assertLimits(wrong), /connectBytesMax/);
});
