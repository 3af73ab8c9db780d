/**
 * How long saving the state of a rule with 100,000 changed keys stops the loop: the real store, on a disk, while messages
 * of random devices go on. In milliseconds of this thread's processor time, for others may use the machine; where the system counts
 * that by ticks of its clock, what passed on the wall is nearer for short stretches.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SimLogger, SimMetrics, SimRandom } from "../../sim/world.ts";
import { sealingWith } from "../../src/adapters/sealing.ts";
import { SqliteRulesStore } from "../../src/adapters/sqlite/rules-store.ts";
import { systemClock } from "../../src/adapters/system.ts";
import { LIMITS } from "../../src/base/mod.ts";
import { MessageInput } from "../../src/rules/mod.ts";
import { SlicedSaves } from "../../src/rules/windows/sliced-saves.ts";
import { WindowedRules } from "../../src/rules/windows/windowed-rules.ts";
import { compileSql } from "../../src/sql/mod.ts";
import { figure, median } from "../report.ts";
import type { Row } from "../report.ts";
import { T0, messageOf } from "./measuring.ts";

const KEYS = 100_000;
/** Messages between two slices, as a batch of the log. */
const BATCH = 500;
const SQL =
  "SELECT topic(2) AS d, avg(temperature) AS a, count(*) AS n FROM 'site/+/m' GROUP BY topic(2), TUMBLE('1 min')";

export async function pause(runs: number): Promise<Row> {
  const folder = mkdtempSync(join(tmpdir(), "tidewire-bench-"));
  const store = new SqliteRulesStore({ path: join(folder, "rules.db"), sealing: sealingWith(new Uint8Array(32)) });
  const metrics = new SimMetrics();
  const ports = { logger: new SimLogger(), metrics };
  const timing = { clock: systemClock, random: new SimRandom(1) };
  const windows = new WindowedRules({ ...ports, ...timing, parsing: LIMITS.rules, tell: () => {} });
  const state = windows.put("r", compileSql(SQL).windows!, 0);
  const payload = new TextEncoder().encode('{"temperature":21.5}');
  let offset = 0;
  const handle = (n: number): void => {
    const device = `device-${n}`;
    state.handle(offset++, new MessageInput(messageOf(`site/${device}/m`, payload, device, T0)));
  };
  const commit = (): void => {
    const changes = windows.changes("in turn");
    const { refused } = store.save({ ...NOTHING, windows: changes, checkpoint: offset }, false);
    windows.saved(changes, refused);
  };
  const due: (() => void)[] = [];
  const scheduler = {
    after: (_delay: number, task: () => void) => {
      due.push(task);
      return () => {};
    },
    every: () => () => {},
    defer: () => {},
  };
  const failures = metrics.counter({ name: "failures", help: "of saves" });
  const limits = { ...LIMITS.windows, stateSavePeriod: 0, stateSavePeriodMax: Infinity };
  const saves = { ...ports, clock: systemClock, scheduler, windows, store, failures, limits, commit };
  const counts: number[] = [];
  const wholes: number[] = [];
  const batches: number[] = [];
  commit(); // a new rule's state is saved at once
  const longest = Array.from({ length: runs }, () => {
    for (let n = 0; n < KEYS; n++) handle(n);
    const slices = new SlicedSaves({ ...saves });
    const stretches: number[] = [];
    let alongside = 0;
    slices.tick();
    for (let task = due.shift(); task !== undefined; task = due.shift()) {
      stretches.push(cpuOf(task));
      const batch = cpuOf(() => {
        for (let i = 0; i < BATCH; i++) handle((offset * 7919) % KEYS);
      });
      alongside = Math.max(alongside, batch);
    }
    counts.push(stretches.length);
    wholes.push(stretches.reduce((sum, stretch) => sum + stretch, 0));
    batches.push(alongside);
    return Math.max(...stretches);
  });
  if (failures.value > 0 || windows.saving) throw new Error("the state was not saved");
  store.close();
  rmSync(folder, { recursive: true });
  const claim = `longest stretch of saving ${figure(KEYS)} changed keys of one rule`;
  const peer = `${median(counts)} slices, ${figure(median(wholes))} ms in all; ${BATCH} messages meanwhile: at most ${figure(median(batches))} ms`;
  return { claim, unit: "ms of CPU", must: { below: 5 }, runs: longest, peer };
}

function cpuOf(work: () => void): number {
  const [before, began] = [process.threadCpuUsage(), performance.now()];
  work();
  const { user, system } = process.threadCpuUsage(before);
  return Math.min((user + system) / 1_000, performance.now() - began);
}

const NOTHING = {
  receivers: [],
  deliveries: [],
  done: [],
  dead: [],
  alerts: [],
  alertRows: [],
  toldUntil: null,
  owed: [],
};
