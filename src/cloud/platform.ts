/** The platform: starts everything in order, says when it is ready, stops it in reverse. */
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { listenAddress } from "../adapters/net/mod.ts";
import { serverNames } from "../adapters/pki/mod.ts";
import type { ServerNames } from "../adapters/pki/mod.ts";
import { searchAudit } from "../audit/mod.ts";
import { reasonOf, seconds } from "../base/mod.ts";
import type { EpochMs, Logger } from "../base/mod.ts";
import { DEFAULT_POLICY_NAME } from "../identity/mod.ts";
import type { ConnectionInfo } from "./api/contract.ts";
import { archiveOrderOf } from "./archive-config.ts";
import { buildApi } from "./api/server.ts";
import type { ApiServer } from "./api/server.ts";
import { Asker, snapshotsOf, startAsker } from "./ask/mod.ts";
import { BackTester, startPastProcess } from "./backtest/mod.ts";
import { authorityDesk } from "./authority-desk.ts";
import { certificateIssuer, enrolDevice, provisionDevice } from "./certificate-issuer.ts";
import { checkClock } from "./clock-check.ts";
import type { PlatformConfig } from "./config.ts";
import { EnrolmentCodes } from "./est/enrolment-codes.ts";
import type { EstPorts } from "./est/routes.ts";
import { startFirstDevice } from "./first-device.ts";
import { layFoundation } from "./foundation.ts";
import type { Foundation } from "./foundation.ts";
import { healthOf } from "./health.ts";
import { startIngest } from "./ingest.ts";
import type { Ingest } from "./ingest.ts";
import { logLag } from "./lag.ts";
import { passwordDesk } from "./logins/mod.ts";
import { listenerUrlOf } from "./listener-url.ts";
import { Listeners } from "./listeners.ts";
import { policyDesk } from "./policy-desk.ts";
import { Teardown } from "./teardown.ts";
import { withUnits } from "./schemas/mod.ts";
import { openSearch } from "./search/mod.ts";
import { startSchedules } from "./schedule/mod.ts";
import { ENGINE_THREADS, releaseStartMemory, stepBack } from "../adapters/system.ts";
import { startUpkeep } from "./upkeep.ts";
import { RELEASED_AT, VERSION } from "../adapters/version.ts";

export interface PlatformOptions {
  /** Also provision and run an agent for this machine. */
  readonly firstDevice: boolean;
}

export interface Ready {
  readonly mqtts: string;
  readonly https: string;
  readonly http: string;
  readonly adminToken: string;
  readonly dataDir: string;
  readonly pid: number;
  /** What `--listen` added. */
  readonly listen: readonly string[];
}

export interface Platform {
  ready(): Ready;
  /** The administrator token if this start made it. */
  readonly newAdminToken: string | null;
  /** A one-time code for the dashboard's link. */
  loginCode(): string;
  /** Resolves with the reason when the platform cannot go on: the log failed, so nothing may be acknowledged any more. */
  readonly failed: Promise<Error>;
  /** Reads certificates and clients' CAs again; connections stay. */
  reload(): Promise<void>;
  /** Keeps in the log what nobody caught; the caller ends the process. */
  noteCrash(error: Error): void;
  close(): Promise<void>;
}

const OF_PLATFORM = { actor: { kind: "system", part: "platform" }, address: null, target: null } as const;

/** By then the devices that were there before are back, and the first page is served; where they keep it busy, later. */
const TIDY_AFTER = seconds(5);
/**
 * Nice value of the threads that collect garbage: where there is one core for all, four of them would leave a fifth of it to
 * the broker as long as they mark. They compile as well, so they are not the very last.
 */
const ENGINE_PRIORITY = 10;

/** Throws a `TidewireError` where it cannot start; what was started by then is ended. */
export async function startPlatform(given: PlatformConfig, options: PlatformOptions): Promise<Platform> {
  // What is wrong is told before anything is started.
  for (const text of given.listen) listenerUrlOf(text);
  archiveOrderOf(given.archive, given.data);
  const config = { ...given, bind: listenAddress(given.bind) };
  const teardown = new Teardown();
  let base: Foundation | null = null;
  try {
    base = await layFoundation(config, teardown);
    letEngineStepBack(base.logger);
    return await assemble(config, options, base, teardown);
  } catch (error) {
    base?.audit.note({ ...OF_PLATFORM, action: "platform.start", outcome: "failed", reason: reasonOf(error) });
    base?.logger.error("The platform cannot start.", { error: error instanceof Error ? error.message : String(error) });
    await teardown.run(base?.logger ?? null);
    throw error;
  }
}

