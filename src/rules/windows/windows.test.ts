import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Run, T0, reading } from "./windows.fixture.ts";
import type { Reading } from "./windows.fixture.ts";

/** Readings of one device with values at seconds. */
function series(...values: readonly (readonly [second: number, x: number])[]): Reading[] {
  return values.map(([second, x]) => reading("d", second, { x }));
}

const at = (second: number): number => T0 + second * 1000;

describe("TUMBLE", () => {
  const SQL = "SELECT topic(2) AS d, avg(x) AS a, count(*) AS n, window_start() AS s FROM 'a/+/b' GROUP BY topic(2), ";

  test("a window is told when the log's time has passed its end and the lateness", () => {
    const run = new Run(`${SQL}TUMBLE('1 min') LATENESS '5 s'`);
    run.take(series([0, 1], [30, 3], [59, 5], [61, 100]));
    assert.deepEqual(run.said(), []);
    run.tick(64.999);
    assert.deepEqual(run.said(), []);
    run.tick(65);
    assert.deepEqual(run.said(), [{ d: "d", a: 3, n: 3, s: at(0) }]);
    run.take(series([125, 7]));
    assert.deepEqual(run.said(), [{ d: "d", a: 100, n: 1, s: at(60) }]);
  });

  test("groups are apart, and one that has nothing says nothing", () => {
    const run = new Run(`${SQL}TUMBLE('1 min') LATENESS '0 s'`);
    run.take([reading("p", 1, { x: 1 }), reading("q", 2, { x: 10 }), reading("p", 3, { x: 2 })]).tick(180);
    assert.deepEqual(run.said(), [
      { d: "p", a: 1.5, n: 2, s: at(0) },
      { d: "q", a: 10, n: 1, s: at(0) },
    ]);
    assert.equal(run.state.keys, 0, "nothing is kept of keys without a window");
  });

  test("what comes late counts while its window is open, and is counted and dropped afterwards", () => {
    const run = new Run(`${SQL}TUMBLE('1 min') LATENESS '10 s'`);
    run.take([
      reading("d", 50, { x: 1 }),
      reading("d", 65, { x: 3, ts: at(58) }),
      reading("d", 69, { x: 5, ts: at(1) }),
    ]);
    run.take([reading("d", 70, { x: 1000, ts: at(59) })]);
    assert.deepEqual(run.said(), [{ d: "d", a: 3, n: 3, s: at(0) }]);
    assert.equal(run.state.counts.late, 1);
  });

  test("an offset moves the borders", () => {
    const run = new Run(`${SQL}TUMBLE('1 min', '20 s') LATENESS '0 s'`);
    run.take(series([19, 1], [20, 2], [79, 4], [80, 9])).tick(200);
    assert.deepEqual(
      run.said().map((value) => (value as { a: number }).a),
      [1, 3, 9],
    );
  });

  test("HAVING keeps back; a group without a value is left out", () => {
    const run = new Run("SELECT max(x) AS m FROM '#' WHERE x > 0 GROUP BY room, TUMBLE('1 min') HAVING max(x) > 5");
    run.take([
      reading("d", 1, { x: 9 }),
      reading("d", 1, { x: 3, room: 1 }),
      reading("d", 1, { x: 6, room: "1" }),
      reading("d", 1, { x: -7, room: 2 }),
    ]);
    run.tick(100);
    assert.deepEqual(
      run.outcomes.map(({ matched, value }) => [matched, value]),
      [
        [false, null],
        [true, { m: 6 }],
      ],
    );
    assert.equal(run.state.counts.keyless, 1);
  });

  test("EMIT CHANGES tells after each message what is there so far, late ones too, and nothing at the end", () => {
    const run = new Run(`${SQL}TUMBLE('1 min') LATENESS '10 s' EMIT CHANGES`);
    run.take([reading("d", 1, { x: 1 }), reading("d", 2, { x: 3 }), reading("d", 66, { x: 5, ts: at(3) })]).tick(300);
    const ids = new Set(run.outcomes.map(({ id }) => id));
    assert.equal(ids.size, 3);
    assert.deepEqual(
      run.said().map((value) => (value as { a: number }).a),
      [1, 2, 3],
    );
  });

  test("without a group all messages are one", () => {
    const run = new Run("SELECT sum(x) AS s, distinct(thing()) AS d FROM '#' GROUP BY TUMBLE('1 min')");
    run.take([reading("p", 1, { x: 1 }), reading("q", 2, { x: 2 })]).tick(100);
    assert.deepEqual(
      run.outcomes.map(({ thing, topic }) => [thing, topic]),
      [[null, "a/q/b"]],
    );
    assert.deepEqual(run.said(), [{ s: 3, d: 2 }]);
  });

  test("a time that cannot be right is passed over for the time of acceptance", () => {
    const run = new Run(`${SQL}TUMBLE('1 min')`);
    const far = T0 + 30 * 86_400_000;
    run.take([
      reading("d", 1, { x: 1, ts: 5 }),
      reading("d", 2, { x: 3, ts: far }),
      reading("d", 3, { x: 5, ts: "soon" }),
    ]);
    run.tick(100);
    assert.deepEqual(run.said(), [{ d: "d", a: 3, n: 3, s: at(0) }]);
  });

  test("TIMESTAMP BY says which time counts", () => {
    const run = new Run(
      "SELECT count(*) AS n FROM '#' TIMESTAMP BY measured.at GROUP BY TUMBLE('1 min') LATENESS '2 min'",
    );
    run.take([
      reading("d", 61, { measured: { at: "2026-01-01T00:00:30Z" } }),
      reading("d", 62, { measured: { at: at(59) }, ts: at(62) }),
      reading("d", 63, { measured: {} }),
    ]);
    run.tick(400);
    assert.deepEqual(run.said(), [{ n: 2 }, { n: 1 }]);
  });
});

