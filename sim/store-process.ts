/** The store process with a simulated channel and database: everything inside it is the real one. */
import { LIMITS, reasonOf } from "../src/base/mod.ts";
import type { Logger, Scheduler } from "../src/base/mod.ts";
import { fileCrc32 } from "../src/adapters/files/mod.ts";
import type { ChildEvents, StoreProcess } from "../src/cloud/store/child.ts";
import type { RecordSource } from "../src/cloud/store/ports.ts";
import type { FromStore, ToStore } from "../src/cloud/store/protocol.ts";
import { StoreServer } from "../src/cloud/store/server.ts";
import { LogReader } from "../src/log/mod.ts";
import type { LogDirectory } from "../src/log/mod.ts";
import { propertiesAt, readRecord, recordTopics, senderOf, writtenAt } from "../src/wire/record/mod.ts";
import { Life, folderOf } from "./life.ts";
import type { SimTelemetryDatabase } from "./telemetry-database.ts";
import type { Trace } from "./trace.ts";
import type { Witness } from "./witness.ts";
import { SimMetrics } from "./world.ts";
import type { SimClock, SimRandom } from "./world.ts";

export interface StorePorts {
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly logger: Logger;
  readonly trace: Trace;
  readonly witness: Witness;
  readonly database: SimTelemetryDatabase;
  readonly folder: LogDirectory;
}

export class SimStoreProcess implements StoreProcess {
  readonly pid = 1;
  readonly #ports: StorePorts;
  readonly #events: ChildEvents;
  readonly #life = new Life();
  readonly #scheduler: Scheduler;
  #server: StoreServer | null = null;
  readonly #waiting: ToStore[] = [];
  /** When the last message in each direction arrives: a channel keeps the order. */
  readonly #arrives = { inside: 0, outside: 0 };

  constructor(ports: StorePorts, events: ChildEvents) {
    this.#ports = ports;
    this.#events = events;
    this.#scheduler = this.#life.scheduler(ports.clock);
    ports.trace.add("store", "starts");
  }

  send(order: ToStore): void {
    this.#deliver(
      "inside",
      this.#life.guard(() => {
        try {
          this.#take(order);
        } catch (error) {
          this.#fail(error);
        }
      }),
    );
  }

  kill(): void {
    if (!this.#life.alive) return;
    this.#ports.trace.add("store", "dies");
    this.#exit(null, "SIGKILL");
  }

  #take(order: ToStore): void {
    if (order.type === "open")
      this.#serve(order.distrust).then(
        () => this.#exit(0, null),
        (error: unknown) => this.#fail(error),
      );
    else if (this.#server === null) this.#waiting.push(order);
    else this.#server.handle(order);
  }

  async #serve(distrust: string | null): Promise<void> {
    const { clock, logger, database, witness } = this.#ports;
    if (distrust !== null) witness.wrong(`the store's file is blamed: ${distrust}`);
    const server = await StoreServer.open({
      store: database.open(this.#life, this.#scheduler),
      rebuilt: null,
      source: this.#source(),
      records: { topics: recordTopics, decode: readRecord, senderOf, propertiesAt, writtenAt },
      parquetOf: () => Promise.reject(new Error("the simulated store makes no files")),
      isDamage: () => false, // the simulated file does not rot
      limits: LIMITS,
      clock,
      scheduler: this.#scheduler,
      logger,
      send: (news) => this.#tell(news),
    });
    this.#server = server;
    for (const early of this.#waiting) if (early.type !== "open") server.handle(early);
    await server.run();
  }

  #source(): RecordSource {
    const { folder, logger, random } = this.#ports;
    const directory = folderOf(this.#life, folder, this.#scheduler, () => random.below(2));
    let opened: LogReader | null = null;
    const reader = async (): Promise<LogReader> =>
      (opened ??= await LogReader.open({ directory, crc32: fileCrc32, logger, metrics: new SimMetrics() }));
    return {
      first: async () => (await reader()).first,
      identity: async () => (await reader()).identity(),
      async *readBatches(from, below) {
        yield* (await reader()).readBatches(from, below);
      },
      leftOut: (from, below) => opened?.leftOut(from, below) ?? 0,
    };
  }

  #tell(news: FromStore): void {
    if (news.type === "committed") {
      const { counters, realigned } = news.progress;
      this.#ports.witness.storeMissed(counters.gapRecords);
      if (realigned !== null) this.#ports.witness.wrong(`the store does not go with the log: ${realigned}`);
    }
    if (this.#life.alive) this.#deliver("outside", () => this.#events.news(news));
  }

  #fail(error: unknown): void {
    if (!this.#life.alive) return;
    if (!this.#ports.database.broken) this.#ports.trace.add("store", `fails: ${reasonOf(error)}`);
    this.#tell({ type: "fatal", reason: reasonOf(error), cause: "environment" });
    this.#exit(1, null);
  }

  #exit(code: number | null, signal: string | null): void {
    this.#life.end();
    this.#deliver("outside", () => this.#events.exit({ code, signal, stderr: "" }));
  }

  #deliver(to: "inside" | "outside", task: () => void): void {
    const { clock, random } = this.#ports;
    this.#arrives[to] = Math.max(this.#arrives[to], clock.monotonic() + random.below(4));
    clock.after(this.#arrives[to] - clock.monotonic(), task);
  }
}
