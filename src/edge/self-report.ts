/** What the agent tells the platform about itself: readings that were given up must not go unnoticed up there. */
import type { Cancel, Clock, Scheduler } from "../base/mod.ts";
import { LIMITS } from "../base/mod.ts";
import type { Outbox } from "../queue/mod.ts";
import type { Source } from "./source.ts";

export interface SelfReportOptions {
  readonly thing: string;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly sources: readonly Source[];
}

/** Kept when readings of sources go: it says that they went. */
const PRIORITY = 8;

const utf8 = new TextEncoder();

/** Topic `telemetry/<thing>/agent`, at most once a minute, and only where something was lost since the report before. */
export function startSelfReport({ thing, outbox, clock, scheduler, sources }: SelfReportOptions): Cancel {
  const losses = (): number => {
    const { dropped, expired, refused } = outbox.statistics();
    return dropped + expired + refused;
  };
  let reported = losses();
  return scheduler.every(LIMITS.edge.selfReportPeriod, () => {
    const now = losses();
    if (now === reported || outbox.statistics().failure !== null) return;
    reported = now;
    const { waiting, waitingBytes, dropped, expired, refused } = outbox.statistics();
    const skipped = sources.reduce((sum, source) => sum + source.status().skipped, 0);
    const report = {
      ts: clock.now(),
      outbox: { waiting, waitingBytes, dropped, expired, refused },
      sources: { skipped },
    };
    outbox.put(`telemetry/${thing}/agent`, utf8.encode(JSON.stringify(report)), { priority: PRIORITY });
  });
}
