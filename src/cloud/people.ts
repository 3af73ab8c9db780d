/** Opens the audit log, and the people whose doings are in it. */
import { hash } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { AuditScopes, auditedLogger } from "../adapters/audit-logger.ts";
import { openAuditFolder } from "../adapters/files/audit-log.ts";
import { passwordHasher } from "../adapters/password-hash.ts";
import { sealingWith } from "../adapters/sealing.ts";
import type { Secrets } from "../adapters/secrets/mod.ts";
import { openPeopleFile } from "../adapters/sqlite/people-store.ts";
import type { OpenPeopleFile } from "../adapters/sqlite/people-store.ts";
import { AuditTrail } from "../audit/mod.ts";
import type { AuditFiles } from "../audit/mod.ts";
import type { Clock, Logger, Metrics, Random, Scheduler } from "../base/mod.ts";
import { People } from "../people/mod.ts";
import type { PeopleStore, SharedAttempts } from "../people/mod.ts";
import type { Teardown } from "./teardown.ts";

interface Ground {
  readonly data: string;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

export interface OpenAudit {
  readonly audit: AuditTrail;
  readonly auditFiles: AuditFiles;
  readonly auditScopes: AuditScopes;
  /** In the data folder, whatever holds the registry: its facts are of this platform. */
  readonly file: OpenPeopleFile;
  /** What is logged with `audit: true` goes into the audit log as well. */
  readonly logger: Logger;
}

/** Throws DATA_FOLDER_UNUSABLE, DATABASE_*. */
export function openAudit({ data, logger: log, ...ports }: Ground, teardown: Teardown): OpenAudit {
  const file = openPeopleFile({ path: join(data, "people.db"), logger: log });
  teardown.add("people's store", () => file.close());
  const auditFiles = openAuditFolder(join(data, "audit"));
  const sha256 = (text: string): string => hash("sha256", text, "hex");
  const { auditAnchor: anchor, auditCheckpoint: checkpointNote } = file;
  const audit = new AuditTrail({ ...ports, files: auditFiles, anchor, checkpointNote, sha256, logger: log });
  teardown.add("audit log", () => audit.close());
  const auditScopes = new AuditScopes();
  return { audit, auditFiles, auditScopes, file, logger: auditedLogger(log, audit, auditScopes) };
}

/** `shared`: where people are kept; null: in the platform's own file. */
export function openPeople(
  ports: Ground,
  secrets: Secrets,
  { people: own, revokedToken }: Pick<OpenPeopleFile, "people" | "revokedToken">,
  shared: { readonly people: PeopleStore; readonly attempts: SharedAttempts } | null,
  teardown: Teardown,
): People {
  // Sessions of before were signed cookies; this was the list of those that were over.
  rmSync(join(ports.data, "secrets", "ended-sessions.json"), { force: true });
  const people = new People({
    ...ports,
    store: shared?.people ?? own,
    attempts: shared?.attempts,
    passwords: passwordHasher(),
    sealing: sealingWith(secrets.sessionKey),
    token: {
      read: () => secrets.read("admin-token")?.trim() ?? secrets.adminToken,
      write: (token) => secrets.write("admin-token", `${token}\n`),
      revoked: () => revokedToken.read(),
      revoke: (hash) => revokedToken.write(hash),
    },
  });
  teardown.add("people", () => people.close());
  return people;
}
