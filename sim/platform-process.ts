/** One life of the platform's process: broker, journal, log and store as `src/cloud/ingest.ts` puts them together. */
import { LIMITS, isTidewireError, reasonOf } from "../src/base/mod.ts";
import type { Limits, Logger, Message, Scheduler } from "../src/base/mod.ts";
import { fileCrc32 } from "../src/adapters/files/mod.ts";
import { Broker } from "../src/broker/mod.ts";
import type { Gatekeeper, Journal } from "../src/broker/mod.ts";
import { rulesConsumer } from "../src/cloud/rules-consumer.ts";
import { LogJournal } from "../src/cloud/journal.ts";
import type { ChildEvents, ChildExit } from "../src/cloud/store/child.ts";
import type { FromStore } from "../src/cloud/store/protocol.ts";
import { StoreClient } from "../src/cloud/store/mod.ts";
import { Log } from "../src/log/mod.ts";
import type { LogDirectory } from "../src/log/mod.ts";
import { openSenders } from "../src/adapters/senders/mod.ts";
import { HotRules, defaultRules } from "../src/rules/mod.ts";
import { propertiesOf } from "../src/wire/mqtt/mod.ts";
import type { SimBrokerDatabase } from "./broker-database.ts";
import { DEFAULT_RETENTION } from "../src/telemetry/mod.ts";
import { Life, folderOf } from "./life.ts";
import type { SimNetwork } from "./network.ts";
import { RECEIVER_RULE } from "./receiver.ts";
import type { SimReceiver } from "./receiver.ts";
import type { SimRulesDatabase } from "./rules-database.ts";
import { SimStoreProcess } from "./store-process.ts";
import type { SimTelemetryDatabase } from "./telemetry-database.ts";
import type { Trace } from "./trace.ts";
import { appendedOf } from "./witness.ts";
import type { Appended, Witness } from "./witness.ts";
import { SimMetrics } from "./world.ts";
import type { SimClock, SimRandom } from "./world.ts";

export interface PlatformPorts {
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly network: SimNetwork;
  readonly logger: Logger;
  readonly trace: Trace;
  readonly witness: Witness;
  readonly brokerDatabase: SimBrokerDatabase;
  readonly telemetryDatabase: SimTelemetryDatabase;
  readonly rulesDatabase: SimRulesDatabase;
  readonly receiver: SimReceiver;
  readonly limits: Limits;
  /** Longest time that a write, or a sync, takes; in milliseconds. */
  readonly diskDelay: () => { readonly write: number; readonly sync: number };
  /** The process cannot go on: its log failed, or it could not start. */
  readonly gaveUp: (reason: string) => void;
}

const EVERYBODY: Gatekeeper = {
  admit: (_peer, { clientId }) => ({
    admitted: true,
    thing: clientId,
    authorizer: { revision: 1, publish: () => true, subscribe: () => true, receive: () => true },
  }),
};

export class PlatformProcess {
  readonly life = new Life();
  readonly #ports: PlatformPorts;
  readonly #scheduler: Scheduler;
  readonly #metrics = new SimMetrics();
  #storeChild: SimStoreProcess | null = null;
  #log: Log | null = null;
  isReady = false;

