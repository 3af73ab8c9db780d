/** The kinds of files of a data folder: how each is made, and what its owner is asked before and after it was damaged. */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { connect, createServer } from "node:tls";
import type { TLSSocket } from "node:tls";
import { inspectCredentials } from "../../../src/adapters/device-credentials.ts";
import { writeDeviceFolder } from "../../../src/adapters/device-folder.ts";
import { DuckStore } from "../../../src/adapters/duckdb/mod.ts";
import { commit, START } from "../../../src/adapters/duckdb/store.scenario.ts";
import { fileCrc32, openLogDirectory } from "../../../src/adapters/files/mod.ts";
import { CertificateAuthority } from "../../../src/adapters/pki/mod.ts";
import { openSecrets } from "../../../src/adapters/secrets/mod.ts";
import { SqliteBrokerState } from "../../../src/adapters/sqlite/broker-state.ts";
import { openOutboxStore } from "../../../src/adapters/sqlite/outbox-store.ts";
import { openRegistry } from "../../../src/adapters/sqlite/registry-store.ts";
import { SqliteShadowStore } from "../../../src/adapters/sqlite/shadow-store.ts";
import { sealingWith } from "../../../src/adapters/sealing.ts";
import { SqliteRulesStore } from "../../../src/adapters/sqlite/rules-store.ts";
import { systemScheduler } from "../../../src/adapters/system.ts";
import { LIMITS, TidewireError, reasonOf } from "../../../src/base/mod.ts";
import type { Logger } from "../../../src/base/mod.ts";
import { loadAgentConfig } from "../../../src/edge/config.ts";
import { TestAuthority } from "../../../src/edge/certificates.fixture.ts";
import { Log } from "../../../src/log/mod.ts";
import { alertOf } from "../../../src/rules/alerts/alert.fixture.ts";
import { DEFAULT_RETENTION } from "../../../src/telemetry/mod.ts";
import { SimClock, SimLogger, SimMetrics, SimRandom } from "../../../sim/world.ts";

import { MEMORY_KINDS } from "./damage-memory-kinds.ts";
import type { StoreAnswer } from "./damage-store.fixture.ts";

export interface Kind {
  readonly name: string;
  /** Fills an empty folder. */
  make(folder: string): Promise<void>;
  /** Opens what is in the folder as its owner does, tells by the logger what is amiss, and reads everything. */
  ask(folder: string, logger: Logger): Promise<unknown>;
  /** A person's text without checksums: what still reads well is taken as it is. */
  readonly text?: boolean;
  /** Out of so many cases one is of this kind; 1 unless said otherwise: some are slow. */
  readonly oneIn?: number;
  /** After the last case. */
  close?(): void;
}

const NOW = 1_767_225_600_000;
const range = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

const openLog = async (folder: string, logger: Logger): Promise<Log> =>
  Log.open({
    directory: await openLogDirectory(join(folder, "log")),
    crc32: fileCrc32,
    clock: new SimClock(),
    scheduler: systemScheduler,
    random: new SimRandom(1),
    logger,
    metrics: new SimMetrics(),
    limits: { ...LIMITS.log, segmentBytesMax: 20_000, groupBytesMax: 3_000, batchBytesMax: 1_000, recordBytesMax: 500 },
  });

const log: Kind = {
  name: "log",
  async make(folder) {
    const opened = await openLog(folder, new SimLogger());
    for (const n of range(800)) {
      opened.append(Buffer.from(`record ${n} ${"x".repeat(n % 90)}`));
      if (n % 7 === 0) await opened.flush();
    }
    await opened.close();
  },
  async ask(folder, logger) {
    const opened = await openLog(folder, logger);
    const records: [number, string][] = [];
    for await (const batch of opened.readBatches(opened.first)) {
      batch.forEach((offset, bytes) => records.push([offset, Buffer.from(bytes).toString("latin1")]));
    }
    const { next } = opened;
    await opened.close();
    for (const [offset, text] of records)
      if (!text.startsWith(`record ${offset} x`) && text !== `record ${offset} `)
        throw new Error("a wrong record was served");
    return { records, next };
  },
};

