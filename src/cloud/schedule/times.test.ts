import assert from "node:assert/strict";
import { test } from "node:test";
import { hours } from "../../base/mod.ts";
import { dueAfter, timeOfDay } from "./times.ts";

const at = (text: string): number => Date.parse(`2026-11-${text}:00Z`);

test("a time of the day is four digits and a colon", () => {
  assert.equal(timeOfDay("02:30"), 9_000_000);
  assert.equal(timeOfDay("23:59"), 86_340_000);
  for (const wrong of ["24:00", "2:30", "02:60", "0230", ""]) assert.equal(timeOfDay(wrong), null, wrong);
});

test("at a time of the day: the next one after the last, also where days were slept through", () => {
  const times = { kind: "at", timeOfDay: hours(2) } as const;
  assert.equal(dueAfter(times, at("22T01:00"), at("22T01:30")), at("22T02:00"));
  assert.equal(dueAfter(times, at("22T02:00"), at("22T03:00")), at("23T02:00"));
  assert.equal(dueAfter(times, at("19T02:05"), at("22T03:00")), at("20T02:00"), "overdue: once, at once");
});

test("every so often after the last; at once where there was none, or the clock was set back", () => {
  const times = { kind: "every", period: hours(6) } as const;
  assert.equal(dueAfter(times, at("22T01:00"), at("22T02:00")), at("22T07:00"));
  assert.equal(dueAfter(times, null, at("22T02:00")), at("22T02:00"));
  assert.equal(dueAfter(times, at("25T01:00"), at("22T02:00")), at("22T02:00"));
});
