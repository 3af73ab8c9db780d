import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { root } from "./source.ts";

/** A linter that silently checks nothing is worse than none: each rule that we rely on sees its violation. */
const VIOLATIONS: readonly (readonly [rule: string, code: string])[] = [
  ["no-floating-promises", "async function f(): Promise<void> {}\nexport function g(): void {\n  f();\n}\n"],
  ["no-explicit-any", "export const x: any = 1;\n"],
  ["no-console", "console.log(1);\nexport {};\n"],
  ["max-lines-per-function", `export function f(): number {\n  let n = 0;\n${"  n++;\n".repeat(71)}  return n;\n}\n`],
  ["max-lines", `export {};\n${"void 0;\n".repeat(501)}`],
  [
    "switch-exhaustiveness-check",
    'export function f(x: "a" | "b"): number {\n  switch (x) {\n    case "a":\n      return 1;\n  }\n  return 0;\n}\n',
  ],
];

for (const [rule, code] of VIOLATIONS) {
  test(`lint sees a violation of ${rule}`, () => {
    const folder = mkdtempSync(join(root, "test/house/.lint-"));
    try {
      writeFileSync(join(folder, "sample.ts"), code);
      const output = lint(folder);
      assert.ok(output.includes(rule), `expected ${rule} in:\n${output}`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

function lint(folder: string): string {
  try {
    return execFileSync("oxlint", ["--type-aware", folder], { cwd: root, encoding: "utf8" });
  } catch (error) {
    return String((error as { stdout?: string }).stdout);
  }
}