function fillRegistry(path: string): ReturnType<typeof openRegistry> {
  const opened = openRegistry(path);
  const { store, presence } = opened;
  const times = { createdAt: NOW, updatedAt: NOW };
  store.transaction(() => {
    store.policies.addVersion("p", '{"Statement":[]}', NOW);
    const typed = { thingTypeId: "id", description: null, searchableAttributes: [], deprecatedAt: null };
    store.types.save({ thingTypeName: "pump", ...typed, ...times });
    for (const n of range(120)) {
      const thingName = `thing-${n}`;
      const certificateId = n.toString(16).padStart(64, "a");
      store.things.save({
        thingName,
        thingId: `id-${n}`,
        thingTypeName: "pump",
        billingGroupName: null,
        attributes: { site: `s${n}` },
        version: 1,
        ...times,
      });
      const names = { CommonName: [thingName] };
      const facts = { serialNumber: String(n), subject: names, issuer: names, notBefore: NOW, notAfter: NOW + 1 };
      store.certificates.save({
        certificateId,
        status: "ACTIVE",
        pem: `pem ${"y".repeat(700)}`,
        caCertificateId: null,
        certificateMode: "DEFAULT",
        version: 1,
        generationId: "generation",
        ...facts,
        ...times,
      });
      store.things.attach({ thingName, certificateId, type: "EXCLUSIVE_THING" });
      store.policies.attach("p", `cert/${certificateId}`);
    }
  });
  presence.save(
    range(120).map((n) => ({
      thing: `thing-${n}`,
      online: n % 2 === 0,
      lastSeenAt: NOW + n,
      disconnectReason: null,
      remoteAddress: null,
    })),
  );
  return opened;
}

const registry: Kind = {
  name: "registry.db",
  make: (folder) => Promise.resolve(fillRegistry(join(folder, "registry.db")).close()),
  ask(folder, logger) {
    const opened = openRegistry(join(folder, "registry.db"), logger);
    const { store, presence } = opened;
    try {
      const things = store.things.list({}, { after: null, limit: 1_000 });
      const slice = { after: null, limit: 1_000, descending: false };
      return Promise.resolve({
        things,
        byType: store.things.count({ thingTypeName: "pump" }),
        bySite: range(120).map((n) => store.things.count({ attributeName: "site", attributeValue: `s${n}` })),
        certificates: store.certificates
          .list({}, slice)
          .map(({ certificateId }) => [
            store.certificates.find(certificateId),
            store.things.ofCertificate(certificateId),
            store.policies.applyingTo(certificateId),
          ]),
        principals: things.map(({ thingName }) => store.things.attachmentsOf(thingName)),
        presence: presence.load(),
      });
    } finally {
      opened.close();
    }
  },
};

function fillBroker(path: string): SqliteBrokerState {
  const state = new SqliteBrokerState(path);
  const subscription = {
    filter: "a/#",
    qos: 1,
    noLocal: false,
    retainAsPublished: false,
    identifier: 0,
    since: 1,
  } as const;
  const session = {
    expirySeconds: 100,
    disconnectedAt: NOW,
    versionNumber: 5,
    since: 1,
    will: null,
    thing: null,
    leftGroup: false,
  };
  void state.saveSessions(
    range(150).map((n) => ({
      clientId: `client-${n}`,
      reset: false,
      session: { clientId: `client-${n}`, ...session },
      subscriptions: [["a/#", subscription]],
    })),
  );
  void state.saveProgress({
    appliedOffset: 4_711,
    outboxes: range(150).map((n) => ({
      clientId: `client-${n}`,
      head: 0,
      tail: 8,
      sentBefore: 0,
      bytes: 80,
      applied: 9,
      chunks: [{ first: 0, slots: Float64Array.from(range(16)), identifiers: [] }],
    })),
    exchanges: range(50).map((n) => ({
      clientId: `client-${n}`,
      received: [1, 2],
      sent: [0, 7],
      released: [9],
      done: [],
    })),
  });
  const retained = range(150).map((n) => ({
    topic: `a/${n}/b`,
    frame: Buffer.alloc(100 + n, n),
    offset: n,
    clientId: "c",
    receivedAt: NOW,
    expiresAt: n % 3 === 0 ? NOW : null,
  }));
  void state.retained.save(retained, { messages: 1e6, bytes: 1e9 });
  return state;
}

const broker: Kind = {
  name: "broker.db",
  make: (folder) => Promise.resolve(fillBroker(join(folder, "broker.db")).close()),
  async ask(folder, logger) {
    const state = new SqliteBrokerState(join(folder, "broker.db"), logger);
    try {
      const { appliedOffset, sessions } = await state.load();
      const stored: unknown[] = [];
      for await (const some of sessions) {
        for (const session of some) {
          const queued = await state.queued(session.clientId, 0, 100);
          stored.push(
            session,
            queued.map(({ first, slots, identifiers }) => [first, [...slots], identifiers]),
          );
        }
      }
      const { found } = await state.retained.page("a/#", null, 1_000);
      const byOffset = await Promise.all(range(150).map(async (n) => (await state.retained.at(n))?.topic));
      return { appliedOffset, stored, found, byOffset };
    } finally {
      state.close();
    }
  },
};

