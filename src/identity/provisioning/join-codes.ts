/** Codes by which a new device joins with one line: short, good for a while and a few uses, and not to be guessed. */
import { JOIN_SECRET_BYTES, LIMITS, TidewireError, formatJoinCode, reasonOf } from "../../base/mod.ts";
import type { Clock, Counter, EpochMs, Logger, Metrics, Millis, Random } from "../../base/mod.ts";
import { JoinFailures } from "./join-failures.ts";
import type { SharedJoinFailures } from "./join-failures.ts";
import type { IssuedDevice, JoinCodeRecord, JoinCodeStore, JoinOffer, Sha256Hex } from "./ports.ts";

export interface JoinCodesOptions {
  readonly store: JoinCodeStore;
  /** Where platforms count them together. */
  readonly failures?: SharedJoinFailures | undefined;
  /** Whether the registry has it. */
  readonly isRegistered: (certificateId: string) => boolean;
  readonly sha256: Sha256Hex;
  /** Of the CA that devices are to trust. */
  readonly fingerprint: () => Uint8Array;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface NewJoinCode {
  readonly offer: JoinOffer;
  readonly validFor?: Millis | undefined;
  readonly uses?: number | undefined;
}

export interface Joined {
  readonly thing: string;
  readonly certificateId: string;
}

/**
 * Makes the device. `use` takes one use of the code, for good where the transaction of the registry within which it is called
 * is kept; it may be called again for the same device, and throws JOIN_CODE_INVALID where somebody else was faster.
 */
export type Admit = (
  offer: JoinOffer,
  use: (joined: Joined) => void,
) => Promise<Joined & Pick<IssuedDevice, "certificatePem">>;

const USES_MAX = 1_000;

export class JoinCodes {
  readonly #o: JoinCodesOptions;
  readonly #failures: SharedJoinFailures;
  readonly #refused: Counter;
  readonly #joined: Counter;
  /** Codes that are being used now, with how often; bounded by the HTTP server's connections. */
  readonly #inUse = new Map<string, number>();

