/** Files of the memory: telemetry's and the archive's Parquet and manifests, what is forgotten, exports, backups, the configuration. */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BackupRepository, takeBackup } from "../../../src/adapters/backup/mod.ts";
import { readConfigFile } from "../../../src/adapters/config-file.ts";
import { DuckEventFormat, DuckStore } from "../../../src/adapters/duckdb/mod.ts";
import { commit, everything, START } from "../../../src/adapters/duckdb/store.scenario.ts";
import { digestOf, openArchiveCatalog, openArchiveFolder } from "../../../src/adapters/files/mod.ts";
import { openRegistry } from "../../../src/adapters/sqlite/registry-store.ts";
import { systemScheduler } from "../../../src/adapters/system.ts";
import { Archive } from "../../../src/archive/mod.ts";
import { LIMITS, days, gib, minutes } from "../../../src/base/mod.ts";
import type { Logger } from "../../../src/base/mod.ts";
import { PlatformConfigSchema } from "../../../src/cloud/config.ts";
import { ForgetBook } from "../../../src/cloud/forget/mod.ts";
import { exportTools } from "../../../src/cloud/schedule/export-tools.ts";
import { MemoryLog, readParquet } from "../../../src/cloud/store/archive.fixture.ts";
import { DEFAULT_RETENTION } from "../../../src/telemetry/mod.ts";
import { SimClock, SimLogger } from "../../../sim/world.ts";
import type { Kind } from "./damage-kind.ts";

const SILENT = new SimLogger();

function openStore(folder: string, logger: Logger): Promise<DuckStore> {
  const clock = new SimClock();
  return DuckStore.open({
    path: join(folder, "gone", "telemetry.duckdb"), // a view: it is made anew from the files each time
    folder: join(folder, "telemetry"),
    memoryBytes: LIMITS.telemetry.databaseBytesMax,
    retention: DEFAULT_RETENTION,
    room: { diskShare: 0.5 },
    clock,
    scheduler: clock,
    logger,
    limits: { ...LIMITS.telemetry, generationRowsMax: 200 },
  });
}

export const telemetryFiles: Kind = {
  name: "telemetry's files",
  oneIn: 4,
  async make(folder) {
    mkdirSync(join(folder, "gone"));
    const store = await openStore(folder, SILENT);
    await store.follow("log", 0);
    for (let round = 0; round < 3; round++) {
      const readings = Array.from({ length: 210 }, (_, n) => ({
        thing: `t-${n % 3}`,
        measurement: "m",
        field: n % 7 === 0 ? "words" : "x",
        time: START + (round * 210 + n) * minutes(1),
        value: n % 7 === 0 ? `text ${n}` : n / 10,
      }));
      const state = { source: "thing t-1", outbox: "o", state: `${round + 1}:` };
      await commit(store, readings, (round + 1) * 210, [state]);
    }
    while (store.extent().generations > 1) await new Promise((resolve) => setImmediate(resolve));
    await store.close();
  },
  async ask(folder, logger) {
    mkdirSync(join(folder, "gone"), { recursive: true });
    const quiet: Logger = { ...loud(logger), child: () => quiet };
    const store = await openStore(folder, quiet);
    try {
      const answers: unknown[] = [];
      for (const thing of ["t-0", "t-1", "t-2"]) {
        const raw = await store.query(everything(thing));
        const hours = await store.query({ ...everything(thing), window: days(1), aggregate: "max" });
        // An answer that says that it is incomplete has told.
        if (raw.incomplete || hours.incomplete) logger.warn("an answer says that it is incomplete");
        answers.push(raw.series, hours.series, store.latest(thing));
      }
      return { answers, sequences: await store.loadSequences(), offset: store.offset, things: store.series.things() };
    } finally {
      await store.close();
    }
  },
};

/** That the database was gone is no damage here. */
function loud(logger: Logger): Logger {
  return {
    debug: () => {},
    info: () => {},
    warn: (message, fields) => logger.warn(message, fields),
    error: (message, fields) => logger.error(message, fields),
    child: () => logger,
  };
}

async function inArchive<T>(
  folder: string,
  logger: Logger,
  log: MemoryLog,
  work: (archive: Archive) => Promise<T>,
): Promise<T> {
  const root = join(folder, "archive");
  const format = await DuckEventFormat.open({ folder: root, memoryBytes: LIMITS.archive.writerBytesMax });
  const archive = await Archive.open({
    settings: { every: minutes(15), keep: null, bytesMax: null, warm: days(30), cacheBytesMax: gib(1) },
    source: log,
    format,
    folder: await openArchiveFolder(root),
    store: await openArchiveCatalog(root, logger),
    objects: null,
    digestOf,
    busy: () => false,
    skips: () => false,
    limits: { ...LIMITS.archive, diskFreeBytesMin: 1, flushPeriodMin: 0, flushTimeout: 20_000 },
    clock: new SimClock(),
    scheduler: systemScheduler,
    logger,
    onChange: () => {},
  });
  archive.start();
  try {
    return await work(archive);
  } finally {
    await archive.close();
    format.close();
  }
}

