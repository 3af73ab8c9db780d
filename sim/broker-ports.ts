/** What a broker stands on, simulated: a journal whose disk syncs when told, a state store that survives the broker, a policy. */
import type { Cancel, Clock, Message, Scheduler, EpochMs } from "../src/base/mod.ts";
import type {
  Authorizer,
  Journal,
  OutboxChunk,
  Progress,
  Publisher,
  Replayed,
  SavedExchanges,
  SavedSession,
  SavedState,
  SavedSubscription,
  SessionChange,
  StateStore,
  StoredOutbox,
  StoredSession,
} from "../src/broker/mod.ts";
import { SimRetained } from "./retained-store.ts";
import { propertiesOf } from "../src/wire/mqtt/mod.ts";
import type { PublishView } from "../src/wire/mqtt/mod.ts";
import type { SessionNote } from "../src/wire/record/mod.ts";

/** How long patient messages wait for others. */
const PATIENCE = 250;

/** A journal in memory. What it accepts is durable at the end of the turn, or when told, or never. */
export class SimJournal implements Journal {
  /** By offset; null where there is a note, or nothing any more. */
  readonly messages: (Message | null)[] = [];
  readonly notes = new Map<number, SessionNote>();
  /** Of messages that were accepted with their packet identifier, by offset. */
  readonly packetIds = new Map<number, number>();
  durable = 0;
  /** `held`: nothing becomes durable until `sync` is called. */
  mode: "automatic" | "held" = "automatic";
  /** Thrown by the next appends. */
  failure: Error | null = null;
  /** Times that something became durable. */
  syncs = 0;
  /** Calls of `read`, for tests that prove what did not need the disk. */
  reads = 0;
  readonly #clock: Pick<Clock, "now"> & Pick<Scheduler, "defer" | "after">;
  readonly #listeners = new Set<(durable: number) => void>();
  #planned = false;
  #patience: Cancel | null = null;

  constructor(clock: Pick<Clock, "now"> & Pick<Scheduler, "defer" | "after">) {
    this.#clock = clock;
  }

  append(topic: string, view: PublishView, publisher: Publisher, receivedAt: EpochMs, identified: boolean): number {
    const { qos, retain } = view;
    const payload = Uint8Array.from(view.buffer.subarray(view.payloadStart, view.payloadEnd));
    const properties = propertiesOf(view);
    const { clientId, thing } = publisher;
    const offset = this.#append({ topic, payload, qos, retain, clientId, thing, receivedAt, properties });
    if (identified) this.packetIds.set(offset, view.packetId);
    return offset;
  }

  appendMessage(message: Message, patient = false): number {
    return this.#append(message, patient);
  }

  hurry(offset: number): void {
    if (offset >= this.durable && offset < this.messages.length) this.#plan();
  }

  appendNote(note: SessionNote): number {
    const offset = this.#append(null);
    this.notes.set(offset, structuredClone(note));
    return offset;
  }

  #append(message: Message | null, patient = false): number {
    if (this.failure !== null) throw this.failure;
    this.messages.push(message);
    if (patient) this.#patience ??= this.#clock.after(PATIENCE, () => this.#plan());
    else this.#plan();
    return this.messages.length - 1;
  }

  #plan(): void {
    if (this.mode !== "automatic" || this.#planned || this.durable === this.messages.length) return;
    this.#planned = true;
    this.#clock.defer(() => this.sync());
  }

  sync(upTo = this.messages.length): void {
    this.#planned = false;
    this.#patience?.();
    this.#patience = null;
    this.syncs++;
    this.durable = Math.max(this.durable, Math.min(upTo, this.messages.length));
    for (const listener of this.#listeners) listener(this.durable);
  }

  /** What a power cut leaves. */
  crash(): void {
    this.messages.length = this.durable;
    for (const offset of this.notes.keys()) if (offset >= this.durable) this.notes.delete(offset);
    for (const offset of this.packetIds.keys()) if (offset >= this.durable) this.packetIds.delete(offset);
    this.#listeners.clear();
    this.#planned = false;
    this.#patience?.();
    this.#patience = null;
  }

  onDurable(listener: (durable: number) => void): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  read(offset: number): Promise<Message | null> {
    this.reads++;
    if (offset >= this.durable) return Promise.reject(new Error(`offset ${offset} is not durable`));
    return Promise.resolve(this.messages[offset] ?? null);
  }

  async *replay(from: number): AsyncIterable<Replayed> {
    for (let offset = from; offset < this.durable; offset++) {
      const message = this.messages[offset];
      const note = this.notes.get(offset);
      if (note !== undefined) yield { offset, kind: "note", note };
      else if (message !== null && message !== undefined) {
        yield { offset, kind: "message", message, packetId: this.packetIds.get(offset) ?? 0 };
      }
    }
  }
}

interface SimSession {
  readonly session: SavedSession;
  readonly subscriptions: Map<string, SavedSubscription>;
  outbox: StoredOutbox | null;
  chunks: OutboxChunk[];
  exchanges: SavedExchanges | null;
}

