/**
 * The shadow service. Requests are read from the log; what they change, the place in the log and the answers are saved as
 * one, then the answers are published. So a PUBACKed update is applied once, and its answers come, perhaps twice.
 */
import { TidewireError, encodeUtf8, reasonOf } from "../base/mod.ts";
import type { Cancel, Clock, Counter, EpochMs, Limits, Logger, Metrics, Scheduler } from "../base/mod.ts";
import { bodyText } from "./answers.ts";
import { ShadowCache } from "./cache.ts";
import { REFUSED } from "./refusal.ts";
import type { Refusal } from "./refusal.ts";
import { decodeUpdate } from "./request.ts";
import { described } from "./shadow.ts";
import type { Sections } from "./shadow.ts";
import type { Answer, ShadowStore, StoredShadow } from "./store.ts";
import { API_PREFIX, isShadowName, topicOf } from "./topics.ts";
import type { Operation, ShadowKey } from "./topics.ts";
import { Turn, placeOf, readShadow } from "./turn.ts";
import type { Kept, Outcome, TwinRequest } from "./turn.ts";

export interface TwinOptions {
  readonly store: ShadowStore;
  readonly things: {
    /** May throw where the registry is away; the requests wait then. */
    exists(thing: string): boolean;
  };
  /** Publishes at QoS 1 and returns the message's offset in the log; throws what the log throws. */
  readonly publish: (topic: string, payload: Uint8Array, hops?: number) => number;
  /** Everything in the log below this is on disk. */
  readonly durable: () => number;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly limits: Limits["shadow"];
}

/** A shadow that has changed, told after it is saved. */
export interface ShadowChange extends ShadowKey {
  readonly version: number;
  /** Null where it was deleted. */
  readonly sections: Sections | null;
  readonly changedAt: EpochMs;
}

export interface NamedShadows {
  readonly names: readonly string[];
  /** There are more behind it; null at the end. */
  readonly next: string | null;
}

/** Answers that were published; gone from the store once the log has them. */
interface Sent {
  readonly position: number;
  readonly lastOffset: number;
}

interface Waiter {
  /** `null`: there will be no outcome. */
  readonly answered: (outcome: Outcome | null) => void;
  readonly cancel: Cancel;
}

const PURGE_LIMIT = 1_000;
/** Each is a question to the registry, which may be another machine's. */
const THINGS_PER_SWEEP = 50;

export class Twin {
  readonly #o: TwinOptions;
  readonly #kept: Kept;
  readonly #cache: ShadowCache;
  readonly #listeners = new Set<(change: ShadowChange) => void>();
  /** Who waits for an answer over HTTP, by the request's offset; bounded by the requests there are and their time. */
  readonly #waiters = new Map<number, Waiter>();
  /** Published, and perhaps not on disk in the log; as many as there were turns within a sync or two. */
  #sent: Sent[] = [];
  /** To be published, of one turn; more is not worked off before they are. */
  #unsent: { readonly position: number; readonly answers: readonly Answer[]; next: number } | null = null;
  /** Things to be forgotten at the end of this turn of the loop. */
  #leaving = new Set<string>();
  #position: number;
  #savedPosition: number;
  /** Of what is surely on disk; unknown until the first durable save. */
  #durablePosition = -1;
  #cancels: Cancel[] = [];
  #closed = false;
  readonly #worked: ReadonlyMap<Operation, Counter>;
  readonly #refused: Counter;
  readonly #late: Counter;
  readonly #saveFailures: Counter;

