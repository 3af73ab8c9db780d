import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { LinearRegExp, newSteps } from "./regexp.ts";
import { PatternError } from "./syntax.ts";

/** The whole match and its groups; null where there is none. */
function groups(pattern: string, text: string): (string | null)[] | null {
  const match = new LinearRegExp(pattern, true).exec(text, 0, newSteps());
  assert.notEqual(match, undefined, "enough steps");
  if (match === null || match === undefined) return null;
  const found: (string | null)[] = [];
  for (let i = 0; i < match.length; i += 2) found.push(match[i]! < 0 ? null : text.slice(match[i], match[i + 1]));
  return found;
}

/** Pattern, text, whole match and groups. */
const MATCHES: readonly (readonly [pattern: string, text: string, found: readonly (string | null)[] | null])[] = [
  ["a", "xay", ["a"]],
  ["", "abc", [""]],
  ["a|ab", "ab", ["a"]], // the first choice, not the longest
  ["(a|ab)(c|bcd)(d*)", "abcd", ["abcd", "a", "bcd", ""]],
  ["a+?", "aaa", ["a"]],
  ["(a*?)$", "aaa", ["aaa", "aaa"]],
  ["(a)|b", "b", ["b", null]],
  ["a{2,3}", "aaaa", ["aaa"]],
  ["a{2}", "a", null],
  ["x*", "aaa", [""]],
  ["(|a)+", "aa", ["aa", "a"]],
  ["(a+)+$", "aaab", null],
  ["^b", "ab", null],
  ["(?m)^b$", "a\nb\nc", ["b"]],
  ["a.c", "a\nc", null],
  ["(?s)a.c", "a\nc", ["a\nc"]],
  ["(?i)AbC", "xaBc", ["aBc"]],
  ["a(?i:B)c", "aBc", ["aBc"]],
  ["a(?i:B)C", "abc", null], // the flag ends with its group
  ["(?i)a|B", "b", ["b"]], // and holds for all choices after it
  ["[^a-c]+", "abcdef", ["def"]],
  ["[]a]+", "a]b", ["a]"]],
  ["[a-]+", "a-b", ["a-"]],
  ["[\\d.]+", "v1.25", ["1.25"]],
  ["[[:upper:]_]+", "xAB_c", ["AB_"]],
  ["[^\\D5]+", "a54321", ["4321"]],
  ["\\p{Lu}\\p{L}+", "über Änderung", ["Änderung"]],
  ["\\P{Alpha}", "ab1", ["1"]],
  ["\\bcat\\b", "concat cat", ["cat"]],
  ["\\Bcat", "cat concat", ["cat"]],
  ["\\Qa.b\\E+", "a.bb", ["a.bb"]],
  ["\\x41\\u0042\\t", "AB\t", ["AB\t"]],
  ["a$", "a\n", ["a"]], // Java: before the last line end
  ["a\\z", "a\n", null],
  ["a\\Z", "a\r\n", ["a"]],
  [".", "😀", ["😀"]], // one character, though two units
  ["[😀-😂]", "😁", ["😁"]],
  ["(?<year>\\d{4})-(\\d\\d)", "on 2026-11-22", ["2026-11", "2026", "11"]],
  ["\\s\\S", "a \u00a0b", [" \u00a0"]], // Java's \s is ASCII
];

