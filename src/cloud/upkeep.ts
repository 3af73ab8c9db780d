/** What must be done again and again while the platform runs. */
import type { MqttListener } from "../adapters/net/mod.ts";
import type { CertificateAuthority, ServerNames } from "../adapters/pki/mod.ts";
import { LIMITS, hours, minutes, reasonOf, seconds } from "../base/mod.ts";
import type { Cancel, Logger, Scheduler } from "../base/mod.ts";
import type { PresenceBook } from "../registry/mod.ts";
import type { ApiServer } from "./api/server.ts";
import type { Ingest } from "./ingest.ts";

export interface UpkeepOptions {
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly authority: CertificateAuthority;
  readonly presence: PresenceBook;
  readonly ingest: Ingest;
  readonly api: ApiServer;
  readonly mqtt: MqttListener;
  readonly names: ServerNames;
}

const RENEWAL_PERIOD = hours(6);
const RETENTION_PERIOD = minutes(1);
const HEADLINE_PERIOD = seconds(2);

export function startUpkeep(options: UpkeepOptions): Cancel {
  const { scheduler, logger } = options;
  const chore = (name: string, work: () => Promise<void>) => (): void => {
    work().catch((error: unknown) =>
      logger.error("A chore failed; it is tried again.", { chore: name, reason: reasonOf(error) }),
    );
  };
  const cancels = [
    scheduler.every(
      RENEWAL_PERIOD,
      chore("certificate renewal", () => renew(options)),
    ),
    scheduler.every(
      RETENTION_PERIOD,
      chore("log retention", () => retain(options.ingest)),
    ),
    scheduler.every(HEADLINE_PERIOD, chore("headline values", headlines(options))),
  ];
  return () => {
    for (const cancel of cancels) cancel();
  };
}

/** Both listeners take the new certificate for new connections; existing ones go on. */
async function renew({ authority, names, mqtt, api, logger }: UpkeepOptions): Promise<void> {
  const certificate = await authority.serverCertificate(names);
  if (!certificate.isNew) return;
  const tls = { key: certificate.keyPem, cert: certificate.chainPem };
  mqtt.reload({ ...tls, ca: authority.certificatePem });
  api.reloadTls(tls);
  logger.info("The server certificate was renewed.", { notAfter: new Date(certificate.notAfter).toISOString() });
}

/** The log lets go of nothing that a consumer has not had. */
async function retain({ log, rules, store }: Ingest): Promise<void> {
  await log.retain(Math.min(rules.checkpoint(), store.status().offset ?? 0));
}

/** A page of online things per turn, so that a large fleet costs as much as a small one. */
function headlines({ presence, api }: UpkeepOptions): () => Promise<void> {
  let after: string | null = null;
  return async () => {
    if (!api.live.hasFleetViewers) return;
    const things = presence.list("online", after, LIMITS.http.pageSizeMax);
    after = things.length < LIMITS.http.pageSizeMax ? null : things.at(-1)!;
    await api.live.refreshHeadlines(things);
  };
}
