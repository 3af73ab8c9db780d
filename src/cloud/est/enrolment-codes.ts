/** One-time codes with which a device that has no certificate yet may have one for one thing. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { TidewireError, hours } from "../../base/mod.ts";
import type { Clock, EpochMs } from "../../base/mod.ts";
import type { EnrolmentCodeStore } from "../../identity/mod.ts";

const LIFETIME = hours(1);
const CODES_MAX = 1_000;

export class EnrolmentCodes {
  readonly #clock: Clock;
  /** One per thing; bounded by `CODES_MAX`. */
  readonly #store: EnrolmentCodeStore;

  constructor(clock: Clock, store: EnrolmentCodeStore) {
    this.#clock = clock;
    this.#store = store;
  }

  /** 128 bits; the code before it for the same thing is good no more. Throws LIMIT_REACHED. */
  issue(thing: string): { readonly code: string; readonly until: EpochMs } {
    const now = this.#clock.now();
    const code = randomBytes(16).toString("base64url");
    const until = now + LIFETIME;
    this.#store.atomically(() => {
      this.#store.removeEnrolmentCodes(now);
      if (this.#store.enrolmentCode(thing) === null && this.#store.countEnrolmentCodes() >= CODES_MAX) {
        throw new TidewireError("LIMIT_REACHED", { what: "enrolment codes", limit: CODES_MAX });
      }
      this.#store.saveEnrolmentCode({ thing, codeHash: hashOf(code), expiresAt: until });
    });
    return { code, until };
  }

  isGood(thing: string, code: string): boolean {
    const found = this.#store.enrolmentCode(thing);
    if (found === null || found.expiresAt <= this.#clock.now()) return false;
    return timingSafeEqual(Buffer.from(found.codeHash), Buffer.from(hashOf(code)));
  }

  /** Whether it was right, and is used up now. */
  take(thing: string, code: string): boolean {
    return this.isGood(thing, code) && this.#store.removeEnrolmentCode(thing, hashOf(code));
  }
}

function hashOf(code: string): string {
  return createHash("sha256").update(code).digest("hex");
}