  constructor(options: JoinCodesOptions) {
    this.#o = options;
    this.#failures = options.failures ?? new JoinFailures(options.clock);
    const { metrics } = options;
    this.#refused = metrics.counter({
      name: "tidewire_join_refusals_total",
      help: "Devices that came with a code that is no good",
    });
    this.#joined = metrics.counter({ name: "tidewire_joined_total", help: "Devices that joined by a code" });
  }

  /** The code is shown once. */
  create({ offer, validFor = LIMITS.provisioning.joinCodeLifetime, uses = 1 }: NewJoinCode): {
    readonly code: string;
    readonly expiresAt: EpochMs;
  } {
    const { store, clock, random, sha256, fingerprint, logger } = this.#o;
    const { joinCodeLifetimeMax, joinCodesMax } = LIMITS.provisioning;
    if (!(validFor >= 1000 && validFor <= joinCodeLifetimeMax))
      throw new TidewireError("REQUEST_INVALID", { reason: "a join code is valid for 1 second to 30 days" });
    if (!Number.isInteger(uses) || uses < 1 || uses > USES_MAX || (uses > 1 && offer.kind === "thing"))
      throw new TidewireError("REQUEST_INVALID", {
        reason: `a code of a template has 1 to ${USES_MAX} uses, that of a thing one`,
      });
    const createdAt = clock.now();
    const secret = random.bytes(JOIN_SECRET_BYTES);
    const expiresAt = createdAt + validFor;
    store.atomically(() => {
      store.removeExpiredJoinCodes(createdAt);
      if (store.countJoinCodes() >= joinCodesMax)
        throw new TidewireError("LIMIT_REACHED", { what: "join codes", limit: joinCodesMax });
      const secretHash = sha256(hexOf(secret));
      store.saveJoinCode({ secretHash, offer, usesLeft: uses, createdAt, expiresAt, joined: [] });
    });
    logger.info("a join code was made", { audit: true, ...offer, uses, expiresAt });
    return { code: formatJoinCode({ secret, fingerprint: fingerprint() }), expiresAt };
  }

  /** Without their secrets. */
  list(): readonly Pick<JoinCodeRecord, "offer" | "usesLeft" | "createdAt" | "expiresAt" | "joined">[] {
    const now = this.#o.clock.now();
    return this.#o.store.joinCodes(LIMITS.provisioning.joinCodesMax).filter(({ expiresAt }) => expiresAt > now);
  }

  /**
   * Lets one device in. `keyHash` names its key, which it has proved to hold; one that has joined already is told so, with
   * what it got. Throws JOIN_CODE_INVALID, TOO_MANY_REQUESTS, or what `admit` throws.
   */
  async redeem(
    secret: Uint8Array,
    keyHash: string,
    remoteAddress: string,
    admit: Admit,
  ): Promise<Joined & { readonly again: boolean; readonly certificatePem: string | null }> {
    const { store, sha256, logger } = this.#o;
    if (!this.#failures.mayTry(remoteAddress)) {
      this.#refused.value++;
      throw new TidewireError("TOO_MANY_REQUESTS", { retryAfter: "a minute" });
    }
    const secretHash = sha256(hexOf(secret));
    const record = store.joinCode(secretHash);
    const before = record?.joined.find((each) => each.keyHash === keyHash);
    const fault = this.#faultOf(record, before !== undefined);
    if (record === null || fault !== null) {
      this.#failures.failed(remoteAddress);
      this.#refused.value++;
      logger.warn("a device with a join code was refused", { audit: true, remoteAddress, reason: fault });
      throw new TidewireError("JOIN_CODE_INVALID", { reason: fault ?? "nobody knows it" });
    }
    if (before !== undefined)
      return { thing: before.thing, certificateId: before.certificateId, again: true, certificatePem: null };
    this.#use(secretHash, 1);
    const used: { joined: Joined | null; refusal: unknown } = { joined: null, refusal: null };
    try {
      const { thing, certificateId, certificatePem } = await admit(record.offer, (joined) => {
        try {
          this.#take(secretHash, keyHash, joined);
          used.joined = joined;
        } catch (error) {
          used.refusal = error;
          throw error;
        }
      });
      this.#joined.value++;
      logger.info("a device joined by a code", { audit: true, remoteAddress, thing, certificateId });
      return { thing, certificateId, again: false, certificatePem };
    } catch (error) {
      if (used.joined !== null) this.#giveBack(secretHash, used.joined);
      if (used.refusal !== null) this.#refused.value++;
      throw used.refusal ?? error;
    } finally {
      this.#use(secretHash, -1);
    }
  }

  /** Looks at what is kept: another platform may have let somebody in since. */
  #take(secretHash: string, keyHash: string, joined: Joined): void {
    const { store } = this.#o;
    store.atomically(() => {
      const now = store.joinCode(secretHash);
      const before = now?.joined.find((each) => each.keyHash === keyHash);
      if (before?.certificateId === joined.certificateId) return; // the transaction is made again
      if (now === null || now.usesLeft < 1 || before !== undefined)
        throw new TidewireError("JOIN_CODE_INVALID", { reason: "it was used already" });
      store.saveJoinCode({ ...now, usesLeft: now.usesLeft - 1, joined: [...now.joined, { ...joined, keyHash }] });
    });
  }

  /** Where the code and the registry are in two databases, only one of them may have taken it. */
  #giveBack(secretHash: string, { certificateId }: Joined): void {
    const { store, isRegistered, logger } = this.#o;
    try {
      store.atomically(() => {
        const now = store.joinCode(secretHash);
        if (now === null || !now.joined.some((each) => each.certificateId === certificateId)) return;
        if (isRegistered(certificateId)) return; // it is in, although the answer was lost
        const joined = now.joined.filter((each) => each.certificateId !== certificateId);
        store.saveJoinCode({ ...now, usesLeft: now.usesLeft + 1, joined });
      });
    } catch (error) {
      logger.warn("a use of a join code may be lost; make another code", { reason: reasonOf(error) });
    }
  }

  #faultOf(record: JoinCodeRecord | null, again: boolean): string | null {
    if (record === null) return "nobody knows it";
    if (record.expiresAt <= this.#o.clock.now()) return "it has expired";
    if (again) return null;
    return record.usesLeft - (this.#inUse.get(record.secretHash) ?? 0) < 1 ? "it was used already" : null;
  }

  #use(secretHash: string, by: number): void {
    const uses = (this.#inUse.get(secretHash) ?? 0) + by;
    if (uses > 0) this.#inUse.set(secretHash, uses);
    else this.#inUse.delete(secretHash);
  }
}

function hexOf(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
