/** An edge agent: the real outbox and uplink, on a disk that survives them, as a process that can be killed. */
import { LIMITS } from "../src/base/mod.ts";
import type { Clock, Logger } from "../src/base/mod.ts";
import { Outbox, Uplink } from "../src/queue/mod.ts";
import type { OutboxLimits, QueueStore } from "../src/queue/mod.ts";
import { Life } from "./life.ts";
import type { Farewell, SimNetwork } from "./network.ts";
import { SimQueueStore } from "./queue-store.ts";
import { SimMetrics } from "./world.ts";
import type { SimClock, SimRandom } from "./world.ts";
import type { Witness } from "./witness.ts";
import { MEASUREMENT, nameOf } from "./witness.ts";
import type { Trace } from "./trace.ts";

export interface AgentPorts {
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly network: SimNetwork;
  readonly logger: Logger;
  readonly trace: Trace;
  readonly witness: Witness;
  readonly limits: OutboxLimits;
  /** A number that no reading had before. */
  readonly number: () => number;
}

export class SimEdgeAgent {
  readonly name: string;
  disk = new SimQueueStore();
  readonly #ports: AgentPorts;
  /** How far this device's wall clock is off. */
  #clockOffset = 0;
  #life = new Life();
  /** What this life's sources handed over, and what the outbox counted as dropped before. */
  #put: string[] = [];
  #droppedBefore = 0;
  #outbox: Outbox | null = null;
  #uplink: Uplink | null = null;

  constructor(name: string, ports: AgentPorts) {
    this.name = name;
    this.#ports = ports;
  }

  get isRunning(): boolean {
    return this.#outbox !== null;
  }

  /** Everything accepted has left. */
  get isDrained(): boolean {
    if (this.#outbox === null) return false;
    const { waiting, lastSequence, durable } = this.#outbox.statistics();
    return waiting === 0 && lastSequence === durable;
  }

  describe(): string {
    if (this.#outbox === null) return `${this.name} is down`;
    const { waiting, failure } = this.#outbox.statistics();
    return `${this.name}: ${waiting} waiting, disk ${failure ?? "fine"}, uplink ${this.#uplink!.status().state}`;
  }

  start(): void {
    const { clock: shared, random, network, logger, limits, trace } = this.#ports;
    trace.add("agent", `${this.name} starts`);
    const life = (this.#life = new Life());
    const scheduler = life.scheduler(shared);
    const clock: Clock = { now: () => shared.now() + this.#clockOffset, monotonic: () => shared.monotonic() };
    const common = { clock, scheduler, random, logger, metrics: new SimMetrics() };
    try {
      const outbox = new Outbox({ ...common, store: this.#watchedDisk(), limits });
      this.#outbox = outbox;
      this.#put = [];
      this.#droppedBefore = outbox.statistics().dropped;
      this.#uplink = new Uplink({
        ...common,
        outbox,
        clientId: this.name,
        open: (events) =>
          network.dial(this.name, {
            opened: life.guard(() => events.opened()),
            received: life.guard((chunk: Uint8Array) => events.received(chunk)),
            written: life.guard((bytes: Uint8Array) => events.written(bytes)),
            closed: life.guard((cause) => events.closed(cause)),
          }),
      });
      this.#uplink.start();
    } catch {
      this.kill("told"); // a disk that takes nothing: the service manager starts it again
    }
  }

  /** SIGKILL (`told`: the kernel closes its connections), or the power goes. */
  kill(farewell: Farewell): void {
    this.#ports.trace.add("agent", `${this.name} dies`);
    this.#life.end();
    this.#outbox = this.#uplink = null;
    for (const link of this.#ports.network.linksOf(this.name)) link.clientDies(farewell);
    this.#ports.clock.after(200 + this.#ports.random.below(5_000), () => {
      if (!this.isRunning) this.start();
    });
  }

  /** Its data folder is lost, and with it what was not delivered: the next outbox is another one. */
  loseDisk(): void {
    this.kill("told");
    for (const { payload } of this.disk.contents()) this.#ports.witness.givenUp.add(nameOf(payload));
    this.disk = new SimQueueStore();
  }

  jump(delta: number): void {
    this.#clockOffset += delta;
  }

  /** A source has a reading. */
  put(): void {
    const { clock, random, number } = this.#ports;
    const n = number();
    const ts = random.chance(0.5) ? { ts: clock.now() + this.#clockOffset } : {};
    const payload = new TextEncoder().encode(JSON.stringify({ n, ...ts }));
    if (this.#outbox === null) return;
    this.#put.push(nameOf(payload));
    this.#outbox.put(`telemetry/${this.name}/${MEASUREMENT}`, payload, { priority: random.below(10) });
  }

  /** A process that was not killed forgets nothing that it does not count, also of what never got on disk. */
  checkPut(): void {
    const { witness } = this.#ports;
    const forgotten = this.#put.filter((text) => !witness.accepted.has(text));
    const counted = (this.#outbox?.statistics().dropped ?? 0) - this.#droppedBefore;
    if (forgotten.length > counted)
      witness.wrong(
        `${this.name} took ${forgotten[0]} and forgot it; ${forgotten.length} are gone, ${counted} counted`,
      );
  }

  #watchedDisk(): QueueStore {
    const { disk } = this;
    const { witness, trace } = this.#ports;
    return {
      load: () => disk.load(),
      read: (after, count, bytes) => disk.read(after, count, bytes),
      find: (sequence) => disk.find(sequence),
      expendable: (count) => disk.expendable(count),
      expired: (now, count) => disk.expired(now, count),
      deadLetters: (count) => disk.deadLetters(count),
      exhume: (reasonCodes) => disk.exhume(reasonCodes),
      commit: (change) => {
        const droppedBefore = disk.load()?.dropped ?? 0;
        const leaving = change.remove.flatMap((sequence) => disk.find(sequence) ?? []);
        disk.commit(change);
        trace.add("outbox", `${this.name} +${change.put.length} -${change.remove.length}`);
        for (const { sequence, payload } of change.put) {
          const time = (JSON.parse(new TextDecoder().decode(payload)) as { ts?: number }).ts ?? null;
          witness.accept(nameOf(payload), { thing: this.name, outbox: change.state.outbox, sequence, time });
        }
        let dropped = change.state.dropped - droppedBefore;
        for (const { payload } of leaving) {
          const text = nameOf(payload);
          const counted = !witness.isDurable(text) && dropped-- > 0;
          witness.left(text, counted);
        }
        if (change.bury.length > 0) witness.wrong(`${this.name} buried readings that nobody refused for good`);
      },
    };
  }
}

/** A day's worth for an agent that must lose nothing. */
export const ROOMY: OutboxLimits = { messages: 100_000, bytes: LIMITS.edge.outboxBytesMax };
