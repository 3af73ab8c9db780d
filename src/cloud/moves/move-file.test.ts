import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { TidewireError } from "../../base/mod.ts";
import { alertOf } from "../../rules/alerts/alert.fixture.ts";
import { CALM } from "../../rules/alerts/life-cycle.ts";
import { moveLines, readMove } from "./move-file.ts";
import type { MoveHead, MoveParts } from "./move-file.ts";

const HEAD: MoveHead = { move: "m-1", rule: { ruleName: "r", sql: "SELECT * FROM 'a'" }, at: 17, overlap: 10_000 };
const PARTS: MoveParts = {
  header: Uint8Array.of(1, 2, 3),
  pages: [
    [0, Uint8Array.of(4)],
    [7, new Uint8Array(0)],
  ],
  pageCount: 2,
  seen: Array.from({ length: 2_500 }, (_, n) => [`o.${n}`, n] as const),
  alerts: Array.from({ length: 120 }, (_, n) => {
    return { kind: "key", key: `k-${n}`, thing: "pi-1", life: CALM, alert: alertOf(), history: [], told: [] };
  }),
};
const bytesOf = (head: MoveHead, parts: MoveParts): Buffer => Buffer.from([...moveLines(head, parts)].join(""));
const refused = (bytes: Uint8Array, reason: RegExp): void => {
  assert.throws(
    () => readMove(bytes),
    (error: unknown) => {
      assert.ok(error instanceof TidewireError);
      assert.equal(error.code, "RULE_STATE_UNREADABLE");
      assert.match(error.message, reason);
      return true;
    },
  );
};

test("what was written is read again; a rule without state has none", () => {
  const { state, seen, alerts, ...head } = readMove(bytesOf(HEAD, PARTS));
  assert.deepEqual(head, { ...HEAD });
  assert.deepEqual([...state!.header], [1, 2, 3]);
  assert.deepEqual(
    state!.pages.map(([page, body]) => [page, [...body]]),
    [
      [0, [4]],
      [7, []],
    ],
  );
  assert.deepEqual([seen, alerts], [PARTS.seen, PARTS.alerts]);
  const bare = { header: null, pages: [], pageCount: 0, seen: [], alerts: [] };
  const read = readMove(bytesOf(HEAD, bare));
  assert.deepEqual([read.state, read.alerts], [null, []]);
  assert.match(String(bytesOf(HEAD, bare)), /"version":1,/, "one that knows nothing of alerts can read it");
});

test("cut anywhere, or with a byte that is another, it is refused", () => {
  const whole = bytesOf(HEAD, { ...PARTS, seen: PARTS.seen.slice(0, 20), alerts: PARTS.alerts.slice(0, 2) });
  for (let length = 0; length < whole.length - 1; length += 7) refused(whole.subarray(0, length), /./);
  for (let at = 0; at < whole.length - 1; at += 13) {
    const wrong = Buffer.from(whole);
    wrong[at]! ^= 1;
    refused(wrong, /./);
  }
});

test("a newer version, another SQL, and lines that are missing are told apart", () => {
  const lines = [...moveLines(HEAD, PARTS)];
  const signed = (changed: readonly string[]): Buffer => {
    const body = changed.slice(0, -1).join("");
    return Buffer.from(`${body}${JSON.stringify({ sha256: sha256(body) })}\n`);
  };
  refused(signed(lines.map((line) => line.replace('"version":2', '"version":3'))), /version 3/);
  refused(signed(lines.map((line) => line.replace("FROM 'a'", "FROM 'b'"))), /another SQL/);
  refused(signed(lines.toSpliced(1, 1)), /missing/);
  refused(signed(lines.map((line) => line.replace('"phase":', '"phrase":'))), /an alert as no Tidewire/);
  refused(signed(lines.toSpliced(-2, 1)), /missing/);
  refused(signed(["{}\n", ...lines.slice(1)]), /no rule with its state/);
});

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