async function* inTwos(sessions: readonly StoredSession[]): AsyncGenerator<readonly StoredSession[]> {
  for (let i = 0; i < sessions.length; i += 2) yield sessions.slice(i, i + 2);
}

/** A state store in memory that outlives the broker. */
export class SimState implements StateStore {
  readonly sessions = new Map<string, SimSession>();
  readonly retained = new SimRetained();
  appliedOffset = 0;
  #failure: Error | null = null;
  /** Calls wait for this, where a test wants to see what happens meanwhile. */
  gate: Promise<void> = Promise.resolve();

  get failure(): Error | null {
    return this.#failure;
  }

  /** Thrown by every call but `load`. */
  set failure(failure: Error | null) {
    this.#failure = failure;
    this.retained.failure = failure;
  }

  load(): Promise<SavedState> {
    const sessions = [...this.sessions.values()].map(({ session, subscriptions, outbox, exchanges }) =>
      Object.assign({}, session, { subscriptions: [...subscriptions.values()], outbox, exchanges }),
    );
    return Promise.resolve({ appliedOffset: this.appliedOffset, sessions: inTwos(sessions) });
  }

  async queued(clientId: string, from: number, max: number): Promise<readonly OutboxChunk[]> {
    await this.gate;
    if (this.failure !== null) throw this.failure;
    const chunks: OutboxChunk[] = [];
    let entries = 0;
    for (const chunk of this.sessions.get(clientId)?.chunks ?? []) {
      if (chunk.first + chunk.slots.length / 2 <= from || entries >= max) continue;
      chunks.push(chunk);
      entries += chunk.slots.length / 2;
    }
    return chunks;
  }

  copy(): SimState {
    const copy = new SimState();
    copy.appliedOffset = this.appliedOffset;
    for (const [clientId, stored] of this.sessions) {
      copy.sessions.set(clientId, { ...stored, subscriptions: new Map(stored.subscriptions) });
    }
    for (const [topic, message] of this.retained.messages) copy.retained.messages.set(topic, message);
    return copy;
  }

  async saveSessions(changes: readonly SessionChange[], life = { alive: true }): Promise<void> {
    await this.gate;
    if (!life.alive) return;
    if (this.failure !== null) throw this.failure;
    for (const { clientId, reset, session, subscriptions } of changes) {
      if (reset) this.sessions.delete(clientId);
      if (session === null) continue;
      const before = this.sessions.get(clientId);
      const none = { subscriptions: new Map(), outbox: null, chunks: [], exchanges: null };
      const stored: SimSession = { ...none, ...before, session };
      for (const [filter, subscription] of subscriptions) {
        if (subscription === null) stored.subscriptions.delete(filter);
        else stored.subscriptions.set(filter, subscription);
      }
      this.sessions.set(clientId, stored);
    }
  }

  async saveProgress({ appliedOffset, outboxes, exchanges }: Progress, life = { alive: true }): Promise<void> {
    await this.gate;
    if (!life.alive) return;
    if (this.failure !== null) throw this.failure;
    this.appliedOffset = appliedOffset;
    for (const { clientId, head, tail, sentBefore, bytes, applied, chunks } of outboxes) {
      const stored = this.sessions.get(clientId);
      if (stored === undefined) continue;
      stored.outbox = { head, tail, sentBefore, bytes, applied };
      stored.chunks = [...stored.chunks.filter((c) => c.first + c.slots.length / 2 > head), ...chunks];
    }
    for (const saved of exchanges) {
      const stored = this.sessions.get(saved.clientId);
      if (stored !== undefined) stored.exchanges = saved;
    }
  }
}

/** A policy that a test can change: `revision` grows by itself. */
export class SimAuthorizer implements Authorizer {
  revision = 1;
  asked = 0;
  #publish: (topic: string, retain: boolean) => boolean = () => true;
  #subscribe: (filter: string) => boolean = () => true;
  #receive: (topic: string) => boolean = () => true;
  #mayStay: () => boolean = () => true;

  change(rules: {
    publish?: (topic: string, retain: boolean) => boolean;
    subscribe?: (filter: string) => boolean;
    receive?: (topic: string) => boolean;
    mayStay?: () => boolean;
  }): this {
    this.#publish = rules.publish ?? this.#publish;
    this.#subscribe = rules.subscribe ?? this.#subscribe;
    this.#receive = rules.receive ?? this.#receive;
    this.#mayStay = rules.mayStay ?? this.#mayStay;
    this.revision++;
    return this;
  }

  publish(topic: string, retain: boolean): boolean {
    this.asked++;
    return this.#publish(topic, retain);
  }
  subscribe(filter: string): boolean {
    return this.#subscribe(filter);
  }
  receive(topic: string): boolean {
    return this.#receive(topic);
  }
  mayStay(): boolean {
    return this.#mayStay();
  }
}