const sealing = sealingWith(new Uint8Array(32));

function fillRules(path: string): SqliteRulesStore {
  const store = new SqliteRulesStore({ path, sealing });
  for (const n of range(20)) store.putRule({ ruleName: `r${n}`, sql: "SELECT * FROM 'a/#'", actions: [] } as never);
  const deliveries = range(100).map((n) => ({
    id: `d-${n}`,
    receiver: "webhook a",
    rule: "r1",
    things: [],
    fields: { a: "b" },
    origin: null,
    body: Buffer.alloc(120, n),
    offset: n,
    createdAt: NOW + n,
    attempts: 0,
    nextAttemptAt: NOW + n,
    lastError: null,
  }));
  const receivers = [{ key: "webhook a", carrier: "webhook", label: "http://a", settings: { url: "http://a/" } }];
  const alerts = range(60).map((n) => ({
    alert: alertOf({ id: `a-${n}`, rule: "r1" }),
    lastOffset: n,
    clearSince: null,
    more: null,
  }));
  const windows = [
    {
      rule: "a",
      snapshot: { header: new TextEncoder().encode("header"), pages: [[0, new TextEncoder().encode("page")]] },
      replaces: true,
    },
  ] as const;
  const batch = { checkpoint: 99, receivers, deliveries, done: [], dead: [], alerts, alertRows: [], windows };
  store.save({ ...batch, toldUntil: NOW, owed: [] }, true);
  return store;
}

const rules: Kind = {
  name: "rules.db",
  make: (folder) => Promise.resolve(fillRules(join(folder, "rules.db")).close()),
  ask(folder, logger) {
    const store = new SqliteRulesStore({ path: join(folder, "rules.db"), sealing, logger });
    try {
      return Promise.resolve({
        ...store.load(),
        due: store.due("webhook a", NOW + 1e6, 1_000),
        next: store.nextDue("webhook a"),
        dead: store.deadLetters({ limit: 10 }),
      });
    } finally {
      store.close();
    }
  },
};

function fillShadows(path: string): SqliteShadowStore {
  const store = new SqliteShadowStore({ path });
  const shadows = range(200).map((n) => ({
    thing: `t${n % 40}`,
    name: n < 40 ? "" : `n${n}`,
    version: n + 1,
    text: n % 10 === 9 ? null : JSON.stringify({ state: { desired: { n, text: "x".repeat(80) } }, metadata: {} }),
    changedAt: NOW + n,
  }));
  const answers = range(20).map((n) => ({
    topic: `$aws/things/t${n}/shadow/get/accepted`,
    payload: "{}",
    until: null,
  }));
  store.save({ position: 500, shadows, answers, answered: -1 }, true);
  return store;
}

const shadows: Kind = {
  name: "shadows.db",
  make: (folder) => Promise.resolve(fillShadows(join(folder, "shadows.db")).close()),
  ask(folder, logger) {
    const store = new SqliteShadowStore({ path: join(folder, "shadows.db"), logger });
    try {
      const things = store.things("", 1_000);
      const names = things.flatMap((thing) =>
        ["", ...store.named(thing, "", 100)].map((name) => [thing, name] as const),
      );
      return Promise.resolve({
        position: store.position(),
        count: store.count(),
        waiting: store.waiting(),
        things: things.map((thing) => [thing, store.countOf(thing)]),
        shadows: names.map(([thing, name]) => store.shadow(thing, name)),
      });
    } finally {
      store.close();
    }
  },
};

const OUTBOX = { outbox: "abc", lastSequence: 200, count: 200, bytes: 1, dropped: 0, expired: 0, refused: 0 };

const outbox: Kind = {
  name: "agent's outbox.db",
  make(folder) {
    const opened = openOutboxStore(join(folder, "outbox.db"), 1);
    const { store } = opened;
    const put = range(200).map((n) => ({
      sequence: n + 1,
      topic: "t",
      payload: Buffer.alloc(60, n),
      priority: n % 3,
      acceptedAt: NOW,
      expiresAt: n % 2 === 0 ? NOW + n : null,
    }));
    store.commit({
      state: OUTBOX,
      put,
      remove: [],
      bury: [{ sequence: 1, reasonCode: 0x87, at: 5 }],
      deadLettersMax: 10,
    });
    return Promise.resolve(opened.close());
  },
  ask(folder, logger) {
    const opened = openOutboxStore(join(folder, "outbox.db"), 1, logger);
    const { store, movedAside } = opened;
    try {
      if (movedAside !== null)
        throw new TidewireError("DATABASE_DAMAGED", { name: "outbox", path: movedAside, reason: "moved aside" });
      return Promise.resolve({
        state: store.load(),
        readings: store.read(0, 1_000, 1e9),
        dead: store.deadLetters(10),
        less: store.expendable(1_000),
        old: store.expired(NOW + 1e6, 1_000),
      });
    } finally {
      opened.close();
    }
  },
};

