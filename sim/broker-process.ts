/** One life of a broker's process: the real broker, journal and log, as `src/cloud/ingest.ts` puts them together. */
import { isTidewireError, reasonOf } from "../src/base/mod.ts";
import type { Limits, Logger, Message, Scheduler } from "../src/base/mod.ts";
import { fileCrc32 } from "../src/adapters/files/mod.ts";
import { Broker } from "../src/broker/mod.ts";
import type { BrokerConnection, Gatekeeper, Journal, StateStore, Transport } from "../src/broker/mod.ts";
import { LogJournal } from "../src/cloud/journal.ts";
import { Log } from "../src/log/mod.ts";
import type { LogDirectory } from "../src/log/mod.ts";
import { altered } from "./altered.ts";
import type { SimBrokerDatabase } from "./broker-database.ts";
import type { BrokerTap } from "./broker-tap.ts";
import type { BrokerWitness } from "./broker-witness.ts";
import { Life, folderOf } from "./life.ts";
import type { SimLink, SimNetwork } from "./network.ts";
import type { Trace } from "./trace.ts";
import { SimMetrics } from "./world.ts";
import type { SimClock, SimRandom } from "./world.ts";

export interface BrokerProcessPorts {
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly network: SimNetwork;
  readonly logger: Logger;
  readonly trace: Trace;
  readonly witness: BrokerWitness;
  readonly tap: BrokerTap;
  readonly database: SimBrokerDatabase;
  readonly limits: Limits;
  readonly sabotage: Sabotage;
  /** Longest time that a write, or a sync, takes; in milliseconds. */
  readonly diskDelay: () => { readonly write: number; readonly sync: number };
  /** The state file takes nothing. */
  readonly databaseFails: () => boolean;
  /** The process cannot go on: its log failed, or it could not start. */
  readonly gaveUp: (reason: string) => void;
}

/** Wrong ways to serve the broker's ports: what it would be like if the broker itself were wrong. For `broker-mutations.ts`. */
export interface Sabotage {
  journal?(journal: Journal, log: Log, scheduler: Scheduler): Journal;
  state?(state: StateStore): StateStore;
  connection?(
    connection: (transport: Transport) => BrokerConnection,
    transport: Transport,
    link: SimLink,
  ): BrokerConnection;
}

const EVERYBODY: Gatekeeper = {
  admit: (_peer, { clientId }) => ({
    admitted: true,
    thing: clientId,
    authorizer: { revision: 1, publish: () => true, subscribe: () => true, receive: () => true },
  }),
};

export class BrokerProcess {
  readonly life = new Life();
  readonly metrics = new SimMetrics();
  readonly #ports: BrokerProcessPorts;
  readonly #scheduler: Scheduler;
  #log: Log | null = null;
  isReady = false;

