/**
 * One export on schedule: each range of time becomes one file, once, when what came late for it has come too. What was slept through
 * is made up for, range by range. A file is visible when it is whole; what is done is in a manifest beside the platform's data.
 */
import { TidewireError, seconds } from "../../base/mod.ts";
import type {
  Clock,
  Counter,
  EpochMs,
  Logger,
  Metrics,
  Millis,
  ObjectSource,
  Objects,
  Scheduler,
} from "../../base/mod.ts";
import { exportStatement } from "../ask/mod.ts";
import type { AnswerFormat, AskAnswer, AskRequest, Exported } from "../ask/mod.ts";
import { Rounds } from "./rounds.ts";

export interface ExportPlan {
  readonly name: string;
  readonly of: Exported;
  readonly format: Extract<AnswerFormat, "csv" | "ndjson" | "parquet">;
  /** Length of a range; they begin at multiples of it since 1970 (UTC). */
  readonly every: Millis;
  /** How long after the end of a range its late points are waited for. */
  readonly lateness: Millis;
  readonly things: readonly string[];
  readonly measurements: readonly string[];
  /** Newest files that stay; null: all. */
  readonly keep: number | null;
  /** The first range is the one that holds this; null: the one in which it was first run. */
  readonly since: EpochMs | null;
}

export interface ExportedFile {
  readonly name: string;
  readonly from: EpochMs;
  readonly to: EpochMs;
  readonly bytes: number;
  readonly sha256: string;
  /** Stored files that were damaged are not in it. */
  readonly incomplete: boolean;
}

export interface ExportState {
  /** Start of the next range. */
  readonly next: EpochMs;
  /** Those that are there, oldest first. Bounded by `keep`, else by `FILES_KNOWN_MAX`. */
  readonly files: readonly ExportedFile[];
}

export interface ExportTools {
  /** Saved as a whole or not at all. */
  readonly state: { readonly current: ExportState | null; write(state: ExportState): Promise<void> };
  readonly objects: () => Promise<Objects>;
  ask(request: AskRequest, signal: AbortSignal): Promise<AskAnswer>;
  /** The answer as a file beside the data, whole and hashed; `remove` when it has been taken. */
  spool(answer: AskAnswer["stream"], name: string): Promise<ObjectSource & { remove(): Promise<void> }>;
  /** Everything that is durable now will be in the stores at this offset; and how far they are. */
  readonly durable: () => number;
  readonly stored: () => number;
}

export interface ScheduledExportOptions {
  readonly plan: ExportPlan;
  readonly tools: ExportTools;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly counters: ExportCounters;
}

export interface ExportCounters {
  readonly files: Counter;
  readonly failures: Counter;
  readonly incomplete: Counter;
}

const LOOK_PERIOD: Millis = seconds(5);
const RETRY_DELAY_MIN: Millis = seconds(10);
const RETRY_DELAY_MAX: Millis = seconds(600);
const EXPORT_TIMEOUT: Millis = seconds(3600);
const FILES_KNOWN_MAX = 10_000;

export function exportCounters(metrics: Metrics): ExportCounters {
  return {
    files: metrics.counter({
      name: "tidewire_export_files_total",
      help: "Files that exports on schedule have written",
    }),
    failures: metrics.counter({
      name: "tidewire_export_failures_total",
      help: "Exports on schedule that failed; they are tried again",
    }),
    incomplete: metrics.counter({
      name: "tidewire_export_incomplete_total",
      help: "Files of exports that lack points, because stored files are damaged",
    }),
  };
}

export class ScheduledExport {
  readonly #o: ScheduledExportOptions;
  readonly #rounds: Rounds;
  /** What must be stored before the range that is due is complete. */
  #needs: { readonly from: EpochMs; readonly offset: number } | null = null;

