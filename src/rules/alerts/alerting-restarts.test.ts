/** What is concluded from time: silence, clocks that leap, crashes, upgrades. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { minutes, seconds } from "../../base/mod.ts";
import { OPS, planOf, world } from "./alerting.fixture.ts";

describe("silence of a thing", () => {
  test("raised when nothing was heard for so long, resolved by the next word", () => {
    const w = world();
    w.hear("alive", "pi-1", minutes(2));
    w.pass(minutes(3));
    assert.equal(w.alert().source, "absent");
    assert.equal(w.alert().raisedAt, w.clock.now() - minutes(1));
    assert.deepEqual(w.told(), ["ops firing: alive: pi-1 is silent"]);
    w.hear("alive", "pi-1", minutes(2));
    assert.equal(w.alert().state, "resolved");
    w.pass(minutes(6));
    assert.equal(w.alert().raisedAt, w.clock.now() - minutes(4), "and again");
  });

  test("who never spoke is not missed; a word every minute keeps it quiet", () => {
    const w = world();
    for (let i = 0; i < 30; i++) {
      w.hear("alive", "pi-1", minutes(2));
      w.pass(minutes(1));
    }
    assert.deepEqual(w.told(), []);
    assert.ok(w.written < 70, `${w.written} rows`);
  });

  test("after a restart everybody has his time anew, and a replayed word is none", () => {
    const w = world();
    w.watched.add("alive");
    w.hear("alive", "pi-1", minutes(2), 5);
    w.pass(minutes(1));
    w.crash();
    w.pass(seconds(110));
    assert.equal(w.alerting.activeCount(), 0);
    w.pass(seconds(20));
    assert.equal(w.alerting.activeCount("pi-1"), 1);
    w.crash();
    w.hear("alive", "pi-1", minutes(2), 5);
    assert.equal(w.alerting.activeCount("pi-1"), 1);
    w.hear("alive", "pi-1", minutes(2), 6);
    assert.equal(w.alerting.activeCount("pi-1"), 0);
  });

  test("a rule that watches no more, and a thing that is forgotten, leave nothing behind", () => {
    const w = world();
    w.hear("alive", "pi-1", minutes(2));
    w.hear("alive", "pi-2", minutes(2));
    w.watched.add("alive");
    w.save();
    w.forget("pi-1");
    w.save();
    assert.deepEqual(
      w.rows.map(({ thing }) => thing),
      ["pi-2"],
    );
    w.watched.clear();
    w.crash();
    w.pass(minutes(5));
    assert.deepEqual(w.rows, []);
    assert.deepEqual(w.told(), []);
  });
});

describe("clocks", () => {
  test("a clock that leaps forward fires nothing early, and one that leaps back delays nothing", () => {
    for (const leap of [5 * 3_600_000, -5 * 3_600_000]) {
      const w = world();
      w.read("slow", { timing: { forSeconds: 60 } });
      w.read("cpu");
      w.pass(seconds(10));
      w.clock.jump(leap);
      w.pass(seconds(15));
      assert.deepEqual(w.told(), [], `${leap}`);
      w.pass(seconds(6));
      assert.deepEqual(w.told(), ["ops firing: cpu on pi-1"], `${leap}`);
      w.pass(seconds(25));
      assert.equal(w.alerting.activeCount(), 1);
      w.pass(seconds(8));
      assert.equal(w.alerting.activeCount(), 2);
    }
  });

  test("set back while the platform was off: what waits waits no longer than it has to", () => {
    const w = world();
    w.read("cpu");
    w.read("slow", { timing: { forSeconds: 60 } });
    w.pass(seconds(1));
    w.clock.jump(-24 * 3_600_000);
    w.crash();
    w.pass(seconds(35));
    assert.deepEqual(w.told(), ["ops firing: cpu on pi-1"]);
  });

  test("behind the log nothing is concluded from time", () => {
    const w = world();
    w.read("cpu");
    w.clock.advance(minutes(2));
    w.alerting.tick(false);
    assert.deepEqual(w.told(), []);
    w.alerting.tick(true);
    assert.equal(w.sent.length, 1);
  });
});

describe("crash and upgrade", () => {
  test("crashes at every second: what is told is the same, with the same ids", () => {
    const story = (crashAt: number): string[] => {
      const w = world();
      for (let second = 0; second < 420; second++) {
        if (second === 3) w.read("cpu", { thing: "a" });
        if (second === 20) w.read("cpu", { thing: "b", timing: { forSeconds: 10 } });
        if (second === 50) w.read("disk", { thing: "a" });
        if (second === 100) w.well("cpu", { thing: "a" });
        w.pass(1000);
        if (second === crashAt) w.crash();
      }
      return w.sent.map(({ id, kind, title }) => `${id} ${kind} ${title}`);
    };
    const without = story(-1);
    assert.equal(without.length, 3);
    for (let crashAt = 0; crashAt < 420; crashAt += 1) assert.deepEqual(story(crashAt), without, `crash at ${crashAt}`);
  });

  test("another configuration: new routes tell what goes on, old ones are forgotten", () => {
    const w = world();
    w.read("cpu");
    w.pass(seconds(31));
    const next = { contacts: [{ name: "new", chat: true }], route: { groupBy: ["thing"], contacts: ["new"] } };
    w.crash(planOf(next));
    w.pass(seconds(31));
    assert.deepEqual(w.told(), ["ops firing: cpu on pi-1", "new firing: cpu on pi-1"]);
    assert.deepEqual(
      w.rows.filter(({ kind }) => kind === "group").map(({ id }) => id),
      ["0:pi-1"],
    );
  });

  test("only what changed is written", () => {
    const w = world({ ...OPS, route: { contacts: ["ops"], groupInterval: "1h", repeatInterval: "never" } });
    for (let i = 0; i < 100; i++) w.read("cpu", { thing: `pi-${i}` });
    w.pass(seconds(60));
    const before = w.written;
    w.pass(seconds(60));
    assert.equal(w.written, before);
    w.alerting.acknowledge(w.alert().id, "ann");
    w.pass(seconds(2));
    assert.ok(w.written - before <= 3, `${w.written - before} rows`);
  });

  test("flapping: one notice, and over without a word", () => {
    const w = world();
    const timing = { clearAfterSeconds: 1, recovery: { factor: 1 }, flapping: { raises: 3, calmSeconds: 60 } } as const;
    for (let i = 0; i < 400; i++) {
      w.read("cpu", { verdict: i % 3 === 0 ? "breach" : "well", timing });
      w.pass(seconds(1));
    }
    assert.equal(w.alert().flapping, true);
    for (let i = 0; i < 400; i++) {
      w.well("cpu", { timing });
      w.pass(seconds(1));
    }
    assert.equal(w.alerting.activeCount(), 0);
    assert.deepEqual(w.told(), ["ops firing: cpu on pi-1"]);
  });
});
