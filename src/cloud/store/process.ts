/**
 * The store process: `client.ts` forks it. It owns DuckDB, so that a fatal error there takes only itself along, and
 * reads the log's segments itself, so that the broker pays nothing for it.
 */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ForgottenThings, isTidewireError, reasonOf } from "../../base/mod.ts";
import type { LogFields, Logger } from "../../base/mod.ts";
import { DuckStore, UserSnapshots, isDamage, isEnvironment, parquetOf } from "../../adapters/duckdb/mod.ts";
import type { PostgresServerAddress } from "../../adapters/postgres/mod.ts";
import { stepBack, systemClock, systemRandom, systemScheduler } from "../../adapters/system.ts";
import { propertiesAt, readRecord, recordTopics, senderOf, writtenAt } from "../../wire/record/mod.ts";
import { ArchiveHost } from "./archive-host.ts";
import { openRecordSource } from "./record-source.ts";
import { StoreDamaged, StoreServer } from "./server.ts";
import type { ServerOptions } from "./server.ts";
import type { FromStore, OpenOrder, ToStore } from "./protocol.ts";

/**
 * Nice value of all threads: where there is one core for all, the broker takes what it needs, and the log keeps what waits
 * for us. At 5, or for the first thread alone, the broker's clients waited a tenth of a second.
 */
const PRIORITY = 15;

/** Records of telemetry's backlog at which the archive waits: what is watched live shall not wait for it. */
const ARCHIVE_YIELDS_AT = 20_000;

/** Beside the database, below the folder that `cloud/ask` empties at the start: users' queries take links of what lies there. */
const SNAPSHOTS = join("asking", "hot");

function send(news: FromStore, sent: () => void = () => {}): void {
  // A channel that the platform has closed reports to `disconnect`; there is nobody else to tell.
  if (process.connected) process.send?.(news, undefined, undefined, () => sent());
}

function openLogger(fields: LogFields = {}): Logger {
  const line =
    (level: "debug" | "info" | "warn" | "error") =>
    (message: string, more: LogFields = {}) =>
      send({ type: "log", level, message, fields: plain({ ...fields, ...more }) });
  return {
    debug: line("debug"),
    info: line("info"),
    warn: line("warn"),
    error: line("error"),
    child: (more) => openLogger({ ...fields, ...more }),
  };
}

/** Errors lose their code and fields on the channel; their text is what a reader needs. */
function plain(fields: LogFields): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, value instanceof Error ? causes(value) : value]),
  );
}

function causes(error: unknown): string {
  return error instanceof Error && error.cause !== undefined
    ? `${error.message}: ${causes(error.cause)}`
    : reasonOf(error);
}

/** Aborted by the order to close: a database server that is away is then not waited for. */
const closing = new AbortController();

/** What differs between the embedded store and a server. */
type OpenStore = Pick<ServerOptions, "store" | "rebuilt" | "isDamage"> & {
  readonly snapshotsOf: (events: ConstructorParameters<typeof UserSnapshots>[2]) => Pick<ServerOptions, "snapshots">;
  /** Rejects where the store is found to be damaged outside of any question. */
  readonly damaged: readonly Promise<never>[];
};

async function openDuck(order: OpenOrder, logger: Logger): Promise<OpenStore> {
  const { databasePath, limits, distrust, keeping } = order;
  await mkdir(dirname(databasePath), { recursive: true });
  const snapshotFolder = join(dirname(databasePath), SNAPSHOTS);
  const store = await DuckStore.open({
    path: databasePath,
    folder: join(dirname(databasePath), "telemetry"),
    snapshotFolder,
    memoryBytes: limits.telemetry.databaseBytesMax,
    limits: limits.telemetry,
    ...keeping,
    scheduler: systemScheduler,
    clock: systemClock,
    logger,
    ...(distrust === null ? {} : { distrust }),
  });
  const { rebuilt } = store;
  const snapshotsOf: OpenStore["snapshotsOf"] = (events) => ({
    snapshots: new UserSnapshots(store, snapshotFolder, events),
  });
  return { store, snapshotsOf, rebuilt, isDamage, damaged: [store.damaged] };
}

