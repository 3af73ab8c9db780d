/**
 * Certificates that have registered themselves and wait for somebody to activate them: so many of one CA at most, and not for
 * ever. Who may sign with a CA could else fill the registry, one certificate after the other.
 */
import { LIMITS, minutes, reasonOf } from "../../base/mod.ts";
import type { Cancel, Clock, EpochMs, Logger, Metrics, Scheduler } from "../../base/mod.ts";
import type { CertificateRecord, Registry } from "../../registry/mod.ts";
import type { RegisteredAuthorities } from "../registered-authorities.ts";

export interface PendingCertificatesOptions {
  readonly registry: Registry;
  readonly authorities: Pick<RegisteredAuthorities, "all">;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

const SWEEP_PERIOD = minutes(1);
const ENDED_AT_ONCE = 200;

interface Pending {
  readonly authority: string;
  readonly since: EpochMs;
}

export class PendingCertificates {
  readonly #o: PendingCertificatesOptions;
  /** By certificate, the oldest first but for what the start has found; the CAs and `justInTimePendingMax` bound them. */
  readonly #pending = new Map<string, Pending>();
  readonly #perAuthority = new Map<string, number>();
  readonly #cancels: readonly Cancel[];
  #closed = false;

  constructor(options: PendingCertificatesOptions) {
    this.#o = options;
    const { registry, scheduler, metrics } = options;
    metrics.observe(
      {
        name: "tidewire_just_in_time_pending",
        help: "Certificates that have registered themselves and wait to be activated",
      },
      () => this.#pending.size,
    );
    this.#cancels = [
      registry.onChange(({ kind, id, change }) => {
        if (kind !== "certificate" || change === "created" || !this.#pending.has(id)) return;
        if (registry.certificates.find(id)?.status !== "PENDING_ACTIVATION") this.#remove(id);
      }),
      scheduler.every(SWEEP_PERIOD, () => this.#sweep()),
    ];
  }

  /** Looks for those of an earlier run, some at a time. */
  async load(): Promise<void> {
    const { authorities, registry, scheduler, logger } = this.#o;
    try {
      for (const { certificateId: caCertificateId } of authorities.all()) {
        let nextToken: string | null = null;
        do {
          const token: { nextToken?: string } = nextToken === null ? {} : { nextToken };
          const page = registry.certificates.list({
            caCertificateId,
            maxResults: LIMITS.registry.pageSizeMax,
            ...token,
          });
          for (const certificate of page.items) this.add(certificate);
          ({ nextToken } = page);
          await new Promise<void>((resolve) => scheduler.defer(resolve));
        } while (nextToken !== null && !this.#closed);
      }
    } catch (error) {
      if (this.#closed) return;
      logger.warn("Certificates that wait to be activated could not be counted.", { reason: reasonOf(error) });
    }
  }

  isFull(authority: string): boolean {
    return (this.#perAuthority.get(authority) ?? 0) >= LIMITS.provisioning.justInTimePendingMax;
  }

  add({ certificateId, caCertificateId, status, createdAt }: Omit<CertificateRecord, "pem">): void {
    if (status !== "PENDING_ACTIVATION" || caCertificateId === null) return;
    if (this.#pending.has(certificateId) || this.isFull(caCertificateId)) return;
    this.#pending.set(certificateId, { authority: caCertificateId, since: createdAt });
    this.#perAuthority.set(caCertificateId, (this.#perAuthority.get(caCertificateId) ?? 0) + 1);
  }

  close(): void {
    this.#closed = true;
    for (const cancel of this.#cancels) cancel();
  }

  #remove(certificateId: string): void {
    const { authority } = this.#pending.get(certificateId)!;
    this.#pending.delete(certificateId);
    this.#perAuthority.set(authority, this.#perAuthority.get(authority)! - 1);
  }

  /** Of CAs that let them register anew: whoever still has the device is told of it again when it comes. */
  #sweep(): void {
    const { registry, authorities, clock, logger, scheduler } = this.#o;
    const until = clock.now() - LIMITS.provisioning.justInTimePendingFor;
    const renewing = new Set(
      authorities.all().flatMap((one) => (one.autoRegistration && one.status === "ACTIVE" ? [one.certificateId] : [])),
    );
    let ended = 0;
    for (const [certificateId, { authority, since }] of this.#pending) {
      if (since > until || !renewing.has(authority)) continue;
      if (++ended > ENDED_AT_ONCE) {
        scheduler.defer(() => {
          if (!this.#closed) this.#sweep();
        });
        return;
      }
      try {
        registry.atomically(() => {
          if (registry.certificates.find(certificateId)?.status !== "PENDING_ACTIVATION") return;
          registry.certificates.delete(certificateId, { force: true });
        });
        if (this.#pending.has(certificateId)) this.#remove(certificateId);
        logger.info("a certificate that nobody has activated was deleted", { audit: true, certificateId });
      } catch (error) {
        // Attached to a thing by now, or the disk is full: it stays, and is looked at again.
        logger.warn("A certificate that nobody has activated stays.", { certificateId, reason: reasonOf(error) });
        return;
      }
    }
  }
}
