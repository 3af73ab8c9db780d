/**
 * Certificates that were registered without their CA (AWS's RegisterCertificateWithoutCA): known one by one by the hash of all
 * of them. Only where there is one, TLS lets strangers' certificates through to be looked up.
 */
import { LIMITS, isTidewireError } from "../base/mod.ts";
import type { Cancel, Scheduler } from "../base/mod.ts";
import type { Registry } from "../registry/mod.ts";

export class StandaloneCertificates {
  readonly #registry: Registry;
  readonly #scheduler: Scheduler;
  readonly #cancel: Cancel;
  /** True until the registry has been walked through: a device must not be turned away because we do not know yet. */
  #expected = true;
  #isClosed = false;

  constructor({ registry, scheduler }: { readonly registry: Registry; readonly scheduler: Scheduler }) {
    this.#registry = registry;
    this.#scheduler = scheduler;
    this.#cancel = registry.onChange(({ kind, id, change }) => {
      if (this.#expected || kind !== "certificate" || change === "deleted") return;
      this.#expected = registry.certificates.find(id)?.certificateMode === "SNI_ONLY";
    });
  }

  /** Looks for the first one, by pages, so that nobody waits. */
  async look(): Promise<void> {
    let nextToken: string | null = null;
    do {
      await new Promise<void>((resolve) => this.#scheduler.defer(resolve));
      if (this.#isClosed) return;
      const page: ReturnType<Registry["certificates"]["list"]> = this.#registry.certificates.list({
        maxResults: LIMITS.registry.pageSizeMax,
        ...(nextToken === null ? {} : { nextToken }),
      });
      if (page.items.some(({ certificateMode }) => certificateMode === "SNI_ONLY")) return;
      ({ nextToken } = page);
    } while (nextToken !== null);
    this.#expected = false;
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
  }

  /** Whether one may come. Once there was one, until the next start. */
  readonly expected = (): boolean => this.#expected;

  /** Its status and time are looked at by who admits it. */
  readonly admits = (certificateId: string): boolean => {
    try {
      return this.#registry.principalOf(certificateId)?.certificate.certificateMode === "SNI_ONLY";
    } catch (error) {
      if (isTidewireError(error)) return false; // the registry is away
      throw error;
    }
  };
}
