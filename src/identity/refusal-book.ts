/**
 * Who was refused, and for what: kept for whoever looks for the device. One entry per device, reason and resource, with the
 * first and last time and how often. Bounded, so that a flood of made-up names keeps no real device out of it.
 */
import { LIMITS, networkOf } from "../base/mod.ts";
import type { Cancel, Clock, EpochMs } from "../base/mod.ts";

const { registeredMax, perCertificateMax, strangersMax, perAddressMax, textLengthMax } = LIMITS.refusals;

export type RefusedAction = "connect" | "publish" | "subscribe" | "receive";

export interface RefusedRequest {
  readonly action: RefusedAction;
  /** Stable word: `expired`, `client-id`, `publish-forbidden` … */
  readonly reason: string;
  readonly sentence: string;
  /** What its source advises; null where it has no advice. */
  readonly fix: string | null;
  /** As the handshake proved it; null where it did not. */
  readonly certificateId: string | null;
  /** What the certificate calls itself; proved by nothing where `certificateId` is null. */
  readonly subject: string | null;
  /** Null: refused before CONNECT. */
  readonly clientId: string | null;
  readonly thing: string | null;
  readonly remoteAddress: string;
  /** The topic or filter; null for `connect`. */
  readonly resource: string | null;
  readonly retain: boolean;
}

export interface RefusalEntry extends RefusedRequest {
  /** Grows with every refusal: what is new since a page is above the highest of that page. */
  readonly sequence: number;
  readonly firstAt: EpochMs;
  readonly lastAt: EpochMs;
  readonly count: number;
}

export interface RefusalQuery {
  /** Only what was refused after this sequence. */
  readonly after?: number | undefined;
  readonly limit?: number | undefined;
  /** Only those of this certificate, or that name this thing as their own or as their client id. */
  readonly certificateId?: string | undefined;
  readonly thing?: string | undefined;
}

type Kept = { -readonly [K in keyof RefusalEntry]: RefusalEntry[K] };

/** Entries of many owners, the least recent first; each owner has a share, and nobody is pushed out by one who has more. */
class Shelf {
  readonly #max: number;
  readonly #perOwnerMax: number;
  /** `#max` at most. */
  readonly entries = new Map<string, Kept>();
  /** Keys of `entries` by owner; no more owners than entries. */
  readonly #owners = new Map<string, Set<string>>();

  constructor(max: number, perOwnerMax: number) {
    this.#max = max;
    this.#perOwnerMax = perOwnerMax;
  }

  /** True where it is new. */
  note(owner: string, key: string, request: RefusedRequest, sequence: number, now: EpochMs): boolean {
    const known = this.entries.get(key);
    const keys = this.#owners.get(owner) ?? new Set<string>();
    if (known === undefined) {
      this.entries.set(key, { ...request, sequence, firstAt: now, lastAt: now, count: 1 });
    } else {
      Object.assign(known, request, { sequence, lastAt: now, count: known.count + 1 });
      this.entries.delete(key);
      this.entries.set(key, known);
      keys.delete(key);
    }
    keys.add(key);
    this.#owners.set(owner, keys);
    if (keys.size > this.#perOwnerMax) this.#forgetOldestOf(owner, keys);
    else if (this.entries.size > this.#max) this.#forgetOldestOf(...this.#greatest());
    return known === undefined;
  }

  #forgetOldestOf(owner: string, keys: Set<string>): void {
    const [oldest] = keys;
    keys.delete(oldest!);
    this.entries.delete(oldest!);
    if (keys.size === 0) this.#owners.delete(owner);
  }

  /** Of those with as many as another, the one that came first. */
  #greatest(): [string, Set<string>] {
    let found: [string, Set<string>] | null = null;
    for (const [owner, keys] of this.#owners) if (found === null || keys.size > found[1].size) found = [owner, keys];
    return found!;
  }
}

export class RefusalBook {
  readonly #clock: Clock;
  readonly #registered = new Shelf(registeredMax, perCertificateMax);
  readonly #strangers = new Shelf(strangersMax, perAddressMax);
  readonly #listeners = new Set<() => void>();
  #sequence = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#registered.entries.size + this.#strangers.entries.size;
  }

  /** `registered`: the client has proved to hold the key of a certificate that the registry knows. */
  note(given: RefusedRequest, registered: boolean): void {
    const request: RefusedRequest = {
      ...given,
      sentence: plain(given.sentence),
      subject: given.subject === null ? null : plain(given.subject),
      clientId: given.clientId === null ? null : plain(given.clientId),
      resource: given.resource === null ? null : plain(given.resource),
    };
    const { certificateId, clientId, subject, remoteAddress, action, reason, resource } = request;
    const what = `${action} ${reason} ${resource ?? ""}`;
    const now = this.#clock.now();
    this.#sequence++;
    if (registered && certificateId !== null) {
      this.#registered.note(certificateId, `${certificateId} ${what}`, request, this.#sequence, now);
    } else {
      const network = networkOf(remoteAddress);
      const name = `${certificateId ?? ""} ${subject ?? ""} ${clientId ?? ""}`;
      this.#strangers.note(network, `${network} ${name} ${what}`, request, this.#sequence, now);
    }
    for (const listener of this.#listeners) listener();
  }

  /** The latest first. */
  list({ after = 0, limit = LIMITS.refusals.pageSizeMax, certificateId, thing }: RefusalQuery = {}): RefusalEntry[] {
    const found: RefusalEntry[] = [];
    for (const shelf of [this.#registered, this.#strangers]) {
      for (const entry of shelf.entries.values()) {
        if (entry.sequence <= after) continue;
        if (certificateId !== undefined && entry.certificateId !== certificateId) continue;
        if (thing !== undefined && entry.thing !== thing && entry.clientId !== thing) continue;
        found.push({ ...entry });
      }
    }
    return found.toSorted((a, b) => b.sequence - a.sequence).slice(0, limit);
  }

  /** Called after every refusal: whoever listens must not do much. */
  onChange(listener: () => void): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** Control characters, and those that turn text around, would command the terminal that shows them. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

function plain(text: string): string {
  const cut = text.length > textLengthMax ? `${text.slice(0, textLengthMax)}…` : text;
  return cut.replace(UNPRINTABLE, "\ufffd");
}
