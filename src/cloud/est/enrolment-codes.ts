/** One-time codes with which a device that has no certificate yet may have one for one thing. In memory: a restart ends them. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { TidewireError, hours } from "../../base/mod.ts";
import type { Clock, EpochMs } from "../../base/mod.ts";

const LIFETIME = hours(1);
const CODES_MAX = 1_000;

export class EnrolmentCodes {
  readonly #clock: Clock;
  /** By thing; bounded by `CODES_MAX`. */
  readonly #codes = new Map<string, { readonly hash: Buffer; readonly until: EpochMs }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** 128 bits; the code before it for the same thing is good no more. Throws LIMIT_REACHED. */
  issue(thing: string): { readonly code: string; readonly until: EpochMs } {
    const now = this.#clock.now();
    for (const [other, { until }] of this.#codes) if (until <= now) this.#codes.delete(other);
    if (this.#codes.size >= CODES_MAX && !this.#codes.has(thing)) {
      throw new TidewireError("LIMIT_REACHED", { what: "enrolment codes", limit: CODES_MAX });
    }
    const code = randomBytes(16).toString("base64url");
    const until = now + LIFETIME;
    this.#codes.set(thing, { hash: hashOf(code), until });
    return { code, until };
  }

  isGood(thing: string, code: string): boolean {
    const found = this.#codes.get(thing);
    if (found === undefined || found.until <= this.#clock.now()) return false;
    return timingSafeEqual(found.hash, hashOf(code));
  }

  /** Whether it was right, and is used up now. */
  take(thing: string, code: string): boolean {
    return this.isGood(thing, code) && this.#codes.delete(thing);
  }
}

function hashOf(code: string): Buffer {
  return createHash("sha256").update(code).digest();
}