  /** `from`: the oldest offset that the log has, for a store that is new. */
  constructor(options: TwinOptions, from: number) {
    this.#o = options;
    const { store, things, limits, metrics, scheduler } = options;
    this.#cache = new ShadowCache(limits.cacheBytesMax);
    this.#kept = { store, things, limits, cache: this.#cache };
    this.#position = Math.max(store.position() ?? 0, from);
    this.#savedPosition = store.position() ?? -1;
    const counter = (name: string, help: string, labels: Record<string, string> = {}): Counter =>
      metrics.counter({ name: `tidewire_shadow_${name}_total`, help, labels });
    const accepted = (operation: Operation): [Operation, Counter] => [
      operation,
      counter("requests_accepted", "Shadow requests that were carried out", { operation }),
    ];
    this.#worked = new Map([accepted("get"), accepted("update"), accepted("delete")]);
    this.#refused = counter("requests_refused", "Shadow requests that were refused");
    this.#late = counter("gets_too_late", "Requests for a shadow that were read too late to be worth an answer");
    this.#saveFailures = counter("save_failures", "Times that shadows could not be saved; it is tried again");
    metrics.observe({ name: "tidewire_shadows", help: "Shadows, classic and named" }, () => store.count());
    metrics.observe(
      { name: "tidewire_shadow_lag_messages", help: "Messages of the log that the shadow service has not seen" },
      () => Math.max(0, options.durable() - this.#position),
    );
    this.#cancels = [
      scheduler.every(limits.savePeriod, () => this.#tidy()),
      scheduler.every(limits.deletedKeptFor / 48, () => this.#purge()),
    ];
  }

  /** Where in the log to go on. */
  get position(): number {
    return this.#position;
  }

  /** Publishes what the last run may not have; removes shadows of things that are gone. Once, before the first `handle`. */
  start(): void {
    const now = this.#o.clock.now();
    const waiting = this.#o.store.waiting();
    const answers = waiting.flatMap((one) => one.answers).filter(({ until }) => until === null || until >= now);
    this.#unsent = waiting.length === 0 ? null : { position: waiting.at(-1)!.position, answers, next: 0 };
    try {
      this.#send();
    } catch (error) {
      this.#o.logger.warn("Shadows' answers of the last run cannot be published now", { reason: reasonOf(error) });
    }
    this.#sweep("");
  }

  /** Saves where it is. What the log does not have on disk by then is published again at the next start. */
  close(): void {
    this.#closed = true;
    for (const cancel of this.#cancels) cancel();
    for (const offset of this.#waiters.keys()) this.#resolve(offset, null);
    this.#forgetLeaving();
    this.#saveProgress(true);
  }

  /**
   * Requests of one batch of the log, in order; everything below `next` is done with then. Rejects where they cannot be
   * saved or answered now: it is to be called again with the same.
   */
  async handle(requests: readonly TwinRequest[], next: number): Promise<void> {
    this.#send();
    const { perTurnMax } = this.#o.limits;
    const crowd = new Crowd(this.#o.limits.inflightMax);
    for (let at = 0; at < requests.length; at += perTurnMax) {
      if (at > 0) await new Promise<void>((resolve) => this.#o.scheduler.defer(resolve));
      const some = requests.slice(at, at + perTurnMax);
      this.#turn(some, at + perTurnMax < requests.length ? some.at(-1)!.offset + 1 : next, crowd);
    }
    this.#position = Math.max(this.#position, next);
  }

  #turn(requests: readonly TwinRequest[], next: number, crowd: Crowd): void {
    this.#forgetLeaving();
    const now = this.#o.clock.now();
    const turn = new Turn(this.#kept);
    const outcomes: (readonly [TwinRequest, Outcome | null])[] = [];
    for (const request of requests) {
      const crowded = crowd.takes(request);
      if (request.offset >= this.#position) outcomes.push([request, turn.work(request, now, crowded)]);
    }
    this.#commit(turn, next);
    for (const { stored, shadow } of turn.changes.values())
      this.#cached(stored, shadow.kind === "present" ? shadow : null);
    this.#unsent = { position: next, answers: turn.answers, next: 0 };
    for (const [request, outcome] of outcomes) this.#count(request, outcome);
    this.#send();
  }

  /** Answers to gets alone are not worth a transaction: who asked asks again. */
  #commit(turn: Turn, next: number): void {
    if (turn.answers.some(({ until }) => until === null)) {
      const shadows = [...turn.changes.values()].map(({ stored }) => stored);
      const answered = this.#answered();
      this.#o.store.save({ position: next, shadows, answers: turn.answers, answered }, false);
      this.#dropAnswered(answered);
      this.#savedPosition = next;
    }
    this.#position = Math.max(this.#position, next);
  }

  #cached(
    stored: StoredShadow,
    sections: (Sections & { readonly kind: "present"; readonly version: number }) | null,
  ): void {
    const { thing, name, version, text, changedAt } = stored;
    if (sections === null || text === null) this.#cache.delete(placeOf(stored));
    else this.#cache.set(placeOf(stored), sections, text.length);
    this.#tell({ thing, name, version, sections, changedAt });
  }

  #count(request: TwinRequest, outcome: Outcome | null): void {
    if (outcome === null) this.#late.value++;
    else if (outcome.ok) this.#worked.get(request.operation)!.value++;
    else this.#refused.value++;
    if (request.origin === "api") this.#resolve(request.offset, outcome);
  }

  // ── answers ──────────────────────────────────────────────────────────────────────────────────

  #send(): void {
    const unsent = this.#unsent;
    if (unsent === null) return;
    let lastOffset = -1;
    while (unsent.next < unsent.answers.length) {
      const { topic, payload, hops } = unsent.answers[unsent.next]!;
      lastOffset = this.#o.publish(topic, encodeUtf8(payload), hops);
      unsent.next++;
    }
    this.#unsent = null;
    this.#sent.push({ position: unsent.position, lastOffset });
  }

  /** Answers up to this position are on disk in the log. */
  #answered(): number {
    const durable = this.#o.durable();
    let answered = -1;
    for (const { position, lastOffset } of this.#sent) {
      if (lastOffset >= durable) break;
      answered = position;
    }
    return answered;
  }

  #dropAnswered(answered: number): void {
    this.#sent = this.#sent.filter(({ position }) => position > answered);
  }

  // ── over HTTP ────────────────────────────────────────────────────────────────────────────────

  /** What is saved. */
  get(key: ShadowKey): Outcome {
    this.#forgetLeaving();
    const refused = this.#keyRefusal(key);
    if (refused !== null) return refused;
    const now = this.#o.clock.now();
    const shadow = readShadow(this.#kept, key, now);
    if (shadow.kind === "present") return { ok: true, body: bodyText(described(shadow, now), null) };
    return this.#o.things.exists(key.thing) ? REFUSED.shadow(key) : REFUSED.thing;
  }

  /** Goes through the log as a client's request does. Throws LOG_FULL, LOG_FAILED, SHADOW_UNANSWERED. */
  async update(key: ShadowKey, payload: Uint8Array): Promise<Outcome> {
    const { result } = decodeUpdate(payload, this.#o.limits);
    return result.ok ? this.#ask(key, "update", payload) : result;
  }

  async delete(key: ShadowKey): Promise<Outcome> {
    return this.#ask(key, "delete", new Uint8Array(0));
  }

  /** Names of a thing's named shadows, in order, behind `after`. */
  list(thing: string, after: string, limit: number): NamedShadows | Refusal {
    this.#forgetLeaving();
    if (!this.#o.things.exists(thing)) return REFUSED.thing;
    const names = this.#o.store.named(thing, after, limit + 1);
    const page = names.slice(0, limit);
    return { names: page, next: names.length > limit ? page.at(-1)! : null };
  }

  #keyRefusal({ name }: ShadowKey): Refusal | null {
    return name === "" || isShadowName(name) ? null : REFUSED.shadowName;
  }

  #ask(key: ShadowKey, operation: Operation, payload: Uint8Array): Promise<Outcome> {
    const refused = this.#keyRefusal(key) ?? (this.#o.things.exists(key.thing) ? null : REFUSED.thing);
    if (refused !== null) return Promise.resolve(refused);
    const offset = this.#o.publish(topicOf(API_PREFIX, key, operation), payload);
    return new Promise((resolve, reject) => {
      const cancel = this.#o.scheduler.after(this.#o.limits.apiTimeout, () => {
        this.#waiters.delete(offset);
        reject(unanswered("the log or the disk is slow"));
      });
      const answered = (outcome: Outcome | null): void =>
        outcome === null ? reject(unanswered("the platform stops")) : resolve(outcome);
      this.#waiters.set(offset, { answered, cancel });
    });
  }

