import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { minutes, seconds } from "../../base/mod.ts";
import { CALM, begunBy, clearDelay, deadlineOf, forgottenAt, shifted, step } from "./life-cycle.ts";
import type { Life, LifeEvent, LifeInput, Policy } from "./life-cycle.ts";
import { policyOf } from "./policy.ts";

const PLAIN = policyOf({ recovery: { factor: 1 }, flapping: false }, seconds(15));
type Verdict = "breach" | "between" | "well";

/** Readings as `b`, `-` (between) and `w`, one per `gap`; a blank is a gap without one. */
function live(story: string, policy: Policy, gap = seconds(1), life: Life = CALM): { life: Life; told: string[] } {
  const told: string[] = [];
  let at = 0;
  for (const letter of story) {
    if (letter !== " ") {
      const verdict: Verdict = letter === "b" ? "breach" : letter === "w" ? "well" : "between";
      const stepped = step(life, { type: "reading", verdict, at }, policy);
      life = stepped.life;
      told.push(...stepped.events.filter(({ type }) => type !== "confirmed").map(nameOf));
    }
    at += gap;
  }
  return { life, told };
}

function nameOf({ type, at }: LifeEvent): string {
  return `${type} ${at / 1000}`;
}

describe("the life of an alert", () => {
  test("raised at once, resolved when it has been well for the whole time", () => {
    assert.deepEqual(live("bbb" + "w".repeat(16), PLAIN).told, ["raised 0", "resolved 18"]);
    assert.deepEqual(live("bbb" + "w".repeat(15), PLAIN).told, ["raised 0"]);
  });

  test("a breach in between begins the wait anew", () => {
    assert.deepEqual(live("b" + "w".repeat(10) + "b" + "w".repeat(16), PLAIN).told, ["raised 0", "resolved 27"]);
  });

  test("two thresholds: between them nothing changes, and it is not well", () => {
    assert.deepEqual(live("b" + "-".repeat(60), PLAIN).told, ["raised 0"]);
    assert.deepEqual(live("-".repeat(60), PLAIN).told, []);
    assert.deepEqual(live("b" + "w".repeat(10) + "-" + "w".repeat(15), PLAIN).told, ["raised 0"]);
  });

  describe("for-duration", () => {
    const policy = policyOf({ forSeconds: 10, recovery: { factor: 1 } }, seconds(15));

    test("raised once it has held for so long, with the time since when", () => {
      const { told } = live("b".repeat(12), policy);
      assert.deepEqual(told, ["pending 0", "raised 10"]);
      const last = step({ ...CALM, phase: { type: "pending", since: 5000 } }, { type: "time", at: 15_000 }, policy)
        .events[0]!;
      assert.deepEqual(last, { type: "raised", at: 15_000, since: 5000, flapping: false });
    });

    test("one reading that is not so bad, and it never was", () => {
      assert.deepEqual(live("bbbbb-bbbbb", policy).told, ["pending 0", "dropped 5", "pending 6"]);
    });

    test("silence does not undo it: what was last said holds", () => {
      const { life } = live("b", policy);
      assert.equal(deadlineOf(life, policy), seconds(10));
      assert.deepEqual(step(life, { type: "time", at: 9_000 }, policy).events, []);
      assert.equal(step(life, { type: "time", at: 60_000 }, policy).events[0]!.at, 10_000);
    });

    test("a late reading finds it raised at the moment when it was due", () => {
      assert.deepEqual(live("b" + " ".repeat(40) + "w", policy).told, ["pending 0", "raised 10"]);
    });
  });

  test("M of N readings to raise, and to resolve", () => {
    const policy = policyOf(
      { breaches: { needed: 3, of: 5 }, clears: { needed: 2, of: 3 }, clearAfterSeconds: 0 },
      seconds(15),
    );
    assert.deepEqual(live("bwbwwbwb", policy).told, []);
    assert.deepEqual(live("bwbwb", policy).told, ["raised 4"]);
    assert.deepEqual(live("bbbwbbww", policy).told, ["raised 2", "resolved 7"]);
  });

  test("each time that it comes back it must be well for longer, up to a limit, until that is forgotten", () => {
    const policy = policyOf({ recovery: { factor: 2, maxSeconds: 50 }, flapping: false }, seconds(10));
    const delays = [1, 2, 3, 4, 5].map((raises) => clearDelay(Array<number>(raises).fill(0), false, policy) / 1000);
    assert.deepEqual(delays, [10, 20, 40, 50, 50]);
    assert.deepEqual(live("b" + "w".repeat(11) + "b" + "w".repeat(21), policy).told, [
      "raised 0",
      "resolved 11",
      "raised 12",
      "resolved 33",
    ]);
    assert.deepEqual(
      live("b" + "w".repeat(11) + " ".repeat(3600) + "b" + "w".repeat(12), policy).told.at(-1),
      "resolved 3623",
    );
  });

  test("one that comes and goes is flapping: it stays until it has been calm", () => {
    const policy = policyOf(
      { clearAfterSeconds: 1, recovery: { factor: 1 }, flapping: { raises: 3, calmSeconds: 60 } },
      seconds(15),
    );
    const { life, told } = live("bww".repeat(20), policy);
    assert.deepEqual(told, ["raised 0", "resolved 2", "raised 3", "resolved 5", "raised 6"]);
    assert.equal(life.flapping, true);
    const calm = live("w".repeat(62), policy, seconds(1), life);
    assert.deepEqual(calm.told, ["resolved 60"]);
    assert.equal(calm.life.flapping, false);
  });

  test("who said that all is well and then nothing is believed after a while", () => {
    const { life } = live("bw", PLAIN);
    assert.equal(deadlineOf(life, PLAIN), seconds(1) + minutes(5));
    const { events } = step(life, { type: "time", at: 540_000 }, PLAIN);
    assert.deepEqual(events.map(nameOf), ["resolved 301"]);
  });

  test("a clock that was set back makes nothing wait for longer than it has to", () => {
    const late: Life = { ...CALM, phase: { type: "pending", since: 3_600_000 } };
    const policy = policyOf({ forSeconds: 10 }, 0);
    const { life } = step(late, { type: "reading", verdict: "breach", at: 5_000 }, policy);
    assert.equal(deadlineOf(life, policy), seconds(15));
    assert.equal(deadlineOf(begunBy(late, 7_000), policy), seconds(17));
    assert.equal(deadlineOf(shifted(late, -3_600_000), policy), seconds(10));
  });

  test("ends without a word where it was pending, and resolved where it was raised", () => {
    const policy = policyOf({ forSeconds: 10 }, 0);
    const end: LifeInput = { type: "end", at: 9 };
    assert.equal(step(live("b", policy).life, end, policy).events[0]!.type, "dropped");
    assert.equal(step(live("b", PLAIN).life, end, PLAIN).events[0]!.type, "resolved");
    assert.deepEqual(step(CALM, end, PLAIN).events, []);
  });

  test("a calm life with nothing to remember can be forgotten", () => {
    assert.equal(forgottenAt(CALM, PLAIN), -Infinity);
    assert.equal(forgottenAt(live("b", PLAIN).life, PLAIN), null);
    assert.equal(forgottenAt(live("b" + "w".repeat(16), PLAIN).life, PLAIN), PLAIN.memory);
  });
});

