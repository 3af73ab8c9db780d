/**
 * Synchronous questions to the registry's thread: the caller waits in `Atomics.wait`. That is for seldom and short questions:
 * a change of the registry, or a certificate that was not seen before. A server that is away costs one wait; after
 * that every question fails at once until the thread has a connection again.
 */
import { MessageChannel, Worker, receiveMessageOnPort } from "node:worker_threads";
import type { MessagePort } from "node:worker_threads";
import { TidewireError, seconds } from "../../base/mod.ts";
import type { ErrorCode, Logger, Millis } from "../../base/mod.ts";
import { SIGNAL, UP } from "./registry-protocol.ts";
import type { Call, FromWorker, WorkerStart } from "./registry-protocol.ts";
import { nameOfServer } from "./server-url.ts";
import type { PostgresServerAddress } from "./server-url.ts";
import type { Row, Value } from "./session.ts";

/** A little longer than the thread itself waits for the server. */
const ANSWER_TIMEOUT: Millis = seconds(4);
const START_TIMEOUT: Millis = seconds(20);

export interface LinkEvents {
  /** Somebody else's commit. Called at the next `look`, or soon. */
  news(payload: string): void;
  /** Connected again; `revision` is what is there now. */
  up(revision: number): void;
}

export interface Answer {
  readonly rows: readonly Row[];
  readonly connection: number;
}

export class RegistryLink {
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #cells: Int32Array<SharedArrayBuffer>;
  readonly #address: PostgresServerAddress;
  readonly #logger: Logger;
  readonly #events: LinkEvents;
  /** Taken from the port while an answer was waited for; handed on after it. */
  readonly #early: FromWorker[] = [];
  #calls = 0;
  #down: string | null = "it is starting";
  #started: { resolve: () => void; reject: (error: TidewireError) => void } | null = null;

  private constructor(address: PostgresServerAddress, schema: string, logger: Logger, events: LinkEvents) {
    this.#address = address;
    this.#logger = logger;
    this.#events = events;
    const shared = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT);
    this.#cells = new Int32Array(shared);
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const start: WorkerStart = { address, schema, shared, port: port2 };
    const file = new URL("registry-worker.ts", import.meta.url);
    this.#worker = new Worker(file, { workerData: start, transferList: [port2], execArgv: [], name: "registry" });
    this.#worker.on("error", (error) => this.#take({ type: "down", reason: error.message }));
    this.#port.on("message", (message: FromWorker) => {
      this.#early.push(message); // behind what came earlier
      this.look();
    });
  }

  /** Throws DATABASE_UNREACHABLE or DATABASE_NEWER. */
  static async open(
    address: PostgresServerAddress,
    schema: string,
    logger: Logger,
    events: LinkEvents,
  ): Promise<RegistryLink> {
    const link = new RegistryLink(address, schema, logger, events);
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        link.#started = { resolve, reject };
        const reason = (): string => link.#down ?? "it does not answer";
        timer = setTimeout(() => reject(unreachable(address, reason())), START_TIMEOUT);
      });
    } catch (error) {
      await link.close();
      throw error;
    } finally {
      clearTimeout(timer);
      link.#started = null;
    }
    return link;
  }

  /** Why nothing can be asked now; null where it can. */
  get down(): string | null {
    return this.#down;
  }

  /** Throws REGISTRY_UNAVAILABLE where the server is away. `connection`: the one that the transaction began on. */
  ask(text: string, values: readonly Value[], connection: number | null = null): Answer {
    this.look();
    if (Atomics.load(this.#cells, UP) === 0) throw unavailable(this.#down ?? "the connection was lost");
    const id = ++this.#calls;
    this.#port.postMessage({ id, text, values, connection } satisfies Call);
    const until = performance.now() + ANSWER_TIMEOUT;
    for (;;) {
      const seen = Atomics.load(this.#cells, SIGNAL);
      for (let got = receive(this.#port); got !== null; got = receive(this.#port)) {
        if ((got.type !== "rows" && got.type !== "failed") || got.id !== id) this.#later(got);
        else if (got.type === "rows") return { rows: got.rows, connection: got.connection };
        else if (got.passing) throw unavailable(got.reason);
        else throw new Error(`the registry's database refuses: ${got.reason}`);
      }
      const left = until - performance.now();
      if (left <= 0) throw unavailable("the server does not answer");
      Atomics.wait(this.#cells, SIGNAL, seen, left);
    }
  }

  /** Hands on what has arrived, without waiting. */
  look(): void {
    for (let early = this.#early.shift(); early !== undefined; early = this.#early.shift()) this.#take(early);
    for (let got = receive(this.#port); got !== null; got = receive(this.#port)) this.#take(got);
  }

  /** No `message` event will tell of what was taken from the port by hand. */
  #later(message: FromWorker): void {
    if (this.#early.push(message) === 1) setImmediate(() => this.look());
  }

  async close(): Promise<void> {
    this.#down = "it is closed";
    Atomics.store(this.#cells, UP, 0);
    this.#early.length = 0;
    this.#port.close();
    await this.#worker.terminate();
  }

  #take(message: FromWorker): void {
    switch (message.type) {
      case "news":
        this.#events.news(message.payload);
        break;
      case "up":
        if (this.#down !== null && this.#started === null)
          this.#logger.info("The registry answers again", this.#where());
        this.#down = null;
        this.#started?.resolve();
        this.#events.up(message.revision);
        break;
      case "down":
        if (this.#down === null)
          this.#logger.error("The registry is away", { ...this.#where(), reason: message.reason });
        this.#down = message.reason;
        break;
      case "refused":
        this.#started?.reject(new TidewireError(message.code as ErrorCode, message.details));
        break;
      case "rows":
      case "failed":
        break; // an answer that came after its time
    }
  }

  #where(): { readonly server: string } {
    return { server: nameOfServer(this.#address) };
  }
}

function receive(port: MessagePort): FromWorker | null {
  return (receiveMessageOnPort(port)?.message as FromWorker | undefined) ?? null;
}

function unavailable(reason: string): TidewireError {
  return new TidewireError("REGISTRY_UNAVAILABLE", { reason: `PostgreSQL: ${reason}` });
}

function unreachable(address: PostgresServerAddress, reason: string): TidewireError {
  return new TidewireError("DATABASE_UNREACHABLE", { server: nameOfServer(address), reason });
}
