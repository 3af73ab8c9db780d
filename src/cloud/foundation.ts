/** What the platform stands on: its folder, log file, metrics, keys, and the registry with who may do what. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { openDataFolder } from "../adapters/data-folder.ts";
import { prepareUpgrade } from "../adapters/data-format.ts";
import { openLogger } from "../adapters/logger.ts";
import { PrometheusMetrics } from "../adapters/metrics.ts";
import { CertificateAuthority, findPassphrase, openAuditKey } from "../adapters/pki/mod.ts";
import { openSecrets } from "../adapters/secrets/mod.ts";
import type { Secrets } from "../adapters/secrets/mod.ts";
import { systemClock, systemRandom, systemScheduler } from "../adapters/system.ts";
import type { PostgresRegistryStore } from "../adapters/postgres/mod.ts";
import { LIMITS, days, hours, minutes, reasonOf } from "../base/mod.ts";
import type { Clock, Limits, Logger, Random, Scheduler } from "../base/mod.ts";
import { DEFAULT_POLICY_DOCUMENT, DEFAULT_POLICY_NAME } from "../identity/mod.ts";
import type { SharedJoinFailures, SuccessionStore } from "../identity/mod.ts";
import { PresenceBook, Registry } from "../registry/mod.ts";
import { CertificateCensus } from "./certificate-census.ts";
import type { PlatformConfig } from "./config.ts";
import { RegistryGatekeeper, rulesWithin } from "./gatekeeper.ts";
import type { AuditScopes } from "../adapters/audit-logger.ts";
import type { AuditFiles, AuditTrail } from "../audit/mod.ts";
import { passwordHasher } from "../adapters/password-hash.ts";
import type { PasswordHasher, People, SharedAttempts } from "../people/mod.ts";
import { openAudit, openPeople } from "./people.ts";
import { withinDescriptors } from "./descriptors.ts";
import { limitsOf } from "./limits.ts";
import { PasswordUses } from "./logins/mod.ts";
import { ListenerAudit } from "./listener-audit.ts";
import { openIdentityStores } from "./identity-stores.ts";
import { RegisteredAuthorities } from "./registered-authorities.ts";
import { RefusalDesk } from "./refusal-desk.ts";
import { RefusalNotes } from "./refusal-notes.ts";
import { Renewals } from "./renewals.ts";
import type { ProvisioningStores } from "./services/mod.ts";
import { StandaloneCertificates } from "./standalone-certificates.ts";
import type { Teardown } from "./teardown.ts";

const FAILURES_SWEPT_EVERY = minutes(1);

export interface Foundation {
  readonly limits: Limits;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: PrometheusMetrics;
  readonly secrets: Secrets;
  readonly people: People;
  /** Of devices' passwords: in a queue of its own, so that neither people nor devices wait for each other. */
  readonly deviceHasher: PasswordHasher;
  readonly passwordUses: PasswordUses;
  /** Failures of devices, where platforms count them together; null: each by itself. */
  readonly failures: SharedFailures | null;
  readonly audit: AuditTrail;
  readonly auditFiles: AuditFiles;
  readonly auditScopes: AuditScopes;
  readonly authority: CertificateAuthority;
  readonly registry: Registry;
  /** Where the registry is. */
  readonly provisioningStore: ProvisioningStores;
  /** Why the registry's database cannot be asked now; null where it can, or is in the data folder. */
  readonly registryAway: () => string | null;
  readonly presence: PresenceBook;
  readonly gatekeeper: RegistryGatekeeper;
  readonly refusalNotes: RefusalNotes;
  readonly listenerAudit: ListenerAudit;
  readonly refusals: RefusalDesk;
  readonly standalone: StandaloneCertificates;
  readonly authorities: RegisteredAuthorities;
  readonly renewals: Renewals;
  readonly census: CertificateCensus;
}

export interface SharedFailures {
  readonly ofPasswords: SharedAttempts;
  readonly ofJoinCodes: SharedJoinFailures;
}

