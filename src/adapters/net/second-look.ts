/**
 * Addresses whose last handshake ended for a certificate that Node takes away before anybody could read it: their next one
 * goes on to its end, so that it can be told whose certificate it is. They are let in no more than before.
 */
import { minutes } from "../../base/mod.ts";
import type { Clock } from "../../base/mod.ts";

/** Devices come back within that. */
const WANTED_FOR = minutes(15);
const REMEMBERED_MAX = 1_000;

export class SecondLook {
  readonly #clock: Clock;
  /** Until when; the least recent first. */
  readonly #wanted = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  missed(address: string): void {
    this.#wanted.delete(address);
    this.#wanted.set(address, this.#clock.monotonic() + WANTED_FOR);
    if (this.#wanted.size <= REMEMBERED_MAX) return;
    for (const oldest of this.#wanted.keys()) {
      this.#wanted.delete(oldest);
      return;
    }
  }

  isWanted(address: string): boolean {
    return (this.#wanted.get(address) ?? 0) > this.#clock.monotonic();
  }
}
