/**
 * The background work on the files: compaction, merging, retention, comparing with the checksums. One thing at a time,
 * on a connection of its own; neither commits nor queries wait for it.
 */
import type { DuckDBConnection } from "@duckdb/node-api";
import { days, hours, minutes, reasonOf, seconds } from "../../base/mod.ts";
import type { Cancel, Clock, EpochMs, Logger, Millis, Scheduler } from "../../base/mod.ts";
import { ClockTrust } from "../../telemetry/mod.ts";
import type { Retention, StoreExtent } from "../../telemetry/mod.ts";
import type { PointFile } from "./cold-files.ts";
import type { ColdStore } from "./cold-store.ts";
import { Compaction } from "./compaction.ts";
import type { OnColdStep } from "./cold-folder.ts";
import type { Sealed } from "./generations.ts";
import { isDamage } from "./open.ts";
import { mergeable } from "./periods.ts";
import { retentionPlan, without, withoutOldDamage, worthRollingUp } from "./retention.ts";

export interface KeeperOptions {
  readonly cold: ColdStore;
  readonly connection: DuckDBConnection;
  readonly sealed: readonly Sealed[];
  readonly retention: Retention;
  /** Of all point files together. */
  readonly bytesMax: number;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly onStep?: OnColdStep;
  /** Whether all that has rows of retired series is in files, or in a generation that was handed over. */
  readonly mayErase: () => boolean;
  /** Nothing of the retired series of the manifest is left. */
  readonly onErased: () => void;
  /** DuckDB's own file turned out to be damaged. */
  readonly onDamage: (error: unknown) => void;
}

const RETENTION_PERIOD: Millis = hours(1);
const SCRUB_PERIOD: Millis = days(1);
/** Full disks and the like. */
const RETRY_DELAY: Millis = seconds(30);
/** Between two looks at what may be merged, because a period is over. */
const MERGE_PERIOD: Millis = minutes(10);

type Work = Pick<StoreExtent, "compactions" | "compactionTime" | "compactedAt" | "waiting">;

