/** Backups on schedule: `tidewire backup` in a process of its own, read back afterwards; its age is watched. */
import { seconds } from "../../base/mod.ts";
import type { Clock, Counter, EpochMs, Gauge, Logger, Metrics, Millis, Scheduler } from "../../base/mod.ts";
import type { ColdPlace } from "../../adapters/objects/mod.ts";
import { Rounds } from "./rounds.ts";
import { dueAfter, periodOf } from "./times.ts";
import type { Times } from "./times.ts";

export interface BackupPlan {
  readonly times: Times;
  readonly to: ColdPlace;
  /** Newest backups that stay. */
  readonly keep: number;
  /** All of each is read back and compared. */
  readonly verify: boolean;
}

/** What a backup is made of and with; `backup-process.ts` runs the program. */
export interface BackupTool {
  /** When the newest was taken; null where there is none, or it has not been read back to its end, or was damaged. */
  newest(to: ColdPlace): Promise<EpochMs | null>;
  /** Rejects with what it said where it fails. Ends early with `signal`. */
  take(plan: BackupPlan, signal: AbortSignal): Promise<{ readonly backup: string; readonly added: number }>;
}

export interface ScheduledBackupOptions {
  readonly plan: BackupPlan;
  readonly tool: BackupTool;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

const LOOK_PERIOD: Millis = seconds(60);
const RETRY_DELAY_MIN: Millis = seconds(60);
const RETRY_DELAY_MAX: Millis = seconds(3600);
/** Later than this many periods after the last one, it is overdue. */
const OVERDUE_PERIODS = 1.5;

export class ScheduledBackup {
  readonly #o: ScheduledBackupOptions;
  readonly #startedAt: EpochMs;
  readonly #taken: Counter;
  readonly #durations: Gauge;
  readonly #rounds: Rounds;
  #last: EpochMs | null = null;
  #known = false;

  constructor(options: ScheduledBackupOptions) {
    this.#o = options;
    const { metrics, clock } = options;
    this.#startedAt = clock.now();
    this.#taken = metrics.counter({ name: "tidewire_backups_total", help: "Backups taken on schedule" });
    this.#rounds = new Rounds({
      ...options,
      period: LOOK_PERIOD,
      retryDelayMin: RETRY_DELAY_MIN,
      retryDelayMax: RETRY_DELAY_MAX,
      work: (signal) => this.#work(signal),
      failed: "The backup on schedule failed; it is tried again",
      fields: { to: addressOf(options.plan.to) },
      failures: metrics.counter({
        name: "tidewire_backup_failures_total",
        help: "Backups on schedule that failed; they are tried again",
      }),
    });
    this.#durations = metrics.gauge({
      name: "tidewire_backup_duration_seconds",
      help: "Of the last backup on schedule",
    });
    metrics.observe(
      { name: "tidewire_backup_last_success_timestamp_seconds", help: "When the newest backup was taken; 0: never" },
      () => (this.#last ?? 0) / 1000,
    );
    metrics.observe(
      { name: "tidewire_backup_age_seconds", help: "Age of the newest backup; since the start where there is none" },
      () => Math.max(0, (clock.now() - (this.#last ?? this.#startedAt)) / 1000),
    );
  }

  /** Why somebody should look; null where all is well. */
  get problem(): string | null {
    const { plan, clock } = this.#o;
    const age = clock.now() - (this.#last ?? this.#startedAt);
    const overdue = age > periodOf(plan.times) * OVERDUE_PERIODS;
    const { failure } = this.#rounds;
    if (failure !== null) return `the backup to ${addressOf(plan.to)} fails: ${failure}`;
    return overdue ? `the newest backup in ${addressOf(plan.to)} is ${Math.round(age / 3_600_000)} h old` : null;
  }

  start(): void {
    this.#rounds.start();
  }

  close(): Promise<void> {
    return this.#rounds.close();
  }

  async #work(signal: AbortSignal): Promise<void> {
    const { plan, tool, clock, logger } = this.#o;
    if (!this.#known) this.#last = await tool.newest(plan.to);
    this.#known = true;
    const now = clock.now();
    if (dueAfter(plan.times, this.#last, now) > now) return;
    const begun = clock.monotonic();
    const { backup, added } = await tool.take(plan, signal);
    this.#last = now;
    this.#taken.value++;
    this.#durations.value = (clock.monotonic() - begun) / 1000;
    logger.info("A backup was taken", { to: addressOf(plan.to), backup, added, verified: plan.verify });
  }
}

/** As on a command line. */
export function addressOf(to: ColdPlace): string {
  if (to.kind === "folder") return to.path;
  return `s3://${to.bucket}${to.prefix === "" ? "" : `/${to.prefix}`}`;
}