describe("HOP", () => {
  test("a message counts in all windows that it falls into", () => {
    const run = new Run("SELECT sum(x) AS s, window_end() AS e FROM '#' GROUP BY HOP('30 s', '10 s') LATENESS '0 s'");
    run.take(series([5, 1], [15, 10], [25, 100])).tick(120);
    assert.deepEqual(run.said(), [
      { s: 1, e: at(10) },
      { s: 11, e: at(20) },
      { s: 111, e: at(30) },
      { s: 110, e: at(40) },
      { s: 100, e: at(50) },
    ]);
    assert.equal(run.state.keys, 0);
  });

  test("a late message changes only windows that are open", () => {
    const run = new Run("SELECT sum(x) AS s, window_end() AS e FROM '#' GROUP BY HOP('30 s', '10 s') LATENESS '5 s'");
    run.take([reading("d", 26, { x: 1, ts: at(2) })]).tick(120);
    // Ends at 10 and 20 were closed at 15 and 25.
    assert.deepEqual(run.said(), [{ s: 1, e: at(30) }]);
  });

  test("size and step without a common measure", () => {
    const run = new Run(
      "SELECT count(*) AS n, window_start() AS s FROM '#' GROUP BY HOP('25 s', '10 s') LATENESS '0 s'",
    );
    run.take(series([1, 1], [24, 1])).tick(120);
    const base = T0 - 20_000;
    assert.deepEqual(run.said(), [
      { n: 1, s: base },
      { n: 1, s: base + 10_000 },
      { n: 2, s: base + 20_000 },
      { n: 1, s: base + 30_000 },
      { n: 1, s: base + 40_000 },
    ]);
  });
});

describe("SLIDE", () => {
  test("each message gives the time up to it", () => {
    const run = new Run("SELECT sum(x) AS s, count(*) AS n FROM '#' GROUP BY thing(), SLIDE('10 s')");
    run.take(series([0, 1], [5, 2], [9, 4], [10, 8], [30, 16]));
    assert.deepEqual(run.said(), [
      { s: 1, n: 1 },
      { s: 3, n: 2 },
      { s: 7, n: 3 },
      { s: 14, n: 3 },
      { s: 16, n: 1 },
    ]);
    run.tick(100);
    assert.equal(run.state.keys, 0);
  });

  test("one out of order finds those before it, and is found by those after it", () => {
    const run = new Run("SELECT sum(x) AS s FROM '#' GROUP BY thing(), SLIDE('10 s')");
    run.take([reading("d", 8, { x: 1 }), reading("d", 9, { x: 10, ts: at(4) }), reading("d", 10, { x: 100 })]);
    assert.deepEqual(run.said(), [{ s: 1 }, { s: 10 }, { s: 111 }]);
  });
});