/** Pattern, the character that is complained about, words of the reason. */
const FAULTS: readonly (readonly [pattern: string, at: number, words: RegExp])[] = [
  ["(a", 1, /no closing \)/],
  ["a)", 2, /closes no group/],
  ["[a", 1, /no closing \]/],
  ["*a", 1, /nothing to repeat/],
  ["a**", 3, /nothing to repeat/],
  ["a++", 3, /possessive/],
  ["^*", 2, /nothing to repeat/],
  ["a{2,1}", 2, /wrong order/],
  ["a{x}", 2, /written \\\{/],
  ["a{1001}", 2, /more than 1000/],
  ["((a{1000}){1000}){1000}", 1, /too large/],
  ["(?=a)", 1, /ahead or behind/],
  ["(?<!a)", 1, /ahead or behind/],
  ["(?>a)", 1, /atomic/],
  ["(a)\\1", 4, /reference to a group/],
  ["(?x)a", 1, /flag x/],
  ["(?<a>x)(?<a>y)", 10, /two groups named a/],
  ["[b-a]", 2, /backwards/],
  ["[a&&b]", 3, /&&/],
  ["[a[b]]", 3, /written \\\[/],
  ["\\p{Klingon}", 1, /property/],
  ["\\y", 1, /\\y is not supported/],
  ["a\\", 2, /stands at the end/],
  [`${"(?:".repeat(200)}a${")".repeat(200)}`, 301, /too deeply/],
  ["a".repeat(5000), 1, /longer than 4096/],
];

describe("matching", () => {
  for (const [pattern, text, found] of MATCHES) {
    test(`/${pattern}/ in ${JSON.stringify(text)}`, () => assert.deepEqual(groups(pattern, text), found));
  }
});

describe("what is refused", () => {
  for (const [pattern, at, words] of FAULTS) {
    test(`/${pattern.slice(0, 40)}/ at its character ${at}`, () => {
      assert.throws(
        () => new LinearRegExp(pattern, true),
        (error: unknown) => {
          assert.ok(error instanceof PatternError);
          assert.match(error.reason, words);
          assert.equal(error.position + 1, at);
          return true;
        },
      );
    });
  }
});

// ── the same as JavaScript where both know the pattern ──────────────────────────────────────────

const atoms = fc.constantFrom("a", "b", "c", ".", "[ab]", "[^a]", "\\d", "\\w", "\\W", "1", "é", "😀", "[a-c1]", "\\.");
const edges = fc.constantFrom("^", "$", "\\b", "\\B");
const quantifiers = fc.constantFrom("", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,3}", "*?", "+?", "??");
/** Whether it can match nothing, whatever stands around it. */
function isNullable(pattern: string): boolean {
  const bare = pattern.replaceAll(/\\[bB]|(?<!\[)\^|\$/g, "(?:)");
  return new RegExp(`^(?:${bare})$`, "u").test("");
}

const patterns = fc.letrec<{ p: string; q: string }>((tie) => ({
  // What is repeated is not empty: of empty rounds each engine has its own idea, captures apart.
  q: fc.oneof(
    { maxDepth: 3 },
    atoms,
    tie("p").map((p) => `(?:${p})`),
    tie("p").map((p) => `(${p})`),
  ),
  p: fc
    .array(
      fc.oneof(
        { weight: 1, arbitrary: edges },
        { weight: 6, arbitrary: fc.tuple(tie("q"), quantifiers).map(([q, n]) => (isNullable(q) ? q : q + n)) },
      ),
      { minLength: 1, maxLength: 3 },
    )
    .chain((parts) =>
      fc
        .boolean()
        .map((split) => (split && parts.length > 1 ? `${parts[0]}|${parts.slice(1).join("")}` : parts.join(""))),
    ),
})).p;

const texts = fc
  .array(fc.constantFrom("a", "b", "c", "1", ".", "é", "😀", " "), { maxLength: 12 })
  .map((c) => c.join(""));

test("on what both know, matches are where JavaScript's are", () => {
  fc.assert(
    fc.property(patterns, texts, (pattern, text) => {
      fc.pre(!(pattern.includes("\\B") && text.includes("😀"))); // V8 also looks between the halves of a pair
      const expected = new RegExp(pattern, "u").exec(text);
      const found = groups(pattern, text);
      assert.equal(found?.[0], expected?.[0], `${pattern} in ${text}`);
    }),
    { numRuns: 3000 },
  );
});

test("any text is a pattern or refused, and is matched within the steps", () => {
  const soup = fc
    .array(fc.constantFrom(..."ab(|)[]{}*+?^$.\\dpQE<:>=!1,-i&".split("")), { maxLength: 20 })
    .map((characters) => characters.join(""));
  fc.assert(
    fc.property(fc.oneof(soup, fc.string({ unit: "binary" })), fc.string({ unit: "binary" }), (pattern, text) => {
      try {
        new LinearRegExp(pattern, true).exec(text, 0, newSteps());
      } catch (error) {
        assert.ok(error instanceof PatternError, `${pattern}: ${String(error)}`);
      }
    }),
    { numRuns: 3000 },
  );
});

describe("patterns that stop other engines for years", () => {
  const long = "a".repeat(100_000);
  for (const pattern of ["(a+)+$", "(a|aa)+$", "(a*)*b", "(.*a){10}$", "([a-z]+)*\\d", "(a|a?)+b"]) {
    test(`/${pattern}/ on 100,000 characters needs steps in proportion to the text`, () => {
      const steps = { left: Number.MAX_SAFE_INTEGER };
      const regexp = new LinearRegExp(pattern, false);
      const used = (text: string): number => {
        const before = steps.left;
        assert.equal(regexp.exec(text, 0, steps), null);
        return before - steps.left;
      };
      const half = used(`${long.slice(50_000)}!`);
      const whole = used(`${long}!`);
      assert.ok(whole < 2.1 * half, `${half} for half, ${whole} for the whole`);
      assert.ok(whole < 100 * long.length);
    });
  }

  test("more steps than a call may take end it", () => {
    const regexp = new LinearRegExp("(.?){300}x", false);
    assert.equal(regexp.exec(long, 0, newSteps()), undefined);
  });
});
