/** The HTTP API over a real registry, real rules, a real CA and real SQLite files; only the store process is played. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Socket } from "node:net";
import { SimClock, SimLogger, SimRandom } from "../../../sim/world.ts";
import { AuditScopes, auditedLogger } from "../../adapters/audit-logger.ts";
import { openAuditFolder } from "../../adapters/files/audit-log.ts";
import { passwordHasher } from "../../adapters/password-hash.ts";
import { sealingWith } from "../../adapters/sealing.ts";
import { openPeopleFile } from "../../adapters/sqlite/people-store.ts";
import { openProvisioningFile } from "../../adapters/sqlite/provisioning-store.ts";
import { systemScheduler } from "../../adapters/system.ts";
import { AuditTrail, searchAudit } from "../../audit/mod.ts";
import type { AuditPage, AuditQuery } from "../../audit/mod.ts";
import { People } from "../../people/mod.ts";
import { PrometheusMetrics } from "../../adapters/metrics.ts";
import { listenMqtt } from "../../adapters/net/mod.ts";
import type { MqttListener, Visitor } from "../../adapters/net/mod.ts";
import { CertificateAuthority } from "../../adapters/pki/mod.ts";
import { openSecrets } from "../../adapters/secrets/mod.ts";
import { openRegistry } from "../../adapters/sqlite/registry-store.ts";
import { openRenewalsFile } from "../../adapters/sqlite/succession-store.ts";
import { ForgottenThings, LIMITS, TidewireError, days, encodeUtf8 } from "../../base/mod.ts";
import { SqliteShadowStore } from "../../adapters/sqlite/shadow-store.ts";
import type { Logger } from "../../base/mod.ts";
import { DEFAULT_POLICY_DOCUMENT, DEFAULT_POLICY_NAME } from "../../identity/mod.ts";
import type { LogBatch } from "../../log/mod.ts";
import { PresenceBook, Registry } from "../../registry/mod.ts";
import type { HotRules } from "../../rules/mod.ts";
import { authorityDesk } from "../authority-desk.ts";
import { BackTester } from "../backtest/mod.ts";
import { CertificateCensus } from "../certificate-census.ts";
import { certificateIssuer, enrolDevice } from "../certificate-issuer.ts";
import { EnrolmentCodes } from "../est/enrolment-codes.ts";
import type { EstPorts } from "../est/routes.ts";
import type { Pictures } from "../pictures/mod.ts";
import { Renewals } from "../renewals.ts";
import type { RenewalsOptions } from "../renewals.ts";
import { messageRecordBytes, writeMessageRecord } from "../../wire/record/mod.ts";
import { RegistryGatekeeper, registryRules } from "../gatekeeper.ts";
import { openProvisioning } from "../services/mod.ts";
import type { Provisioning, ProvisioningStores } from "../services/mod.ts";
import { PlayedPast } from "./played-past.fixture.ts";
import { realTurns } from "./real-turns.fixture.ts";
import { lazySearch } from "./search.fixture.ts";
import { makeWebRoot } from "./web-root.fixture.ts";
import { ShadowService } from "../services/shadows.ts";
import type { ApiError, ConnectionInfo, Health } from "./contract.ts";
import { startForgetter } from "../forget/forgetter.fixture.ts";
import { PasswordUses, passwordDesk } from "../logins/mod.ts";
import type { PasswordDesk } from "../logins/mod.ts";
import { RuleMover } from "../moves/mod.ts";
import { policyDesk } from "../policy-desk.ts";
import { RefusalDesk } from "../refusal-desk.ts";
import { RefusalNotes } from "../refusal-notes.ts";
import { PlayedAsker } from "./played-asker.fixture.ts";
import { PlayedStore } from "./played-store.fixture.ts";
import type { PlayedMessages } from "./played-messages.fixture.ts";
import { openRules } from "./configured.fixture.ts";
import { buildApi } from "./server.ts";
import type { ApiServer } from "./server.ts";

export const unavailable = new TidewireError("STORE_UNAVAILABLE", { reason: "it is starting" });

const STRANGER: Visitor = { remoteAddress: "127.0.0.1", credential: { kind: "none" } };

export const TOKEN = "tw_the-right-one";

export interface ApiWorld extends AsyncDisposable {
  readonly api: ApiServer;
  readonly folder: string;
  readonly store: PlayedStore;
  readonly queries: PlayedAsker;
  readonly past: PlayedPast;
  readonly messages: PlayedMessages;
  readonly clock: SimClock;
  readonly logger: SimLogger;
  readonly metrics: PrometheusMetrics;
  readonly registry: Registry;
  readonly gatekeeper: RegistryGatekeeper;
  readonly refusalNotes: RefusalNotes;
  readonly presence: PresenceBook;
  readonly rules: HotRules;
  readonly pictures: Pictures;
  readonly people: People;
  readonly audit: AuditTrail;
  readonly authority: CertificateAuthority;
  readonly provisioning: Provisioning;
  readonly provisioningStore: ProvisioningStores;
  readonly shadows: ShadowService;
  readonly renewals: Renewals;
  readonly census: CertificateCensus;
  /** What `/readyz` and `/api/health` say. */
  readonly health: { now: Health };
  /** Asks without a socket, as the administrator. */
  readonly ask: (method: Method, url: string, body?: unknown, headers?: Record<string, string>) => Promise<Answer>;
  /** As `ask`, with nothing but these headers. */
  readonly askAs: (headers: Record<string, string>, method: Method, url: string, body?: unknown) => Promise<Answer>;
  /** Opens the plain listener, and one with TLS that hands its connections over. */
  readonly listen: (ports?: { readonly httpPort?: number; readonly httpsPort?: number }) => Promise<ListeningWorld>;
  /** A reading as the rules see it. */
  readonly reading: (thing: string, fields: Record<string, unknown>) => void;
}