describe("SESSION", () => {
  const SQL = "SELECT count(*) AS n, window_start() AS s, window_end() AS e FROM '#' GROUP BY thing(), ";

  test("ends when nothing came for the gap", () => {
    const run = new Run(`${SQL}SESSION('10 s') LATENESS '0 s'`);
    run.take(series([0, 1], [9, 1], [18, 1], [28, 1])).tick(40);
    assert.deepEqual(run.said(), [
      { n: 3, s: at(0), e: at(28) },
      { n: 1, s: at(28), e: at(38) },
    ]);
  });

  test("a late message joins two sessions", () => {
    const run = new Run(`${SQL}SESSION('10 s') LATENESS '1 min'`);
    run.take([reading("d", 0, { x: 1 }), reading("d", 15, { x: 1 }), reading("d", 16, { x: 1, ts: at(8) })]).tick(200);
    assert.deepEqual(run.said(), [{ n: 3, s: at(0), e: at(25) }]);
  });

  test("a longest one is cut", () => {
    const run = new Run(`${SQL}SESSION('10 s', '20 s') LATENESS '0 s'`);
    run.take(series([0, 1], [8, 1], [16, 1], [24, 1])).tick(60);
    assert.deepEqual(run.said(), [
      { n: 3, s: at(0), e: at(20) },
      { n: 1, s: at(24), e: at(34) },
    ]);
  });
});

describe("COUNT", () => {
  test("side by side, and overlapping", () => {
    const five = series([0, 1], [1, 2], [2, 4], [3, 8], [4, 16], [5, 32]);
    const apart = new Run("SELECT sum(x) AS s FROM '#' GROUP BY COUNT(3)").take(five);
    assert.deepEqual(apart.said(), [{ s: 7 }, { s: 56 }]);
    const overlapping = new Run("SELECT sum(x) AS s FROM '#' GROUP BY COUNT(4, 2)").take(five);
    assert.deepEqual(overlapping.said(), [{ s: 15 }, { s: 60 }]);
    const each = new Run("SELECT sum(x) AS s FROM '#' GROUP BY COUNT(2, 1)").take(five);
    assert.deepEqual(each.said(), [{ s: 3 }, { s: 6 }, { s: 12 }, { s: 24 }, { s: 48 }]);
  });
});

describe("aggregates", () => {
  const value = (call: string, readings: readonly Reading[]): unknown => {
    const run = new Run(`SELECT ${call} AS v FROM '#' GROUP BY TUMBLE('1 min')`).take(readings).tick(300);
    return (run.said()[0] as { v?: unknown }).v;
  };

  test("of a handful of numbers", () => {
    const readings = series([0, 4], [10, 1], [20, 9], [30, 2]);
    const rows: readonly (readonly [call: string, result: unknown])[] = [
      ["avg(x)", 4],
      ["min(x)", 1],
      ["max(x)", 9],
      ["sum(x)", 16],
      ["count(*)", 4],
      ["count(y)", 0],
      ["first(x)", 4],
      ["last(x)", 2],
      ["median(x)", 3],
      ["percentile(x, 0)", 1],
      ["percentile(x, 100)", 9],
      ["percentile(x, 50)", 3],
      ["distinct(x > 2)", 2],
      ["delta(x)", -2],
      ["rate(x)", -2 / 30],
      ["time_weighted_avg(x)", (4 * 10 + 1 * 10 + 9 * 10 + 2 * 30) / 60],
      ["avg(y)", undefined],
      ["sum(y)", undefined],
      ["min(y)", undefined],
      ["median(y)", undefined],
      ["distinct(y)", 0],
      ["stddev(y)", undefined],
      ["round(avg(x) * 10) + count(*)", 44],
    ];
    for (const [call, result] of rows) assert.deepEqual(value(call, readings), result, call);
    const spread = value("stddev(x)", readings) as number;
    assert.ok(Math.abs(spread - Math.sqrt((0 + 9 + 25 + 4) / 3)) < 1e-12, String(spread));
    assert.equal(value("stddev(x)", series([0, 5])), undefined);
  });

  test("numeric strings count, other things do not; first and last take any value", () => {
    const readings = ["5", "x", true, null, 3, { a: 1 }].map((x, i) => reading("d", i, { x }));
    assert.equal(value("sum(x)", readings), 8);
    assert.equal(value("count(x)", readings), 5);
    assert.deepEqual(value("last(x)", readings), { a: 1 });
    assert.equal(value("first(x)", readings), "5");
    assert.equal(value("distinct(x)", readings), 5);
  });

  test("by event time where messages are out of order", () => {
    const readings = [
      reading("d", 30, { x: 3 }),
      reading("d", 31, { x: 1, ts: at(10) }),
      reading("d", 32, { x: 2, ts: at(20) }),
    ];
    assert.equal(value("first(x)", readings), 1);
    assert.equal(value("last(x)", readings), 3);
    assert.equal(value("delta(x)", readings), 2);
    assert.equal(value("time_weighted_avg(x)", readings), (1 * 10 + 2 * 10 + 3 * 30) / 50);
  });

  test("many values: percentiles within 1 %, distinct within 5 %", () => {
    const readings = Array.from({ length: 50_000 }, (_, i) => reading("d", i / 1000, { x: (i * 7919) % 50_000 }));
    for (const p of [1, 25, 50, 90, 99]) {
      const estimate = value(`percentile(x, ${p})`, readings) as number;
      assert.ok(Math.abs(estimate / (500 * p) - 1) < 0.011, `${p}: ${estimate}`);
    }
    const distinct = value("distinct(x)", readings) as number;
    assert.ok(Math.abs(distinct / 50_000 - 1) < 0.05, String(distinct));
    const mean = value("time_weighted_avg(x)", readings) as number;
    assert.ok(mean > 0);
  });
});