/** The driver is an optional package, and loaded by nobody else. */
async function openPostgres(
  address: PostgresServerAddress,
  { limits, keeping, databasePath }: OpenOrder,
  logger: Logger,
): Promise<OpenStore> {
  const { PostgresStore } = await import("../../adapters/postgres/mod.ts");
  const store = await PostgresStore.open({
    address,
    limits: limits.telemetry,
    keep: keeping.retention.raw,
    clock: systemClock,
    scheduler: systemScheduler,
    random: systemRandom,
    logger,
    onWaiting: (reason) => send({ type: "waiting", reason }),
    stop: closing.signal,
  });
  // The archive is here as ever; its events can be asked for.
  const snapshotFolder = join(dirname(databasePath), SNAPSHOTS);
  const snapshotsOf: OpenStore["snapshotsOf"] = (events) => ({
    snapshots: new UserSnapshots(null, snapshotFolder, events),
  });
  // Another server's disk is not ours to judge.
  return { store, snapshotsOf, rebuilt: null, isDamage: () => false, damaged: [] };
}

async function serve(order: OpenOrder, waiting: readonly ToStore[], take: (server: StoreServer) => void) {
  const logger = openLogger();
  const { logFolder, limits, postgres } = order;
  const opened = postgres === null ? await openDuck(order, logger) : await openPostgres(postgres, order, logger);
  const { damaged, snapshotsOf, ...store } = opened;
  const source = openRecordSource(logFolder, logger);
  const forgotten = new ForgottenThings();
  const archive =
    order.archive === null
      ? null
      : new ArchiveHost({
          order: order.archive,
          source,
          limits: limits.archive,
          busy: () => server.backlog > ARCHIVE_YIELDS_AT,
          forgotten,
          clock: systemClock,
          scheduler: systemScheduler,
          logger,
          onChange: (progress) => send({ type: "archived", progress }),
        });
  const server = await StoreServer.open({
    ...store,
    ...snapshotsOf(archive?.eventFiles.bind(archive) ?? null),
    source,
    archive,
    forgotten,
    records: { topics: recordTopics, decode: readRecord, senderOf, propertiesAt, writtenAt },
    limits,
    clock: systemClock,
    scheduler: systemScheduler,
    logger,
    send,
    parquetOf,
  });
  server.forget(order.forgotten);
  take(server);
  for (const early of waiting) if (early.type !== "open") server.handle(early);
  archive?.start();
  await Promise.race([server.run(), ...damaged]);
  await archive?.close();
}

function fail(error: unknown, onServer: boolean): void {
  const unreachable = isTidewireError(error) && error.code === "DATABASE_UNREACHABLE";
  const reason = unreachable ? String(error.details["reason"]) : causes(error);
  const useless = !onServer && (error instanceof StoreDamaged || isDamage(reason));
  const cause = useless ? "useless" : onServer || isEnvironment(reason) ? "environment" : "unknown";
  send({ type: "fatal", reason, cause }, () => process.exit(1));
}

/** Not everywhere allowed, and nothing depends on it. */
function yieldToBroker(): void {
  try {
    stepBack(PRIORITY);
  } catch (error) {
    openLogger().warn("The store process keeps its priority", { error });
  }
}

function main(): void {
  yieldToBroker();
  let server: StoreServer | null = null;
  let onServer = false;
  const waiting: ToStore[] = [];
  process.on("message", (order: ToStore) => {
    try {
      if (order.type === "close") closing.abort(new Error("the platform stops"));
      if (order.type === "open") {
        onServer = order.postgres !== null;
        const served = serve(order, waiting, (opened) => (server = opened));
        served.then(
          () => process.exit(0),
          (error) => fail(error, onServer),
        );
      } else if (server === null) waiting.push(order);
      else server.handle(order);
    } catch (error) {
      fail(error, onServer);
    }
  });
  // The platform is gone, even if it was killed: what is not committed is still in the log.
  process.on("disconnect", () => process.exit(0));
  // Ctrl-C reaches the whole group; the platform decides when the store closes.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => {});
}

main();
