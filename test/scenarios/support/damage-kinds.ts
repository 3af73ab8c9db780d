/** The kinds of files of a data folder: how each is made, and what its owner is asked before and after it was damaged. */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
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
import { systemScheduler } from "../../../src/adapters/system.ts";
import { LIMITS, TidewireError, reasonOf } from "../../../src/base/mod.ts";
import type { Logger } from "../../../src/base/mod.ts";
import { loadAgentConfig } from "../../../src/edge/config.ts";
import { TestAuthority } from "../../../src/edge/certificates.fixture.ts";
import { Log } from "../../../src/log/mod.ts";
import { DEFAULT_RETENTION } from "../../../src/telemetry/mod.ts";
import { SimClock, SimLogger, SimMetrics, SimRandom } from "../../../sim/world.ts";

import { DATABASE_KINDS } from "./damage-database-kinds.ts";
import { IDENTITY_KINDS } from "./damage-identity-kinds.ts";
import { range } from "./damage-kind.ts";
import type { Kind } from "./damage-kind.ts";
import { MEMORY_KINDS } from "./damage-memory-kinds.ts";
import type { StoreAnswer } from "./damage-store.fixture.ts";

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
  ...DATABASE_KINDS,
  ...IDENTITY_KINDS,
  secrets,
  device,
  agentYaml,
  telemetry,
  ...MEMORY_KINDS,
];
