import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compileTimeFormat } from "./format.ts";
import { TimePatternError } from "./names.ts";
import { compileTimeParser } from "./parse.ts";
import { zoneNamed } from "./zone.ts";

/** Saturday, 4 July 2026, 17:05:09.007 UTC. */
const JULY = Date.UTC(2026, 6, 4, 17, 5, 9, 7);

const format = (pattern: string, time = JULY, zone = "UTC"): string | undefined =>
  compileTimeFormat(pattern)(time, zoneNamed(zone)!);
const parse = (text: string, pattern: string): number | undefined => compileTimeParser(pattern)(text);

test("Joda's fields", () => {
  for (const [pattern, text] of [
    ["y yy yyyy yyyyyy", "2026 26 2026 002026"],
    ["Y C G", "2026 20 AD"],
    ["M MM MMM MMMM", "7 07 Jul July"],
    ["d dd D DDD", "4 04 185 185"],
    ["E EEE EEEE e", "Sat Sat Saturday 6"],
    ["xxxx-'W'ww-e", "2026-W27-6"],
    ["H HH k h hh K a", "17 17 17 5 05 5 PM"],
    ["m mm s ss", "5 05 9 09"],
    ["S SS SSS SSSSSS", "0 00 007 007000"],
    ["Z ZZ ZZZ z zzzz", "+0000 +00:00 UTC UTC Coordinated Universal Time"],
    ["'o''clock' ''", "o'clock '"],
  ] as const) {
    assert.equal(format(pattern), text, pattern);
  }
  assert.equal(format("k K h", Date.UTC(2026, 0, 1)), "24 0 12");
  assert.equal(format("xxxx-ww", Date.UTC(2027, 0, 1)), "2026-53"); // a Friday belongs to its Thursday's year
  assert.equal(format("yyyy Y G", Date.UTC(-43, 2, 15)), "-0043 44 BC");
  assert.equal(format("yyyy", 8.65e15), undefined);
  assert.equal(format("HH:mm ZZ z", JULY, "Europe/Berlin"), "19:05 +02:00 CEST");
  assert.equal(format("HH:mm ZZ", JULY, "+05:30"), "22:35 +05:30");
});

test("the JDK's fields", () => {
  for (const [text, pattern, time] of [
    ["20260704170509", "yyyyMMddHHmmss", Date.UTC(2026, 6, 4, 17, 5, 9)], // side by side, as wide as written
    ["4.7.26 5:05 PM", "d.M.yy h:mm a", Date.UTC(2026, 6, 4, 17, 5)],
    ["Sat, 4 Jul 2026 17:05:09 +0200", "EEE, d MMM yyyy HH:mm:ss Z", Date.UTC(2026, 6, 4, 15, 5, 9)],
    ["2026-185", "uuuu-DDD", Date.UTC(2026, 6, 4)],
    ["2026-07-04T17:05:09.007123Z", "yyyy-MM-dd'T'HH:mm:ss.SSSSSSX", JULY],
    ["2026-07-04T17:05:09-03:30", "yyyy-MM-dd'T'HH:mm:ssXXX", Date.UTC(2026, 6, 4, 20, 35, 9)],
    ["2026-07-04 10:00 GMT+8", "yyyy-MM-dd HH:mm O", Date.UTC(2026, 6, 4, 2)],
    ["2026-07-04 10:00 PST", "yyyy-MM-dd HH:mm z", Date.UTC(2026, 6, 4, 17)],
    ["2026-07-04 10:00", "yyyy-MM-dd[ HH:mm[:ss]]", Date.UTC(2026, 6, 4, 10)],
    ["2026-07-04", "yyyy-MM-dd[ HH:mm]", Date.UTC(2026, 6, 4)],
    ["2026-02-31", "yyyy-MM-dd", Date.UTC(2026, 1, 28)], // the JDK's smart resolving
    ["2026-07-04 24:00", "yyyy-MM-dd HH:mm", Date.UTC(2026, 6, 5)],
    ["2026-03-29 02:30 Europe/Berlin", "yyyy-MM-dd HH:mm VV", Date.UTC(2026, 2, 29, 1, 30)], // left out: an hour on
    ["2026-10-25 02:30 Europe/Berlin", "yyyy-MM-dd HH:mm VV", Date.UTC(2026, 9, 25, 0, 30)], // there twice: the earlier
  ] as const) {
    assert.equal(parse(text, pattern), time, `${text} by ${pattern}`);
  }
  for (const [text, pattern] of [
    ["2026-7-4", "yyyy-MM-dd"],
    ["2026-13-01", "yyyy-MM-dd"],
    ["2026-07-04x", "yyyy-MM-dd"],
    ["Sun 2026-07-04", "EEE yyyy-MM-dd"], // it was a Saturday
    ["17:05", "HH:mm"], // no date
    ["2026-07-04 24:01", "yyyy-MM-dd HH:mm"],
    ["2026-07-04 Mars", "yyyy-MM-dd VV"],
  ] as const) {
    assert.equal(parse(text, pattern), undefined, `${text} by ${pattern}`);
  }
});

test("patterns that are wrong are refused with their place", () => {
  for (const [compile, pattern, position] of [
    [compileTimeFormat, "yyyy-ii", 5],
    [compileTimeFormat, "yyyy 'at", 5],
    [compileTimeParser, "yyyy-ww", 5],
    [compileTimeParser, "yyyy[-MM", 4],
    [compileTimeParser, "yyyy]", 5],
    [compileTimeParser, "yyyy{", 4],
  ] as const) {
    assert.throws(
      () => compile(pattern),
      (error: unknown) => error instanceof TimePatternError && error.position === position,
    );
  }
});

test("what is written is read again, in every zone and on every day", () => {
  const zones = fc.constantFrom(
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "-07:00",
  );
  const write = compileTimeFormat("yyyy-MM-dd'T'HH:mm:ss.SSS ZZ");
  const read = compileTimeParser("yyyy-MM-dd'T'HH:mm:ss.SSS XXX");
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4e12 }), zones, (time, zone) => {
      assert.equal(read(write(time, zoneNamed(zone)!)!.replace(/ \+00:00$/, " Z")), time);
    }),
    { numRuns: 500 },
  );
});
