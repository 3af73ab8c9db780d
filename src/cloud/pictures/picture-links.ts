/** Addresses of pictures that need no login, because chat services fetch them: signed, for one alert and moment, and not for ever. */
import { TidewireError, days } from "../../base/mod.ts";
import type { Clock, EpochMs, Millis } from "../../base/mod.ts";
import type { KeyedHash } from "../../rules/mod.ts";

/** Chat services fetch a picture once and keep it; who looks later has a login. */
const VALID_FOR: Millis = days(7);

export interface SignedMoment {
  readonly alert: string;
  readonly at: EpochMs;
  readonly until: EpochMs;
  readonly key: string;
}

export class PictureLinks {
  readonly #hash: KeyedHash;
  readonly #clock: Clock;

  constructor({ keyedHash, clock }: { readonly keyedHash: KeyedHash; readonly clock: Clock }) {
    this.#hash = keyedHash;
    this.#clock = clock;
  }

  link(dashboard: string, alert: string, at: EpochMs): string {
    const until = Math.floor(this.#clock.now() + VALID_FOR);
    const query = new URLSearchParams({ at: String(at), until: String(until), key: this.#key({ alert, at, until }) });
    return `${dashboard}/pictures/${encodeURIComponent(alert)}/chart.png?${query.toString()}`;
  }

  /** Throws LINK_INVALID: of an altered one nobody learns what is wrong with it. */
  check({ alert, at, until, key }: SignedMoment): void {
    // Hashed once more, a comparison that ends early tells nothing about the key.
    const isRight = this.#hash(key) === this.#hash(this.#key({ alert, at, until }));
    if (!isRight || this.#clock.now() >= until) throw new TidewireError("LINK_INVALID");
  }

  #key({ alert, at, until }: Omit<SignedMoment, "key">): string {
    return this.#hash(JSON.stringify(["picture of an alert", alert, at, until])).slice(0, 43);
  }
}
