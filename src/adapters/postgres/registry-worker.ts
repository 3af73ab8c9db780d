/**
 * The registry's thread: holds the connection, so that the platform can wait for an answer without its event loop. Listens
 * for changes of others on that same connection, which hands them over before the answer to anything asked later.
 */
import { workerData } from "node:worker_threads";
import { isTidewireError, reasonOf } from "../../base/mod.ts";
import { SIGNAL, UP } from "./registry-protocol.ts";
import type { Call, FromWorker, WorkerStart } from "./registry-protocol.ts";
import { channelOf, registryMigrations } from "./registry-schema.ts";
import { prepare } from "./schema.ts";
import { nameOfServer } from "./server-url.ts";
import { Session, isPassing } from "./session.ts";

/** The platform stands still for so long at most; then the connection counts as lost, and later calls fail at once. */
const STATEMENT_TIMEOUT = 1_500;
const RETRY_DELAY_MIN = 100;
const RETRY_DELAY_MAX = 5_000;

const { address, schema, shared, port } = workerData as WorkerStart;
const cells = new Int32Array(shared);
let session: Session | null = null;
/** Which connection it is, counted. */
let connection = 0;
let everUp = false;

function tell(message: FromWorker): void {
  port.postMessage(message);
  Atomics.add(cells, SIGNAL, 1);
  Atomics.notify(cells, SIGNAL);
}

async function connect(): Promise<void> {
  const opened = await Session.open({ address, name: "tidewire registry", statementTimeout: STATEMENT_TIMEOUT });
  try {
    await prepare(opened, address, registryMigrations(schema));
    await opened.query(`SET synchronous_commit = on; SET lock_timeout = ${STATEMENT_TIMEOUT}`);
    opened.onNotification((payload, pid) => {
      if (pid !== opened.pid) tell({ type: "news", payload });
    });
    await opened.query(`LISTEN ${channelOf(schema)}`);
    const [row] = await opened.query("SELECT revision FROM state");
    opened.onLost((reason) => lost(opened, reason));
    session = opened;
    connection++;
    everUp = true;
    Atomics.store(cells, UP, 1);
    tell({ type: "up", revision: Number(row?.[0]) });
  } catch (error) {
    opened.destroy(new Error("not taken", { cause: error }));
    throw error;
  }
}

function lost(which: Session, reason: Error): void {
  if (session !== which) return;
  session = null;
  Atomics.store(cells, UP, 0);
  tell({ type: "down", reason: reason.message });
  void keepConnecting();
}

async function keepConnecting(): Promise<void> {
  for (let tries = 0; session === null; tries++) {
    try {
      await connect();
    } catch (error) {
      if (!everUp && !isPassing(error)) return refuse(error);
      tell({ type: "down", reason: reasonOf(error) });
      const delay = Math.min(RETRY_DELAY_MIN * 2 ** Math.min(tries, 10), RETRY_DELAY_MAX);
      await new Promise((resolve) => setTimeout(resolve, delay * (0.5 + Math.random() / 2)));
    }
  }
}

function refuse(error: unknown): void {
  if (isTidewireError(error)) {
    return tell({ type: "refused", code: error.code, details: error.details as Record<string, string | number> });
  }
  tell({
    type: "refused",
    code: "DATABASE_UNREACHABLE",
    details: { server: nameOfServer(address), reason: reasonOf(error) },
  });
}

async function answer({ id, text, values, connection: wanted }: Call): Promise<void> {
  try {
    if (session === null) throw Object.assign(new Error("PostgreSQL is away"), { code: "ECONNREFUSED" });
    if (wanted !== null && wanted !== connection) {
      throw Object.assign(new Error("the connection was lost within a transaction"), { code: "ECONNRESET" });
    }
    const rows = await session.query(text, values);
    tell({ type: "rows", id, rows, connection });
  } catch (error) {
    tell({ type: "failed", id, reason: reasonOf(error), passing: isPassing(error) });
  }
}

port.on("message", (call: Call) => void answer(call));
void keepConnecting();
