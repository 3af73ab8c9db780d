/** What one receiver has taken, event by event. */
export class Receipts {
  /** Number of the event → how often. */
  readonly times = new Map<number, number>();
  /** Idempotency key → number of the event that came under it first. Empty where the protocol carries no key. */
  readonly keys = new Map<string, number>();
  /** Keys that came with two different events. */
  readonly confused: string[] = [];

  take(n: number, key: string | null): void {
    this.times.set(n, (this.times.get(n) ?? 0) + 1);
    if (key === null) return;
    const first = this.keys.get(key);
    if (first === undefined) this.keys.set(key, n);
    else if (first !== n) this.confused.push(`${key} named ${first} and ${n}`);
  }

  get repeated(): number {
    let repeated = 0;
    for (const times of this.times.values()) repeated += times - 1;
    return repeated;
  }
}

export interface StormReceiver {
  readonly name: string;
  /** The rule's action. */
  readonly action: object;
  readonly receipts: Receipts;
  /** For receivers that keep what they get themselves: looks at what they have now. */
  look(): Promise<void>;
  close(): Promise<void>;
}