export class Keeper {
  readonly #options: KeeperOptions;
  readonly #compaction: Compaction;
  readonly #trust = new ClockTrust();
  readonly #sealed: Sealed[];
  readonly #running: Promise<void>;
  #closing = false;
  #wakeUp: () => void = () => {};
  #compactions = 0;
  #compactionTime: Millis = 0;
  #compactedAt: EpochMs | null = null;
  #waiting: string | null = null;
  #retainAt: Millis;
  #scrubAt: Millis;
  #mergeAt: Millis;
  /** Files that were merged are still there. */
  #merged = false;
  /** What a scrub has still to compare. */
  #scrub: PointFile[] = [];
  /** Every file is compared again, not only those that were not yet. */
  #scrubAgain = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#compaction = new Compaction({ ...options, onStep: (step) => this.#step(step) });
    this.#sealed = [...options.sealed];
    this.#retainAt = this.#scrubAt = this.#mergeAt = options.clock.monotonic();
    this.#running = this.#run();
  }

  get work(): Work {
    return {
      compactions: this.#compactions,
      compactionTime: this.#compactionTime,
      compactedAt: this.#compactedAt,
      waiting: this.#waiting,
    };
  }

  take(sealed: Sealed): void {
    this.#sealed.push(sealed);
    this.#wakeUp();
  }

  /** What is sealed belongs to a log that is gone: the files go on with this one. */
  follow(log: string, below: number): void {
    for (const [index, sealed] of this.#sealed.entries()) this.#sealed[index] = { ...sealed, log, below };
  }

  /** What is under way is interrupted: the next start does it again. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#wakeUp();
    this.#options.connection.interrupt();
    await this.#running;
    this.#options.connection.closeSync();
  }

  async #run(): Promise<void> {
    while (!this.#closing) {
      try {
        const did = await this.#next();
        this.#waiting = null;
        if (!did) await this.#sleep(this.#idle());
      } catch (error) {
        if (this.#closing) return;
        if (isDamage(reasonOf(error))) return this.#options.onDamage(error);
        this.#wait(error);
        await this.#sleep(RETRY_DELAY, "all of it");
      }
    }
  }

  /** Does what is most urgent; false where nothing is. */
  async #next(): Promise<boolean> {
    const { cold, clock } = this.#options;
    const [sealed] = this.#sealed;
    if (sealed !== undefined) {
      await this.#compact(sealed);
      return true;
    }
    const { retired, erased } = cold.folder.content;
    if (retired.length > erased.length && this.#options.mayErase()) {
      await this.#compaction.erase();
      this.#options.onErased();
      return true;
    }
    if (this.#retainAt <= clock.monotonic()) {
      await this.#retain();
      this.#retainAt = clock.monotonic() + RETENTION_PERIOD;
      return true;
    }
    if (this.#mergeAt <= clock.monotonic()) {
      await this.#merge();
      return true;
    }
    if (this.#scrubAt <= clock.monotonic()) {
      this.#scrub = [...cold.folder.content.points];
      this.#scrubAt = clock.monotonic() + SCRUB_PERIOD;
      return true;
    }
    return this.#scrubOne();
  }

  async #compact(sealed: Sealed): Promise<void> {
    const { clock } = this.#options;
    const startedAt = clock.monotonic();
    await this.#compaction.compact(sealed, () => this.#sealed[0]!);
    this.#sealed.shift();
    this.#compactions++;
    this.#compactionTime += clock.monotonic() - startedAt;
    this.#compactedAt = clock.now();
    this.#mergeAt = clock.monotonic();
  }

  async #merge(): Promise<void> {
    const { cold, clock, retention } = this.#options;
    const merge = mergeable(cold.folder.content.points, retention, clock.now());
    if (merge !== null) {
      await this.#compaction.merge(merge);
      this.#merged = true;
      return;
    }
    this.#mergeAt = clock.monotonic() + MERGE_PERIOD;
    if (!this.#merged) return;
    this.#merged = false;
    await this.#letGo();
  }

  /** What the manifest names no more goes once `.previous` does not name it either. */
  async #letGo(): Promise<void> {
    await this.#options.cold.change((content) => ({ ...content }));
    await this.#compaction.tidy();
  }

  async #retain(): Promise<void> {
    const { cold, clock, logger, retention, bytesMax } = this.#options;
    const now = clock.now();
    if (!this.#trust.trusts(cold.folder.content.trustedAt, now, clock.monotonic())) {
      logger.warn("The clock has jumped; nothing is removed until it has run on for a day", { now });
      return;
    }
    const { expired, overflowing } = retentionPlan(cold.folder.content, retention, bytesMax, now);
    if (overflowing.length > 0) {
      logger.warn("Telemetry takes more than its share of the disk; its oldest files are removed before their time", {
        bytesMax,
        files: overflowing.length,
        periods: overflowing.map(({ kind, period }) => `${kind} ${period}`).slice(0, 20),
      });
    }
    const rolled = worthRollingUp(expired, retention, now);
    if (rolled.length > 0) {
      if (await cold.verify(rolled, true)) return await this.#retain(); // what is damaged is no minute
      await this.#compaction.rollUp(rolled, (content) => without(content, rolled, true));
      return await this.#retain();
    }
    const files = [...expired, ...overflowing];
    const quiet = files.length === 0 && now - (cold.folder.content.trustedAt ?? 0) < days(1);
    if (quiet) return;
    await cold.change((content) => ({ ...withoutOldDamage(without(content, files), retention, now), trustedAt: now }));
    if (files.length === 0) return;
    logger.info("Old telemetry was removed", { files: files.length });
    await this.#letGo();
  }

  /** At a start those that nobody has asked for yet, then daily all of them. */
  async #scrubOne(): Promise<boolean> {
    const file = this.#scrub.pop();
    if (file === undefined) return false;
    const { cold } = this.#options;
    const present = cold.folder.content.points.some(({ name }) => name === file.name);
    if (present) await cold.verify([file], this.#scrubAgain);
    if (this.#scrub.length === 0) this.#scrubAgain = true;
    return true;
  }

  async #step(step: string): Promise<void> {
    if (this.#closing) throw new Error("it is closing");
    await this.#options.onStep?.(step);
  }

  #idle(): Millis {
    const next = Math.min(this.#retainAt, this.#scrubAt, this.#mergeAt);
    return Math.max(next - this.#options.clock.monotonic(), 0);
  }

  #wait(error: unknown): void {
    const reason = reasonOf(error).split("\n")[0] ?? "";
    if (this.#waiting !== reason) {
      this.#options.logger.error("Compaction waits and is tried again; the log keeps what is not in files", { reason });
    }
    this.#waiting = reason;
  }

  async #sleep(delay: Millis, until: "woken" | "all of it" = "woken"): Promise<void> {
    if (this.#closing) return;
    let cancel: Cancel = () => {};
    await new Promise<void>((resolve) => {
      cancel = this.#options.scheduler.after(delay, resolve);
      this.#wakeUp = () => {
        if (until === "woken" || this.#closing) resolve();
      };
    });
    this.#wakeUp = () => {};
    cancel();
  }
}
