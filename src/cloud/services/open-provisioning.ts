/** Provisioning put together: its database, its hooks, and the clock that ends what nobody came for. */
import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { NodeOutgoingHttp } from "../../adapters/outgoing-http.ts";
import type { CertificateAuthority } from "../../adapters/pki/mod.ts";
import { ProvisioningHooks } from "../../adapters/provisioning-hooks.ts";
import { LIMITS, reasonOf } from "../../base/mod.ts";
import type { Clock, Logger, Metrics, Random, Scheduler } from "../../base/mod.ts";
import { BulkProvisioning, JoinCodes, Provisioner, RegistrationTasks, Templates } from "../../identity/mod.ts";
import type {
  BulkStore,
  EnrolmentCodeStore,
  JoinCodeStore,
  ProvisioningStore,
  RegistrationTaskStore,
  SharedJoinFailures,
  DepartureStore,
} from "../../identity/mod.ts";
import type { Registry } from "../../registry/mod.ts";
import type { BucketsConfig } from "../buckets.ts";
import { BulkDesk } from "./bulk.ts";
import { deviceIssuer, deviceRegistry } from "./device-registry.ts";
import { Joining, fingerprintOf } from "./joining.ts";
import { registrationInputs } from "./registration-input.ts";

import { RegistrationReports } from "./registration-reports.ts";

export interface Provisioning {
  readonly templates: Templates;
  readonly provisioner: Provisioner;
  readonly joining: Joining;
  readonly bulk: BulkDesk;
  readonly registration: { readonly tasks: RegistrationTasks; readonly reports: RegistrationReports };
}

export type ProvisioningStores = ProvisioningStore &
  JoinCodeStore &
  EnrolmentCodeStore &
  BulkStore &
  RegistrationTaskStore &
  DepartureStore;

export interface OpenProvisioningOptions {
  readonly store: ProvisioningStores;
  /** Of join codes, where platforms count them together. */
  readonly failures?: SharedJoinFailures | undefined;
  /** For hooks, and input files. */
  readonly folder: string;
  /** Where input files of registration tasks lie. */
  readonly buckets?: BucketsConfig;
  /** With a key of the platform. */
  readonly hmac: (text: string) => string;
  readonly registry: Registry;
  readonly authority: CertificateAuthority;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** `store` stays open. */
export function openProvisioning(options: OpenProvisioningOptions): Provisioning & { close(): Promise<void> } {
  const { store, folder, registry, authority, scheduler, logger } = options;
  const http = new NodeOutgoingHttp();
  const programs = join(folder, "hooks");
  mkdirSync(programs, { recursive: true, mode: 0o700 });
  const hooks = new ProvisioningHooks({ http, folder: programs });
  const templates = new Templates({ ...options, store, hooks });
  const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
  const device = { issuer: deviceIssuer(authority), registry: deviceRegistry(registry) };
  const provisioner = new Provisioner({ ...options, ...device, store, templates, hooks, sha256 });
  const fingerprint = (): Uint8Array => fingerprintOf(authority.certificatePem);
  const isRegistered = (id: string): boolean => registry.certificates.find(id) !== undefined;
  const codes = new JoinCodes({ ...options, store, isRegistered, sha256, fingerprint });
  const joining = new Joining({ codes, provisioner, registry, authority });
  const bulk = new BulkProvisioning({ ...options, ...device, store, provisioner, templates, sha256 });
  const desk = new BulkDesk({ ...options, bulk, provisioner });
  const open = registrationInputs(options.buckets ?? {}, folder, options);
  const inTurn: BulkDesk["inTurn"] = (work) => desk.inTurn(work);
  const tasks = new RegistrationTasks({ ...options, registry: device.registry, store, provisioner, open, inTurn });
  const reports = new RegistrationReports({ ...options, tasks });
  const sweep = (): void => {
    try {
      if ([provisioner.sweep(), bulk.sweep()].includes(true)) scheduler.defer(sweep);
    } catch (error) {
      logger.error("What is over in provisioning cannot be removed now; it is tried again.", {
        reason: reasonOf(error),
      });
    }
  };
  const cancel = scheduler.every(LIMITS.provisioning.sweepPeriod, sweep);
  const close = async (): Promise<void> => {
    cancel();
    await tasks.close();
    http.close();
  };
  const registration = { tasks, reports };
  return { templates, provisioner, joining, bulk: desk, registration, close };
}