/** Not everywhere allowed, and nothing depends on it. */
function letEngineStepBack(logger: Logger): void {
  try {
    stepBack(ENGINE_PRIORITY, ENGINE_THREADS);
  } catch (error) {
    logger.warn("The engine's threads keep their priority.", { error });
  }
}

async function assemble(
  config: PlatformConfig,
  options: PlatformOptions,
  base: Foundation,
  teardown: Teardown,
): Promise<Platform> {
  const startedAt = base.clock.now();
  const ingest = await startIngest(config, base, teardown);
  checkClock(base.clock.now(), {
    releasedAt: RELEASED_AT,
    newestRecordAt: ingest.newestRecordAt,
    caEndsAt: base.authority.notAfter,
  });
  const names = serverNames(config.hosts);
  const listeners = new Listeners(config, base, ingest, names);
  const address = { mqtts: "", https: "" };
  const api = await openApi(config, base, ingest, { listeners, startedAt, address, names }, teardown);
  await ingest.storeReady; // its process starts on another core meanwhile
  const ports = await listeners.open(api, teardown);
  // A registry that is away leaves it at "there may be one".
  base.standalone
    .look()
    .catch((error: unknown) => base.logger.warn("certificates without CA are not known", { error }));
  const stopListening = base.registry.onChange(({ kind }) => {
    if (kind === "authority") void listeners.reload("the registered CAs have changed");
  });
  teardown.add("registered CAs", stopListening);
  base.authority.onChange(() => void listeners.reload("the CAs have changed"));
  const everywhere = config.bind === "::" || config.bind === "0.0.0.0";
  const mqtts = (address.mqtts = `mqtts://${everywhere ? "127.0.0.1" : config.bind}:${ports.mqtts}`);
  const http = `http://127.0.0.1:${ports.http}`;
  const https = (address.https = `https://${everywhere ? hostname() : config.bind}:${ports.https}`);
  const { listen } = ports;
  teardown.add("upkeep", startUpkeep({ ...base, ingest, api, listeners }));

  const ready: Ready = {
    mqtts,
    https,
    http,
    adminToken: base.secrets.adminToken,
    dataDir: config.data,
    pid: process.pid,
    listen,
  };
  announce(config.data, ready, teardown);
  if (options.firstDevice) {
    const renewal = `https://${everywhere ? "127.0.0.1" : config.bind}:${ports.https}`;
    await addFirstDevice(config, base, { broker: mqtts, renewal }, teardown);
  }
  teardown.add("tidying", releaseStartMemory(base.scheduler, TIDY_AFTER));
  base.logger.info("The platform is ready.", { version: VERSION, mqtts, https, http, listen });
  const startFacts = { version: VERSION, pid: process.pid, mqtts, https, listen };
  base.audit.note({ ...OF_PLATFORM, action: "platform.start", outcome: "ok", details: startFacts });
  return {
    ready: () => ready,
    newAdminToken: base.secrets.adminTokenIsNew ? base.secrets.adminToken : null,
    loginCode: () => base.people.issueCode(),
    failed: new Promise((resolve) => ingest.log.onFailed(resolve)),
    reload: () => listeners.reload("it was asked for"),
    noteCrash: (error) => base.logger.error("Nobody caught an error; the platform ends.", { error }),
    close: async () => {
      base.logger.info("The platform stops.");
      base.audit.note({ ...OF_PLATFORM, action: "platform.stop", outcome: "ok", details: { pid: process.pid } });
      await teardown.run(base.logger);
    },
  };
}

interface ApiParts {
  readonly listeners: Listeners;
  readonly startedAt: EpochMs;
  /** Known once the listeners are open. */
  readonly address: { readonly mqtts: string; readonly https: string };
  readonly names: ServerNames;
}