describe("functions of a key", () => {
  test("see every message of the key, also those that WHERE refuses", () => {
    const run = new Run("SELECT x, lag(x) AS l, lag(x, 2) AS l2 FROM '#' WHERE x > lag(x)");
    run.take([...series([0, 1], [1, 5], [2, 3], [3, 4]), reading("e", 4, { x: 9 })]);
    assert.deepEqual(run.said(), [
      { x: 5, l: 1 },
      { x: 4, l: 3, l2: 5 },
    ]);
  });

  test("changed is true for the first value and where it differs", () => {
    const run = new Run("SELECT s FROM '#' WHERE changed(s)");
    run.take(["on", "on", "off", undefined, "off", "on"].map((s, i) => reading("d", i, s === undefined ? {} : { s })));
    assert.deepEqual(run.said(), [{ s: "on" }, { s: "off" }, { s: "on" }]);
  });

  test("ewma by share and by half-life", () => {
    const run = new Run("SELECT ewma(x, 0.5) AS e, ewma(x, '10 s') AS h FROM '#'");
    run.take(series([0, 0], [10, 8], [30, 8]));
    assert.deepEqual(run.said(), [
      { e: 0, h: 0 },
      { e: 4, h: 4 },
      { e: 6, h: 7 },
    ]);
  });

  test("zscore compares with the values before", () => {
    const run = new Run("SELECT zscore(x, 3) AS z FROM '#' GROUP BY topic(2)");
    run.take(series([0, 1], [1, 2], [2, 3], [3, 5], [4, 3]));
    const scores = run.said().map((value) => (value as { z?: number }).z?.toFixed(6));
    assert.deepEqual(scores, [undefined, undefined, "2.121320", "3.000000", "-0.218218"]);
  });

  test("may stand in a window's arguments", () => {
    const run = new Run(
      "SELECT sum(x - lag(x)) AS s, count(*) AS n FROM '#' WHERE changed(x) GROUP BY thing(), TUMBLE('1 min')",
    );
    run.take(series([0, 1], [1, 1], [2, 4], [3, 10])).tick(100);
    assert.deepEqual(run.said(), [{ s: 9, n: 3 }]);
  });
});

describe("FOR", () => {
  const SQL = "SELECT topic(2) AS d, x FROM '#' WHERE x > 30 FOR '5 min'";

  test("fires once when it has held for so long, by a message or by time", () => {
    const run = new Run(SQL).take(series([0, 31], [100, 35], [299, 36]));
    assert.deepEqual(run.said(), []);
    run.take(series([300, 40], [400, 41]));
    assert.deepEqual(run.said(), [{ d: "d", x: 36 }], "time comes before the message");
    const silent = new Run(SQL).take(series([0, 31], [100, 35])).tick(299);
    assert.deepEqual(silent.said(), []);
    silent.tick(300);
    assert.deepEqual(silent.said(), [{ d: "d", x: 35 }], "the last message speaks");
    assert.deepEqual(silent.tick(9000).said(), []);
  });

  test("an interruption begins it anew; a message without the value does not interrupt", () => {
    const run = new Run(SQL).take([...series([0, 31], [200, 30], [250, 31]), reading("d", 300, { y: 1 })]).tick(549);
    assert.deepEqual(run.said(), []);
    assert.deepEqual(run.tick(550).said(), [{ d: "d", x: 31 }]);
    run.take(series([600, 3], [700, 50])).tick(1000);
    assert.deepEqual(run.said(), [{ d: "d", x: 50 }]);
  });

  test("readings that arrive hours late are judged by their own time", () => {
    const late = (second: number, x: number): Reading => reading("d", 7200, { x, ts: at(second) });
    assert.deepEqual(new Run(SQL).take([late(0, 31), late(60, 31), late(120, 3)]).said(), []);
    assert.deepEqual(new Run(SQL).take([late(0, 31), late(60, 32), late(310, 33)]).said(), [{ d: "d", x: 33 }]);
  });
});