/** As a SIGKILL leaves it: what was committed is in the write-ahead log. */
function crashed(kind: Kind, file: string, fill: (path: string) => { close(): void }): Kind {
  return {
    ...kind,
    name: `${kind.name}, killed`,
    make(folder) {
      const open = fill(join(folder, `open-${file}`));
      for (const suffix of ["", "-wal", "-pages"]) {
        const from = join(folder, `open-${file}${suffix}`);
        if (existsSync(from)) copyFileSync(from, join(folder, `${file}${suffix}`));
      }
      open.close();
      mkdirSync(join(folder, "gone"));
      for (const suffix of ["", "-wal", "-shm", "-pages"]) {
        const from = join(folder, `open-${file}${suffix}`);
        if (existsSync(from)) renameSync(from, join(folder, "gone", file + suffix));
      }
      return Promise.resolve();
    },
  };
}

const secrets: Kind = {
  name: "secrets",
  async make(folder) {
    const opened = openSecrets(join(folder, "secrets"), { logger: new SimLogger() });
    const authority = await CertificateAuthority.open({
      secrets: opened,
      clock: new SimClock(),
      logger: new SimLogger(),
      host: "h",
    });
    await authority.serverCertificate({ names: ["localhost"], addresses: [] });
  },
  async ask(folder, logger) {
    const opened = openSecrets(join(folder, "secrets"), { logger, established: true });
    const authority = await CertificateAuthority.open({ secrets: opened, clock: new SimClock(), logger, host: "h" });
    const server = await authority.serverCertificate({ names: ["localhost"], addresses: [] });
    return [opened.adminToken, Buffer.from(opened.sessionKey).toString("hex"), authority.certificatePem, server];
  },
};

/** Its own text is not what counts, but whom it lets in: so a server and the device meet, as at every start. */
const device: Kind = {
  name: "agent's key and certificates",
  async make(folder) {
    const authority = await TestAuthority.make();
    const { certificate, privateKey } = await authority.device("meter-1");
    const files = { certificatePem: certificate, privateKeyPem: privateKey, caPem: authority.ca };
    writeDeviceFolder({ path: join(folder, "device"), thing: "meter-1", broker: "mqtts://h:1", ...files });
    renameSync(join(folder, "device", "agent.yaml"), join(folder, "agent.yaml.left-out"));
    const server = await authority.server();
    writeFileSync(join(folder, "server.left-out"), JSON.stringify({ ...server, ca: authority.ca }));
  },
  async ask(folder) {
    const at = (name: string): string => join(folder, "device", name);
    const paths = { certificate: at("certificate.pem"), privateKey: at("private-key.pem"), ca: at("ca.pem") };
    const found = inspectCredentials(paths);
    if (!found.ok) throw unusable(found.file, found.reason);
    try {
      return await handshake(JSON.parse(readFileSync(join(folder, "server.left-out"), "utf8")) as ServerFiles, paths);
    } catch (error) {
      throw unusable("tls", reasonOf(error));
    }
  },
};

interface ServerFiles {
  readonly certificate: string;
  readonly privateKey: string;
  readonly ca: string;
}

/** Who the server sees. Rejects with what TLS says. */
async function handshake(
  server: ServerFiles,
  device: { readonly certificate: string; readonly privateKey: string; readonly ca: string },
): Promise<string> {
  const { certificate: cert, privateKey: key, ca } = server;
  const listener = createServer({ cert, key, ca, requestCert: true, rejectUnauthorized: true }).listen(0, "127.0.0.1");
  await once(listener, "listening");
  try {
    const seen = once(listener, "secureConnection") as Promise<[TLSSocket]>;
    const refused = once(listener, "tlsClientError").then(([error]) => Promise.reject(error as Error));
    const { port } = listener.address() as AddressInfo;
    const read = (path: string): Buffer => readFileSync(path);
    const files = { cert: read(device.certificate), key: read(device.privateKey), ca: read(device.ca) };
    const socket = connect({ port, host: "127.0.0.1", ...files });
    const failed = once(socket, "close").then(() => Promise.reject(new Error("closed")));
    try {
      const [accepted] = await Promise.race([seen, refused, failed]);
      accepted.on("error", () => {});
      return String(accepted.getPeerCertificate().subject.CN);
    } finally {
      failed.catch(() => {});
      refused.catch(() => {});
      socket.on("error", () => {});
      socket.destroy();
    }
  } finally {
    listener.close();
  }
}