export interface ListeningWorld {
  readonly httpPort: number;
  readonly httpsPort: number;
}

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "HEAD" | "OPTIONS";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  /** The parsed body; undefined where it is no JSON. */
  readonly json: unknown;
}

/** People and audit log, on their own files. */
function openPeople(folder: string, ground: Base) {
  const file = openPeopleFile({ path: join(folder, "people.db") });
  const token = { now: TOKEN };
  const people = new People({
    ...ground,
    store: file.people,
    passwords: passwordHasher(),
    sealing: sealingWith(new Uint8Array(32).fill(5)),
    token: {
      read: () => token.now,
      write: (next) => (token.now = next),
      revoked: () => file.revokedToken.read(),
      revoke: (hash) => file.revokedToken.write(hash),
    },
  });
  const auditFiles = openAuditFolder(join(folder, "audit"));
  // The disk's time is real: entries that are waited for must not wait for simulated timers.
  const audit = new AuditTrail({
    ...ground,
    scheduler: systemScheduler,
    files: auditFiles,
    anchor: file.auditAnchor,
    checkpointNote: file.auditCheckpoint,
    sha256: (text) => sealingWith(new Uint8Array(32)).sha256(text),
  });
  const auditScopes = new AuditScopes();
  return {
    people,
    audit,
    auditScopes,
    auditSearch: (query: AuditQuery): Promise<AuditPage> => searchAudit(auditFiles, query),
    close: async (): Promise<void> => {
      people.close();
      await audit.close();
      file.close();
    },
  };
}

function openRenewals(
  folder: string,
  base: Pick<RenewalsOptions, "registry" | "authority" | "clock" | "logger" | "metrics">,
) {
  const file = openRenewalsFile(join(folder, "renewals.db"));
  const times = { renewalGrace: days(90), retireAfter: days(1), deleteAfter: days(7) };
  const renewals = new Renewals({ ...base, store: file.successions, times });
  const close = (): void => {
    renewals.close();
    file.close();
  };
  return { renewals, renewalGrace: times.renewalGrace, close };
}