describe("ABSENT FOR", () => {
  const SQL = "SELECT topic(2) AS d, x FROM '#' WHERE x > 0 ABSENT FOR '2 min'";

  test("tells once of each silence, with the last message", () => {
    const run = new Run(SQL).take([reading("p", 0, { x: 1 }), reading("q", 60, { x: 2 }), reading("p", 100, { x: 0 })]);
    assert.deepEqual(run.tick(119).said(), []);
    assert.deepEqual(run.tick(120).said(), [{ d: "p", x: 1 }]);
    assert.deepEqual(run.tick(180).said(), [{ d: "q", x: 2 }]);
    assert.deepEqual(run.tick(9000).said(), []);
    assert.equal(run.state.keys, 0);
    run.take([reading("p", 9001, { x: 3 })]);
    assert.deepEqual(run.tick(9121).said(), [{ d: "p", x: 3 }]);
  });

  test("silence ends before the message that ends it", () => {
    const run = new Run(SQL).take([reading("p", 0, { x: 1 }), reading("p", 500, { x: 2 })]);
    assert.deepEqual(
      run.outcomes.map(({ matched, due, offset }) => [matched, due, offset]),
      [
        [false, null, 0],
        [true, at(120), 1],
        [false, null, 1],
      ],
    );
  });
});

describe("THEN … WITHIN", () => {
  const door = (second: number, door: string): Reading => reading("d", second, { door });

  test("fires on the last step, once, within the time from the latest first step", () => {
    const run = new Run("SELECT door FROM '#' WHERE door = 'open' THEN door = 'shut' WITHIN '30 s'");
    run.take([
      door(0, "shut"),
      door(1, "open"),
      door(40, "shut"),
      door(50, "open"),
      door(60, "open"),
      door(90, "shut"),
    ]);
    assert.deepEqual(
      run.outcomes.filter(({ matched }) => matched).map(({ time }) => time),
      [at(90)],
    );
  });

  test("several steps, other messages between", () => {
    const run = new Run("SELECT door FROM '#' WHERE door = 'a' THEN door = 'b' THEN door = 'c' WITHIN '30 s'");
    run.take([door(0, "a"), door(1, "c"), door(2, "b"), door(3, "x"), door(4, "c"), door(5, "c")]);
    assert.deepEqual(
      run.outcomes.filter(({ matched }) => matched).map(({ time }) => time),
      [at(4)],
    );
  });
});

describe("bounds", () => {
  test("the keys that were not seen for longest go, and are counted", () => {
    const run = new Run("SELECT count(*) AS n FROM '#' GROUP BY thing(), TUMBLE('1 h')", { windowKeysMax: 16 });
    for (let i = 0; i < 20; i++) run.take([reading(`d${i}`, i, { x: 1 })]);
    assert.equal(run.state.keys, 16);
    assert.equal(run.state.counts.evicted, 4);
    run.tick(9000);
    assert.deepEqual(
      run.outcomes.map(({ key }) => key),
      Array.from({ length: 16 }, (_, i) => `d${i + 4}`),
    );
  });

  test("memory is bounded", () => {
    const run = new Run("SELECT last(x) AS l FROM '#' GROUP BY thing(), TUMBLE('1 h')", { windowBytesMax: 200_000 });
    const x = "x".repeat(1000);
    for (let i = 0; i < 3000; i++) run.take([reading(`d${i}`, i / 1000, { x })]);
    assert.ok(run.state.counts.evicted > 0);
    run.take([reading("d", 4, { x })], 4096);
    assert.ok(run.state.bytes <= 202_000, String(run.state.bytes));
  });

  test("a key with too many windows open takes no more", () => {
    const run = new Run("SELECT count(*) AS n FROM '#' GROUP BY TUMBLE('1 s') LATENESS '0 s'", { windowOpenMax: 10 });
    for (let i = 0; i < 20; i++) run.take([reading("d", 0, { ts: at(i) })]);
    assert.equal(run.state.counts.crowded, 10);
  });
});