function unusable(key: string, reason: string): TidewireError {
  return new TidewireError("CONFIG_VALUE_INVALID", { file: "agent.yaml", key, reason, command: "agent" });
}

const agentYaml: Kind = {
  name: "agent.yaml",
  text: true,
  make(folder) {
    writeDeviceFolder({
      path: join(folder, "device"),
      thing: "meter-1",
      broker: "mqtts://h:1",
      certificatePem: "",
      privateKeyPem: "",
      caPem: "",
    });
    return Promise.resolve();
  },
  ask: async (folder) => ({ ...(await loadAgentConfig(join(folder, "device", "agent.yaml"))), file: "" }),
};

const telemetry: Kind = {
  name: "telemetry.duckdb",
  oneIn: 5,
  async make(folder) {
    const store = await openDuck(folder, new SimLogger());
    for (const round of range(5)) {
      const readings = range(300).map((n) => ({
        thing: `t${n % 5}`,
        measurement: "m",
        field: "f",
        time: START + (round * 300 + n) * 1_000,
        value: n % 7 === 0 ? `text ${n}` : n / 10,
      }));
      await commit(store, readings, (round + 1) * 300);
    }
    await store.close();
  },
  async ask(folder, logger) {
    const path = join(folder, "telemetry.duckdb");
    let given = await askStore(path, null);
    if (given === null) {
      // What the platform does when its store falls again and again at the same file.
      logger.error("the store fell", { path });
      given = await askStore(path, "it fell");
    }
    for (const line of given?.told ?? []) logger.error(line);
    if (given !== null && given.unexplained !== null) throw new Error(given.unexplained);
    if (given === null || given.content === null)
      throw new TidewireError("DATABASE_UNUSABLE", { name: "telemetry", path, reason: "" });
    return given.content;
  },
  close() {
    storeProcess?.kill();
    storeProcess = null;
  },
};

const STORE = join(import.meta.dirname, "damage-store.fixture.ts");
let storeProcess: ChildProcess | null = null;
/** A store that takes longer than this over a small file hangs. */
const STORE_MS_MAX = 30_000;

function startStore(): ChildProcess {
  const child = fork(STORE, { stdio: ["ignore", "ignore", "ignore", "ipc"] });
  // Also between two questions, which is why nobody waits for it there.
  child.once("exit", () => {
    if (storeProcess === child) storeProcess = null;
  });
  return child;
}

/** `null`: the process fell at it. */
async function askStore(path: string, distrust: string | null): Promise<StoreAnswer | null> {
  storeProcess ??= startStore();
  const child = storeProcess;
  const ended = new AbortController();
  const { signal } = ended;
  const late = setTimeout(() => child.kill("SIGKILL"), STORE_MS_MAX);
  child.send({ path, distrust }, () => {}); // where it cannot be sent, its exit says so
  try {
    const answered = once(child, "message", { signal }).then(([given]) => given as StoreAnswer);
    const fell = once(child, "exit", { signal }).then(() => null);
    const given = await Promise.race([answered, fell]);
    for (const other of [answered, fell]) other.catch(() => {});
    return given;
  } finally {
    clearTimeout(late);
    ended.abort();
  }
}

function openDuck(folder: string, logger: Logger): Promise<DuckStore> {
  const clock = new SimClock();
  return DuckStore.open({
    path: join(folder, "telemetry.duckdb"),
    folder: join(folder, "telemetry"),
    memoryBytes: LIMITS.telemetry.databaseBytesMax,
    retention: DEFAULT_RETENTION,
    room: { diskShare: 0.5 },
    clock,
    scheduler: clock,
    logger,
    limits: LIMITS.telemetry,
  });
}

export const KINDS: readonly Kind[] = [
  log,
  registry,
  crashed(registry, "registry.db", fillRegistry),
  broker,
  crashed(broker, "broker.db", fillBroker),
  rules,
  crashed(rules, "rules.db", fillRules),
  shadows,
  crashed(shadows, "shadows.db", fillShadows),
  outbox,
  secrets,
  device,
  agentYaml,
  telemetry,
  ...MEMORY_KINDS,
];