  constructor(options: ScheduledExportOptions) {
    this.#o = options;
    this.#rounds = new Rounds({
      ...options,
      period: LOOK_PERIOD,
      retryDelayMin: RETRY_DELAY_MIN,
      retryDelayMax: RETRY_DELAY_MAX,
      work: (signal) => this.#work(signal),
      failed: "An export on schedule failed; it is tried again, and nothing is left out",
      fields: { export: options.plan.name },
      failures: options.counters.failures,
    });
  }

  /** End of the newest range that is exported; null before the first. */
  get exportedTo(): EpochMs | null {
    return this.#o.tools.state.current?.next ?? null;
  }

  /** Why somebody should look; null where all is well. */
  get problem(): string | null {
    const { failure } = this.#rounds;
    return failure === null ? null : `the export ${this.#o.plan.name} fails: ${failure}`;
  }

  start(): void {
    this.#rounds.start();
  }

  close(): Promise<void> {
    return this.#rounds.close();
  }

  async #work(signal: AbortSignal): Promise<void> {
    const { plan } = this.#o;
    const state = await this.#begun();
    for (let { next } = state; !signal.aborted && this.#isDue(next); next += plan.every)
      await this.#export(next, signal);
  }

  async #begun(): Promise<ExportState> {
    const { plan, tools, clock } = this.#o;
    const known = tools.state.current;
    if (known !== null) return known;
    const since = plan.since ?? clock.now();
    const first: ExportState = { next: Math.floor(since / plan.every) * plan.every, files: [] };
    await tools.state.write(first);
    return first;
  }

  /** Its late points have had their time, and everything that was accepted by then is stored. */
  #isDue(from: EpochMs): boolean {
    const { plan, tools, clock } = this.#o;
    if (clock.now() < from + plan.every + plan.lateness) return false;
    if (this.#needs?.from !== from) this.#needs = { from, offset: tools.durable() };
    return tools.stored() >= this.#needs.offset;
  }

  async #export(from: EpochMs, signal: AbortSignal): Promise<void> {
    const { plan, tools, logger, counters } = this.#o;
    const to = from + plan.every;
    const name = fileNameOf(plan, from);
    const range = { from: iso(from), to: iso(to), things: plan.things, measurements: plan.measurements };
    const request = { ...exportStatement(plan.of, range), format: plan.format, explain: false, rowsMax: 1 };
    const { stream, incomplete } = await tools.ask({ ...request, timeout: EXPORT_TIMEOUT }, signal);
    const source = await tools.spool(stream, name);
    try {
      await (await tools.objects()).put(name, source, signal);
    } finally {
      await source.remove();
    }
    const { bytes, sha256 } = source;
    // Killed before this, the range is written once more under the same name: still one file for it.
    await this.#remember({ name, from, to, bytes, sha256, incomplete }, to);
    counters.files.value++;
    if (!incomplete) return;
    counters.incomplete.value++;
    logger.error("An export lacks points, because stored files are damaged", { export: plan.name, file: name });
  }

  async #remember(file: ExportedFile, next: EpochMs): Promise<void> {
    const { plan, tools } = this.#o;
    const all = [...(tools.state.current?.files ?? []).filter(({ name }) => name !== file.name), file];
    const old = plan.keep === null ? [] : all.slice(0, Math.max(0, all.length - plan.keep));
    await tools.state.write({ next, files: all.slice(old.length).slice(-FILES_KNOWN_MAX) });
    if (old.length === 0) return;
    const objects = await tools.objects();
    for (const { name } of old) {
      await objects.remove(name).catch((error: unknown) => {
        if (!(error instanceof TidewireError)) throw error;
        this.#o.logger.warn("An old export stays, because it cannot be removed", { file: name, reason: error.message });
      });
    }
  }
}

/** `name-2026-11-22.csv`; of ranges shorter than a day with the time, too. */
export function fileNameOf(
  { name, every, format }: Pick<ExportPlan, "name" | "every" | "format">,
  from: EpochMs,
): string {
  const text = iso(from);
  const begun =
    every % 86_400_000 === 0 ? text.slice(0, 10) : `${text.slice(0, 10)}T${text.slice(11, 16).replace(":", "-")}Z`;
  return `${name}-${begun}.${format}`;
}

function iso(time: EpochMs): string {
  return new Date(time).toISOString();
}
