/** What the archive does beside taking steps: deletes what counts no more, merges, moves, checks. One thing at a time. */
import { reasonOf } from "../base/mod.ts";
import type { Cancel, Clock, EpochMs, Limits, Logger, Scheduler } from "../base/mod.ts";
import type { Catalog, Discarded } from "./catalog.ts";
import type { ColdTier } from "./cold.ts";
import type { WarmFiles } from "./files.ts";
import { forgetMessages } from "./forget.ts";
import type { ForgetRequest, ForgottenEvents } from "./forget.ts";
import { mergeOnce } from "./merge.ts";
import type { MergeOptions } from "./merge.ts";
import { ClockTrust, expire, shrink } from "./retention.ts";
import type { RetentionOptions } from "./retention.ts";

export interface KeeperOptions extends MergeOptions, RetentionOptions {
  readonly catalog: Catalog;
  readonly files: WarmFiles;
  readonly cold: ColdTier | null;
  readonly limits: Limits["archive"];
  readonly busy: () => boolean;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly onChange: () => void;
  /** Resolves when the step that runs now has ended. */
  readonly settled: () => Promise<void>;
}

export class Keeper {
  readonly #options: KeeperOptions;
  readonly #trust: ClockTrust;
  readonly #abort = new AbortController();
  #cancel: Cancel = () => {};
  #tidying: Promise<void> = Promise.resolve();
  #moving: Promise<void> | null = null;
  #problem: string | null = null;
  #scrubbedAt: EpochMs | null = null;
  #nextScrubAt: number;

  constructor(options: KeeperOptions) {
    const { clock, limits, catalog } = options;
    this.#options = options;
    const newest = catalog.content.files.reduce<EpochMs | null>((at, { timeTo }) => Math.max(at ?? 0, timeTo), null);
    this.#trust = new ClockTrust(clock, limits, newest);
    this.#nextScrubAt = clock.monotonic() + limits.scrubPeriod;
  }

  /** Why something that was due was not done; `null` where nothing is. */
  get problem(): string | null {
    return this.#problem;
  }

  /** When all files here were read and compared last. */
  get scrubbedAt(): EpochMs | null {
    return this.#scrubbedAt;
  }

  start(): void {
    void this.#again();
  }

  /** A round, and after a pause the next: a slow one is not followed by those that it has held up. */
  async #again(): Promise<void> {
    await this.tidy();
    if (this.#abort.signal.aborted) return;
    const { scheduler, limits } = this.#options;
    this.#cancel = scheduler.after(limits.choresPeriod, () => void this.#again());
  }

  /** Resolves when nothing of it runs any more. */
  async close(): Promise<void> {
    this.#abort.abort();
    this.#cancel();
    await this.#tidying;
    await this.#moving;
  }

  /** One round. Never rejects: what fails is tried again in the next. */
  tidy(): Promise<void> {
    this.#tidying = this.#tidying.then(() => this.#round());
    return this.#tidying;
  }

  /** In its turn. Rejects where not all could be removed yet; what was stays so. Done before, it is null. */
  forget(request: ForgetRequest): Promise<ForgottenEvents | null> {
    const done = this.#tidying.then(() => this.#forget(request));
    this.#tidying = ignoring(done);
    return done;
  }

  async #forget(request: ForgetRequest): Promise<ForgottenEvents | null> {
    const { catalog, settled } = this.#options;
    if (catalog.content.forgotten.includes(request.id)) return null;
    await settled(); // a step may have taken messages of it before it was told
    await this.#moving; // no other begins before this turn is over
    const { signal } = this.#abort;
    const removed = await forgetMessages(this.#options, request, signal);
    await this.#delete();
    const left = catalog.content.discarded.length;
    if (left > 0) throw new Error(`${left} old files are still read, or cannot be deleted`);
    await catalog.change((content) => ({ ...content, forgotten: [...content.forgotten, request.id] }));
    return removed;
  }

  /** Resolves when the moves that run now have ended. */
  async moved(): Promise<void> {
    await this.#moving;
  }

  async #round(): Promise<void> {
    if (this.#abort.signal.aborted) return;
    const { clock, onChange } = this.#options;
    const failed: string[] = [];
    const chore = async (work: () => Promise<void>): Promise<void> => {
      try {
        if (!this.#abort.signal.aborted) await work();
      } catch (error) {
        if (!this.#abort.signal.aborted) failed.push(reasonOf(error).split("\n")[0]!);
      }
    };
    await chore(() => this.#delete());
    if (this.#trust.believed()) await chore(() => expire(this.#options, clock.now()));
    await chore(() => shrink(this.#options));
    await chore(() => this.#merge());
    await chore(() => this.#delete());
    if (clock.monotonic() >= this.#nextScrubAt) await chore(() => this.scrub());
    this.#move();
    this.#tell(failed);
    onChange();
  }

  /** Reads every file here and compares it with what was written. */
  async scrub(): Promise<void> {
    const { catalog, files, clock, limits } = this.#options;
    this.#nextScrubAt = clock.monotonic() + limits.scrubPeriod;
    for (const { name } of catalog.content.files) {
      const file = catalog.file(name);
      if (file?.tier === "warm") await files.sound(file, "again", this.#abort.signal);
    }
    this.#scrubbedAt = clock.now();
  }

  async #merge(): Promise<void> {
    const { clock, busy } = this.#options;
    while (!this.#abort.signal.aborted && !busy() && (await mergeOnce(this.#options, clock.now())));
  }

  /** Deletes what is out of the catalog and not read, and then forgets that it was to be deleted. */
  async #delete(): Promise<void> {
    const { catalog, files, cold } = this.#options;
    await files.sweep();
    if (catalog.content.discarded.length === 0) return;
    await catalog.again();
    const done = new Set<Discarded>();
    let failure: unknown = null;
    for (const gone of catalog.content.discarded) {
      try {
        if (gone.tier === "warm" ? await files.deleteUnread(gone.name) : await this.#deleteCold(gone, cold))
          done.add(gone);
      } catch (error) {
        failure ??= error;
      }
    }
    if (done.size > 0) {
      await catalog.change((content) => ({
        ...content,
        discarded: content.discarded.filter((gone) => !done.has(gone)),
      }));
    }
    if (failure !== null) throw failure;
  }

  async #deleteCold({ name }: Discarded, cold: ColdTier | null): Promise<boolean> {
    if (cold === null || this.#options.files.leases.held(name)) return false;
    await cold.remove(name, this.#abort.signal);
    return true;
  }

  /** Beside all else: an upload takes its time. */
  #move(): void {
    const { cold, clock, onChange } = this.#options;
    if (cold === null || this.#moving !== null) return;
    const work = async (): Promise<void> => {
      while (!this.#abort.signal.aborted && (await cold.moveOnce(clock.now(), this.#abort.signal))) onChange();
      onChange();
    };
    this.#moving = work()
      .catch((error: unknown) => this.#tell([reasonOf(error)]))
      .finally(() => (this.#moving = null));
  }

  #tell(failed: readonly string[]): void {
    const reason = failed[0] ?? null;
    if (reason !== null && reason !== this.#problem) {
      this.#options.logger.error("A chore of the event archive failed; it is tried again", { reason });
    }
    this.#problem = reason;
  }
}

/** The next in turn does not care how this one ended. */
async function ignoring(work: Promise<unknown>): Promise<void> {
  await work.catch(() => {});
}
