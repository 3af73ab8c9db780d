/** What goes because it is old, or because there is too much. */
import type { Bytes, Clock, EpochMs, Limits, Logger, Millis } from "../base/mod.ts";
import type { ArchivedFile, Catalog } from "./catalog.ts";
import { endOfDay, inOrder } from "./catalog.ts";
import type { ArchiveCounters } from "./counters.ts";

export interface RetentionOptions {
  readonly catalog: Catalog;
  readonly counters: ArchiveCounters;
  readonly logger: Logger;
  /** `null`: for ever. */
  readonly keep: Millis | null;
  /** Of files on this machine; `null`: as long as the disk lasts. */
  readonly bytesMax: Bytes | null;
  /** With a colder tier nothing goes for being too much: it moves. */
  readonly hasColderTier: boolean;
}

/** Takes out what is too old; the newest day stays, whatever the clock says. */
export async function expire(options: RetentionOptions, now: EpochMs): Promise<void> {
  const { catalog, counters, logger, keep } = options;
  if (keep === null) return;
  const newest = catalog.content.files.reduce((day, file) => (file.day > day ? file.day : day), "");
  const old = catalog.content.files.filter(({ day }) => day !== newest && endOfDay(day) + keep < now);
  if (old.length === 0) return;
  logger.info("Events are older than they are kept and are removed", { files: old.length, days: daysOf(old) });
  await catalog.discard(old);
  counters.expired += old.length;
}

/** Takes out the oldest days until the rest fits. */
export async function shrink({ catalog, counters, logger, bytesMax, hasColderTier }: RetentionOptions): Promise<void> {
  if (bytesMax === null || hasColderTier) return;
  const files = inOrder(catalog.content.files);
  let bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const gone: ArchivedFile[] = [];
  for (const file of files.slice(0, -1)) {
    if (bytes <= bytesMax) break;
    gone.push(file);
    bytes -= file.bytes;
  }
  if (gone.length === 0) return;
  logger.warn("The event archive is larger than it may be; its oldest files are removed", {
    bytesMax,
    files: gone.length,
    days: daysOf(gone),
  });
  await catalog.discard(gone);
  counters.expired += gone.length;
}

function daysOf(files: readonly ArchivedFile[]): string {
  const days = files.map(({ day }) => day).toSorted();
  return days[0] === days.at(-1) ? days[0]! : `${days[0]} to ${days.at(-1)}`;
}

/**
 * Whether the clock may decide what is old. One that jumps ahead by years would empty the archive; after a jump, and after
 * a start long after the newest event, it is believed once it has gone on for a day.
 */
export class ClockTrust {
  readonly #clock: Clock;
  readonly #limits: Limits["archive"];
  #before: { readonly now: EpochMs; readonly monotonic: Millis };
  #believedAt: Millis;

  constructor(clock: Clock, limits: Limits["archive"], newest: EpochMs | null) {
    this.#clock = clock;
    this.#limits = limits;
    this.#before = { now: clock.now(), monotonic: clock.monotonic() };
    const ahead = newest !== null && this.#before.now - newest > limits.clockDistrust;
    this.#believedAt = this.#before.monotonic + (ahead ? limits.clockDistrust : 0);
  }

  believed(): boolean {
    const now = this.#clock.now();
    const monotonic = this.#clock.monotonic();
    const jump = now - this.#before.now - (monotonic - this.#before.monotonic);
    if (jump > this.#limits.clockDistrust) this.#believedAt = monotonic + this.#limits.clockDistrust;
    this.#before = { now, monotonic };
    return monotonic >= this.#believedAt;
  }
}
