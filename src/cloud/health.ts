/** How the platform is: the worst of its parts, each with a sentence. */
import { hostname } from "node:os";
import { ERROR_CATALOGUE } from "../base/mod.ts";
import type { EpochMs } from "../base/mod.ts";
import type { CertificateAuthority } from "../adapters/pki/mod.ts";
import type { Log } from "../log/mod.ts";
import type { CertificateCensus } from "./certificate-census.ts";
import type { Health, HealthState } from "./api/contract.ts";
import type { StoreExtent } from "../telemetry/mod.ts";
import type { Forgetter } from "./forget/mod.ts";
import type { ScheduleProblems } from "./schedule/mod.ts";
import type { StoreClient } from "./store/mod.ts";
import { VERSION } from "../adapters/version.ts";

export interface HealthSources {
  readonly log: Pick<Log, "status">;
  readonly store: Pick<StoreClient, "status">;
  readonly shadows?: { status(): { readonly lag: number } };
  /** Why the registry's database is away; null where all is well. */
  readonly registryAway?: () => string | null;
  readonly startedAt: EpochMs;
  readonly forgetter?: Pick<Forgetter, "problem">;
  readonly schedules?: ScheduleProblems;
  readonly search?: { readonly problem: string | null };
  readonly rules?: { readonly problem: string | null };
  readonly authority?: Pick<CertificateAuthority, "status">;
  readonly census?: Pick<CertificateCensus, "last">;
}

/** Records behind which the store is called late; a restart after a day offline catches up in seconds. */
const STORE_LAG_DEGRADED = 100_000;
/** It reads what is in memory, a few hundred thousand a second. */
const SHADOWS_LAG_DEGRADED = 100_000;

type Part = Health["parts"][number];

export function healthOf(sources: HealthSources): Health {
  const { log, store, shadows, registryAway, startedAt, authority, census, forgetter, schedules, search, rules } =
    sources;
  const parts = [
    logPart(log),
    storePart(store),
    ...archivePart(store),
    ...shadowsPart(shadows),
    ...certificateParts(authority, census),
  ];
  const away = registryAway?.() ?? null;
  // Who is connected goes on; nobody new gets in.
  if (away !== null) parts.push({ name: "registry", state: "degraded", detail: `PostgreSQL: ${away}` });
  const waits = forgetter?.problem ?? null;
  if (waits !== null) parts.push({ name: "forget", state: "degraded", detail: waits });
  const missing = search?.problem ?? null;
  if (missing !== null) parts.push({ name: "search", state: "degraded", detail: missing });
  parts.push(...(schedules?.() ?? []));
  const unsaved = rules?.problem ?? null;
  if (unsaved !== null) parts.push({ name: "rules", state: "degraded", detail: unsaved });
  return { state: worst(parts), version: VERSION, startedAt, host: hostname(), parts };
}

function logPart(log: HealthSources["log"]): Part {
  const { state, reason, durable, first } = log.status();
  if (state === "ok") return { name: "log", state: "ok", detail: `${durable - first} messages kept` };
  // Red although a full disk heals: publishes are refused, and somebody has to do something.
  const { fix } = ERROR_CATALOGUE[state === "full" ? "LOG_FULL" : "LOG_FAILED"];
  const sentence = reason ?? "it takes no messages";
  return { name: "log", state: "failed", detail: `${sentence}${sentence.endsWith(".") ? "" : "."} ${fix}` };
}

/** Without the store nothing is lost: messages wait in the log. */
function storePart(store: HealthSources["store"]): Part {
  const { state, reason, lag, rows, realigned, extent } = store.status();
  if (state !== "ready" || reason !== null) return { name: "store", state: "degraded", detail: reason ?? state };
  if (lag > STORE_LAG_DEGRADED) return { name: "store", state: "degraded", detail: `${lag} messages behind` };
  const trouble = troubleOf(extent) ?? realigned;
  if (trouble !== null) return { name: "store", state: "degraded", detail: trouble };
  return { name: "store", state: "ok", detail: `${rows} points` };
}

/** Long before anybody is locked out: a device renews when a third of its certificate's life is left. */
function certificateParts(authority: HealthSources["authority"], census: HealthSources["census"]): readonly Part[] {
  const parts: Part[] = [];
  const advice = authority?.status().advice ?? null;
  if (advice !== null) parts.push({ name: "certificate authority", state: "degraded", detail: advice });
  const last = census?.last ?? null;
  if (last !== null && last.overdue > 0) {
    const detail = `${last.overdue} should have been renewed and end soon: \`tidewire certs expiring\` names them`;
    parts.push({ name: "certificates", state: "degraded", detail });
  }
  return parts;
}

/** What is not archived is in the log; a damaged file stays degraded until somebody has put it right. */
function archivePart(store: HealthSources["store"]): readonly Part[] {
  const { archive } = store.status();
  if (archive === null) return [];
  const { problem, rows, files, lag } = archive;
  if (problem !== null) return [{ name: "archive", state: "degraded", detail: problem }];
  return [{ name: "archive", state: "ok", detail: `${rows} messages in ${files} files, ${lag} still to come` }];
}

/** Behind, devices wait for their answers; nothing is lost. */
function shadowsPart(shadows: HealthSources["shadows"]): readonly Part[] {
  if (shadows === undefined) return [];
  const { lag } = shadows.status();
  const detail =
    lag > SHADOWS_LAG_DEGRADED ? `${lag} messages behind: devices wait for answers` : "all requests answered";
  return [{ name: "shadows", state: lag > SHADOWS_LAG_DEGRADED ? "degraded" : "ok", detail }];
}

function troubleOf({ quarantined, waiting }: StoreExtent): string | null {
  if (quarantined > 0)
    return `${quarantined} telemetry files are damaged or gone: answers that need them are incomplete`;
  return waiting === null ? null : `compaction waits: ${waiting}`;
}

function worst(parts: readonly Part[]): HealthState {
  const order: readonly HealthState[] = ["failed", "degraded", "ok"];
  return order.find((state) => parts.some((part) => part.state === state)) ?? "ok";
}
