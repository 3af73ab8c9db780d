/** How fast something is looked through that others need more. */
import type { Bytes, Clock, Millis, Scheduler } from "../../base/mod.ts";

export interface Pace {
  /** Resolves when as many bytes may have been read as these and all before. */
  spent(bytes: Bytes): Promise<void>;
  /** Resolves when what was just being written is written. */
  secondLook(): Promise<void>;
  /** One more file is done. */
  count(): void;
}

export interface PaceOptions {
  /** `null`: as fast as it goes. */
  readonly bytesPerSecondMax: Bytes | null;
  readonly secondLookAfter: Millis;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
}

/** Shorter waits are not worth a timer. */
const WAIT_MIN: Millis = 10;

export class PoliteReading implements Pace {
  readonly #o: PaceOptions;
  #freeAt: Millis = 0;
  #bytes: Bytes = 0;
  #files = 0;

  constructor(options: PaceOptions) {
    this.#o = options;
  }

  get bytes(): Bytes {
    return this.#bytes;
  }

  get files(): number {
    return this.#files;
  }

  async spent(bytes: Bytes): Promise<void> {
    this.#bytes += bytes;
    const { bytesPerSecondMax, clock } = this.#o;
    if (bytesPerSecondMax === null) return;
    const now = clock.monotonic();
    this.#freeAt = Math.max(this.#freeAt, now) + (bytes / bytesPerSecondMax) * 1000;
    if (this.#freeAt - now >= WAIT_MIN) await this.#wait(this.#freeAt - now);
  }

  secondLook(): Promise<void> {
    return this.#wait(this.#o.secondLookAfter);
  }

  count(): void {
    this.#files++;
  }

  #wait(time: Millis): Promise<void> {
    return new Promise((resolve) => void this.#o.scheduler.after(time, resolve));
  }
}
