/** Certificates of devices and their life. */
import { TidewireError } from "../base/mod.ts";
import { newId } from "./context.ts";
import type { RegistryContext } from "./context.ts";
import { authorityIdOf, certificateIdOf } from "./names.ts";
import { byCreation } from "./page.ts";
import type { PageOptions } from "./page.ts";
import type {
  Certificate,
  CertificateFacts,
  CertificateMode,
  CertificateRecord,
  CertificateStatus,
  Page,
} from "./records.ts";
import { alreadyExists, notFound, stillInUse } from "./refusals.ts";

export interface NewCertificate {
  /** Default ACTIVE. */
  readonly status?: CertificateStatus | undefined;
  /** The registered CA certificate that signed it. */
  readonly caCertificateId?: string | null | undefined;
  readonly certificateMode?: CertificateMode | undefined;
}

export interface ListCertificates extends PageOptions {
  /** Newest first otherwise. */
  readonly ascending?: boolean | undefined;
  /** Only those that this CA certificate signed. */
  readonly caCertificateId?: string | undefined;
}

export class Certificates {
  readonly #context: RegistryContext;

  constructor(context: RegistryContext) {
    this.#context = context;
  }

  /** `pem` is what was issued or registered; `facts` is what it says (adapters/pki reads them). */
  register(pem: string, facts: CertificateFacts, given: NewCertificate = {}): Certificate {
    const { store, ledger, clock } = this.#context;
    const id = certificateIdOf(facts.certificateId);
    return ledger.atomically(() => {
      if (store.certificates.find(id) !== undefined) alreadyExists("certificate", id);
      const { serialNumber, subject, issuer, notBefore, notAfter } = facts;
      const now = clock.now();
      const certificate: Certificate = {
        certificateId: id,
        serialNumber,
        subject,
        issuer,
        notBefore,
        notAfter,
        pem,
        status: given.status ?? "ACTIVE",
        caCertificateId: given.caCertificateId ?? null,
        certificateMode: given.certificateMode ?? "DEFAULT",
        version: 1,
        generationId: newId(this.#context),
        createdAt: now,
        updatedAt: now,
      };
      store.certificates.save(certificate);
      ledger.changed({ kind: "certificate", id, change: "created", principals: [id] });
      return certificate;
    });
  }

  find(certificateId: string): Certificate | undefined {
    return this.#context.store.certificates.find(certificateId);
  }

  describe(principal: string): Certificate {
    const id = certificateIdOf(principal);
    return this.find(id) ?? notFound("certificate", id);
  }

  updateStatus(principal: string, status: CertificateStatus): Certificate {
    const { store, ledger, clock, rules } = this.#context;
    return ledger.atomically(() => {
      const before = this.describe(principal);
      if (before.status === status) return before;
      const id = before.certificateId;
      if (!rules.mayBecome(before.status, status)) {
        const remedy =
          before.status === "REVOKED"
            ? "Revoking is final: give the device a new certificate."
            : "Choose a status that may follow: ACTIVE, INACTIVE or REVOKED.";
        throw new TidewireError("CERTIFICATE_STATE", { id, status: before.status, wanted: `set to ${status}`, remedy });
      }
      const certificate: Certificate = { ...before, status, version: before.version + 1, updatedAt: clock.now() };
      store.certificates.save(certificate);
      ledger.changed({ kind: "certificate", id, change: "updated", principals: [id] });
      return certificate;
    });
  }

  /** Refused while ACTIVE or attached to a thing; attached policies are let go with `force`, as on AWS. */
  delete(principal: string, { force = false }: { readonly force?: boolean | undefined } = {}): void {
    const { store, ledger } = this.#context;
    ledger.atomically(() => {
      const { certificateId: id, status } = this.describe(principal);
      if (status === "ACTIVE") {
        const remedy = "Make it INACTIVE or REVOKED first, then delete it.";
        throw new TidewireError("CERTIFICATE_STATE", { id, status, wanted: "deleted", remedy });
      }
      const things = store.things.attachedTo(id).length;
      if (things > 0) stillInUse("certificate", id, `${things} thing(s) are attached`);
      const policies = store.policies.attachedTo(`cert/${id}`);
      if (policies.length > 0 && !force) stillInUse("certificate", id, `${policies.length} policies are attached`);
      for (const { policyName } of policies) store.policies.detach(policyName, `cert/${id}`);
      store.certificates.remove(id);
      ledger.changed({ kind: "certificate", id, change: "deleted", principals: [id] });
    });
  }

  list(options: ListCertificates = {}): Page<CertificateRecord> {
    const caCertificateId = options.caCertificateId === undefined ? undefined : authorityIdOf(options.caCertificateId);
    const filter = { caCertificateId };
    return byCreation(`certificates ${caCertificateId ?? ""}`, options, (slice) =>
      this.#context.store.certificates.list(filter, slice),
    );
  }
}
