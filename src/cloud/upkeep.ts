/** What must be done again and again while the platform runs. */
import { LIMITS, hours, minutes, reasonOf, seconds } from "../base/mod.ts";
import type { Cancel, Logger, Scheduler } from "../base/mod.ts";
import type { PresenceBook } from "../registry/mod.ts";
import type { ApiServer } from "./api/server.ts";
import type { CertificateCensus } from "./certificate-census.ts";
import type { Ingest } from "./ingest.ts";
import type { Listeners } from "./listeners.ts";
import type { Renewals } from "./renewals.ts";

export interface UpkeepOptions {
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly presence: PresenceBook;
  readonly ingest: Ingest;
  readonly api: ApiServer;
  readonly listeners: Pick<Listeners, "reload" | "reloadIfChanged">;
  readonly renewals: Pick<Renewals, "tidy">;
  readonly census: Pick<CertificateCensus, "refresh">;
}

const RENEWAL_PERIOD = hours(6);
/** Looked at, because watching misses files that are replaced through links, as in containers. */
const CERTIFICATE_FILES_PERIOD = seconds(10);
const CENSUS_PERIOD = minutes(10);
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
      // Reading it renews it when its time has come.
      chore("certificate renewal", () => options.listeners.reload("its time has come")),
    ),
    scheduler.every(
      CERTIFICATE_FILES_PERIOD,
      chore("certificate files", () => options.listeners.reloadIfChanged()),
    ),
    scheduler.every(
      CENSUS_PERIOD,
      chore("certificates' ends", async () => {
        options.renewals.tidy();
        await options.census.refresh();
      }),
    ),
    scheduler.every(
      RETENTION_PERIOD,
      chore("log retention", async () => {
        await retain(options.ingest);
        await options.ingest.forgetter.tidy();
        await options.ingest.forgetter.follow();
      }),
    ),
    scheduler.every(HEADLINE_PERIOD, chore("headline values", headlines(options))),
  ];
  return () => {
    for (const cancel of cancels) cancel();
  };
}

/** The log lets go of nothing that a consumer has not had. */
async function retain({ log, rules, store, shadows }: Ingest): Promise<void> {
  const { forgettable, archive } = store.status();
  const archived = archive === null ? Infinity : (archive.offset ?? 0);
  await log.retain(Math.min(rules.checkpoint(), shadows.checkpoint(), forgettable, archived));
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
