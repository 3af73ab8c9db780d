import assert from "node:assert/strict";
import { test } from "node:test";
import { BANNED_CALLS, BANNED_IN_CORES, CORE_FLOOR_MAX } from "./house.ts";
import type { BannedCall } from "./house.ts";
import { isTest, roomOf, sourceFiles, withoutComments } from "./source.ts";
import type { SourceFile } from "./source.ts";

const files = sourceFiles("src").filter((file) => !isTest(file.path));

function faults(file: SourceFile, calls: readonly BannedCall[]): readonly string[] {
  const found: string[] = [];
  for (const { pattern, instead, allowedIn } of calls) {
    if (allowedIn.some((home) => file.path.startsWith(home))) continue;
    file.code.split("\n").forEach((line, index) => {
      if (pattern.test(line) && !(allowedIn.includes("interfaces") && /\binterface\b/.test(line))) {
        found.push(`${file.path}:${index + 1}: ${line.trim()} (use ${instead})`);
      }
    });
  }
  return found;
}

test("banned calls stand only in their home", () => {
  assert.deepEqual(
    files.flatMap((file) => faults(file, BANNED_CALLS)),
    [],
  );
});

test("cores name no machine", () => {
  const cores = files.filter((file) => (roomOf(file.path)?.floor ?? CORE_FLOOR_MAX + 1) <= CORE_FLOOR_MAX);
  assert.ok(cores.length > 20);
  assert.deepEqual(
    cores.flatMap((file) => faults(file, BANNED_IN_CORES)),
    [],
  );
});

for (const [code, calls] of [
  ["const t = Date.now();", BANNED_CALLS],
  ["setTimeout(() => {}, 1);", BANNED_CALLS],
  ["console.log(1);", BANNED_CALLS],
  ["const x = y as any;", BANNED_CALLS],
  ['export * from "./x.ts";', BANNED_CALLS],
  ["class A extends Base {", BANNED_CALLS],
  ['import fs from "node:fs";', BANNED_IN_CORES],
  ["Buffer.from(x)", BANNED_IN_CORES],
] as const) {
  test(`the rule sees: ${code}`, () => {
    const file: SourceFile = { path: "src/broker/x.ts", text: code, code: withoutComments(code) };
    assert.equal(faults(file, calls).length, 1);
  });
}

test("a word in a comment breaks no rule", () => {
  const text = "// Date.now() is banned\n/* console.log() too */\nconst ok = 1;";
  assert.deepEqual(faults({ path: "src/broker/x.ts", text, code: withoutComments(text) }, BANNED_CALLS), []);
});
