import assert from "node:assert/strict";
import { test } from "node:test";
import { days, isTidewireError } from "../base/mod.ts";
import { checkClock } from "./clock-check.ts";

const releasedAt = Date.parse("2026-11-01T00:00:00Z");
const newestRecordAt = Date.parse("2027-03-01T12:00:00Z");
const caEndsAt = Date.parse("2036-11-01T00:00:00Z");

test("a plausible clock passes, also one set back by an hour, and one on a new platform", () => {
  checkClock(newestRecordAt + 1, { releasedAt, newestRecordAt, caEndsAt });
  checkClock(newestRecordAt - 3_600_000, { releasedAt, newestRecordAt, caEndsAt });
  checkClock(releasedAt, { releasedAt, newestRecordAt: null, caEndsAt });
});

for (const [what, now, reason] of [
  ["1970", 0, /before this Tidewire was released \(2026-11-01\)/],
  ["two days behind the log", newestRecordAt - days(2), /newest message in the log is from 2027-03-01T12/],
  ["after the CA", caEndsAt + 1, /end of the certificate authority \(2036-11-01\)/],
] as const) {
  test(`a clock that cannot be right is refused: ${what}`, () => {
    assert.throws(
      () => checkClock(now, { releasedAt, newestRecordAt, caEndsAt }),
      (error) => isTidewireError(error) && error.code === "CLOCK_IMPLAUSIBLE" && reason.test(error.message),
    );
  });
}
