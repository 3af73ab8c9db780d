/** The platform: starts everything in order, says when it is ready, stops it in reverse. */
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { listenAddress, listenMqtt } from "../adapters/net/mod.ts";
import type { MqttListener } from "../adapters/net/mod.ts";
import { serverNames } from "../adapters/pki/mod.ts";
import type { ServerCertificate } from "../adapters/pki/mod.ts";
import { seconds } from "../base/mod.ts";
import type { EpochMs } from "../base/mod.ts";
import { DEFAULT_POLICY_NAME } from "../identity/mod.ts";
import type { ConnectionInfo } from "./api/contract.ts";
import { buildApi } from "./api/server.ts";
import type { ApiServer } from "./api/server.ts";
import { Sessions } from "./api/session.ts";
import { certificateIssuer, provisionDevice } from "./certificate-issuer.ts";
import { checkClock } from "./clock-check.ts";
import { plainListenerOf } from "./config.ts";
import type { PlatformConfig } from "./config.ts";
import { endedSessionsFile } from "./ended-sessions.ts";
import { startFirstDevice } from "./first-device.ts";
import { layFoundation } from "./foundation.ts";
import type { Foundation } from "./foundation.ts";
import { healthOf } from "./health.ts";
import { startIngest } from "./ingest.ts";
import type { Ingest } from "./ingest.ts";
import { Teardown } from "./teardown.ts";
import { releaseStartMemory } from "../adapters/system.ts";
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
  /** Benchmark listeners that were asked for. */
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
  /** Keeps in the log what nobody caught; the caller ends the process. */
  noteCrash(error: Error): void;
  close(): Promise<void>;
}

const CLOSE_GRACE = seconds(1);
/** By then the devices that were there before are back, and the first page is served. */
const TIDY_AFTER = seconds(5);