/** Throws DATA_*, SECRET_*, CLOCK_IMPLAUSIBLE, DATABASE_*. */
export async function layFoundation(config: PlatformConfig, teardown: Teardown): Promise<Foundation> {
  const wanted = limitsOf(config);
  const folder = openDataFolder(config.data);
  teardown.add("data folder", () => folder.release());
  const file = openLogger({ level: "info", file: join(config.data, "platform.log"), terminal: config.verbose });
  teardown.add("log file", () => file.close());
  const limits = withinDescriptors(wanted, file);
  prepareUpgrade({ data: config.data, logger: file });
  const [clock, scheduler, random] = [systemClock, systemScheduler, systemRandom];
  const metrics = new PrometheusMetrics();
  const ground = { data: config.data, clock, scheduler, random, metrics, logger: file };
  const kept = openAudit(ground, teardown);
  const { logger } = kept;
  const registryPath = join(config.data, "registry.db");
  const secrets = openSecrets(join(config.data, "secrets"), { logger, established: existsSync(registryPath) });
  const passphrase = findPassphrase(config.caPassphraseFile);
  const { deviceCertificateDays: deviceDays, caToken: token = null } = config;
  const authority = await CertificateAuthority.open({ secrets, clock, logger, passphrase, deviceDays, token });
  await kept.audit.signWith(await openAuditKey(secrets, passphrase));
  const stores = await openIdentityStores(config, kept.file, logger, teardown);
  const { shared, provisioningStore } = stores;
  const people = openPeople({ ...ground, logger }, secrets, kept.file, shared, teardown);
  const { principalsCachedMax } = limits.registry;
  const ports = { clock, random, logger, metrics };
  const registry = new Registry({
    store: stores.registryStore,
    rules: rulesWithin(limits.identity),
    principalsCachedMax,
    ...ports,
  });
  if (registry.policies.find(DEFAULT_POLICY_NAME) === undefined) {
    registry.policies.put(DEFAULT_POLICY_NAME, DEFAULT_POLICY_DOCUMENT);
  }
  const presence = new PresenceBook({ store: stores.presenceStore, clock, scheduler, logger, metrics, registry });
  teardown.add("presence", () => presence.close());
  const gate = openGate({ registry, clock, scheduler, logger, metrics, audit: kept.audit }, teardown);
  const renewal = openRenewals(
    config,
    stores.successions,
    { registry, authority, clock, scheduler, logger, metrics },
    teardown,
  );
  const standalone = new StandaloneCertificates({ registry, scheduler });
  teardown.add("certificates without CA", () => standalone.close());
  const authorities = new RegisteredAuthorities(registry);
  teardown.add("CAs of others", () => authorities.close());
  const registryAway = (): string | null => shared?.away ?? null;
  const failures = shared === null ? null : countTogether(shared, scheduler, logger, teardown);
  const { audit, auditFiles, auditScopes } = kept;
  const stands = {
    failures,
    people,
    audit,
    auditFiles,
    auditScopes,
    secrets,
    authority,
    registry,
    provisioningStore,
    registryAway,
    presence,
    standalone,
    authorities,
    ...gate,
    ...renewal,
  };
  return { limits, clock, scheduler, random, logger, metrics, ...stands };
}

function countTogether(
  { deviceAttempts, joinFailures }: PostgresRegistryStore,
  scheduler: Scheduler,
  logger: Logger,
  teardown: Teardown,
): SharedFailures {
  const sweep = (): void => {
    try {
      deviceAttempts.sweep();
      joinFailures.sweep();
    } catch (error) {
      logger.warn("Old failures of devices are still counted; they go when the database is back", {
        reason: reasonOf(error),
      });
    }
  };
  teardown.add("failures of devices", scheduler.every(FAILURES_SWEPT_EVERY, sweep));
  return { ofPasswords: deviceAttempts, ofJoinCodes: joinFailures };
}

/** Who is let in, and what becomes of those who are not. */
function openGate(
  base: Pick<Foundation, "registry" | "clock" | "scheduler" | "logger" | "metrics" | "audit">,
  teardown: Teardown,
): Pick<Foundation, "gatekeeper" | "refusalNotes" | "refusals" | "listenerAudit" | "deviceHasher" | "passwordUses"> {
  const refusalNotes = new RefusalNotes(base);
  const gatekeeper = new RegistryGatekeeper({ ...base, onRefused: refusalNotes.ofGate });
  teardown.add("gatekeeper", () => gatekeeper.close());
  const refusals = new RefusalDesk({ ...base, book: refusalNotes.book, gatekeeper });
  const listenerAudit = new ListenerAudit(base);
  teardown.add("audit of listeners", () => listenerAudit.close());
  const { hashesAtOnceMax: atOnceMax, hashesWaitingMax: waitingMax } = LIMITS.logins;
  const deviceHasher = passwordHasher({ atOnceMax, waitingMax });
  const passwordUses = new PasswordUses(base.clock, base.registry.passwords, base.logger);
  const cancelUses = base.scheduler.every(LIMITS.logins.usesSavedEvery, () => passwordUses.flush());
  teardown.add("uses of passwords", () => {
    cancelUses();
    passwordUses.flush();
  });
  return { gatekeeper, refusalNotes, refusals, listenerAudit, deviceHasher, passwordUses };
}

function openRenewals(
  { renewalGraceDays, replacedCertificateHours }: PlatformConfig,
  store: SuccessionStore,
  base: Pick<Foundation, "registry" | "authority" | "clock" | "scheduler" | "logger" | "metrics">,
  teardown: Teardown,
): Pick<Foundation, "renewals" | "census"> {
  const renewalGrace = days(renewalGraceDays);
  const times = { renewalGrace, retireAfter: hours(replacedCertificateHours), deleteAfter: days(7) };
  const renewals = new Renewals({ ...base, store, times });
  teardown.add("renewals", () => renewals.close());
  const isReplaced = (id: string): boolean => renewals.isReplaced(id);
  return { renewals, census: new CertificateCensus({ ...base, renewalGrace, isReplaced }) };
}
