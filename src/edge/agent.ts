/**
 * The edge agent: sources ▶ outbox ▶ uplink. It records with or without a network; what it accepted leaves the outbox only
 * when the platform has acknowledged it.
 */
import { join } from "node:path";
import { openDataFolder } from "../adapters/data-folder.ts";
import type { DataFolder } from "../adapters/data-folder.ts";
import { inspectCredentials } from "../adapters/device-credentials.ts";
import { uplinkSockets } from "../adapters/net/uplink-socket.ts";
import { openOutboxStore } from "../adapters/sqlite/outbox-store.ts";
import type { OutboxFile } from "../adapters/sqlite/outbox-store.ts";
import { SystemMetrics } from "../adapters/system-metrics.ts";
import { systemClock, systemRandom, systemScheduler } from "../adapters/system.ts";
import type { Cancel, Clock, EpochMs, Logger, Metrics, Random, Scheduler } from "../base/mod.ts";
import { TidewireError } from "../base/mod.ts";
import type { OutboxStatistics, UplinkStatus } from "../queue/mod.ts";
import { CURABLE_REFUSALS, Outbox, QueueStoreError, Uplink } from "../queue/mod.ts";
import { ClockWatch, checkClock } from "./clock-watch.ts";
import type { AgentConfig } from "./config.ts";
import { PlainMetrics } from "./plain-metrics.ts";
import { Renewer } from "./renewer.ts";
import type { RenewerOptions } from "./renewer.ts";
import { startSelfReport } from "./self-report.ts";
import type { SourceStatus } from "./source.ts";
import { Source } from "./source.ts";

export interface AgentPorts {
  readonly logger: Logger;
  readonly metrics?: Metrics;
  readonly clock?: Clock;
  readonly scheduler?: Scheduler;
  readonly random?: Random;
  /** How a new certificate is asked for; null: over HTTPS. */
  readonly ask?: RenewerOptions["ask"];
}

export interface AgentStatus {
  readonly thing: string;
  readonly startedAt: EpochMs;
  readonly uplink: UplinkStatus;
  readonly outbox: OutboxStatistics;
  readonly sources: readonly SourceStatus[];
}

export interface Agent {
  status(): AgentStatus;
  /** Stops the sources, saves, waits a moment for acknowledgements on the way, and gives the data folder free. */
  stop(): Promise<void>;
}

/**
 * Starts recording; the platform need not be there. Throws CONFIG_VALUE_INVALID (key or certificate cannot be used),
 * CLOCK_IMPLAUSIBLE, DATA_FOLDER_UNUSABLE, DATA_FOLDER_LOCKED, DATABASE_UNUSABLE or DATABASE_NEWER.
 */
export async function runAgent(config: AgentConfig, given: AgentPorts): Promise<Agent> {
  const ports: Required<AgentPorts> = {
    metrics: new PlainMetrics(),
    clock: systemClock,
    scheduler: systemScheduler,
    random: systemRandom,
    ask: null,
    ...given,
  };
  checkCredentials(config, ports);
  const folder = openDataFolder(config.data);
  let file: OutboxFile;
  try {
    file = openOutboxStore(join(config.data, "outbox.db"), ports.clock.now(), ports.logger);
  } catch (error) {
    folder.release();
    throw error;
  }
  if (file.movedAside !== null) {
    ports.logger.error("the outbox was damaged; it was moved aside and recording starts with a new one", {
      movedTo: file.movedAside,
      fix: "Check the disk. `sqlite3 FILE .recover` may bring back readings that were not sent.",
    });
  }
  try {
    return assemble(config, ports, folder, file);
  } catch (error) {
    file.close();
    folder.release();
    if (!(error instanceof QueueStoreError)) throw error;
    const path = join(config.data, "outbox.db");
    throw new TidewireError("DATABASE_UNUSABLE", { name: "outbox", path, reason: error.message }, { cause: error });
  }
}

function assemble(config: AgentConfig, ports: Required<AgentPorts>, folder: DataFolder, file: OutboxFile): Agent {
  const { clock, scheduler, random, logger, metrics } = ports;
  const startedAt = clock.now();
  const outbox = new Outbox({
    store: file.store,
    clock,
    scheduler,
    random,
    logger,
    metrics,
    limits: config.outbox,
  });
  const retried = outbox.exhume(CURABLE_REFUSALS);
  const { uplink, renewer } = connection(config, ports, outbox);
  const watch = new ClockWatch(clock, logger);
  const sources = config.sources.map((source) => {
    const reader = new SystemMetrics({ disk: source.disk, monotonic: () => clock.monotonic() });
    const topic = `telemetry/${config.thing}/${source.type}`;
    return new Source({
      type: source.type,
      topic,
      every: source.every,
      read: () => reader.read(),
      outbox,
      clock,
      logger,
    });
  });
  const stops: Cancel[] = sources.map((source) => source.start(scheduler, () => watch.look()));
  stops.push(startSelfReport({ thing: config.thing, outbox, clock, scheduler, sources }));
  logger.info("the agent records", {
    thing: config.thing,
    broker: config.broker.url,
    outbox: outbox.id,
    waiting: outbox.statistics().waiting,
    ...(retried > 0 ? { refusedBeforeAndTriedAgain: retried } : {}),
  });
  stops.push(renewer.start());
  uplink.start();
  let stopped: Promise<void> | null = null;
  const stop = async (): Promise<void> => {
    for (const one of stops) one();
    outbox.flush();
    await uplink.stop();
    outbox.close();
    file.close();
    folder.release();
    logger.info("the agent stopped", { waiting: outbox.statistics().waiting });
  };
  return {
    status: () => ({
      thing: config.thing,
      startedAt,
      uplink: uplink.status(),
      outbox: outbox.statistics(),
      sources: sources.map((source) => source.status()),
    }),
    stop: () => (stopped ??= stop()),
  };
}

function connection(config: AgentConfig, ports: Required<AgentPorts>, outbox: Outbox) {
  const renewer: Renewer = new Renewer({ config, ...ports, reconnect: () => uplink.replace() });
  const sockets = uplinkSockets({ ...config.broker, credentials: () => renewer.credentials() });
  const uplink: Uplink = new Uplink({ ...ports, open: renewer.watched(sockets), outbox, clientId: config.thing });
  return { uplink, renewer };
}

function checkCredentials(config: AgentConfig, { clock, logger }: Required<AgentPorts>): void {
  const found = inspectCredentials(credentialPaths(config));
  if (!found.ok) {
    const { file: key, reason } = found;
    throw new TidewireError("CONFIG_VALUE_INVALID", { file: config.file, key, reason, command: "agent" });
  }
  checkClock(clock.now(), found);
  // Not refused: what it records waits in the outbox, and the platform may renew it yet.
  if (clock.now() > found.notAfter) {
    logger.warn("the certificate in agent.yaml has expired, or this machine's clock is wrong", {
      ended: new Date(found.notAfter).toISOString(),
    });
  }
  if (found.keyExposed) {
    logger.warn("other users of this machine can read the agent's private key", {
      path: config.privateKey,
      fix: `chmod 600 ${config.privateKey}`,
    });
  }
}

function credentialPaths({ certificate, privateKey, ca }: AgentConfig): {
  readonly certificate: string;
  readonly privateKey: string;
  readonly ca: string;
} {
  return { certificate, privateKey, ca };
}
