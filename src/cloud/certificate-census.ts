/** A walk through all certificates: which end soon, who depends on which CA, which are revoked. Pages, so that nobody waits. */
import { LIMITS, days, hours, minutes } from "../base/mod.ts";
import type { Clock, EpochMs, Metrics, Millis, Scheduler } from "../base/mod.ts";
import type { RevokedCertificate } from "../adapters/pki/mod.ts";
import type { CertificateRecord, Registry } from "../registry/mod.ts";

export interface Census {
  readonly at: EpochMs;
  /** ACTIVE and not replaced, by the end of their time; the first `SOONEST_MAX`. */
  readonly soonest: readonly CertificateRecord[];
  /** Of them, how many end within each of `WINDOWS`; without those that have ended. */
  readonly within: ReadonlyMap<string, number>;
  /** They should have been renewed by now. */
  readonly overdue: number;
  readonly expired: number;
  /** Devices that could still come with a certificate of this issuer, by its common name. */
  readonly byIssuer: ReadonlyMap<string, number>;
  readonly revoked: ReadonlyMap<string, readonly RevokedCertificate[]>;
}

export interface CensusOptions {
  readonly registry: Pick<Registry, "certificates">;
  readonly isReplaced: (certificateId: string) => boolean;
  readonly renewalGrace: Millis;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly metrics: Metrics;
}

const WINDOWS: readonly (readonly [name: string, span: Millis])[] = [
  ["1d", days(1)],
  ["7d", days(7)],
  ["14d", days(14)],
  ["30d", days(30)],
];
const SOONEST_MAX = 1_000;
const PERIOD = hours(1);
/** The agent renews when a third is left, up to a twelfth later; what has less than a fifth is late. */
const OVERDUE_PART = 5;

export class CertificateCensus {
  readonly #options: CensusOptions;
  #last: Census | null = null;
  #running: Promise<Census> | null = null;

  constructor(options: CensusOptions) {
    this.#options = options;
    const { metrics } = options;
    for (const [within] of WINDOWS) {
      const help = "Active certificates that end within so long and have not been renewed";
      const name = "tidewire_certificates_expiring";
      metrics.observe({ name, help, labels: { within } }, () => this.#last?.within.get(within) ?? 0);
    }
    const soonest = "When the first active certificate ends (seconds since 1970; 0 where there is none)";
    metrics.observe({ name: "tidewire_certificates_soonest_expiry_seconds", help: soonest }, () => {
      const now = options.clock.now();
      return (this.#last?.soonest.find(({ notAfter }) => notAfter > now)?.notAfter ?? 0) / 1000;
    });
    const overdue = "Active certificates that should have been renewed by now";
    metrics.observe({ name: "tidewire_certificates_overdue", help: overdue }, () => this.#last?.overdue ?? 0);
  }

  /** The last one; null before the first. */
  get last(): Census | null {
    return this.#last;
  }

  /** No older than `ageMax`; 0: what is there now. */
  async take(ageMax: Millis = minutes(1)): Promise<Census> {
    const { clock } = this.#options;
    if (this.#last !== null && clock.now() - this.#last.at < ageMax) return this.#last;
    // One that has begun before may have passed what has changed since.
    if (ageMax === 0 && this.#running !== null) await this.#running;
    this.#running ??= this.#walk().finally(() => (this.#running = null));
    return this.#running;
  }

  /** For the upkeep: often enough for metrics and health. */
  refresh(): Promise<Census> {
    return this.take(PERIOD);
  }

  async #walk(): Promise<Census> {
    const { registry, scheduler, clock } = this.#options;
    const count = new Count(this.#options, clock.now());
    let nextToken: string | null = null;
    do {
      const page = registry.certificates.list({
        maxResults: LIMITS.registry.pageSizeMax,
        ascending: true,
        ...(nextToken === null ? {} : { nextToken }),
      });
      for (const certificate of page.items) count.add(certificate);
      ({ nextToken } = page);
      await new Promise<void>((resolve) => scheduler.defer(resolve));
    } while (nextToken !== null);
    return (this.#last = count.result());
  }
}

class Count {
  readonly #options: CensusOptions;
  readonly #now: EpochMs;
  /** Up to twice `SOONEST_MAX`, then cut. */
  #soonest: CertificateRecord[] = [];
  readonly #within = new Map<string, number>();
  /** As many as there are CAs. */
  readonly #byIssuer = new Map<string, number>();
  readonly #revoked = new Map<string, RevokedCertificate[]>();
  #overdue = 0;
  #expired = 0;

  constructor(options: CensusOptions, now: EpochMs) {
    this.#options = options;
    this.#now = now;
  }

  add(certificate: CertificateRecord): void {
    const { status, notBefore, notAfter, serialNumber, updatedAt, certificateId } = certificate;
    const issuer = certificate.issuer["CommonName"]?.[0] ?? "";
    const left = notAfter - this.#now;
    if (status === "REVOKED" && left > 0) {
      const list = this.#revoked.get(issuer) ?? [];
      list.push({ serialNumber, revokedAt: updatedAt });
      this.#revoked.set(issuer, list);
    }
    if (status !== "ACTIVE") return;
    if (left + this.#options.renewalGrace > 0) this.#byIssuer.set(issuer, (this.#byIssuer.get(issuer) ?? 0) + 1);
    if (this.#options.isReplaced(certificateId)) return;
    if (left <= 0) this.#expired++;
    else if (left < (notAfter - notBefore) / OVERDUE_PART) this.#overdue++;
    for (const [name, span] of WINDOWS) {
      if (left > 0 && left <= span) this.#within.set(name, (this.#within.get(name) ?? 0) + 1);
    }
    this.#soonest.push(certificate);
    if (this.#soonest.length >= 2 * SOONEST_MAX) this.#cut();
  }

  result(): Census {
    this.#cut();
    return {
      at: this.#now,
      soonest: this.#soonest,
      within: this.#within,
      overdue: this.#overdue,
      expired: this.#expired,
      byIssuer: this.#byIssuer,
      revoked: this.#revoked,
    };
  }

  #cut(): void {
    this.#soonest = this.#soonest.toSorted((a, b) => a.notAfter - b.notAfter).slice(0, SOONEST_MAX);
  }
}
