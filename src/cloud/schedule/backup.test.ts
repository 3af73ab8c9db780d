import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock, SimLogger } from "../../../sim/world.ts";
import { PrometheusMetrics } from "../../adapters/metrics.ts";
import { days, hours, minutes } from "../../base/mod.ts";
import { ScheduledBackup } from "./backup.ts";
import type { BackupPlan, BackupTool } from "./backup.ts";

const PLAN: BackupPlan = {
  times: { kind: "every", period: hours(6) },
  to: { kind: "folder", path: "/backups" },
  keep: 3,
  verify: true,
};

function world(newest: (now: number) => number | null) {
  const clock = new SimClock();
  const logger = new SimLogger();
  const metrics = new PrometheusMetrics();
  const taken: number[] = [];
  const state = { fails: null as string | null };
  const tool: BackupTool = {
    newest: async () => newest(clock.now()),
    take: async () => {
      if (state.fails !== null) throw new Error(state.fails);
      taken.push(clock.now());
      return { backup: String(taken.length), added: 1 };
    },
  };
  const backup = new ScheduledBackup({ plan: PLAN, tool, clock, scheduler: clock, logger, metrics });
  backup.start();
  return { clock, backup, taken, state, metrics };
}

test("the first at once, then every period; after a downtime one, and not one for each that was missed", async () => {
  const { clock, backup, taken } = world(() => null);
  const begun = clock.now();
  await clock.run(hours(13));
  assert.deepEqual(
    taken.map((at) => Math.round((at - begun) / hours(1))),
    [0, 6, 12],
  );
  assert.equal(backup.problem, null);
  await backup.close();
  const later = world((now) => now - days(3));
  await later.clock.run(hours(1));
  assert.equal(later.taken.length, 1);
  await later.backup.close();
});

test("one that failed is tried again, told, and as long as it fails health says so; an old one is overdue", async () => {
  const { clock, backup, taken, state, metrics } = world((now) => now - hours(1));
  state.fails = "no space left";
  await clock.run(hours(4));
  assert.equal(backup.problem, null, "none is due yet");
  await clock.run(hours(2));
  assert.match(backup.problem ?? "", /no space left/);
  assert.match(await metrics.render(), /tidewire_backup_failures_total [3-9]/);
  state.fails = null;
  await clock.run(hours(2));
  assert.equal(taken.length, 1);
  assert.equal(backup.problem, null);
  assert.match(await metrics.render(), /tidewire_backup_age_seconds \d+/);
  await backup.close();
  await clock.run(hours(10) + minutes(5));
  assert.match(backup.problem ?? "", /is \d+ h old/);
});
