import assert from "node:assert/strict";
import { test } from "node:test";
import type { BackTestOfRule, BackTestResult } from "../../cloud/api/contract.ts";
import { barsOf, firedWords, readWords, restWords, shareOf } from "./back-test-words.ts";

const FINDINGS = {
  fired: 12,
  histogram: { from: 0, step: 10, counts: [0, 1, 200] },
  things: [],
  thingsCounted: 3,
  thingsUncounted: 0,
  actions: [],
  first: [],
  last: [],
};
const RULE: BackTestOfRule = {
  ruleName: "hot",
  filter: "a/#",
  counts: { evaluated: 100, fired: 12, unmatched: 80, undecided: 0, failed: 0 },
  failure: null,
  windows: null,
  unasked: [],
  askedToday: [],
  findings: FINDINGS,
};

test("how often it would have fired", () => {
  assert.equal(firedWords(RULE), "would have fired 12 times on 3 things");
  assert.equal(
    firedWords({ ...RULE, findings: { ...FINDINGS, fired: 1, thingsCounted: 1, thingsUncounted: 4 } }),
    "would have fired 1 time on 1 thing or more",
  );
  assert.equal(firedWords({ ...RULE, findings: { ...FINDINGS, fired: 0 } }), "would not have fired");
});

test("why it did not fire on the rest, each reason that there was and no other", () => {
  assert.deepEqual(restWords(RULE), ["100 messages of a/#: 80 did not match."]);
  const counts = { evaluated: 100, fired: 0, unmatched: 1, undecided: 5, failed: 2 };
  const windows = { late: 3, crowded: 0, keyless: 0, evicted: 0 };
  assert.deepEqual(
    restWords({ ...RULE, counts, failure: "boom", windows, unasked: ["get_secret"], askedToday: ["lookup"] }),
    [
      "100 messages of a/#: 1 did not match, 5 undecided, because a key is missing or of another type.",
      "It failed on 2; the first time: boom",
      "Its windows left out: 3 late.",
      "get_secret cannot be asked about the past: Undefined.",
      "Answers of lookup are today's, not those of then.",
    ],
  );
  const none = { ...RULE, counts: { ...counts, evaluated: 0 } };
  assert.deepEqual(restWords(none), ["There was no message of a/# in that time."]);
});

test("what was read, and that it was not all", () => {
  const messages = { log: 1000, archive: 234, forgotten: 0, unreadable: 0 };
  const result = { messages, took: 90_000, complete: false } as BackTestResult;
  assert.match(readWords(result), /^1,234 messages read in .*, 234 of them from the archive\. The time was up/);
  assert.doesNotMatch(readWords({ ...result, complete: true }), /time was up/);
});

test("progress lies between nothing and all; bars are as high as what they stand for, and one firing is seen", () => {
  const at = (time: number | null): number | null =>
    shareOf({ offset: 0, counts: { log: 0, archive: 0, forgotten: 0, unreadable: 0 }, at: time }, 100, 200);
  assert.deepEqual([at(null), at(50), at(150), at(900)], [null, 0, 0.5, 1]);
  const bars = barsOf(FINDINGS.histogram, { max: 200, height: 50, least: 2 });
  assert.deepEqual(
    bars.map(({ x, y, height, from }) => [x, y, height, from]),
    [
      [0, 50, 0, 0],
      [1, 48, 2, 10],
      [2, 0, 50, 20],
    ],
  );
});
