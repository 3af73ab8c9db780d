/** What the configuration wants on schedule, put together and started. */
import { join } from "node:path";
import type { Clock, Limits, Logger, Metrics, Scheduler } from "../../base/mod.ts";
import type { Asker } from "../ask/mod.ts";
import type { PlatformConfig } from "../config.ts";
import type { StoreClient } from "../store/mod.ts";
import type { Teardown } from "../teardown.ts";
import { ScheduledBackup } from "./backup.ts";
import { backupProcess } from "./backup-process.ts";
import { backupPlanOf, exportsOf, scrubPeriodOf } from "./config.ts";
import { ScheduledExport, exportCounters } from "./export.ts";
import { exportTools } from "./export-tools.ts";
import { ScheduledScrub, scrubProcess } from "./scrub.ts";

export interface SchedulePorts {
  readonly asker: Pick<Asker, "ask">;
  readonly store: Pick<StoreClient, "status">;
  readonly log: { readonly durable: number };
  readonly limits: Limits;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Told by health: why something on schedule needs somebody to look. */
export type ScheduleProblems = () => readonly ScheduleProblem[];

export interface ScheduleProblem {
  readonly name: string;
  readonly state: "degraded" | "failed";
  readonly detail: string;
}

/** Throws MANIFEST_NEWER, CONFIG_VALUE_INVALID, or the system's error. */
export async function startSchedules(
  config: PlatformConfig,
  ports: SchedulePorts,
  teardown: Teardown,
): Promise<ScheduleProblems> {
  const { asker, store, log, metrics } = ports;
  const backup =
    config.backup === undefined
      ? null
      : new ScheduledBackup({
          ...ports,
          plan: backupPlanOf(config.backup),
          tool: await backupProcess(config.data, ports),
        });
  const counters = exportCounters(metrics);
  const started: ScheduledExport[] = [];
  for (const { plan, to } of exportsOf(config.exports)) {
    const place = { folder: join(config.data, "exports"), name: plan.name, to };
    const tools = {
      ...(await exportTools(place, { ...ports, limits: ports.limits.archive })),
      ask: asker.ask.bind(asker),
      durable: () => log.durable,
      stored: () => (plan.of === "events" ? store.status().archive?.offset : store.status().offset) ?? 0,
    };
    const one = new ScheduledExport({ ...ports, plan, tools, counters });
    started.push(one);
    metrics.observe(
      {
        name: "tidewire_export_last_range_timestamp_seconds",
        help: "End of the newest range that is exported",
        labels: { export: plan.name },
      },
      () => (one.exportedTo ?? 0) / 1000,
    );
  }
  const every = scrubPeriodOf(config.scrubEvery);
  const scrub = every === null ? null : new ScheduledScrub({ ...ports, every, scrub: scrubProcess(config.data) });
  for (const one of [...started, backup, scrub]) {
    if (one === null) continue;
    teardown.add("schedules", () => one.close());
    one.start();
  }
  return () =>
    [
      ...started.map(({ problem }) => ["export", "degraded", problem] as const),
      ["backup", "degraded", backup?.problem ?? null] as const,
      ["state files", "degraded", scrub?.problem ?? null] as const,
      ["state files", "failed", scrub?.damage ?? null] as const,
    ].flatMap(([name, state, detail]) => (detail === null ? [] : [{ name, state, detail }]));
}
