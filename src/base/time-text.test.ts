import assert from "node:assert/strict";
import { test } from "node:test";
import { TidewireError } from "./errors/catalogue.ts";
import { momentAsked, momentIn, spanIn } from "./time-text.ts";

const NOW = Date.parse("2026-03-01T12:00:00Z");

test("spans are numbers with units, and nothing else", () => {
  for (const [text, span] of [
    ["90s", 90_000],
    ["15m", 900_000],
    ["24h", 86_400_000],
    ["14d", 1_209_600_000],
    ["0s", 0],
    ["500ms", 500],
    ["30min", 1_800_000],
    ["1h30m", 5_400_000],
    ["1.5h", 5_400_000],
    ["2w", 1_209_600_000],
    ["1y", 31_536_000_000],
    ["14", null],
    ["-1h", null],
    ["1 h", null],
    ["1h ", null],
    ["1M", null],
    ["1h30", null],
    ["", null],
    ["999999999y", null],
  ] as const) {
    assert.equal(spanIn(text), span, text);
  }
});

test("moments are ISO times, milliseconds, or spans from now", () => {
  for (const [text, direction, moment] of [
    ["24h", "back", "2026-02-28T12:00:00Z"],
    ["14d", "back", "2026-02-15T12:00:00Z"],
    ["-24h", "back", "2026-02-28T12:00:00Z"],
    ["14d", "ahead", "2026-03-15T12:00:00Z"],
    ["-1h", "ahead", "2026-03-01T11:00:00Z"],
    ["2026-01-31T12:00:00Z", "back", "2026-01-31T12:00:00Z"],
    ["2026-01-31T12:00:00+01:00", "ahead", "2026-01-31T11:00:00Z"],
    ["2026-01-31", "back", "2026-01-31T00:00:00Z"],
    [String(NOW), "back", "2026-03-01T12:00:00Z"],
    ["0", "back", "1970-01-01T00:00:00Z"],
    ["now", "back", "2026-03-01T12:00:00Z"],
    ["now-7d", "ahead", "2026-02-22T12:00:00Z"],
    ["now+1h30m", "back", "2026-03-01T13:30:00Z"],
    ["+1h", "back", "2026-03-01T13:00:00Z"],
    ["2026-01", "back", "2026-01-01T00:00:00Z"],
    ["2026-01-31T12:00", "back", new Date(2026, 0, 31, 12).toISOString()],
    ["2026-01-31t12:00:00,5-0130", "back", "2026-01-31T13:30:00.500Z"],
  ] as const) {
    const found = momentIn(text, NOW, direction);
    assert.equal(found === null ? null : new Date(found).toISOString(), new Date(moment).toISOString(), text);
  }
  for (const text of [
    "yesterday",
    "2026-13-01",
    "2026-02-30T99:00:00Z",
    "1/2/2026",
    "2026-02-30",
    "2026-02-30T08:00",
    "now1h",
    "now now",
    "+-1h",
    "--1h",
    "24 h",
    "4711",
    "1772366400",
    "",
  ])
    assert.equal(momentIn(text, NOW, "back"), null, text);
});

test("who asks from elsewhere says the zone; a URL's space is a plus, and a number is milliseconds", () => {
  for (const [text, moment] of [
    ["24h", "2026-02-28T12:00:00Z"],
    ["now 1h", "2026-03-01T13:00:00Z"],
    ["2026-01-31T12:00:00 01:00", "2026-01-31T11:00:00Z"],
    ["2026-01-31", "2026-01-31T00:00:00Z"],
    ["4711", "1970-01-01T00:00:04.711Z"],
  ] as const)
    assert.equal(new Date(momentAsked("since", text, NOW)).toISOString(), new Date(moment).toISOString(), text);
  for (const text of ["2026-01-31T12:00", "2026-01-31t12:00:00,5", "yesterday", "10000y", "9".repeat(16), ""]) {
    assert.throws(
      () => momentAsked("since", text, NOW),
      (error) =>
        error instanceof TidewireError &&
        error.code === "REQUEST_INVALID" &&
        /'since' is.*with a zone/.test(error.message),
      text,
    );
  }
});
