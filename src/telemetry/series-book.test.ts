import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LatestBook } from "./latest-book.ts";
import { PointBatch } from "./point-batch.ts";
import { SeriesBook } from "./series-book.ts";

const limits = { seriesMax: 6, seriesPerThingMax: 4 };

function resolve(book: SeriesBook, thing: string, field: string, type: "number" | "string" = "number"): number {
  return book.resolve(book.measurement(thing, "m"), field, type);
}

describe("series", () => {
  test("the same name is the same series; another type is another one", () => {
    const book = new SeriesBook(limits);
    assert.equal(resolve(book, "a", "x"), 0);
    assert.equal(resolve(book, "b", "x"), 1);
    assert.equal(resolve(book, "a", "x"), 0);
    assert.equal(resolve(book, "a", "x", "string"), 2);
    assert.deepEqual(
      book.takeNew().map(({ id }) => id),
      [0, 1, 2],
    );
    assert.deepEqual(book.takeNew(), []);
    assert.deepEqual(
      book.find("a", "m", ["x"]).map(({ type }) => type),
      ["number", "string"],
    );
    assert.deepEqual(book.find("a", "other", null), []);
    assert.deepEqual(book.find("c", null, null), []);
  });

  test("a thing with too many, and too many in all, get no new ones; known ones go on", () => {
    const book = new SeriesBook(limits);
    const ids = ["1", "2", "3", "4", "5"].map((field) => resolve(book, "a", field));
    assert.deepEqual(ids, [0, 1, 2, 3, -1]);
    assert.deepEqual(
      ["1", "2", "3"].map((field) => resolve(book, "b", field)),
      [4, 5, -1],
    );
    assert.equal(resolve(book, "c", "1"), -1);
    assert.equal(resolve(book, "a", "2"), 1);
  });

  test("names that never got a series are not remembered", () => {
    const book = new SeriesBook({ seriesMax: 0, seriesPerThingMax: 4 });
    for (let i = 0; i < 100; i++) resolve(book, `thing-${i}`, "x");
    assert.equal(book.thingCount, 0);
    assert.deepEqual(book.things(), []);
  });

  test("saved series come back in their order only", () => {
    const book = new SeriesBook(limits);
    book.load(0, { thing: "a", measurement: "m", field: "x", type: "number" });
    assert.deepEqual(book.takeNew(), []);
    assert.equal(resolve(book, "a", "x"), 0);
    assert.throws(() => book.load(2, { thing: "a", measurement: "m", field: "y", type: "number" }), /series 2/);
  });
});

describe("latest values", () => {
  test("the newest by time; of equal times the one that arrived last; an old one changes nothing", () => {
    const book = new SeriesBook(limits);
    const latest = new LatestBook(book);
    const x = resolve(book, "a", "x");
    const batch = new PointBatch();
    for (const [time, value] of [
      [5, 1],
      [9, 2],
      [9, 3],
      [7, 4],
    ] as const)
      batch.add(x, time, value);
    latest.apply(batch);
    assert.deepEqual(latest.of("a"), [{ measurement: "m", field: "x", value: 3, time: 9 }]);
    const copy = new LatestBook(book);
    for (const row of latest.rows()) copy.load(row);
    assert.deepEqual(copy.of("a"), latest.of("a"));
  });
});

describe("a batch", () => {
  test("grows, is emptied, and gives a large memory back", () => {
    const batch = new PointBatch();
    for (let i = 0; i < 100_000; i++) batch.add(i, i * 2, i * 3);
    batch.addText(1, 2, "x");
    assert.equal(batch.rows, 100_001);
    assert.deepEqual([batch.series[99_999], batch.times[99_999], batch.values[99_999]], [99_999, 199_998, 299_997]);
    batch.clear();
    assert.equal(batch.rows, 0);
    assert.ok(batch.series.length < 100_000);
  });
});
