/** What happened, in order: as a number that two runs of one seed must share, and as text for who reads along. */
import type { Clock } from "../src/base/mod.ts";

const FNV_PRIME = 0x01000193;

export class Trace {
  events = 0;
  readonly #clock: Clock;
  readonly #print: ((line: string) => void) | null;
  #low = 0x811c9dc5;
  #high = 0x9dc5811c;

  constructor(clock: Clock, print: ((line: string) => void) | null) {
    this.#clock = clock;
    this.#print = print;
  }

  add(what: string, detail: string): void {
    const at = this.#clock.monotonic();
    const line = `${(at / 1000).toFixed(3).padStart(9)}  ${what.padEnd(10)} ${detail}`;
    this.events++;
    for (let i = 0; i < line.length; i++) {
      this.#low = Math.imul(this.#low ^ line.charCodeAt(i), FNV_PRIME);
      this.#high = Math.imul(this.#high ^ this.#low, FNV_PRIME) + i;
    }
    this.#print?.(line);
  }

  /** 16 hexadecimal digits. */
  get hash(): string {
    const hex = (part: number): string => (part >>> 0).toString(16).padStart(8, "0");
    return hex(this.#high) + hex(this.#low);
  }
}
