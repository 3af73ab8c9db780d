/** `tidewire scrub` once a day, in a process of its own: a finding makes health red until a later one finds all whole; yellow where nothing is lost by it. */
import { minutes, seconds } from "../../base/mod.ts";
import type { Clock, Counter, EpochMs, Gauge, Logger, Metrics, Millis, Scheduler } from "../../base/mod.ts";
import type { ScrubReport } from "../../adapters/scrub/mod.ts";
import { ProgramFailed, runProgram } from "./program.ts";
import { Rounds } from "./rounds.ts";

export interface ScheduledScrubOptions {
  readonly every: Millis;
  readonly scrub: (signal: AbortSignal) => Promise<ScrubReport>;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Of `tidewire scrub`, which `program.ts` runs. */
export function scrubProcess(data: string): ScheduledScrubOptions["scrub"] {
  return async (signal) => {
    const said = await runProgram(["scrub", "--data", data, "--json"], signal).catch((error: unknown) => {
      if (error instanceof ProgramFailed && error.foundDamage) return error.stdout;
      throw error;
    });
    return JSON.parse(said) as ScrubReport;
  };
}

const LOOK_PERIOD: Millis = seconds(60);
/** A start has opened, and so verified, most of it; what it has not, such as the log, is looked at soon. */
const FIRST_AFTER: Millis = minutes(10);
const RETRY_DELAY_MIN: Millis = seconds(60);
const RETRY_DELAY_MAX: Millis = seconds(3600);

export class ScheduledScrub {
  readonly #o: ScheduledScrubOptions;
  readonly #rounds: Rounds;
  readonly #scrubs: Counter;
  readonly #gauges: Readonly<Record<"findings" | "unverified" | "bytes" | "duration", Gauge>>;
  #dueAt: Millis;
  #lastAt: EpochMs = 0;
  #report: ScrubReport | null = null;

  constructor(options: ScheduledScrubOptions) {
    this.#o = options;
    const { metrics, clock, every } = options;
    this.#dueAt = clock.monotonic() + Math.min(every, FIRST_AFTER);
    this.#scrubs = metrics.counter({ name: "tidewire_scrubs_total", help: "Times that all state files were verified" });
    const gauge = (name: string, help: string): Gauge => metrics.gauge({ name: `tidewire_scrub_${name}`, help });
    this.#gauges = {
      findings: gauge("findings", "Places in state files that the last scrub found damaged"),
      unverified: gauge("unverified_files", "Databases without page checksums, of the last scrub"),
      bytes: gauge("read_bytes", "What the last scrub has read"),
      duration: gauge("duration_seconds", "Of the last scrub"),
    };
    metrics.observe(
      { name: "tidewire_scrub_last_timestamp_seconds", help: "When the last scrub ended; 0: none since the start" },
      () => this.#lastAt / 1000,
    );
    this.#rounds = new Rounds({
      ...options,
      period: Math.min(LOOK_PERIOD, every),
      retryDelayMin: RETRY_DELAY_MIN,
      retryDelayMax: RETRY_DELAY_MAX,
      work: (signal) => this.#work(signal),
      failed: "State files could not be verified; it is tried again",
      fields: {},
      failures: metrics.counter({
        name: "tidewire_scrub_failures_total",
        help: "Scrubs that could not be made; they are tried again",
      }),
    });
  }

  /** Why somebody should look; null where all is well. */
  get problem(): string | null {
    const { failure } = this.#rounds;
    return failure === null ? this.#found(true) : `state files cannot be verified: ${failure}`;
  }

  /** What is damaged, and what to do; null where nothing is. */
  get damage(): string | null {
    return this.#found(false);
  }

  #found(spare: boolean): string | null {
    const { findings = [], more = 0 } = this.#report ?? {};
    const [first, ...others] = findings.filter((finding) => finding.spare === spare);
    if (first === undefined) return null;
    const { file, place, reason, fix } = first;
    const rest = others.length + more;
    const also = rest === 0 ? "" : ` (and ${rest} more; \`tidewire scrub\` names them)`;
    return `${file}${place === "" ? "" : `, ${place}`}: ${reason}${also}. ${fix}`;
  }

  start(): void {
    this.#rounds.start();
  }

  close(): Promise<void> {
    return this.#rounds.close();
  }

  async #work(signal: AbortSignal): Promise<void> {
    const { every, scrub, clock, logger } = this.#o;
    const begun = clock.monotonic();
    if (begun < this.#dueAt) return;
    const report = await scrub(signal);
    this.#dueAt = begun + every;
    this.#lastAt = clock.now();
    this.#report = report;
    this.#scrubs.value++;
    const { findings, more, unverified, files, bytes } = report;
    this.#gauges.findings.value = findings.length + more;
    this.#gauges.unverified.value = unverified.length;
    this.#gauges.bytes.value = bytes;
    this.#gauges.duration.value = (clock.monotonic() - begun) / 1000;
    for (const finding of findings) logger.error("A state file is damaged", { ...finding });
    if (findings.length === 0) logger.info("All state files are whole", { files, bytes });
  }
}
