import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import { SimClock, SimLogger } from "../../../sim/world.ts";
import { PrometheusMetrics } from "../../adapters/metrics.ts";
import { TidewireError, days, hours, minutes } from "../../base/mod.ts";
import type { Objects } from "../../base/mod.ts";
import type { AskRequest } from "../ask/mod.ts";
import { ScheduledExport, exportCounters, fileNameOf } from "./export.ts";
import type { ExportPlan, ExportState } from "./export.ts";

const PLAN: ExportPlan = {
  name: "daily",
  of: "telemetry",
  format: "csv",
  every: days(1),
  lateness: hours(1),
  things: [],
  measurements: [],
  keep: null,
  since: null,
};

/** What outlives a process: the manifest and the destination. */
class World {
  readonly clock = new SimClock();
  readonly files = new Map<string, string>();
  readonly asked: AskRequest[] = [];
  puts = 0;
  state: ExportState | null = null;
  away: string | null = null;
  durable = 0;
  stored = 0;

  open(plan: Partial<ExportPlan> = {}): ScheduledExport {
    const { clock } = this;
    const current = (): ExportState | null => this.state;
    const objects = {
      put: async (key: string) => {
        if (this.away !== null) throw new TidewireError("OBJECTS_UNAVAILABLE", { store: "s", reason: this.away });
        this.puts++;
        this.files.set(key, JSON.stringify(this.asked.at(-1)!.parameters));
      },
      remove: async (key: string) => void this.files.delete(key),
    } as unknown as Objects;
    const one = new ScheduledExport({
      plan: { ...PLAN, ...plan },
      tools: {
        state: {
          get current() {
            return current();
          },
          write: async (state) => void (this.state = state),
        },
        objects: async () => objects,
        ask: async (request) => {
          this.asked.push(request);
          return { stream: Readable.from([]), incomplete: false };
        },
        spool: async () => ({
          bytes: 0,
          sha256: "0".repeat(64),
          read: async () => new Uint8Array(),
          remove: async () => {},
        }),
        durable: () => this.durable,
        stored: () => this.stored,
      },
      clock,
      scheduler: clock,
      logger: new SimLogger(),
      counters: exportCounters(new PrometheusMetrics()),
    });
    one.start();
    return one;
  }
}

test("a day's file comes when its lateness has passed and all that was accepted by then is stored, and once", async () => {
  const world = new World();
  world.clock.jump(days(1) - (world.clock.now() % days(1)) - hours(2)); // two hours before midnight
  const one = world.open();
  await world.clock.run(hours(2) + minutes(59));
  assert.equal(world.puts, 0);
  world.durable = 7;
  await world.clock.run(minutes(5));
  assert.equal(world.puts, 0, "the store is behind");
  world.durable = 9; // what is accepted later is not waited for
  world.stored = 7;
  await world.clock.run(minutes(1));
  assert.equal(world.puts, 1);
  const [from] = [...world.files.keys()];
  assert.match(from!, /^daily-\d{4}-\d\d-\d\d\.csv$/);
  world.stored = 9;
  await world.clock.run(hours(20));
  assert.equal(world.puts, 1);
  await one.close();
});

test("what was slept through is made up for, range by range, without a gap and without a double", async () => {
  const world = new World();
  const first = world.open();
  await world.clock.run(minutes(1));
  await first.close();
  world.clock.jump(days(5));
  const second = world.open();
  await world.clock.run(minutes(1));
  const ranges = world.asked.map(({ parameters }) => parameters as unknown as { from: string; to: string });
  assert.ok(ranges.length >= 4, `${ranges.length}`);
  for (let n = 1; n < ranges.length; n++) assert.equal(ranges[n]!.from, ranges[n - 1]!.to);
  assert.equal(world.files.size, ranges.length);
  await second.close();
  const third = world.open();
  await world.clock.run(minutes(1));
  assert.equal(world.asked.length, ranges.length);
  await third.close();
});

test("a destination that is away is tried again and told; killed before it was noted, the range is the same file again", async () => {
  const world = new World();
  world.away = "no route";
  const one = world.open({ since: world.clock.now() - days(1), lateness: 0 });
  await world.clock.run(minutes(1));
  assert.match(one.problem ?? "", /daily fails: .*no route/);
  world.away = null;
  await world.clock.run(minutes(20));
  assert.equal(one.problem, null);
  await one.close();
  const files = [...world.files.keys()];
  world.state = { ...world.state!, next: world.state!.next - days(1), files: [] };
  const again = world.open({ lateness: 0 });
  await world.clock.run(minutes(1));
  assert.deepEqual([...world.files.keys()], files);
  await again.close();
});

test("only the newest files stay; names say the range", async () => {
  const world = new World();
  const one = world.open({ since: world.clock.now() - days(6), keep: 2 });
  await world.clock.run(minutes(1));
  assert.equal(world.files.size, 2);
  assert.equal(world.state!.files.length, 2);
  await one.close();
  const at = Date.parse("2026-11-22T05:30:00Z");
  assert.equal(fileNameOf({ name: "x", every: minutes(30), format: "parquet" }, at), "x-2026-11-22T05-30Z.parquet");
  assert.equal(fileNameOf({ name: "x", every: days(1), format: "ndjson" }, at - hours(5.5)), "x-2026-11-22.ndjson");
});
