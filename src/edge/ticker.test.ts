import assert from "node:assert/strict";
import { test } from "node:test";
import { SIM_EPOCH, SimClock, SimLogger, SimMetrics, SimRandom } from "../../sim/world.ts";
import { SimQueueStore } from "../../sim/queue-store.ts";
import type { Scheduler } from "../base/mod.ts";
import { isTidewireError } from "../base/mod.ts";
import { Outbox } from "../queue/mod.ts";
import { ClockWatch, checkClock } from "./clock-watch.ts";
import { startSelfReport } from "./self-report.ts";
import { Source } from "./source.ts";
import { startTicker } from "./ticker.ts";

interface Ticking {
  readonly clock: SimClock;
  readonly ticks: number[];
  readonly skipped: number[];
  readonly stop: () => void;
}

function ticking(start: number, lateness: () => number = () => 0): Ticking {
  const clock = new SimClock(SIM_EPOCH + start);
  const ticks: number[] = [];
  const skipped: number[] = [];
  const scheduler: Scheduler = {
    after: (delay, task) => clock.after(delay + lateness(), task),
    every: (period, task) => clock.every(period, task),
    defer: (task) => clock.defer(task),
  };
  const stop = startTicker({
    period: 1000,
    clock,
    scheduler,
    tick: (at) => ticks.push(at - SIM_EPOCH),
    skipped: (count) => skipped.push(count),
  });
  return { clock, ticks, skipped, stop };
}

test("it ticks on whole seconds, whenever it was started", () => {
  const { clock, ticks, skipped } = ticking(321);
  clock.advance(5000);
  assert.deepEqual(ticks, [1000, 2000, 3000, 4000, 5000]);
  assert.deepEqual(skipped, []);
});

test("timers that are late each time do not make it drift", () => {
  const { clock, ticks, skipped } = ticking(321, () => 7);
  clock.advance(600_000);
  assert.equal(ticks.length, 600);
  assert.equal(ticks.at(-1), 600_000);
  assert.deepEqual(skipped, []);
});

test("a timer that fires a little early means its boundary, and that once", () => {
  const { clock, ticks } = ticking(500, () => -3);
  clock.advance(10_000);
  assert.deepEqual(ticks, [1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10_000]);
});

test("boundaries that went by unnoticed are counted, not made up", () => {
  let stuck = 0;
  const { clock, ticks, skipped } = ticking(500, () => stuck);
  clock.advance(2000);
  stuck = 3300;
  clock.advance(1000);
  stuck = 0;
  clock.advance(6000);
  assert.deepEqual(ticks, [1000, 2000, 3000, 7000, 8000, 9000].slice(0, ticks.length));
  assert.deepEqual(skipped, [3]);
});

test("a clock that is set back makes no second reading of the same moment out of one timer, and goes on from there", () => {
  const { clock, ticks, stop } = ticking(500);
  clock.advance(3000);
  clock.jump(-10_000);
  clock.advance(3000);
  assert.deepEqual(ticks, [1000, 2000, 3000, -5000, -4000]);
  stop();
  clock.advance(5000);
  assert.equal(ticks.length, 5);
});

function outboxOn(clock: SimClock, messages = 1000): { readonly outbox: Outbox; readonly logger: SimLogger } {
  const logger = new SimLogger();
  const outbox = new Outbox({
    store: new SimQueueStore(),
    clock,
    scheduler: clock,
    random: new SimRandom(1),
    logger,
    metrics: new SimMetrics(),
    limits: { messages, bytes: 1_000_000 },
  });
  return { outbox, logger };
}

const textOf = (payload: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(payload));

test("a source stamps each reading with its boundary; one that fails is told once and asked again", () => {
  const clock = new SimClock(SIM_EPOCH + 400);
  const { outbox, logger } = outboxOn(clock);
  let fails = false;
  const source = new Source({
    type: "test",
    topic: "telemetry/a/test",
    every: 1000,
    read: () => {
      if (fails) throw new Error("sensor unplugged");
      return { n: 1 };
    },
    outbox,
    clock,
    logger,
  });
  source.start(clock, () => {});
  clock.advance(2000);
  fails = true;
  clock.advance(3000);
  fails = false;
  clock.advance(1000);
  assert.deepEqual(
    outbox.take(10).map(({ payload }) => textOf(payload)),
    [1000, 2000, 6000].map((at) => ({ ts: SIM_EPOCH + at, n: 1 })),
  );
  assert.deepEqual(
    { ...source.status(), lastReadingAt: source.status().lastReadingAt! - SIM_EPOCH },
    { type: "test", topic: "telemetry/a/test", readings: 3, skipped: 0, failures: 3, lastReadingAt: 6000 },
  );
  assert.equal(logger.lines.filter((line) => line.level === "error").length, 1);
});

test("readings that were given up are reported upstream, and only then", () => {
  const clock = new SimClock();
  const { outbox } = outboxOn(clock, 3);
  const stop = startSelfReport({ thing: "a", outbox, clock, scheduler: clock, sources: [] });
  clock.advance(600_000);
  assert.equal(outbox.statistics().lastSequence, 0);
  for (let i = 0; i < 5; i++) outbox.put("t", new Uint8Array(1));
  clock.advance(60_000);
  const report = outbox.take(10).find(({ topic }) => topic === "telemetry/a/agent");
  assert.deepEqual(textOf(report!.payload), {
    ts: clock.now(),
    outbox: { waiting: 3, waitingBytes: 198, dropped: 2, expired: 0, refused: 0 },
    sources: { skipped: 0 },
  });
  stop();
});

test("a clock before the certificate's time is refused with the reason", () => {
  const day = 86_400_000;
  const certificate = { notBefore: SIM_EPOCH };
  for (const [now, reason] of [
    [SIM_EPOCH - 2 * day, /not made before 2026-01-01/],
    [SIM_EPOCH - 20_000 * day, /clock says 19/],
  ] as const) {
    assert.throws(
      () => checkClock(now, certificate),
      (error) => isTidewireError(error) && error.code === "CLOCK_IMPLAUSIBLE" && reason.test(error.message),
    );
  }
  checkClock(SIM_EPOCH - 0.9 * day, certificate);
  checkClock(SIM_EPOCH + 101 * day, certificate); // expired: whoever renews it looks
});

test("a jump of the clock is told once, with its size; slow drift is not", () => {
  const clock = new SimClock();
  const logger = new SimLogger();
  const watch = new ClockWatch(clock, logger);
  for (let i = 0; i < 100; i++) {
    clock.advance(1000);
    clock.jump(1);
    watch.look();
  }
  assert.equal(logger.lines.length, 0);
  clock.jump(3_600_000);
  watch.look();
  watch.look();
  assert.deepEqual(
    logger.lines.map((line) => line.fields["jumpMs"]),
    [3_600_000],
  );
});
