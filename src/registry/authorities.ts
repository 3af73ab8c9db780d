/** CA certificates of others: whose device certificates may be registered, and how. */
import { LIMITS, TidewireError } from "../base/mod.ts";
import { newId } from "./context.ts";
import type { RegistryContext } from "./context.ts";
import { authorityIdOf, checkTemplateName, checkText, invalid } from "./names.ts";
import { byCreation } from "./page.ts";
import type { PageOptions } from "./page.ts";
import type { CaCertificate, CertificateFacts, CertificateMode, Page, RegistrationConfig } from "./records.ts";
import { alreadyExists, limit, notFound } from "./refusals.ts";

export interface NewCaCertificate {
  readonly active?: boolean | undefined;
  readonly autoRegistration?: boolean | undefined;
  readonly registrationConfig?: RegistrationConfig | undefined;
  readonly certificateMode?: CertificateMode | undefined;
}

export interface CaCertificateUpdate {
  readonly status?: CaCertificate["status"] | undefined;
  readonly autoRegistration?: boolean | undefined;
  readonly registrationConfig?: RegistrationConfig | undefined;
  /** Takes the registration configuration away, and with it automatic registration. */
  readonly removeAutoRegistration?: boolean | undefined;
}

export interface ListCaCertificates extends PageOptions {
  /** Newest first otherwise. */
  readonly ascending?: boolean | undefined;
  /** Only those that register with this provisioning template. */
  readonly templateName?: string | undefined;
}

export class CaCertificates {
  readonly #context: RegistryContext;

  constructor(context: RegistryContext) {
    this.#context = context;
  }

  /** That whoever registers it has its key is proved before (`registrationCode`); here it is written down. */
  register(pem: string, facts: CertificateFacts, given: NewCaCertificate = {}): CaCertificate {
    const { store, ledger, clock } = this.#context;
    const id = authorityIdOf(facts.certificateId);
    checkConfig(given.registrationConfig);
    return ledger.atomically(() => {
      if (store.authorities.find(id) !== undefined) alreadyExists("CA certificate", id);
      const { caCertificatesMax } = LIMITS.registry;
      const [one] = store.authorities.list({ after: null, limit: caCertificatesMax }).slice(caCertificatesMax - 1);
      if (one !== undefined) limit("registered CA certificates", caCertificatesMax);
      const { serialNumber, subject, issuer, notBefore, notAfter } = facts;
      const now = clock.now();
      const certificate: CaCertificate = {
        certificateId: id,
        serialNumber,
        subject,
        issuer,
        notBefore,
        notAfter,
        pem,
        status: given.active === true ? "ACTIVE" : "INACTIVE",
        certificateMode: given.certificateMode ?? "DEFAULT",
        autoRegistration: given.autoRegistration ?? false,
        registrationConfig: given.registrationConfig ?? null,
        version: 1,
        generationId: newId(this.#context),
        createdAt: now,
        updatedAt: now,
      };
      store.authorities.save(certificate);
      ledger.changed({ kind: "authority", id, change: "created", principals: [] });
      return certificate;
    });
  }

  find(certificateId: string): CaCertificate | undefined {
    return this.#context.store.authorities.find(certificateId);
  }

  describe(certificate: string): CaCertificate {
    const id = authorityIdOf(certificate);
    return this.find(id) ?? notFound("CA certificate", id);
  }

  update(certificate: string, update: CaCertificateUpdate): CaCertificate {
    const { store, ledger, clock } = this.#context;
    const { removeAutoRegistration = false, registrationConfig, autoRegistration, status } = update;
    checkConfig(registrationConfig);
    if (removeAutoRegistration && (registrationConfig !== undefined || autoRegistration === true)) {
      throw invalid("removeAutoRegistration and a new registration contradict each other");
    }
    return ledger.atomically(() => {
      const before = this.describe(certificate);
      const changed: CaCertificate = {
        ...before,
        status: status ?? before.status,
        autoRegistration: removeAutoRegistration ? false : (autoRegistration ?? before.autoRegistration),
        registrationConfig: removeAutoRegistration ? null : (registrationConfig ?? before.registrationConfig),
        version: before.version + 1,
        updatedAt: clock.now(),
      };
      store.authorities.save(changed);
      ledger.changed({ kind: "authority", id: before.certificateId, change: "updated", principals: [] });
      return changed;
    });
  }

  /** Refused while ACTIVE. The certificates that it signed stay as they are. */
  delete(certificate: string): void {
    const { store, ledger } = this.#context;
    ledger.atomically(() => {
      const { certificateId: id, status } = this.describe(certificate);
      if (status === "ACTIVE") {
        const remedy = "Make it INACTIVE first, then delete it.";
        throw new TidewireError("CERTIFICATE_STATE", { id, status, wanted: "deleted", remedy });
      }
      store.tags.remove(`cacert/${id}`, null);
      store.authorities.remove(id);
      ledger.changed({ kind: "authority", id, change: "deleted", principals: [] });
    });
  }

  list(options: ListCaCertificates = {}): Page<CaCertificate> {
    const { templateName } = options;
    const { caCertificatesMax } = LIMITS.registry;
    return byCreation(`CA certificates ${templateName ?? ""}`, options, (slice) => {
      if (templateName === undefined) return this.#context.store.authorities.list(slice);
      const all = this.#context.store.authorities.list({ ...slice, limit: caCertificatesMax });
      return all.filter((one) => one.registrationConfig?.templateName === templateName).slice(0, slice.limit);
    });
  }

  /** What a verification certificate must have as its common name; the same until it is deleted. */
  registrationCode(): string {
    const { store, ledger, random } = this.#context;
    return ledger.atomically(() => {
      const known = store.authorities.registrationCode();
      if (known !== undefined) return known;
      const code = Array.from(random.bytes(32), (byte) => byte.toString(16).padStart(2, "0")).join("");
      store.authorities.saveRegistrationCode(code);
      return code;
    });
  }

  deleteRegistrationCode(): void {
    const { store, ledger } = this.#context;
    ledger.atomically(() => store.authorities.saveRegistrationCode(null));
  }
}

function checkConfig(config: RegistrationConfig | undefined): void {
  if (config === undefined) return;
  const { templateBodyLengthMax, roleArnLengthMax } = LIMITS.registry;
  const { templateBody, templateName, roleArn } = config;
  if (templateBody !== undefined && templateName !== undefined) {
    throw invalid("registrationConfig has either a templateBody or a templateName");
  }
  if (templateBody !== undefined && templateBody.length > templateBodyLengthMax) {
    throw invalid(`templateBody has ${templateBody.length} characters, ${templateBodyLengthMax} at most`);
  }
  if (templateName !== undefined) checkTemplateName(templateName);
  if (roleArn !== undefined) checkText("roleArn", roleArn, roleArnLengthMax);
}
