/** Is the clock right? At start it is held against the certificate; later only its jumps can be seen. */
import type { Clock, EpochMs, Logger, Millis } from "../base/mod.ts";
import { LIMITS, TidewireError, days } from "../base/mod.ts";

/** A certificate is often older than the clock of the machine that uses it first, by a time zone set wrongly. */
const EARLY_MAX = days(1);

/** Throws CLOCK_IMPLAUSIBLE. */
export function checkClock(now: EpochMs, certificate: { readonly notBefore: EpochMs }): void {
  const reason =
    now < certificate.notBefore - EARLY_MAX
      ? `but this agent's certificate was not made before ${iso(certificate.notBefore)}`
      : null;
  if (reason !== null) throw new TidewireError("CLOCK_IMPLAUSIBLE", { now: iso(now), reason });
}

/** Tells jumps of the wall clock against the monotonic one: NTP after a boot without a battery, or somebody's hand. */
export class ClockWatch {
  readonly #clock: Clock;
  readonly #logger: Logger;
  #offset: Millis;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
    this.#offset = clock.now() - clock.monotonic();
  }

  look(): void {
    const offset = this.#clock.now() - this.#clock.monotonic();
    const jump = offset - this.#offset;
    this.#offset = offset;
    if (Math.abs(jump) < LIMITS.edge.clockJumpMin) return;
    this.#logger.warn("this machine's clock jumped; readings carry the new time from here on", {
      jumpMs: Math.round(jump),
      now: iso(this.#clock.now()),
    });
  }
}

function iso(time: EpochMs): string {
  return new Date(time).toISOString();
}