export const archive: Kind = {
  name: "archive",
  oneIn: 4,
  async make(folder) {
    const log = new MemoryLog();
    await inArchive(folder, SILENT, log, async (opened) => {
      for (let n = 0; n < 3; n++) {
        log.fill(40);
        opened.durable(log.durable);
        await opened.flush();
      }
    });
  },
  async ask(folder, logger) {
    const log = new MemoryLog();
    log.fill(120);
    log.from = 120; // the log has forgotten them: the archive is all there is
    return inArchive(folder, logger, log, async (opened) => {
      const files = await opened.eventFiles(0, Number.MAX_SAFE_INTEGER);
      try {
        const rows = files.paths.length === 0 ? [] : await readParquet(files.paths, '"offset"::DOUBLE, topic, text');
        if (files.missing.length > 0) logger.warn("an answer says what it lacks");
        return rows.toSorted((a, b) => (a[0] as number) - (b[0] as number));
      } finally {
        files.release();
      }
    });
  },
};

export const forgotten: Kind = {
  name: "forgotten.json",
  async make(folder) {
    const book = await ForgetBook.open(join(folder, "forgotten.json"), SILENT);
    for (let n = 0; n < 5; n++) {
      const plan = { withRegistration: n % 2 === 0, erasesData: true, blocksName: false };
      await book.add({ thing: `t-${n}`, log: "log", below: n * 10, requestedAt: n, ...plan });
    }
    await book.update(2, (entry) => ({ ...entry, completedAt: 99, removed: { points: 7 } }));
  },
  ask: async (folder, logger) => (await ForgetBook.open(join(folder, "forgotten.json"), logger)).entries,
};

export const exportManifest: Kind = {
  name: "exports",
  async make(folder) {
    const { state } = await exportTools(placeIn(folder), ports(SILENT));
    for (let n = 1; n < 4; n++) {
      const file = { name: `daily-${n}.csv`, from: n, to: n + 1, bytes: 5, sha256: "a".repeat(64), incomplete: false };
      await state.write({ next: n * 10, files: [...(state.current?.files ?? []), file] });
    }
  },
  ask: async (folder, logger) => (await exportTools(placeIn(folder), ports(logger))).state.current,
};

function placeIn(folder: string) {
  return { folder: join(folder, "exports"), name: "daily", to: { kind: "folder", path: folder } as const };
}

function ports(logger: Logger) {
  return { limits: LIMITS.archive, scheduler: systemScheduler, logger };
}

function backupsIn(folder: string): Parameters<typeof BackupRepository.read> {
  return [
    { kind: "folder", path: join(folder, "backups") },
    { clock: new SimClock(), scheduler: systemScheduler },
  ];
}

export const backup: Kind = {
  name: "backup",
  oneIn: 2,
  async make(folder) {
    const data = join(folder, "gone");
    mkdirSync(join(data, "telemetry"), { recursive: true });
    openRegistry(join(data, "registry.db"), SILENT).close();
    for (let n = 0; n < 4; n++)
      writeFileSync(join(data, "telemetry", `numbers-${n}.parquet`), `points ${n} `.repeat(50 * n + 1));
    const repository = await BackupRepository.open(...backupsIn(folder));
    await takeBackup({ data, repository, now: START });
    await repository.close();
    rmSync(data, { recursive: true });
    // Of its lock nothing is read.
    for (const name of ["lock", "lock.pid"]) {
      const path = join(folder, "backups", name);
      if (existsSync(path)) renameSync(path, `${path}.left-out`);
    }
  },
  async ask(folder, logger) {
    const repository = await BackupRepository.read(...backupsIn(folder));
    const names = await repository.names();
    const problems: unknown[] = [];
    for (const name of names) {
      for await (const { path, reason } of repository.verify(name)) {
        logger.error("damaged", { path, reason });
        problems.push([path, reason]);
      }
    }
    const whole = await Promise.all(names.map((name) => repository.snapshot(name).catch(() => null)));
    return [problems, ...whole.map((one) => one?.files.map(({ path, sha256 }) => [path, sha256]))];
  },
};

export const platformConfig: Kind = {
  name: "platform.yaml",
  text: true,
  make: (folder) =>
    Promise.resolve(
      writeFileSync(
        join(folder, "platform.yaml"),
        "httpPort: 8081\narchive:\n  keep: 2y\nbackup: { to: /srv/backups, at: 02:30 }\nexports:\n  - { name: daily, folder: /srv/exports }\n",
      ),
    ),
  ask: async (folder) => readConfigFile(join(folder, "platform.yaml"), PlatformConfigSchema, "up"),
};

export const MEMORY_KINDS: readonly Kind[] = [
  telemetryFiles,
  archive,
  forgotten,
  exportManifest,
  backup,
  platformConfig,
];
