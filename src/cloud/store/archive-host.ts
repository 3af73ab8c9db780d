/**
 * The event archive inside the store process: put together from real parts, opened when there is something to archive, and
 * opened again where that failed. Whatever happens to it, telemetry goes on and the log keeps the messages.
 */
import { Archive, NOTHING_ARCHIVED } from "../../archive/mod.ts";
import type { ArchiveProgress, ArchiveSource, EventFiles, ForgetRequest } from "../../archive/mod.ts";
import { DuckEventFormat } from "../../adapters/duckdb/mod.ts";
import { digestOf, openArchiveCatalog, openArchiveFolder } from "../../adapters/files/mod.ts";
import { openObjects } from "../../adapters/objects/mod.ts";
import { TidewireError, reasonOf } from "../../base/mod.ts";
import { skipForgotten } from "../../wire/record/mod.ts";
import type { Cancel, Clock, EpochMs, ForgottenThings, Limits, Logger, Scheduler } from "../../base/mod.ts";
import type { ArchiveOrder } from "./protocol.ts";

export interface ArchiveHostOptions {
  readonly order: ArchiveOrder;
  readonly source: ArchiveSource;
  readonly limits: Limits["archive"];
  readonly busy: () => boolean;
  readonly forgotten: ForgottenThings;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly onChange: (progress: ArchiveProgress) => void;
}

/** What becomes of a request to forget a thing. */
export interface ForgetNews {
  readonly removed: Readonly<Record<string, number>> | null;
  readonly done: boolean;
  readonly waiting: string | null;
}

interface Opened {
  readonly archive: Archive;
  readonly format: DuckEventFormat;
}

export class ArchiveHost {
  readonly #options: ArchiveHostOptions;
  #opened: Opened | null = null;
  #opening: Promise<void> = Promise.resolve();
  #problem = "it is being opened";
  #durable = 0;
  #failures = 0;
  #closed = false;
  #cancelRetry: Cancel = () => {};
  /** By request; bounded by the book of those that are being forgotten. */
  readonly #retries = new Map<number, Cancel>();

  constructor(options: ArchiveHostOptions) {
    this.#options = options;
  }

  start(): void {
    this.#opening = this.#open();
  }

  durable(offset: number): void {
    this.#durable = Math.max(this.#durable, offset);
    this.#opened?.archive.durable(this.#durable);
  }

  /** Archives what is durable now, within a few seconds; the offset below which everything is archived then. */
  async flush(): Promise<number | null> {
    const { archive } = await this.#ready();
    await archive.flush();
    return archive.progress().offset;
  }

  /** See `Archive.eventFiles`. Rejects with STORE_UNAVAILABLE while the archive cannot be opened. */
  async eventFiles(from: EpochMs, to: EpochMs, signal?: AbortSignal): Promise<EventFiles> {
    return (await this.#ready()).archive.eventFiles(from, to, signal);
  }

  /** Told of what is removed, and why it waits; begun again until it is done. */
  forget(request: ForgetRequest, tell: (news: ForgetNews) => void): void {
    void this.#forget(request, tell, 0);
  }

  async #forget(request: ForgetRequest, tell: (news: ForgetNews) => void, failures: number): Promise<void> {
    const { limits, scheduler } = this.#options;
    try {
      const removed = await (await this.#ready()).archive.forget(request);
      const counts = removed === null ? null : { events: removed.events, eventFilesDamaged: removed.damaged.length };
      tell({ removed: counts, done: true, waiting: null });
    } catch (error) {
      if (this.#closed) return;
      tell({ removed: null, done: false, waiting: reasonOf(error) });
      const delay = Math.min(limits.retryDelayMax, limits.retryDelayMin * 2 ** Math.min(failures, 20));
      this.#retries.set(
        request.id,
        scheduler.after(delay, () => void this.#forget(request, tell, failures + 1)),
      );
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const cancel of this.#retries.values()) cancel();
    this.#cancelRetry();
    await this.#opening;
    await this.#opened?.archive.close();
    this.#opened?.format.close();
    this.#opened = null;
  }

  async #ready(): Promise<Opened> {
    await this.#opening;
    if (this.#opened === null)
      throw new TidewireError("STORE_UNAVAILABLE", { reason: `event archive: ${this.#problem}` });
    return this.#opened;
  }

  /** Never rejects. */
  async #open(): Promise<void> {
    const { limits, scheduler, logger, onChange } = this.#options;
    try {
      this.#opened = await this.#assemble();
      this.#opened.archive.durable(this.#durable);
      this.#opened.archive.start();
      onChange(this.#opened.archive.progress());
    } catch (error) {
      this.#problem = reasonOf(error);
      logger.error("The event archive cannot be opened; the log keeps the messages", { reason: this.#problem });
      onChange({ ...NOTHING_ARCHIVED, problem: this.#problem });
      const delay = Math.min(limits.retryDelayMax, limits.retryDelayMin * 2 ** Math.min(this.#failures++, 20));
      if (!this.#closed) this.#cancelRetry = scheduler.after(delay, () => this.start());
    }
  }

  async #assemble(): Promise<Opened> {
    const { order, limits, logger } = this.#options;
    const folder = await openArchiveFolder(order.folder);
    const store = await openArchiveCatalog(order.folder, logger);
    const objects = order.cold === null ? null : await openObjects(order.cold, limits, this.#options);
    const format = await DuckEventFormat.open({ folder: order.folder, memoryBytes: limits.writerBytesMax });
    try {
      const { settings } = order;
      const skips = skipForgotten(this.#options.forgotten);
      const archive = await Archive.open({
        ...this.#options,
        skips,
        settings,
        folder,
        store,
        format,
        objects,
        digestOf,
      });
      return { archive, format };
    } catch (error) {
      format.close();
      throw error;
    }
  }
}