async function openApi(
  config: PlatformConfig,
  base: Foundation,
  ingest: Ingest,
  parts: ApiParts,
  teardown: Teardown,
): Promise<ApiServer> {
  const { log, rules, configured, store, provisioning, shadows } = ingest;
  const asker = await openAsker(config, base, ingest, teardown);
  const search = openSearch(config, base, shadows, teardown);
  const backTester = openBackTester(config, base, ingest.external, teardown);
  const schedules = await startSchedules(config, { ...base, asker, store, log }, teardown);
  const api = await buildApi(
    {
      ...base,
      auditSearch: (query) => searchAudit(base.auditFiles, query),
      rules,
      mover: ingest.mover,
      alerts: rules.alerts,
      pictures: ingest.pictures,
      ...configured,
      telemetry: withUnits(store, (thing, measurement, field) => configured.schemas.unitOf(thing, measurement, field)),
      shadows,
      search,
      asker,
      backTester,
      lag: logLag({ ...base, log, store }),
      forgetter: ingest.forgetter,
      certificates: certificateIssuer(base.authority),
      visitorOf: parts.listeners.visitorOf,
      provisioning,
      enrolment: enrolmentPorts(base, parts.listeners),
      desk: authorityDesk(base),
      policies: policyDesk(base),
      passwords: passwordDesk({ ...base, passwords: base.deviceHasher }),
      health: () => healthOf({ ...base, ...ingest, schedules, search, startedAt: parts.startedAt }),
      logNext: () => log.next,
      ownNames: [...parts.names.names, ...parts.names.addresses, config.bind],
      version: VERSION,
      webRoot: join(import.meta.dirname, "../../dist/web"),
      connection: () => connectionInfo(base, parts),
    },
    parts.listeners.takeUpgrade,
  );
  teardown.add("HTTP API", () => api.close());
  return api;
}

function enrolmentPorts(base: Foundation, listeners: Listeners): EstPorts {
  const { registry, authority, renewals, clock, provisioningStore } = base;
  return {
    registry,
    renewals,
    codes: new EnrolmentCodes(clock, provisioningStore),
    visitorOf: listeners.visitorOf,
    chain: () => [...authority.issuingChain, ...authority.roots],
    enrol: (thing, request) => enrolDevice(registry, authority, thing, request),
  };
}

async function openAsker(
  config: PlatformConfig,
  base: Foundation,
  { store }: Ingest,
  teardown: Teardown,
): Promise<Asker> {
  const limits = base.limits.asking;
  const asker = new Asker({
    ...base,
    folder: join(config.data, "asking"),
    start: (events) => startAsker(events, limits),
    snapshot: snapshotsOf({ ...base, store }),
    limits,
  });
  await asker.start();
  teardown.add("users' queries", () => asker.close());
  return asker;
}

function openBackTester(
  config: PlatformConfig,
  base: Foundation,
  external: Ingest["external"],
  teardown: Teardown,
): BackTester {
  const limits = base.limits.backTests;
  const start = (events: Parameters<typeof startPastProcess>[0]) => startPastProcess(events, limits);
  const backTester = new BackTester({ ...base, data: config.data, limits, start, external });
  teardown.add("back-tests", () => backTester.close());
  return backTester;
}

function connectionInfo(base: Foundation, { address: { mqtts, https }, names }: ApiParts): ConnectionInfo {
  const port = mqtts.slice(mqtts.lastIndexOf(":") + 1);
  const hosts = [...names.names, ...names.addresses].filter(
    (host) => !["localhost", "127.0.0.1", "::1"].includes(host),
  );
  return {
    mqtts,
    addresses: hosts.map((host) => `mqtts://${host.includes(":") ? `[${host}]` : host}:${port}`),
    httpsPort: Number(https.slice(https.lastIndexOf(":") + 1)),
    caPem: base.authority.certificatePem,
    defaultPolicy: DEFAULT_POLICY_NAME,
  };
}

/** Where we listen, for the command line on this machine. Gone when we are. */
function announce(dataDir: string, { http, https, mqtts, pid }: Ready, teardown: Teardown): void {
  const path = join(dataDir, "runtime.json");
  writeFileSync(`${path}.new`, JSON.stringify({ http, https, mqtts, pid }), { mode: 0o600 });
  renameSync(`${path}.new`, path);
  teardown.add("announcement", () => rmSync(path, { force: true }));
}

async function addFirstDevice(
  config: PlatformConfig,
  base: Foundation,
  at: { readonly broker: string; readonly renewal: string },
  teardown: Teardown,
): Promise<void> {
  const device = await startFirstDevice({
    ...base,
    dataDir: config.data,
    ...at,
    caPem: base.authority.certificatePem,
    provision: (thing) => provisionDevice(base.registry, base.authority, thing),
  });
  teardown.add("first device", () => device.stop());
}
