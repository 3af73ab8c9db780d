/**
 * Connections that have not shown yet who they are: before the end of the TLS handshake, or of whatever else comes before
 * MQTT. They hold places that nobody has earned; when there are too many, the one that has waited longest is let go, so that a
 * flood of them keeps nobody out who goes on to say something.
 */
export class Strangers<T> {
  readonly #max: number;
  readonly #waiting = new Set<T>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Takes one more; returns the one that has to go for it, or null. */
  add(stranger: T): T | null {
    this.#waiting.add(stranger);
    if (this.#waiting.size <= this.#max) return null;
    const [oldest] = this.#waiting;
    this.#waiting.delete(oldest!);
    return oldest!;
  }

  /** It is known now, or gone. */
  delete(known: T): void {
    this.#waiting.delete(known);
  }
}
