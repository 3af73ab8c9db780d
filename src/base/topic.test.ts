import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { topicFilterFault, topicMatches, topicNameFault } from "./topic.ts";
import type { TopicFault } from "./topic.ts";

const limits = { topicBytesMax: 32, topicLevelsMax: 4 };

const NAMES: readonly (readonly [name: string, fault: TopicFault])[] = [
  ["a", null],
  ["/", null],
  ["a//b", null],
  [" ", null],
  ["", "empty"],
  ["a/+/b", "wildcard"],
  ["a/#", "wildcard"],
  ["a+b", "wildcard"],
  ["a\u0000", "null-character"],
  ["a/b/c/d", null],
  ["a/b/c/d/e", "too-deep"],
  ["x".repeat(32), null],
  ["x".repeat(33), "too-long"],
  ["é".repeat(16), null],
  [`${"é".repeat(16)}x`, "too-long"],
  ["😀".repeat(8), null],
  ["😀".repeat(9), "too-long"],
];

for (const [name, fault] of NAMES) {
  test(`topic name ${JSON.stringify(name)}: ${fault ?? "fine"} [MQTT-4.7.3-1] [MQTT-4.7.3-2] [MQTT-3.3.2-2]`, () => {
    assert.equal(topicNameFault(name, limits), fault);
  });
}

const FILTERS: readonly (readonly [filter: string, fault: TopicFault])[] = [
  ["#", null],
  ["+", null],
  ["+/+", null],
  ["a/#", null],
  ["a/+/#", null],
  ["/+", null],
  ["a#", "wildcard"],
  ["a/#/b", "wildcard"],
  ["a+", "wildcard"],
  ["+a", "wildcard"],
  ["a/b+/c", "wildcard"],
  ["", "empty"],
  ["a\u0000", "null-character"],
  ["+/+/+/+/+", "too-deep"],
  ["x".repeat(33), "too-long"],
];

for (const [filter, fault] of FILTERS) {
  test(`topic filter ${JSON.stringify(filter)}: ${fault ?? "fine"} [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.3-3]`, () => {
    assert.equal(topicFilterFault(filter, limits), fault);
  });
}

/** Examples of section 4.7.1 and 4.7.2, and some that trip people up. */
const MATCHES: readonly (readonly [filter: string, name: string, matches: boolean])[] = [
  ["sport/tennis/player1/#", "sport/tennis/player1", true],
  ["sport/tennis/player1/#", "sport/tennis/player1/ranking", true],
  ["sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true],
  ["sport/#", "sport", true],
  ["sport/#", "sports", false],
  ["#", "sport", true],
  ["#", "/", true],
  ["#", "$SYS/x", false],
  ["+/monitor/Clients", "$SYS/monitor/Clients", false],
  ["$SYS/#", "$SYS/", true],
  ["$SYS/monitor/+", "$SYS/monitor/Clients", true],
  ["sport/tennis/+", "sport/tennis/player1", true],
  ["sport/tennis/+", "sport/tennis/player1/ranking", false],
  ["sport/+", "sport", false],
  ["sport/+", "sport/", true],
  ["+/+", "/finance", true],
  ["/+", "/finance", true],
  ["+", "/finance", false],
  ["a/b", "a/b/", false],
  ["a/b/", "a/b", false],
  ["a/+/c", "a//c", true],
  ["a/b/c", "a/b", false],
  ["ACCOUNTS", "Accounts", false],
];

for (const [filter, name, matches] of MATCHES) {
  test(`${filter} ${matches ? "matches" : "does not match"} ${name} [MQTT-4.7.2-1]`, () => {
    assert.equal(topicMatches(filter, name), matches);
  });
}

test("matching agrees with the specification read word for word", () => {
  const level = fc.constantFrom("", "a", "b", "$x");
  const name = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join("/"));
  const filter = fc
    .tuple(fc.array(fc.oneof(level, fc.constant("+")), { minLength: 1, maxLength: 4 }), fc.boolean())
    .map(([levels, open]) => [...levels, ...(open ? ["#"] : [])].join("/"));
  fc.assert(
    fc.property(filter, name, (f, n) => {
      fc.pre(topicNameFault(n, { topicBytesMax: 99, topicLevelsMax: 9 }) === null);
      const hidden = n.startsWith("$") && (f.startsWith("+") || f.startsWith("#"));
      assert.equal(topicMatches(f, n), !hidden && naive(f.split("/"), n.split("/")));
    }),
    { numRuns: 2000 },
  );
});

function naive(filter: readonly string[], name: readonly string[]): boolean {
  const [head, ...rest] = filter;
  if (head === "#") return true;
  if (head === undefined || name.length === 0) return head === undefined && name.length === 0;
  if (head !== "+" && head !== name[0]) return false;
  if (name.length === 1 && rest.length === 1 && rest[0] === "#") return true;
  return rest.length === 0 || name.length === 1 ? rest.length === 0 && name.length === 1 : naive(rest, name.slice(1));
}
