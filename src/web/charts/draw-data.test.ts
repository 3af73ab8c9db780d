import assert from "node:assert/strict";
import { test } from "node:test";
import { countGaps, drawData, gapsIn, summarise } from "./draw-data.ts";

const every = (step: number, count: number, from = 0): number[] =>
  Array.from({ length: count }, (_, i) => from + i * step);

test("a silence longer than three periods is a gap, exactly three are not", () => {
  const times = [...every(1000, 20), ...every(1000, 20, 22_000), ...every(1000, 20, 45_001)];
  // 19,000 → 22,000 is three periods; 41,000 → 45,001 is more than four.
  assert.deepEqual(gapsIn(times, null), [39]);
});

test("a device that changes its period has no gaps in its slower time", () => {
  const slow = every(15_000, 40);
  const fast = every(1000, 60, slow.at(-1)! + 1000);
  assert.deepEqual(gapsIn([...slow, ...fast], null), []);
});

test("one missing window among dense windows is a gap", () => {
  const times = every(10_000, 30).filter((time) => time !== 150_000);
  assert.deepEqual(gapsIn(times, 10_000), [14]);
});

test("readings rarer than the window leave windows out, and that is no gap", () => {
  const starts = every(15_000, 40).map((time) => Math.floor(time / 10_000) * 10_000);
  assert.deepEqual(gapsIn(starts, 10_000), []);
});

test("too few points say nothing about a period", () => {
  assert.deepEqual(gapsIn([], null), []);
  assert.deepEqual(gapsIn([5], null), []);
  assert.deepEqual(gapsIn([5, 90_000], null), []);
});

test("a break gets a row of its own where nobody has a point inside it", () => {
  const times = [...every(1000, 10), ...every(1000, 10, 60_000)];
  const data = drawData({ times, cells: [times.map(() => 1)] }, null);
  assert.equal(data[0].length, 21);
  assert.equal(data[0][10], 9001);
  assert.equal(data[1]![10], null);
  assert.equal(countGaps(data, 1), 1);
});

test("one line breaks while another runs through", () => {
  const times = every(1000, 60);
  const quiet = times.map((_, row) => (row >= 20 && row < 40 ? undefined : 5));
  const data = drawData({ times, cells: [quiet, times.map(() => 1)] }, null);
  assert.equal(countGaps(data, 1), 1);
  assert.equal(countGaps(data, 2), 0);
  assert.equal(data[2]!.filter((cell) => cell === 1).length, 60);
});

test("two fields that report in turn are both without gaps", () => {
  const times = every(500, 80);
  const a = times.map((_, row) => (row % 2 === 0 ? 1 : undefined));
  const b = times.map((_, row) => (row % 2 === 1 ? 2 : undefined));
  const data = drawData({ times, cells: [a, b] }, null);
  assert.equal(countGaps(data, 1) + countGaps(data, 2), 0);
  assert.deepEqual(data[1], a);
});

test("drawing never changes what is stored", () => {
  const times = [...every(1000, 10), ...every(1000, 10, 60_000)];
  const cells = [times.map((time) => time)];
  drawData({ times, cells }, null);
  assert.equal(times.length, 20);
  assert.equal(cells[0]!.includes(null as never), false);
});

test("a summary covers the picture only, and says when its last point was", () => {
  const data = drawData({ times: [1000, 2000, 3000, 4000], cells: [[10, 2, 6, 99]] }, null);
  assert.deepEqual(summarise(data, 1, 1500, 3500), { last: 6, lastAt: 3000, min: 2, max: 6, average: 4, points: 2 });
  assert.equal(summarise(data, 1, 5000, 6000), null);
});
