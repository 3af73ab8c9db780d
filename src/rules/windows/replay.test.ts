/** The same log gives the same output, whatever the ticks, crashes and moves: the promise of `rule-state.ts`. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { LIMITS } from "../../base/mod.ts";
import type { Outcome } from "./rule-state.ts";
import { readHeader } from "./snapshot.ts";
import type { StateSnapshot } from "./snapshot.ts";
import { StateUnreadable } from "./state-codec.ts";
import type { StateSave } from "./state-save.ts";
import { Run, T0, inputOf } from "./windows.fixture.ts";
import type { Reading } from "./windows.fixture.ts";

const STATEMENTS: readonly string[] = [
  "SELECT topic(2) AS d, avg(x) AS a, min(x) AS lo, max(x) AS hi, stddev(x) AS sd FROM '#' GROUP BY topic(2), TUMBLE('10 s') LATENESS '4 s'",
  "SELECT first(x) AS f, last(x) AS l, count(x) AS n, delta(x) AS d, rate(x) AS r FROM '#' WHERE x > 2 GROUP BY thing(), HOP('20 s', '5 s') HAVING count(*) > 1 LATENESS '3 s'",
  "SELECT median(x) AS m, distinct(x) AS d, time_weighted_avg(x) AS t FROM '#' GROUP BY thing(), SESSION('6 s', '30 s') LATENESS '2 s'",
  "SELECT percentile(x, 90) AS p, sum(x) AS s FROM '#' GROUP BY COUNT(6, 4)",
  "SELECT avg(x) AS a, last(x) AS l FROM '#' GROUP BY thing(), SLIDE('8 s')",
  "SELECT sum(x) AS s FROM '#' GROUP BY TUMBLE('10 s') EMIT CHANGES",
  "SELECT x, lag(x, 2) AS l, ewma(x, '5 s') AS e, zscore(x, 4) AS z FROM '#' WHERE changed(x)",
  "SELECT x FROM '#' WHERE x > 4 FOR '7 s'",
  "SELECT x, topic(2) AS d FROM '#' ABSENT FOR '9 s'",
  "SELECT x FROM '#' WHERE x > 7 THEN x < 3 WITHIN '12 s'",
];

/** Keys per page, so that a handful of keys makes several. */
const FEW = 2;
const LIMITED = { windowKeysMax: 5, windowBytesMax: 60_000, windowOpenMax: 12 };

/** Messages in the order of the log: time of acceptance goes on, event time is anywhere near. */
const logs: fc.Arbitrary<Reading[]> = fc
  .array(
    fc.record({
      thing: fc.constantFrom("a", "b", "c", "d", "e", "f", "g"),
      wait: fc.oneof(fc.nat({ max: 3_000 }), fc.nat({ max: 20_000 })),
      behind: fc.oneof(fc.constant(null), fc.integer({ min: -2_000, max: 15_000 })),
      x: fc.integer({ min: 0, max: 10 }),
    }),
    { minLength: 1, maxLength: 80 },
  )
  .map((steps) => {
    let now = T0;
    return steps.map(({ thing, wait, behind, x }) => {
      now += wait;
      const json = behind === null ? { x } : { x, ts: now - behind };
      return { topic: `a/${thing}`, thing, receivedAt: now, json };
    });
  });

/** `begin`, `page` and `commit` are one save in slices. */
type Step = "message" | "tick" | "save" | "begin" | "page" | "commit" | "crash" | "move";
const happening: readonly Step[] = ["tick", "save", "begin", "begin", "page", "page", "commit", "crash", "move"];
const steps = fc.array(fc.constantFrom<Step>("message", "message", "message", "message", ...happening), {
  maxLength: 250,
  size: "max",
});

/** What is told, without what one process knows only. */
function told(outcomes: readonly Outcome[]): string[] {
  return outcomes.map((outcome) => JSON.stringify(outcome));
}

/** A disk: what was saved last, page by page; and pages of a save that has not come to its end. */
class Disk {
  #header: Uint8Array | null = null;
  readonly #pages = new Map<number, Uint8Array>();
  readonly #staged = new Map<number, Uint8Array>();

  stage([page, body]: readonly [number, Uint8Array]): void {
    this.#staged.set(page, body);
  }

