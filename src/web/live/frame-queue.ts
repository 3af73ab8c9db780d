/** Collects what arrives and hands it over once per frame, however much it is. */

/** A hidden tab draws no frames; its events must not pile up for hours. */
const WAITING_MAX = 20_000;

export class FrameQueue<T> {
  #waiting: T[] = [];
  #frame: number | null = null;
  readonly #flush: (items: readonly T[]) => void;

  constructor(flush: (items: readonly T[]) => void) {
    this.#flush = flush;
  }

  add(item: T): void {
    this.#waiting.push(item);
    if (this.#waiting.length >= WAITING_MAX) this.#run();
    else this.#frame ??= requestAnimationFrame(() => this.#run());
  }

  stop(): void {
    if (this.#frame !== null) cancelAnimationFrame(this.#frame);
    this.#frame = null;
    this.#waiting = [];
  }

  #run(): void {
    if (this.#frame !== null) cancelAnimationFrame(this.#frame);
    this.#frame = null;
    const items = this.#waiting;
    this.#waiting = [];
    this.#flush(items);
  }
}
