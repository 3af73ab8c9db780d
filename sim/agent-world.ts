/** An agent's outbox and uplink as a process that can be killed, on a disk and a network that can fail. */
import type { Metrics } from "../src/base/mod.ts";
import type { OutboxLimits } from "../src/queue/mod.ts";
import { Outbox, Uplink } from "../src/queue/mod.ts";
import { SimQueueStore } from "./queue-store.ts";
import { SimBroker } from "./uplink-broker.ts";
import { SimClock, SimLogger, SimMetrics, SimRandom, mortalScheduler, whileAlive } from "./world.ts";

export interface SimAgent {
  readonly outbox: Outbox;
  readonly uplink: Uplink;
}

export class AgentWorld {
  readonly clock = new SimClock();
  readonly random: SimRandom;
  readonly store = new SimQueueStore();
  readonly broker: SimBroker;
  readonly logger = new SimLogger();
  metrics = new SimMetrics();
  agent: SimAgent;
  /** What was put and is on disk: sequence → payload. */
  readonly accepted = new Map<number, string>();
  #unsaved = new Map<number, string>();
  #process = 0;
  readonly #limits: OutboxLimits;

  constructor(seed: number, limits: OutboxLimits = { messages: 100_000, bytes: 100_000_000 }) {
    this.random = new SimRandom(seed);
    this.#limits = limits;
    this.broker = new SimBroker(this.clock, this.random);
    this.agent = this.#start();
  }

  put(text: string): number {
    const sequence = this.agent.outbox.put("telemetry/a/system", new TextEncoder().encode(text));
    this.#unsaved.set(sequence, text);
    return sequence;
  }

  /** Time passes; what got on disk meanwhile counts as accepted. */
  run(span: number): void {
    this.clock.advance(span);
    this.#harvest();
  }

  /** SIGKILL, and a new process on the same disk. */
  kill(): void {
    this.#harvest();
    this.#unsaved.clear();
    this.agent = this.#start();
  }

  #harvest(): void {
    const { durable } = this.agent.outbox;
    for (const [sequence, text] of this.#unsaved) {
      if (sequence > durable) continue;
      this.accepted.set(sequence, text);
      this.#unsaved.delete(sequence);
    }
  }

  #start(): SimAgent {
    const own = ++this.#process;
    const { clock, random, logger, store } = this;
    const isAlive = (): boolean => own === this.#process;
    const living = whileAlive(isAlive);
    const scheduler = mortalScheduler(clock, isAlive);
    this.broker.cut(); // the kernel closes a dead process's connections
    this.metrics = new SimMetrics();
    const metrics: Metrics = this.metrics;
    const outbox = new Outbox({ store, clock, scheduler, random, logger, metrics, limits: this.#limits });
    const uplink = new Uplink({
      open: (events) =>
        this.broker.open({
          opened: living(() => events.opened()),
          received: (chunk) => living(() => events.received(chunk))(),
          written: (bytes) => living(() => events.written(bytes))(),
          closed: (cause) => living(() => events.closed(cause))(),
        }),
      outbox,
      clientId: "a",
      clock,
      scheduler,
      random,
      logger,
      metrics,
    });
    uplink.start();
    return { outbox, uplink };
  }
}