  commit({ header, pages }: StateSave): void {
    this.save({ header, pages: pages.map((page) => [page, this.#staged.get(page)!] as const) });
  }

  save({ header, pages }: StateSnapshot, replaces = false): void {
    this.#header = header;
    if (replaces) this.#pages.clear();
    for (const [page, body] of pages) this.#pages.set(page, body);
  }

  get saved(): StateSnapshot | null {
    return this.#header === null ? null : { header: this.#header, pages: [...this.#pages] };
  }
}

/** Runs the log with all that may happen between; returns what was told, each thing once. */
function eventful(sql: string, log: readonly Reading[], happenings: readonly Step[]): string[] {
  let run = new Run(sql, LIMITED, FEW);
  const disk = new Disk();
  let save = null as StateSave | null;
  const all = new Set<string>();
  const collect = (): void => {
    for (const line of told(run.outcomes)) all.add(line);
    run.outcomes.length = 0;
  };
  const message = (): void => {
    const next = run.state.position;
    if (next < log.length) run.state.handle(next, inputOf(log[next]!));
  };
  const another = (snapshot: StateSnapshot | null): void => {
    collect();
    save = null;
    run = new Run(sql, LIMITED, FEW);
    if (snapshot !== null) run.state.restore(snapshot);
  };
  for (const step of happenings) {
    if (step === "message") message();
    else if (step === "tick") {
      // Somewhere before the next message: never later than it was accepted.
      const next = log[run.state.position]?.receivedAt;
      if (next !== undefined) run.state.tick(Math.max(run.state.now, next - (run.state.position % 5) * 700));
    } else if (step === "save") disk.save(run.state.snapshot("changes"));
    else if (step === "begin") save = save?.isOver === false ? save : run.state.beginSave();
    else if (step === "page") {
      const page = save?.isOver === false ? save.next() : null;
      if (page !== null) disk.stage(page);
    } else if (step === "commit") {
      if (save?.isOver !== false || !save.isWritten) continue;
      disk.commit(save);
      run.state.endSave(true);
    } else if (step === "crash") another(disk.saved);
    else if (step === "move") {
      another(run.state.snapshot("everything"));
      // What moves is saved whole where it arrives, in place of whatever was there.
      disk.save(run.state.snapshot("everything"), true);
    }
  }
  while (run.state.position < log.length) message();
  run.state.tick(T0 + 10_000_000);
  collect();
  return [...all];
}

describe("one log, one output", () => {
  for (const sql of STATEMENTS) {
    test(sql, () => {
      fc.assert(
        fc.property(logs, steps, (log, happenings) => {
          const calm = new Run(sql, LIMITED, FEW).take(log);
          calm.state.tick(T0 + 10_000_000);
          const lines = told(calm.outcomes);
          assert.equal(new Set(lines).size, lines.length, "each thing is told once");
          assert.deepEqual(eventful(sql, log, happenings).sort(), lines.sort());
        }),
        { numRuns: 60 },
      );
    });
  }

  test("restored state weighs what it did, and is written as it was read", () => {
    for (const sql of STATEMENTS) {
      fc.assert(
        fc.property(logs, (log) => {
          const run = new Run(sql).take(log);
          const snapshot = run.state.snapshot("everything");
          const again = new Run(sql);
          again.state.restore(snapshot);
          assert.equal(again.state.bytes, run.state.bytes, sql);
          const kept = again.state.snapshot("everything");
          assert.deepEqual(kept.header, snapshot.header);
          assert.deepEqual(kept.pages, snapshot.pages.slice(0, kept.pages.length), "empty pages at the end are gone");
          assert.deepEqual(again.state.counts, run.state.counts);
        }),
        { numRuns: 20 },
      );
    }
  });
});

describe("windows are what they say", () => {
  test("HOP: every window has exactly the messages that came before it was closed", () => {
    const sql = "SELECT sum(x) AS s, count(*) AS n FROM '#' GROUP BY thing(), HOP('20 s', '5 s') LATENESS '3 s'";
    fc.assert(
      fc.property(logs, (log) => {
        const expected = new Map<string, { s: number; n: number }>();
        for (const { thing, receivedAt, json } of log) {
          const { x, ts = receivedAt } = json as { x: number; ts?: number };
          for (let start = Math.floor(ts / 5_000) * 5_000; start > ts - 20_000; start -= 5_000) {
            if (start + 23_000 <= receivedAt) continue;
            const id = `${thing}.${start}.${start + 20_000}`;
            const { s, n } = expected.get(id) ?? { s: 0, n: 0 };
            expected.set(id, { s: s + x, n: n + 1 });
          }
        }
        const run = new Run(sql).take(log);
        run.state.tick(T0 + 10_000_000);
        const results = run.outcomes.map(({ id, value }) => [id, value] as const);
        assert.deepEqual(new Map(results), expected);
        const dues = run.outcomes.map(({ due }) => due!);
        assert.deepEqual(
          dues,
          dues.toSorted((a, b) => a - b),
          "in the order of their time",
        );
      }),
    );
  });
});

describe("saved state of other versions", () => {
  const sql = "SELECT topic(2) AS d, sum(x) AS s FROM '#' GROUP BY topic(2), TUMBLE('10 s')";
  const bytes = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, "base64"));

  test("version 1, whose pages had 256 keys, goes on", () => {
    const header =
      "AQAAADMAAABGUk9NICMgR1JPVVAgQlkgdG9waWMoMiksIFRVTUJMRSgnMTAgcycpIDogc3VtKHgpIHwAAAAAAAAIQAAAAAAAAAhAACCAqm23eU" +
      "IAAAAAAAAIQAMAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAElaGA0=";
    const page =
      "AwAAAAAAAAABAAAAYQMAAABhL2ECAAAAAQAAAGEAAICqbbd5QgAAAAAAAAAAAIBHqW23eUIBAAAAAACAqm23eUIAAICqbbd5QgEAAAAAAAAAAA" +
      "DwPwAAAAAAAPA/AQAAAAEAAABiAwAAAGEvYgIAAAABAAAAYgAQgKptt3lCAAAAAAAA8D8AkEepbbd5QgEAAAAAAICqbbd5QgAAgKptt3lCAQAA" +
      "AAAAAAAAAABAAAAAAAAA8D8CAAAAAQAAAGMDAAAAYS9jAgAAAAEAAABjACCAqm23eUIAAAAAAAAAQACgR6ltt3lCAQAAAAAAgKptt3lCAACAqm" +
      "23eUIBAAAAAAAAAAAACEAAAAAAAADwP2pwFcY=";
    const run = new Run(sql);
    run.state.restore({ header: bytes(header), pages: [[0, bytes(page)]] });
    run.tick(60);
    assert.deepEqual(run.said(), [
      { d: "a", s: 1 },
      { d: "b", s: 2 },
      { d: "c", s: 3 },
    ]);
  });

  test("pages of another size are read, and written anew", () => {
    const log = Array.from({ length: 90 }, (_, i): Reading => {
      return { topic: `a/${i}`, thing: `${i}`, receivedAt: T0, json: { x: i } };
    });
    const few = new Run(sql, {}, FEW).take(log);
    const many = new Run(sql);
    many.state.restore(few.state.snapshot("everything"));
    assert.deepEqual(many.state.snapshot("everything"), new Run(sql).take(log).state.snapshot("everything"));
  });
});

describe("saved state that cannot be used", () => {
  const sql = STATEMENTS[0]!;
  const log: Reading[] = Array.from({ length: 40 }, (_, i) => {
    return { topic: `a/${i}`, thing: `${i}`, receivedAt: T0 + i, json: { x: i } };
  });

  test("every single bit that is wrong is noticed", () => {
    const { header, pages } = new Run(sql).take(log).state.snapshot("everything");
    for (const at of [0, 5, header.length - 1]) {
      const wrong = header.slice();
      wrong[at]! ^= 1;
      assert.throws(() => new Run(sql).state.restore({ header: wrong, pages }), StateUnreadable);
    }
    const [[page, body]] = pages as [[number, Uint8Array]];
    for (let at = 0; at < body.length; at += 97) {
      const wrong = body.slice();
      wrong[at]! ^= 0x10;
      assert.throws(() => new Run(sql).state.restore({ header, pages: [[page, wrong]] }), StateUnreadable);
    }
    assert.throws(() => new Run(sql).state.restore({ header, pages: [] }), /keys/);
  });

  test("the state of another statement is refused; that of one that makes something else of it is taken", () => {
    const snapshot = new Run(sql).take(log).state.snapshot("everything");
    assert.throws(() => new Run(sql.replace("10 s", "20 s")).state.restore(snapshot), /another statement/);
    const other = new Run(sql.replace("avg(x) AS a", "avg(x) * 2 AS twice"));
    other.state.restore(snapshot);
    assert.equal(other.state.keys, 40);
  });

  test("where the log is needed from stands in the header", () => {
    const { header } = new Run(sql).take(log).state.snapshot("changes");
    assert.equal(readHeader(header).position, 40);
  });

  test("changes that could not be saved are in the next snapshot", () => {
    const run = new Run(sql, LIMITS.windows).take(log);
    const lost = run.state.snapshot("changes");
    assert.equal(run.state.snapshot("changes").pages.length, 0);
    run.state.unsaved(lost);
    assert.deepEqual(run.state.snapshot("changes").pages, lost.pages);
  });
});