  constructor(ports: BrokerProcessPorts, folder: LogDirectory) {
    this.#ports = ports;
    this.#scheduler = this.life.scheduler(ports.clock);
    this.#start(folder).catch((error: unknown) => {
      if (!this.life.alive) return;
      const foreseen = isTidewireError(error) || (error instanceof Error && "code" in error);
      if (!foreseen) ports.witness.wrong(`the broker cannot start: ${reasonOf(error)}`);
      ports.gaveUp(reasonOf(error));
    });
  }

  /** Everything appended is on disk. */
  get isSettled(): boolean {
    return this.isReady && this.#log!.durable === this.#log!.next;
  }

  end(): void {
    this.life.end();
    this.#ports.network.listener = null;
  }

  async #start(folder: LogDirectory): Promise<void> {
    const { clock, random, logger, database, limits, diskDelay, witness, sabotage } = this.#ports;
    const common = { clock, scheduler: this.#scheduler, random, logger, metrics: this.metrics };
    const directory = folderOf(this.life, folder, this.#scheduler, (operation) =>
      random.below(operation === "sync" ? diskDelay().sync : diskDelay().write),
    );
    const state = this.#failing(database.open(this.life, this.#scheduler));
    const nextAtLeast = (await state.load()).appliedOffset;
    const log = await Log.open({ ...common, directory, crc32: fileCrc32, limits: limits.log, nextAtLeast });
    const journal = new LogJournal({ log, clock, logger, metrics: this.metrics });
    await this.#compare(journal, log.next);
    this.#log = log;
    log.onDurable(this.life.guard((durable: number) => witness.reportedDurable(durable)));
    log.onFailed(this.life.guard((error) => this.#ports.gaveUp(error.message)));
    const watched = this.#watchedJournal(journal);
    const broker = new Broker({
      ...common,
      journal: sabotage.journal?.(watched, log, this.#scheduler) ?? watched,
      state: sabotage.state?.(state) ?? state,
      gatekeeper: EVERYBODY,
      limits: limits.mqtt,
    });
    await broker.restore();
    if (!this.life.alive) return;
    this.#ports.network.listener = (transport, link) => this.#accept(broker, transport, link);
    this.isReady = true;
    this.#ports.trace.add("broker", "is ready");
  }

  #accept(broker: Broker, transport: Transport, link: SimLink): BrokerConnection {
    const { sabotage, tap } = this.#ports;
    const peer = { remoteAddress: transport.remoteAddress, certificateId: link.name };
    const accept = (to: Transport): BrokerConnection => broker.accept(to, peer);
    const connection = sabotage.connection?.(accept, transport, link) ?? accept(transport);
    return {
      receive: this.life.guard((chunk: Uint8Array) => connection.receive(chunk)),
      written: this.life.guard((bytes: Uint8Array) => connection.written(bytes)),
      closed: this.life.guard((reason?: string) => {
        connection.closed(reason);
        tap.lost(link);
      }),
    };
  }

  /** What the log holds now against what was known to be in it. */
  async #compare(journal: LogJournal, next: number): Promise<void> {
    const found: (readonly [number, Message])[] = [];
    for await (const logged of journal.replay(0)) {
      if (logged.kind === "message") found.push([logged.offset, logged.message]);
    }
    if (this.life.alive) this.#ports.witness.recovered(found, next);
  }

  /** The state file, on a disk that may be full. */
  #failing(state: StateStore): StateStore {
    const { databaseFails } = this.#ports;
    const fail = (): Promise<never> => Promise.reject(new Error("database or disk is full"));
    return altered(state, {
      saveSessions: (changes) => (databaseFails() ? fail() : state.saveSessions(changes)),
      saveProgress: (progress) => (databaseFails() ? fail() : state.saveProgress(progress)),
    });
  }

  /** The journal, with the witness looking over its shoulder. */
  #watchedJournal(journal: LogJournal): Journal {
    const { witness } = this.#ports;
    type Record = Pick<Message, "topic" | "payload" | "clientId" | "qos" | "retain">;
    const noted = (record: Record, append: () => number): number => {
      let offset: number;
      try {
        offset = append();
      } catch (error) {
        witness.refuse(record.payload, record.topic); // here, not when the refusal leaves: it may never do
        throw error;
      }
      if (this.life.alive) witness.append(offset, record);
      return offset;
    };
    return altered<Journal>(journal, {
      append: (topic, view, publisher, receivedAt, identified) => {
        const payload = view.buffer.subarray(view.payloadStart, view.payloadEnd);
        const { qos, retain } = view;
        const record = { topic, payload, clientId: publisher.clientId, qos, retain };
        return noted(record, () => journal.append(topic, view, publisher, receivedAt, identified));
      },
      appendNote: (note) => {
        const offset = journal.appendNote(note);
        if (this.life.alive) witness.appendNote(offset);
        return offset;
      },
      appendMessage: (message, patient) => noted(message, () => journal.appendMessage(message, patient)),
    });
  }
}