  constructor(ports: PlatformPorts, folder: LogDirectory) {
    this.#ports = ports;
    this.#scheduler = this.life.scheduler(ports.clock);
    this.#start(folder).catch((error: unknown) => {
      if (!this.life.alive) return;
      const foreseen = isTidewireError(error) || (error instanceof Error && "code" in error);
      if (!foreseen) ports.witness.wrong(`the platform cannot start: ${reasonOf(error)}`);
      ports.gaveUp(reasonOf(error));
    });
  }

  /** Everything appended is on disk. */
  get isSettled(): boolean {
    return this.isReady && this.#log!.durable === this.#log!.next;
  }

  get logState(): string {
    return this.#log?.status().state ?? "closed";
  }

  get durable(): number {
    return this.#log?.durable ?? 0;
  }

  killStore(): void {
    this.#storeChild?.kill();
  }

  /** The process is gone, and with it the store's, which notices that its channel is closed. */
  end(): void {
    this.life.end();
    this.#storeChild?.kill();
    this.#ports.network.listener = null;
  }

  async #start(folder: LogDirectory): Promise<void> {
    const { clock, random, logger, brokerDatabase, witness, network, limits, diskDelay } = this.#ports;
    const common = { clock, scheduler: this.#scheduler, random, logger, metrics: this.#metrics };
    const directory = folderOf(this.life, folder, this.#scheduler, (operation) =>
      random.below(operation === "sync" ? diskDelay().sync : diskDelay().write),
    );
    const rules = this.#openRules();
    const resumeRulesAt = await rules.start();
    if (resumeRulesAt > witness.durable) witness.wrong(`the rules are at ${resumeRulesAt}, ahead of the log`);
    const state = brokerDatabase.open(this.life, this.#scheduler);
    const nextAtLeast = Math.max(resumeRulesAt, (await state.load()).appliedOffset);
    const log = await Log.open({ ...common, directory, crc32: fileCrc32, limits: limits.log, nextAtLeast });
    const journal = new LogJournal({ log, clock, logger, metrics: this.#metrics });
    await this.#compare(journal, log.next);
    this.#log = log;
    log.onDurable(this.life.guard((durable: number) => witness.reportedDurable(durable)));
    log.onFailed(this.life.guard((error) => this.#ports.gaveUp(error.message)));

    const store = this.#openStore(folder);
    const storeReady = store.start();
    store.setRules(rules.list());
    log.onDurable((durable) => store.durable(durable));
    store.durable(log.durable);
    const hot = rulesConsumer(rules, logger);
    log.consume(resumeRulesAt, (batch) => hot.take(batch) ?? undefined, "rules");
    const broker = new Broker({
      ...common,
      journal: this.#watched(journal),
      state,
      gatekeeper: EVERYBODY,
      limits: limits.mqtt,
    });
    await broker.restore();
    await storeReady;
    if (!this.life.alive) return;
    network.listener = (transport, link) => {
      const connection = broker.accept(transport, { remoteAddress: transport.remoteAddress, certificateId: link.name });
      return {
        receive: this.life.guard((chunk: Uint8Array) => connection.receive(chunk)),
        written: this.life.guard((bytes: Uint8Array) => connection.written(bytes)),
        closed: this.life.guard((reason?: string) => connection.closed(reason)),
      };
    };
    this.isReady = true;
    this.#ports.trace.add("platform", "is ready");
  }

  /** What the log holds now against what was known to be in it. */
  async #compare(journal: LogJournal, next: number): Promise<void> {
    const found: (readonly [number, Message])[] = [];
    for await (const logged of journal.replay(0)) {
      if (logged.kind === "message") found.push([logged.offset, logged.message]);
    }
    if (this.life.alive) this.#ports.witness.recovered(found, next);
  }

  #openRules(): HotRules {
    const { clock, random, logger, rulesDatabase, receiver } = this.#ports;
    return new HotRules({
      clock,
      scheduler: this.#scheduler,
      random,
      logger,
      metrics: this.#metrics,
      store: rulesDatabase,
      // No rule here has a secret.
      senders: openSenders({
        http: receiver.open(this.life),
        hmacSha256: () => new Uint8Array(32),
        clock,
        folder: null,
      }),
      keyedHash: (text) => text,
      defaults: [...defaultRules(), RECEIVER_RULE],
    });
  }

  #openStore(folder: LogDirectory): StoreClient {
    const { clock, random, logger, trace, witness, telemetryDatabase: database } = this.#ports;
    return new StoreClient({
      databasePath: "telemetry",
      logFolder: "log",
      limits: LIMITS,
      keeping: { retention: DEFAULT_RETENTION, room: { diskShare: 0.5 } },
      clock,
      scheduler: this.#scheduler,
      random,
      logger,
      metrics: this.#metrics,
      startChild: (events) => {
        const guarded: ChildEvents = {
          news: this.life.guard((news: FromStore) => events.news(news)),
          exit: this.life.guard((exit: ChildExit) => events.exit(exit)),
        };
        this.#storeChild = new SimStoreProcess({ clock, random, logger, trace, witness, database, folder }, guarded);
        return this.#storeChild;
      },
    });
  }

  /** The journal, with the witness looking over its shoulder. */
  #watched(journal: LogJournal): Journal {
    const { witness } = this.#ports;
    const noted = (record: Appended, append: () => number): number => {
      let offset: number;
      try {
        offset = append();
      } catch (error) {
        witness.refuse(record); // here, not when the refusal leaves: it may never do
        throw error;
      }
      if (this.life.alive) witness.append(offset, record);
      return offset;
    };
    return {
      append: (topic, view, publisher, receivedAt, identified) => {
        const payload = view.buffer.subarray(view.payloadStart, view.payloadEnd);
        const properties = propertiesOf(view);
        const record = appendedOf({ topic, payload, retain: view.retain, clientId: publisher.clientId, properties });
        return noted(record, () => journal.append(topic, view, publisher, receivedAt, identified));
      },
      appendNote: (note) => {
        const offset = journal.appendNote(note);
        if (this.life.alive) witness.appendNote(offset);
        return offset;
      },
      appendMessage: (message, patient) => noted(appendedOf(message), () => journal.appendMessage(message, patient)),
      hurry: (offset) => journal.hurry(offset),
      get durable() {
        return journal.durable;
      },
      onDurable: (listener) => journal.onDurable(listener),
      read: (offset) => journal.read(offset),
      replay: (from) => journal.replay(from),
    };
  }
}
