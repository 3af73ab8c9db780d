import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { compileGlob } from "./glob.ts";
import type { Piece } from "./template.ts";
import { parseTemplate } from "./template.ts";

function glob(pattern: string): (text: string) => boolean {
  const parsed = parseTemplate(pattern);
  assert.ok(parsed.ok);
  const compiled = compileGlob(parsed.pieces);
  return (text) => compiled.matches(text);
}

/** The obvious matcher by dynamic programming over characters; quadratic, and surely right. */
function slowly(pattern: string, text: string): boolean {
  const wanted = Array.from(pattern);
  let reach = new Set([0]);
  for (const character of [...Array.from(text), null]) {
    for (let p = 0; p < wanted.length; p++) if (reach.has(p) && wanted[p] === "*") reach.add(p + 1);
    if (character === null) break;
    const next = new Set<number>();
    for (const p of reach) {
      if (wanted[p] === "*") next.add(p);
      else if (wanted[p] === "?" || wanted[p] === character) next.add(p + 1);
    }
    reach = next;
  }
  return reach.has(wanted.length);
}

describe("globs", () => {
  test("agree with a plain matcher on everything", () => {
    const unit = fc.constantFrom("a", "b", "/", "😀");
    const pattern = fc.string({ unit: fc.oneof(unit, fc.constantFrom("*", "?")), maxLength: 10 });
    fc.assert(
      fc.property(pattern, fc.string({ unit, maxLength: 14 }), (pattern, text) => {
        assert.equal(glob(pattern)(text), slowly(pattern, text));
      }),
      { numRuns: 20_000 },
    );
  });

  test("many stars against a long text that almost matches: the work stays within text × longest part", () => {
    // Counts character comparisons instead of time: a backtracking matcher would need more than 10^30 of them.
    const text = `${"a".repeat(1000)}c`;
    const pieces: Piece[] = [];
    for (let i = 0; i < 50; i++) pieces.push({ kind: "any" }, { kind: "text", text: "aa" }, { kind: "one" });
    pieces.push({ kind: "any" }, { kind: "text", text: "b" }, { kind: "any" });
    let reads = 0;
    const counted = new Proxy(new String(text), {
      get(target, key) {
        const value = Reflect.get(target, key, target) as unknown;
        if (typeof value !== "function") return value;
        return (...parameters: unknown[]): unknown => {
          reads++;
          return Reflect.apply(value as (...p: unknown[]) => unknown, target, parameters);
        };
      },
    });
    assert.equal(compileGlob(pieces).matches(counted as unknown as string), false);
    assert.ok(reads > 100 && reads < text.length * 10, `${reads} reads`);
  });
});