function openProvisioned(
  folder: string,
  base: Omit<Base, "logger"> & { readonly logger: Logger },
  registry: Registry,
  authority: CertificateAuthority,
) {
  const provisioned = openProvisioningFile({ path: join(folder, "provisioning.db") });
  const provisioning = openProvisioning({
    ...base,
    store: provisioned.store,
    scheduler: realTurns(base.clock),
    folder,
    registry,
    authority,
    hmac: (text) => `signed ${text}`,
  });
  return { provisioned, provisioning };
}

/** The parts behind the API, each on its own file below `folder`. */
async function openParts(folder: string, ground: Base) {
  const kept = openPeople(folder, ground);
  const { people, audit, auditScopes, auditSearch } = kept;
  const base = { ...ground, logger: auditedLogger(ground.logger, audit, auditScopes) };
  const { clock, logger } = base;
  const secrets = openSecrets(join(folder, "secrets"), { logger });
  const authority = await CertificateAuthority.open({ secrets, clock, logger, host: "test-host" });
  const stores = openRegistry(join(folder, "registry.db"));
  const registry = new Registry({ ...base, store: stores.store, rules: registryRules });
  registry.policies.put(DEFAULT_POLICY_NAME, DEFAULT_POLICY_DOCUMENT);
  const { renewals, renewalGrace, close: closeRenewals } = openRenewals(folder, { ...base, registry, authority });
  const census = new CertificateCensus({
    ...base,
    scheduler: systemScheduler, // simulated time moves only when a test says so, and pages wait for a turn
    registry,
    renewalGrace,
    isReplaced: (id) => renewals.isReplaced(id),
  });
  const refusalNotes = new RefusalNotes({ registry, clock });
  const gatekeeper = new RegistryGatekeeper({ ...base, registry, onRefused: refusalNotes.ofGate });
  const refusals = new RefusalDesk({ book: refusalNotes.book, registry, gatekeeper, clock });
  const presence = new PresenceBook({ ...base, store: stores.presence, registry });
  const { rules, pictures, configured, close: closeRules } = await openRules(folder, base);
  const { provisioned, provisioning } = openProvisioned(folder, base, registry, authority);
  const shadows = openShadows(folder, base, registry);
  const search = lazySearch(folder, { ...base, registry, presence }, shadows.service);
  const forgetter = await startForgetter(
    folder,
    clock,
    { registry, presence, rules },
    shadows.service,
    provisioned.store,
  );
  const close = async (): Promise<void> => {
    await search.close();
    await forgetter.close();
    for (const part of [gatekeeper, shadows, provisioning]) await part.close();
    await closeRules();
    presence.close();
    closeRenewals();
    provisioned.close();
    stores.close();
    await kept.close();
  };
  return {
    shadows: shadows.service,
    search: search.port,
    forgetter,
    authority,
    registry,
    gatekeeper,
    refusalNotes,
    refusals,
    renewals,
    census,
    presence,
    rules,
    pictures,
    ...configured,
    people,
    audit,
    auditSearch,
    auditScopes,
    provisioning,
    provisioningStore: provisioned.store,
    close,
  };
}

