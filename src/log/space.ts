/** Watches the free disk space, so that appends are refused before a write can fail for want of it. */
import { reasonOf } from "../base/mod.ts";
import type { Cancel, Limits, Logger, Scheduler } from "../base/mod.ts";
import type { LogDirectory } from "./ports.ts";

export interface SpaceOptions {
  readonly directory: LogDirectory;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly limits: Limits["log"];
}

export class SpaceWatch {
  readonly #options: SpaceOptions;
  readonly #cancel: Cancel;
  /** As last measured, less what was written since; Infinity where it cannot be measured. */
  #free = Infinity;
  #short = false;
  #measuring = false;
  #told = false;

  constructor(options: SpaceOptions) {
    this.#options = options;
    this.#cancel = options.scheduler.every(options.limits.diskCheckPeriod, () => void this.measure());
  }

  get free(): number {
    return this.#free;
  }

  /** True while appends must be refused. */
  get short(): boolean {
    return this.#short;
  }

  /** `bytes` were written: counted at once, since at full speed much is written between two measurements. */
  wrote(bytes: number): void {
    this.#free -= bytes;
    if (!this.#short && this.#free < this.#options.limits.diskFreeBytesMin) void this.measure();
    this.#judge();
  }

  async measure(): Promise<void> {
    if (this.#measuring) return;
    this.#measuring = true;
    try {
      this.#free = await this.#options.directory.freeBytes();
    } catch (error) {
      if (!this.#told) this.#options.logger.warn("the free disk space cannot be measured", { reason: reasonOf(error) });
      this.#told = true;
    } finally {
      this.#measuring = false;
    }
    this.#judge();
  }

  stop(): void {
    this.#cancel();
  }

  #judge(): void {
    const { limits, logger } = this.#options;
    // Taken again only with some more space than refused, so that it does not flutter.
    const needed = limits.diskFreeBytesMin + (this.#short ? limits.pendingBytesMax : 0);
    const short = this.#free < needed;
    if (short === this.#short) return;
    this.#short = short;
    const fields = { freeBytes: this.#free, neededBytes: needed };
    if (short) logger.error("the disk is nearly full; the log refuses messages until there is space", fields);
    else logger.info("there is disk space again; the log takes messages", fields);
  }
}