  #resolve(offset: number, outcome: Outcome | null): void {
    const waiter = this.#waiters.get(offset);
    if (waiter === undefined) return;
    this.#waiters.delete(offset);
    waiter.cancel();
    waiter.answered(outcome);
  }

  // ── things ───────────────────────────────────────────────────────────────────────────────────

  /** The thing is gone, or is to be forgotten: so are its shadows, and their numbers. */
  forget(thing: string): void {
    if (this.#leaving.size === 0) this.#o.scheduler.defer(() => this.#forgetSoon());
    this.#leaving.add(thing);
  }

  /** The same, on disk when it returns. Throws where it cannot be saved. */
  erase(thing: string): void {
    this.#leaving.add(thing);
    this.#forgetLeaving();
  }

  #forgetSoon(): void {
    try {
      this.#forgetLeaving();
    } catch (error) {
      this.#saveFailures.value++;
      this.#o.logger.error("Shadows of a thing that is gone cannot be removed now", { reason: reasonOf(error) });
    }
  }

  /** Many at once, as when a group is removed: one wait for the disk. */
  #forgetLeaving(): void {
    if (this.#leaving.size === 0) return;
    const removed = this.#o.store.forget([...this.#leaving]);
    this.#leaving = new Set();
    if (removed > 0) this.#cache.clear();
    this.#durablePosition = Math.max(this.#durablePosition, this.#savedPosition);
  }

  /** Things may have gone while nobody was told: the process died just then. A page per turn. */
  #sweep(after: string): void {
    if (this.#closed) return;
    const things = this.#o.store.things(after, THINGS_PER_SWEEP);
    try {
      for (const thing of things) if (!this.#o.things.exists(thing)) this.forget(thing);
    } catch (error) {
      this.#o.logger.warn("Shadows are not compared with the registry now", { reason: reasonOf(error) });
      return;
    }
    if (things.length === THINGS_PER_SWEEP) this.#o.scheduler.defer(() => this.#sweep(things.at(-1)!));
  }

  onChange(listener: (change: ShadowChange) => void): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(change: ShadowChange): void {
    for (const listener of this.#listeners) {
      try {
        listener(change);
      } catch (error) {
        this.#o.logger.error("A listener of the shadows failed", { reason: reasonOf(error) });
      }
    }
  }

  // ── progress ─────────────────────────────────────────────────────────────────────────────────

  /** Saves it, and returns the offset below which the log holds nothing that shadows need, even after a power cut. */
  checkpoint(): number {
    if (this.#position > this.#durablePosition) this.#saveProgress(true);
    return this.#durablePosition;
  }

  status(): { readonly position: number; readonly lag: number } {
    return { position: this.#position, lag: Math.max(0, this.#o.durable() - this.#position) };
  }

  #tidy(): void {
    if (this.#position > this.#savedPosition || this.#answered() >= 0) this.#saveProgress(false);
  }

  #saveProgress(durable: boolean): void {
    // What is not published yet is in the store, and belongs to what is below this position.
    const position = this.#position;
    const answered = this.#answered();
    try {
      this.#o.store.save({ position, shadows: [], answers: [], answered }, durable);
    } catch (error) {
      this.#saveFailures.value++;
      this.#o.logger.error("The shadows' place in the log cannot be saved now", { reason: reasonOf(error) });
      return;
    }
    this.#dropAnswered(answered);
    this.#savedPosition = position;
    if (durable) this.#durablePosition = position;
  }

  #purge(): void {
    try {
      const before = this.#o.clock.now() - this.#o.limits.deletedKeptFor;
      while (this.#o.store.purge(before, PURGE_LIMIT) === PURGE_LIMIT);
    } catch (error) {
      this.#o.logger.warn("Numbers of deleted shadows cannot be removed now", { reason: reasonOf(error) });
    }
  }
}

/** Who has how many requests on the way; of one batch, none of which was answered when it came. */
class Crowd {
  readonly #max: number;
  /** By client identifier; as many as a batch has requests. */
  readonly #counts = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Whether it is one too many. */
  takes({ clientId, origin }: TwinRequest): boolean {
    // The platform's own, by rules: they are in one line for all things, and try nothing again that was refused.
    if (origin === "api" || clientId === "") return false;
    const count = (this.#counts.get(clientId) ?? 0) + 1;
    this.#counts.set(clientId, count);
    return count > this.#max;
  }
}

function unanswered(reason: string): TidewireError {
  return new TidewireError("SHADOW_UNANSWERED", { reason });
}