/** The shadow service over a log that is a list, each message a batch of its own and on disk at once. */
function openShadows(folder: string, base: Omit<Base, "logger"> & { readonly logger: Logger }, registry: Registry) {
  const store = new SqliteShadowStore({ path: join(folder, "shadows.db") });
  const things = { exists: (thing: string) => registry.things.find(thing) !== undefined };
  let next = 0;
  const publish = (topic: string, payload: Uint8Array): number => {
    const own = { clientId: "", thing: null, qos: 1, retain: false, properties: null } as const;
    const message = { ...own, topic, payload, receivedAt: base.clock.now() };
    const bytes = new Uint8Array(messageRecordBytes(message));
    writeMessageRecord(bytes, 0, message);
    const offset = next++;
    const visit: LogBatch["locate"] = (each) => each(offset, bytes, 0, bytes.length);
    const batch = { baseOffset: offset, count: 1, time: 0, locate: visit, forEach: () => assert.fail("not asked") };
    queueMicrotask(() => void service.take(batch));
    return offset;
  };
  const options = { ...base, store, things, limits: LIMITS.shadow, publish, durable: () => next };
  const service = new ShadowService(options, 0);
  const close = (): void => {
    service.close();
    store.close();
  };
  return { service, close };
}

interface Base {
  readonly clock: SimClock;
  readonly scheduler: SimClock;
  readonly logger: SimLogger;
  readonly random: SimRandom;
  readonly metrics: PrometheusMetrics;
}

function enrolmentOf(
  {
    registry,
    renewals,
    authority,
    provisioningStore,
  }: Pick<ApiWorld, "registry" | "renewals" | "authority"> & { readonly provisioningStore: ProvisioningStores },
  clock: SimClock,
  visitors: WeakMap<Socket, Visitor>,
): EstPorts {
  return {
    registry,
    renewals,
    codes: new EnrolmentCodes(clock, provisioningStore),
    visitorOf: (socket) => visitors.get(socket) ?? STRANGER,
    chain: () => [...authority.issuingChain, ...authority.roots],
    enrol: (thing, request) => enrolDevice(registry, authority, thing, request),
  };
}

const WELL: Health = { state: "ok", version: "1.2.3", startedAt: 0, host: "here", parts: [] };

const CONNECTION: ConnectionInfo = {
  mqtts: "mqtts://127.0.0.1:8883",
  addresses: [],
  httpsPort: 8443,
  caPem: "",
  defaultPolicy: DEFAULT_POLICY_NAME,
};

