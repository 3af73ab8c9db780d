/** One connection to PostgreSQL with a deadline on everything that is asked, so that a silent server counts as gone. */
import { readFileSync } from "node:fs";
import type pg from "pg";
import { TidewireError, reasonOf, seconds } from "../../base/mod.ts";
import type { Logger, Millis } from "../../base/mod.ts";
import { CopyIn } from "./copy-in.ts";
import { nameOfServer, passwordOf } from "./server-url.ts";
import type { PostgresServerAddress } from "./server-url.ts";

export interface SessionOptions {
  readonly address: PostgresServerAddress;
  /** Shown in pg_stat_activity. */
  readonly name: string;
  /** The server ends a statement after this, and we the connection a little later. */
  readonly statementTimeout: Millis;
}

/** bigint, integer, smallint, oid, double, real: what of them we store is exact as a JavaScript number. */
const NUMBERS: readonly number[] = [20, 23, 21, 26, 701, 700];
const BOOLEAN = 16;
const CONNECT_TIMEOUT: Millis = seconds(5);
/** How much longer than the server we wait for its answer. */
const GRACE: Millis = seconds(2);

export type Row = readonly (number | string | boolean | null)[];
export type Value = number | string | boolean | null | readonly (number | string | boolean | null)[];

export class Session {
  readonly #client: pg.Client;
  readonly #deadline: Millis;
  #lost: Error | null = null;
  readonly #listeners = new Set<(reason: Error) => void>();

  private constructor(client: pg.Client, deadline: Millis) {
    this.#client = client;
    this.#deadline = deadline;
    client.on("error", (error) => this.#lose(error));
    client.on("end", () => this.#lose(new Error("the connection has ended")));
  }

  static async open({ address, name, statementTimeout }: SessionOptions): Promise<Session> {
    const { default: driver } = await loadDriver(address);
    const { host, port, user, database } = address;
    const password = passwordOf(address);
    const client = new driver.Client({
      host,
      port,
      user,
      database,
      ...(password === null ? {} : { password }),
      ssl: tlsOf(address),
      application_name: name,
      connectionTimeoutMillis: CONNECT_TIMEOUT,
      statement_timeout: statementTimeout,
      keepAlive: true,
      types: { getTypeParser: parserOf as never },
    });
    const session = new Session(client, statementTimeout + GRACE);
    await client.connect();
    return session;
  }

  /** The server's process, for ending its statement. */
  get pid(): number {
    return (this.#client as unknown as { readonly processID: number }).processID;
  }

  get alive(): boolean {
    return this.#lost === null;
  }

  /** Without values several statements may stand in one text; the rows are the last one's. */
  async query(text: string, values?: readonly Value[]): Promise<readonly Row[]> {
    const found = await this.#within(
      this.#client.query({ text, rowMode: "array", ...(values === undefined ? {} : { values: [...values] }) }),
    );
    const last = (Array.isArray(found) ? found.at(-1) : found) as { readonly rows: Row[] } | undefined;
    return last?.rows ?? [];
  }

  /** How many rows a statement touched. */
  async change(text: string, values: readonly Value[]): Promise<number> {
    return (await this.#within(this.#client.query({ text, values: [...values] }))).rowCount ?? 0;
  }

  /** `COPY … FROM STDIN (FORMAT binary)`. */
  async copyIn(text: string, chunks: Iterable<Uint8Array>): Promise<void> {
    await this.#within(
      new Promise<void>((resolve, reject) => {
        this.#client.query(new CopyIn(text, chunks, (error) => (error === null ? resolve() : reject(error))));
      }),
    );
  }

  onNotification(listener: (payload: string, pid: number) => void): void {
    this.#client.on("notification", ({ payload, processId }) => listener(payload ?? "", processId));
  }

  /** Once, as soon as it is known. */
  onLost(listener: (reason: Error) => void): void {
    if (this.#lost !== null) listener(this.#lost);
    else this.#listeners.add(listener);
  }

  async end(): Promise<void> {
    this.#listeners.clear();
    if (this.#lost !== null) return;
    await Promise.race([this.#client.end(), new Promise<void>((resolve) => setTimeout(resolve, GRACE).unref())]);
    this.destroy(new Error("closed"));
  }

  /** Without a word to the server. */
  destroy(reason: Error): void {
    (
      this.#client as unknown as { readonly connection: { readonly stream: { destroy(e?: Error): void } } }
    ).connection.stream.destroy();
    this.#lose(reason);
  }

  async #within<T>(answer: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const error = Object.assign(new Error("the server does not answer"), { code: "ETIMEDOUT" });
        reject(error);
        this.destroy(error);
      }, this.#deadline);
    });
    answer.catch(() => {}); // the deadline may have been told instead
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #lose(reason: Error): void {
    if (this.#lost !== null) return;
    this.#lost = reason;
    for (const listener of this.#listeners) listener(reason);
    this.#listeners.clear();
  }
}

/** Socket errors, and SQLSTATEs of a server that goes, comes, is full, busy or a standby: waiting helps. */
const PASSING = [
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "ENOENT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EAI_AGAIN",
  "EACCES",
  "57P01",
  "57P02",
  "57P03",
  "57014",
  "53000",
  "53100",
  "53200",
  "53300",
  "40001",
  "40P01",
  "25006",
  "55P03",
  "58030",
];

/** Whether the same may work later without anybody changing anything here. */
export function isPassing(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (PASSING.includes(code) || code.startsWith("08")) return true;
  return (
    code === "" && /Connection terminated|connection has ended|timeout expired|not queryable/i.test(reasonOf(error))
  );
}

async function loadDriver(address: PostgresServerAddress): Promise<{ readonly default: typeof pg }> {
  try {
    return await import("pg");
  } catch (error) {
    const reason = "the optional package pg is not installed (npm install pg)";
    throw new TidewireError("DATABASE_UNREACHABLE", { server: nameOfServer(address), reason }, { cause: error });
  }
}

function tlsOf({ tls, host, caFile, certificateFile, keyFile }: PostgresServerAddress): false | object {
  if (tls === "disable") return false;
  return {
    rejectUnauthorized: tls !== "require",
    ...(tls === "verify-ca" ? { checkServerIdentity: () => undefined } : {}),
    ...(caFile === null ? {} : { ca: readFileSync(caFile) }),
    ...(certificateFile === null ? {} : { cert: readFileSync(certificateFile) }),
    ...(keyFile === null ? {} : { key: readFileSync(keyFile) }),
    host,
  };
}

function parserOf(type: number): (text: string) => unknown {
  if (NUMBERS.includes(type)) return Number;
  if (type === BOOLEAN) return (text) => text === "t";
  return (text) => text;
}

/** A committed offset lets the log forget, so it must be on the server's disk; `fsync` is the server's own affair. */
export async function beDurable(session: Session, logger: Logger): Promise<void> {
  const [row] = await session.query("SELECT current_setting('synchronous_commit'), current_setting('fsync')");
  if (row?.[0] === "off") await session.query("SET synchronous_commit = on");
  if (row?.[1] === "off") {
    logger.warn(
      "PostgreSQL runs with fsync = off: a power cut there can damage or lose what the log has already forgotten",
    );
  }
}