/** The same told from the whole story each time, as one would explain it to somebody. */
class Model {
  readonly #policy: Policy;
  readonly #readings: { readonly verdict: Verdict; readonly at: number }[] = [];
  raisedAt: number | null = null;
  #pendingSince: number | null = null;
  #wellSince: number | null = null;

  constructor(policy: Policy) {
    this.#policy = policy;
  }

  read(verdict: Verdict, at: number): void {
    this.pass(at);
    this.#readings.push({ verdict, at });
    if (this.raisedAt === null) {
      const recent = this.#readings.slice(-this.#policy.fireOf);
      if (recent.filter((one) => one.verdict === "breach").length < this.#policy.fireNeeded) this.#pendingSince = null;
      else this.#pendingSince ??= at;
      this.#raiseIfDue(at);
      return;
    }
    const recent = this.#readings.slice(-this.#policy.clearOf);
    if (recent.filter((one) => one.verdict === "well").length < this.#policy.clearNeeded) this.#wellSince = null;
    else this.#wellSince ??= at;
    if (this.#wellSince !== null && verdict === "well" && at - this.#wellSince >= this.#policy.clearAfter) this.#end();
  }

  pass(at: number): void {
    this.#raiseIfDue(at);
    const held = Math.max(this.#policy.clearAfter, this.#policy.clearHeld);
    if (this.#wellSince !== null && at - this.#wellSince >= held) this.#end();
  }

  #raiseIfDue(at: number): void {
    if (this.#pendingSince === null || at - this.#pendingSince < this.#policy.fireFor) return;
    this.raisedAt = this.#pendingSince + this.#policy.fireFor;
    this.#pendingSince = null;
    this.#readings.length = 0;
  }

  #end(): void {
    this.raisedAt = null;
    this.#wellSince = null;
    this.#readings.length = 0;
  }
}

test("any story of readings and silence: the life agrees with the model after every step", () => {
  const inputs = fc.array(
    fc.record({
      verdict: fc.constantFrom<Verdict | null>("breach", "well", "between", null),
      gap: fc.constantFrom(0, seconds(1), seconds(5), seconds(20), minutes(6)),
    }),
    { maxLength: 60 },
  );
  const timings = fc.record({
    forSeconds: fc.constantFrom(0, 5, 30),
    clearAfterSeconds: fc.constantFrom(0, 5, 30),
    fire: fc.constantFrom([1, 1], [2, 3], [3, 3]),
    clear: fc.constantFrom([1, 1], [2, 4]),
  });
  fc.assert(
    fc.property(inputs, timings, (story, { forSeconds, clearAfterSeconds, fire, clear }) => {
      const breaches = { needed: fire[0], of: fire[1] };
      const clears = { needed: clear[0], of: clear[1] };
      const timing = { forSeconds, clearAfterSeconds, breaches, clears, recovery: { factor: 1 } };
      const policy = policyOf({ ...timing, flapping: false }, 0);
      const model = new Model(policy);
      let life = CALM;
      let raisedAt: number | null = null;
      let at = 0;
      for (const { verdict, gap } of story) {
        at += gap;
        const input: LifeInput = verdict === null ? { type: "time", at } : { type: "reading", verdict, at };
        const stepped = step(life, input, policy);
        life = stepped.life;
        for (const event of stepped.events) {
          if (event.type === "raised") raisedAt = event.at;
          if (event.type === "resolved") raisedAt = null;
        }
        if (verdict === null) model.pass(at);
        else model.read(verdict, at);
        assert.equal(raisedAt, model.raisedAt, `at ${at}`);
        assert.equal(life.phase.type === "firing", model.raisedAt !== null);
      }
    }),
    { numRuns: 500 },
  );
});

test("a replay from any moment gives the same life: it depends on nothing but its inputs", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom("b", "w", "-", " "), { maxLength: 80 }), fc.nat(79), (letters, cut) => {
      const story = letters.join("");
      const policy = policyOf({ forSeconds: 2, clearAfterSeconds: 3 }, 0);
      const whole = live(story, policy).life;
      const kept = JSON.parse(JSON.stringify(live(story.slice(0, cut), policy).life)) as Life;
      assert.deepEqual(live(" ".repeat(cut) + story.slice(cut), policy, seconds(1), kept).life, whole);
    }),
  );
});