export async function apiWorld(): Promise<ApiWorld> {
  const folder = mkdtempSync(join(tmpdir(), "tidewire-api-"));
  // Certificates are judged by the machine's clock in TLS, so simulated time starts now.
  const clock = new SimClock(Date.now());
  const base: Base = {
    clock,
    scheduler: clock,
    logger: new SimLogger(),
    random: new SimRandom(1),
    metrics: new PrometheusMetrics(),
  };
  const { close, ...parts } = await openParts(folder, base);
  const visitors = new WeakMap<Socket, Visitor>();
  const store = new PlayedStore();
  openPictures(parts, store);
  const queries = new PlayedAsker();
  const past = new PlayedPast();
  const health: ApiWorld["health"] = { now: WELL };
  const api = await buildApi({
    ...base,
    ...parts,
    mover: emptyMover(parts.rules),
    alerts: parts.rules.alerts,
    telemetry: store,
    asker: queries,
    backTester: new BackTester({ ...base, data: folder, start: past.start }),
    lag: { at: async (position) => ({ messages: 42 - position, age: 5_000 }), stored: () => 40 },
    visitorOf: (socket) => visitors.get(socket) ?? STRANGER,
    certificates: certificateIssuer(parts.authority),
    enrolment: enrolmentOf(parts, clock, visitors),
    desk: authorityDesk({ ...parts, clock }),
    policies: policyDesk(parts),
    passwords: openPasswords(base, parts.registry),
    health: () => health.now,
    logNext: () => 42,
    ownNames: ["tide.example"],
    version: "1.2.3",
    webRoot: makeWebRoot(folder),
    connection: () => CONNECTION,
  });
  const askAs = asker(api);
  const listeners: MqttListener[] = [];
  return {
    ...base,
    ...parts,
    api,
    folder,
    store,
    queries,
    past,
    health,
    askAs,
    ask: (method, url, body, headers = {}) =>
      askAs({ authorization: `Bearer ${TOKEN}`, ...headers }, method, url, body),
    reading: readings(parts.rules, clock),
    listen: async ({ httpPort = 0, httpsPort = 0 } = {}) => {
      const secure = await listenTls(api, parts.authority, base, httpsPort, visitors);
      listeners.push(secure);
      return { httpPort: await api.listen({ httpPort }), httpsPort: secure.port };
    },
    [Symbol.asyncDispose]: async () => {
      const closed = api.close();
      await clock.run(1000); // simulated time must not keep a socket open that a failed test left
      await closed;
      for (const listener of listeners) await listener.close(0);
      await close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function openPasswords({ random, clock }: Pick<Base, "random" | "clock">, registry: Registry): PasswordDesk {
  return passwordDesk({ registry, random, passwords: passwordHasher(), passwordUses: new PasswordUses(clock) });
}

function openPictures({ pictures, rules }: Pick<ApiWorld, "pictures" | "rules">, store: PlayedStore): void {
  pictures.open({
    alert: (id) => rules.alerts.get(id).alert,
    rule: (name) => rules.get(name),
    query: (query) => store.query(query),
    zone: () => "UTC",
    unit: () => null,
  });
}

async function listenTls(
  api: ApiServer,
  authority: CertificateAuthority,
  base: Base,
  port: number,
  visitors: WeakMap<Socket, Visitor>,
): Promise<MqttListener> {
  const { keyPem, chainPem } = await authority.serverCertificate({ names: ["localhost"], addresses: ["127.0.0.1"] });
  return listenMqtt({
    ...base,
    name: "https",
    host: "127.0.0.1",
    port,
    portOption: "--https-port",
    tls: { key: keyPem, cert: chainPem, ca: authority.clientCas },
    clientCertificate: "requested",
    unnamed: "http",
    http: (socket, visitor) => {
      visitors.set(socket, visitor);
      api.take(socket);
    },
    admitPeer: () => ({ ok: true }),
    accept: () => {
      throw new Error("nobody speaks MQTT to this world");
    },
    limits: LIMITS.mqtt,
  });
}

function asker(api: ApiServer): ApiWorld["askAs"] {
  return async (headers, method, url, body) => {
    const payload = body === undefined ? {} : { payload: body as string | object };
    const response = await api.app.inject({ method, url, headers, ...payload });
    const isJson = String(response.headers["content-type"]).startsWith("application/json");
    const json: unknown = isJson && response.body !== "" ? response.json() : undefined;
    return { status: response.statusCode, headers: response.headers, text: response.body, json };
  };
}

/** Over a log without messages: scenarios have a real one. */
function emptyMover(rules: HotRules): RuleMover {
  const log = { durable: 0, offsetAt: async () => 0, read: async () => null, readBatches: async function* () {} };
  return new RuleMover({
    rules,
    log,
    forgotten: new ForgottenThings(),
    random: new SimRandom(9),
    scheduler: systemScheduler,
  });
}

function readings(rules: HotRules, clock: SimClock): ApiWorld["reading"] {
  let offset = 0;
  return (thing, fields) =>
    rules.handle(offset++, {
      topic: `telemetry/${thing}/system`,
      payload: encodeUtf8(JSON.stringify(fields)),
      qos: 1,
      retain: false,
      clientId: thing,
      thing,
      receivedAt: clock.now(),
      properties: null,
    });
}

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller names the shape of the answer
export function ok<T = Record<string, unknown>>(answer: Answer): T {
  assert.equal(answer.status, 200, answer.text);
  return answer.json as T;
}

/** Status, our code and AWS's exception. */
export function refusal({ status, headers, json }: Answer): readonly unknown[] {
  return [status, (json as ApiError).code, headers["x-amzn-errortype"]];
}

export const MISSING = [404, "NOT_FOUND", "ResourceNotFoundException"];
export const INVALID = [400, "REQUEST_INVALID", "InvalidRequestException"];