/** Throws a `TidewireError` where it cannot start; what was started by then is ended. */
export async function startPlatform(given: PlatformConfig, options: PlatformOptions): Promise<Platform> {
  for (const text of given.listen) plainListenerOf(text); // a wrong one is told before anything is started
  const config = { ...given, bind: listenAddress(given.bind) };
  const teardown = new Teardown();
  let base: Foundation | null = null;
  try {
    base = await layFoundation(config, teardown);
    return await assemble(config, options, base, teardown);
  } catch (error) {
    base?.logger.error("The platform cannot start.", { error: error instanceof Error ? error.message : String(error) });
    await teardown.run(base?.logger ?? null);
    throw error;
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
  const certificate = await base.authority.serverCertificate(names);
  const sessions = new Sessions({
    ...base,
    adminToken: base.secrets.adminToken,
    sessionKey: base.secrets.sessionKey,
    ended: endedSessionsFile(join(config.data, "secrets", "ended-sessions.json"), base.logger),
  });

  const mqtt = await listenSecure(config, base, ingest, certificate, teardown);
  const mqtts = `mqtts://${config.bind === "::" || config.bind === "0.0.0.0" ? "127.0.0.1" : config.bind}:${mqtt.port}`;
  const listen = await listenPlain(config, base, ingest, teardown);
  const { api, http, https } = await serveApi(
    config,
    base,
    ingest,
    { sessions, certificate, startedAt, mqtts, names },
    teardown,
  );
  teardown.add("upkeep", startUpkeep({ ...base, ingest, api, mqtt, names }));

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
  if (options.firstDevice) await addFirstDevice(config, base, mqtts, teardown);
  teardown.add("tidying", base.scheduler.after(TIDY_AFTER, releaseStartMemory));
  base.logger.info("The platform is ready.", { version: VERSION, mqtts, https, http, listen });
  return {
    ready: () => ready,
    newAdminToken: base.secrets.adminTokenIsNew ? base.secrets.adminToken : null,
    loginCode: () => sessions.issueCode(),
    failed: new Promise((resolve) => ingest.log.onFailed(resolve)),
    noteCrash: (error) => base.logger.error("Nobody caught an error; the platform ends.", { error }),
    close: async () => {
      base.logger.info("The platform stops.");
      await teardown.run(base.logger);
    },
  };
}

async function listenSecure(
  config: PlatformConfig,
  base: Foundation,
  { broker }: Ingest,
  certificate: ServerCertificate,
  teardown: Teardown,
): Promise<MqttListener> {
  const listener = await listenMqtt({
    ...base,
    host: config.bind,
    port: config.mqttsPort,
    portOption: "--mqtts-port",
    tls: { key: certificate.keyPem, cert: certificate.chainPem, ca: base.authority.certificatePem },
    admitPeer: (certificateId) => base.gatekeeper.admitPeer(certificateId),
    accept: (transport, peer) => broker.accept(transport, peer),
    limits: base.limits.mqtt,
  });
  teardown.add("MQTT listener", () => listener.close(CLOSE_GRACE));
  return listener;
}

/** Listeners for benchmarks: loopback, no encryption, no login, and every start says so. */
async function listenPlain(
  config: PlatformConfig,
  base: Foundation,
  { broker }: Ingest,
  teardown: Teardown,
): Promise<readonly string[]> {
  const urls: string[] = [];
  for (const text of config.listen) {
    const { host, port } = plainListenerOf(text);
    const listener = await listenMqtt({
      ...base,
      host,
      port,
      portOption: "--listen",
      admitPeer: () => ({ ok: false, reason: "this listener takes no certificates" }),
      accept: (transport, peer) => broker.accept(transport, peer),
      limits: base.limits.mqtt,
    });
    teardown.add("plain listener", () => listener.close(CLOSE_GRACE));
    const url = `mqtt://${host.includes(":") ? `[${host}]` : host}:${listener.port}`;
    base.logger.warn(
      "A LISTENER WITHOUT ENCRYPTION AND WITHOUT LOGIN is open on loopback, because --listen asked for it.",
      { url },
    );
    process.stderr.write(
      `tidewire: WARNING: ${url} takes anybody on this machine without encryption or login (--listen …?auth=none).\n`,
    );
    urls.push(url);
  }
  return urls;
}

interface ApiParts {
  readonly sessions: Sessions;
  readonly certificate: ServerCertificate;
  readonly startedAt: EpochMs;
  readonly mqtts: string;
  readonly names: { readonly names: readonly string[]; readonly addresses: readonly string[] };
}

async function serveApi(
  config: PlatformConfig,
  base: Foundation,
  ingest: Ingest,
  parts: ApiParts,
  teardown: Teardown,
): Promise<{ api: ApiServer; http: string; https: string }> {
  const { log, rules, store } = ingest;
  const api = await buildApi({
    ...base,
    sessions: parts.sessions,
    rules,
    alerts: rules.alerts,
    telemetry: store,
    certificates: certificateIssuer(base.authority),
    health: () => healthOf({ ...base, ...ingest, startedAt: parts.startedAt }),
    logNext: () => log.next,
    ownNames: [...parts.names.names, ...parts.names.addresses, config.bind],
    version: VERSION,
    webRoot: join(import.meta.dirname, "../../dist/web"),
    connection: () => connectionInfo(base, parts),
  });
  teardown.add("HTTP API", () => api.close());
  const tls = { key: parts.certificate.keyPem, cert: parts.certificate.chainPem };
  const { httpPort, httpsPort } = await api.listen({ ...config, tls });
  const name = config.bind === "::" || config.bind === "0.0.0.0" ? hostname() : config.bind;
  return { api, http: `http://127.0.0.1:${httpPort}`, https: `https://${name}:${httpsPort}` };
}

function connectionInfo(base: Foundation, { mqtts, names }: ApiParts): ConnectionInfo {
  const port = mqtts.slice(mqtts.lastIndexOf(":") + 1);
  const hosts = [...names.names, ...names.addresses].filter(
    (host) => !["localhost", "127.0.0.1", "::1"].includes(host),
  );
  return {
    mqtts,
    addresses: hosts.map((host) => `mqtts://${host.includes(":") ? `[${host}]` : host}:${port}`),
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
  broker: string,
  teardown: Teardown,
): Promise<void> {
  const device = await startFirstDevice({
    ...base,
    dataDir: config.data,
    broker,
    caPem: base.authority.certificatePem,
    provision: (thing) => provisionDevice(base.registry, base.authority, thing),
  });
  teardown.add("first device", () => device.stop());
}
