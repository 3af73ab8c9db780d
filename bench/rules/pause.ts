/** How long saving the state of a rule with 100,000 changed keys stops the loop: the real store, on a disk. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SimLogger, SimMetrics } from "../../sim/world.ts";
import { sealingWith } from "../../src/adapters/sealing.ts";
import { SqliteRulesStore } from "../../src/adapters/sqlite/rules-store.ts";
import { systemClock } from "../../src/adapters/system.ts";
import { LIMITS } from "../../src/base/mod.ts";
import { MessageInput } from "../../src/rules/mod.ts";
import { WindowedRules } from "../../src/rules/windows/windowed-rules.ts";
import { compileSql } from "../../src/sql/mod.ts";
import { figure, median } from "../report.ts";
import type { Row } from "../report.ts";
import { T0, messageOf } from "./measuring.ts";

const KEYS = 100_000;
const SQL =
  "SELECT topic(2) AS d, avg(temperature) AS a, count(*) AS n FROM 'site/+/m' GROUP BY topic(2), TUMBLE('1 min')";

export async function pause(runs: number): Promise<Row> {
  const folder = mkdtempSync(join(tmpdir(), "tidewire-bench-"));
  const store = new SqliteRulesStore({ path: join(folder, "rules.db"), sealing: sealingWith(new Uint8Array(32)) });
  const ports = { clock: systemClock, logger: new SimLogger(), metrics: new SimMetrics() };
  const windows = new WindowedRules({ ...ports, parsing: LIMITS.rules, tell: () => {} });
  const state = windows.put("r", compileSql(SQL).windows!, 0);
  const payload = new TextEncoder().encode('{"temperature":21.5}');
  let offset = 0;
  const written: number[] = [];
  const stretches = Array.from({ length: runs }, () => {
    for (let n = 0; n < KEYS; n++) {
      const device = `device-${n}`;
      state.handle(offset++, new MessageInput(messageOf(`site/${device}/m`, payload, device, T0)));
    }
    const began = performance.now();
    const changes = windows.changes("all");
    written.push(performance.now() - began);
    store.save({ ...NOTHING, windows: changes, checkpoint: offset }, false);
    windows.saved(changes);
    return performance.now() - began;
  });
  store.close();
  rmSync(folder, { recursive: true });
  const claim = `longest stop for saving ${figure(KEYS)} changed keys of one rule`;
  const peer = `of which writing the pages ${figure(median(written))} ms, the rest SQLite`;
  return { claim, unit: "ms", must: null, runs: stretches, peer };
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
