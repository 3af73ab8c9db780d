/**
 * The one way out for a thing, whoever asks for it: one that is forgotten, retired or deleted. An entry in the book first, then
 * part after part, each as often as it takes. Whoever reads the log leaves out what is erased from the first moment on, until
 * the log's retention has removed it.
 */
import { LIMITS, TidewireError, minutes, reasonOf, seconds } from "../../base/mod.ts";
import type {
  Cancel,
  Clock,
  Counter,
  EpochMs,
  ForgottenThings,
  Limits,
  Logger,
  Metrics,
  Millis,
} from "../../base/mod.ts";
import type { RetirementRecord } from "../../identity/mod.ts";
import type { Log } from "../../log/mod.ts";
import type { Erased, ForgetOrder, StoreClient } from "../store/mod.ts";
import { FORGET_PARTS, forgottenIn } from "./book.ts";
import type { ForgetBook, ForgetEntry, ForgetPart, ForgetPlan } from "./book.ts";
import { stepsOf } from "./steps.ts";
import type { OwnPart, Removed, StepPorts, Steps } from "./steps.ts";

export interface ForgetterOptions extends StepPorts {
  readonly book: ForgetBook;
  /** What all readers of the log look at; filled here. */
  readonly forgotten: ForgottenThings;
  readonly log: Pick<Log, "next" | "first" | "identity">;
  readonly store: Pick<StoreClient, "holdDurable" | "setForgotten" | "onErased">;
  /** Other platforms know the same things, and have data of their own. */
  readonly shared: boolean;
  /** Copies that nobody but a person may remove: backups, files that were put aside. */
  readonly copies: (before: EpochMs) => Promise<readonly Remains[]>;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

interface Told {
  readonly store: Pick<StoreClient, "setForgotten">;
}

/** Something that is left of a forgotten thing. */
export interface Remains {
  readonly where: string;
  /** What becomes of it. */
  readonly detail: string;
  /** By when it is gone at the latest; null: when a person removes it. */
  readonly until: EpochMs | null;
  /** Files or backups by name; of many the first. */
  readonly names: readonly string[];
}

export interface ForgetReport {
  readonly id: number;
  readonly thing: string;
  /** `done`: what was to go is in no store, no file and no answer any more. `waiting`: `reason` says for what. */
  readonly state: "running" | "waiting" | "done";
  readonly reason: string | null;
  readonly requestedAt: EpochMs;
  readonly completedAt: EpochMs | null;
  /** Its registration goes, too. */
  readonly withRegistration: boolean;
  readonly data: "kept" | "erased";
  /** As it is now. `own`: it stays, and has its name. `leaving`: not given again before all is done here. `taken`: another has it. */
  readonly name: "own" | "leaving" | "free" | "blocked" | "taken";
  /** Parts that are still to come. */
  readonly missing: readonly ForgetPart[];
  /** How much of what was removed: `points`, `events`, `alerts`, … */
  readonly removed: Readonly<Record<string, number>>;
  readonly remains: readonly Remains[];
}

export interface DepartureQuery {
  readonly thing?: string | undefined;
  readonly withRegistration?: boolean;
  /** Those that left before the one of this id. */
  readonly before?: number | undefined;
  readonly limit: number;
}

export interface DeparturePage {
  /** Newest first. */
  readonly things: readonly ForgetReport[];
  /** Where to go on; null: there are no more. */
  readonly next: number | null;
}

const RETRY_DELAY: Millis = seconds(10);
const REPORT_PERIOD: Millis = minutes(10);
const REASON_NOT_AUTHORIZED = 0x87;
const ERASED_PARTS = ["telemetry", "archive"] as const;
const OWN_PARTS: readonly OwnPart[] = FORGET_PARTS.filter((part) => part !== "telemetry" && part !== "archive");

/** An order of another platform. */
interface Joined {
  readonly requestedAt: EpochMs;
  /** It has seen to what is shared. */
  readonly disowned: boolean;
}

export class Forgetter {
  readonly #o: ForgetterOptions;
  readonly #steps: Steps;
  readonly #reasons = new Map<string, string>();
  readonly #cancels = new Set<Cancel>();
  readonly #completed: Counter;
  readonly #failures: Counter;
  #changing: Promise<unknown> = Promise.resolve();
  #working: Promise<void> = Promise.resolve();
  #erasing: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: ForgetterOptions, steps: Steps = stepsOf(options)) {
    this.#o = options;
    this.#steps = steps;
    const { metrics, book, registry, departures } = options;
    registry.things.guardNames((name) => {
      if (departures.isBlocked(name)) throw new TidewireError("NAME_BLOCKED", { name });
      if (book.entries.some((entry) => entry.thing === name && isLeaving(entry)))
        throw new TidewireError("NAME_LEAVING", { name });
    });
    this.#completed = metrics.counter({ name: "tidewire_forget_completed_total", help: "Things that were forgotten" });
    this.#failures = metrics.counter({
      name: "tidewire_forget_failures_total",
      help: "Times that a part of forgetting a thing failed; it is tried again",
    });
    metrics.observe({ name: "tidewire_forget_pending", help: "Things that are not forgotten everywhere yet" }, () => {
      return book.entries.filter(({ completedAt }) => completedAt === null).length;
    });
    this.#cancels.add(
      options.store.onErased((erased) => {
        this.#erasing = this.#erasing.then(() => this.#erased(erased));
      }),
    );
  }

  /** Why something waits, for health; null where nothing does. */
  get problem(): string | null {
    const [first] = this.#reasons;
    return first === undefined ? null : `forgetting ${first[0]}: ${first[1]}`;
  }

  /** Goes on with what was begun before, here or by others. */
  async start(): Promise<void> {
    const { book, broker, forgotten, log, registry } = this.#o;
    // A power cut may have taken the last second from the broker's state, with what was removed there.
    if (forgotten.end > 0) {
      await broker.forgetRetained((offset, source) => forgotten.skips(offset, source));
    }
    for (const { id, completedAt, log: of } of book.entries) {
      if (completedAt === null) this.#work(id);
      if (of !== log.identity) await this.tidy();
    }
    this.#cancels.add(
      registry.onChange(({ kind, change }) => {
        if (this.#o.shared && kind === "thing" && change === "deleted") void this.follow();
      }),
    );
    await this.follow();
  }

  /** Waits for what is being done; the next start goes on. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#steps.stop();
    for (const cancel of this.#cancels) cancel();
    await this.#working;
    await this.#changing;
    await this.#erasing;
  }

  /**
   * On disk, and in no answer of the log's readers any more, when it resolves; the rest goes on behind it. Everything that was
   * accepted before the call is forgotten, what comes after it returns is kept. Throws LIMIT_REACHED, or where the book fails.
   */
  forget(thing: string, { withRegistration }: { readonly withRegistration: boolean }): Promise<ForgetReport> {
    return this.#begin(thing, { withRegistration, erasesData: true, blocksName: false });
  }

  /** As `forget`, of one that is taken out of service; all is done that can be done here when it resolves. Throws NOT_FOUND. */
  async retire(
    thing: string,
    { eraseData, blockName }: { readonly eraseData: boolean; readonly blockName: boolean },
  ): Promise<ForgetReport> {
    const { book, registry } = this.#o;
    // One that failed half-way is asked for again.
    if (!book.entries.some((entry) => entry.thing === thing && isLeaving(entry))) registry.things.describe(thing);
    const { id } = await this.#begin(thing, { withRegistration: true, erasesData: eraseData, blocksName: blockName });
    await this.#working;
    return this.report(id);
  }

  /**
   * AWS IoT's DeleteThing: refused while certificates are attached, so there is nobody who speaks for it. The row of the registry
   * goes last, and so needs no entry in the book: until then whoever asked has no answer, and asks again. False where there was none.
   */
  delete(thing: string, expectedVersion?: number): boolean {
    const { registry, departures, shadows, rules } = this.#o;
    return registry.atomically(() => {
      if (!registry.things.delete(thing, expectedVersion)) return false;
      departures.removeCodesOf(thing);
      rules.dismissThing(thing);
      shadows.erase(thing);
      return true;
    });
  }

  /** The name may be given again. Throws NOT_FOUND. */
  freeName(name: string): void {
    const { departures, logger } = this.#o;
    if (!departures.freeName(name)) throw new TidewireError("NOT_FOUND", { kind: "blocked name", name });
    logger.info("the name of a retired thing is free again", { audit: true, name });
  }

  /** What others on the same database have begun is done with what this platform has of the thing. Never rejects. */
  async follow(): Promise<void> {
    const { departures, clock, logger, shared } = this.#o;
    try {
      for (const record of departures.retirements()) {
        if (!this.#isKnown(record)) await this.#join(record);
        const over = clock.now() - record.startedAt > LIMITS.forget.followedFor;
        if (!shared || over) departures.removeRetirement(record.thing);
      }
    } catch (error) {
      logger.warn("Who has left at other platforms is not known now; it is looked at again", {
        reason: reasonOf(error),
      });
    }
  }

  #isKnown({ thing, startedAt }: RetirementRecord): boolean {
    return this.#o.book.entries.some((entry) => entry.thing === thing && entry.requestedAt === startedAt);
  }

  async #join({ thing, eraseData, blockName, startedAt, withRegistration }: RetirementRecord): Promise<void> {
    const plan = { withRegistration: withRegistration ?? true, erasesData: eraseData, blocksName: blockName };
    // Whoever began has taken its certificates first; by now its name may be another's.
    await this.#begin(thing, plan, { requestedAt: startedAt, disowned: withRegistration !== undefined });
  }

  async list({ thing, withRegistration, before = Infinity, limit }: DepartureQuery): Promise<DeparturePage> {
    const found = this.#o.book.entries.filter(
      (entry) =>
        entry.id < before &&
        (thing === undefined || entry.thing === thing) &&
        (withRegistration === undefined || entry.withRegistration === withRegistration),
    );
    const things = found.slice(-limit).map((entry) => this.#report(entry, []));
    return { things: things.reverse(), next: found.length > limit ? things.at(-1)!.id : null };
  }

  /** Throws NOT_FOUND. */
  async report(id: number): Promise<ForgetReport> {
    const entry = this.#o.book.find(id);
    if (entry === null) throw new TidewireError("NOT_FOUND", { kind: "forgotten thing", name: String(id) });
    return this.#report(entry, await this.#o.copies(entry.completedAt ?? this.#o.clock.now()));
  }

  /** Those whose records the log has removed need no more attention. Called now and then. */
  async tidy(): Promise<void> {
    const { book, log, clock } = this.#o;
    const over = book.entries.filter(
      (entry) => entry.clearedAt === null && (entry.log !== log.identity || entry.below <= log.first),
    );
    if (over.length === 0) return;
    const clearedAt = clock.now();
    for (const { id } of over) await book.update(id, (entry) => ({ ...entry, clearedAt }));
    this.#tell();
  }

  #begin(thing: string, plan: ForgetPlan, joined: Joined | null = null): Promise<ForgetReport> {
    const done = this.#changing.then(() => this.#leave(thing, plan, joined));
    this.#changing = done.catch(() => {});
    return done;
  }

  async #leave(thing: string, plan: ForgetPlan, joined: Joined | null): Promise<ForgetReport> {
    const { book, log, departures, clock, logger, shared } = this.#o;
    const requestedAt = joined?.requestedAt ?? clock.now();
    const { id } = await this.#upTo(thing, plan.erasesData, (below) =>
      book.add({ thing, log: log.identity, below, requestedAt, ...plan }, joined?.disowned === true),
    );
    logger.info("A thing leaves", { audit: true, thing, id, ...plan });
    await this.#part(book.find(id)!, "certificates");
    // Others hear of it once nobody speaks for it any more.
    if (shared && joined === null) {
      const { withRegistration, erasesData: eraseData, blocksName: blockName } = plan;
      departures.saveRetirement({ thing, eraseData, blockName, startedAt: requestedAt, withRegistration });
    }
    this.#work(id);
    return this.#report(book.find(id)!, []);
  }

  /** Keeps in the book from where on a thing's messages count again; no reader of the log is beyond it before it knows. */
  async #upTo<T>(thing: string, erasesData: boolean, keep: (below: number) => Promise<T>): Promise<T> {
    const { book, forgotten, log, store } = this.#o;
    const release = store.holdDurable();
    try {
      const below = log.next;
      const known = forgottenIn(book.entries, log.identity);
      if (erasesData) forgotten.set([...known, { thing, below }]);
      const kept = await keep(below).catch((error: unknown) => {
        forgotten.set(known);
        throw error;
      });
      this.#tell();
      return kept;
    } finally {
      release();
    }
  }

  #tell(): void {
    Forgetter.tell(this.#o);
  }

  /** What the readers of the log and the store are to know; before the store is started, too. */
  static tell({ book, forgotten, log, store }: Pick<ForgetterOptions, "book" | "forgotten" | "log"> & Told): void {
    const { identity } = log;
    forgotten.set(book.inLog(identity));
    store.setForgotten(
      book.entries
        .filter(({ clearedAt, completedAt, erasesData }) => erasesData && (clearedAt === null || completedAt === null))
        .map((entry) => orderOf(entry, identity)),
    );
  }

  #work(id: number): void {
    this.#working = this.#working.then(() => this.#parts(id));
  }

  /** Never rejects. */
  async #parts(id: number): Promise<void> {
    for (const part of OWN_PARTS) {
      const entry = this.#o.book.find(id);
      if (entry === null || this.#closed) return;
      if (await this.#part(entry, part)) continue;
      if (this.#closed) return;
      const cancel = this.#o.scheduler.after(RETRY_DELAY, () => {
        this.#cancels.delete(cancel);
        this.#work(id);
      });
      this.#cancels.add(cancel);
      return;
    }
  }

  /** Whether it is done. */
  async #part(entry: ForgetEntry, part: OwnPart): Promise<boolean> {
    if (entry.done.includes(part)) return true;
    try {
      const removed = await this.#steps[part](entry);
      if (part === "certificates") await this.#disowned(entry, removed);
      else await this.#finish(entry.id, part, removed);
      this.#reasons.delete(keyOf(entry, part));
      return true;
    } catch (error) {
      if (!this.#closed) this.#failed(entry, part, reasonOf(error));
      return false;
    }
  }

  /** Nothing new can come of it; what came since it was asked for goes, too. */
  async #disowned({ id, thing, log: of, erasesData }: ForgetEntry, removed: Removed): Promise<void> {
    const { book, broker, log } = this.#o;
    broker.disconnect((connection) => connection.thing === thing, REASON_NOT_AUTHORIZED, "its thing is removed");
    if (of !== log.identity) return this.#finish(id, "certificates", removed);
    await this.#upTo(thing, erasesData, async (below) => {
      await book.update(id, (now) => ({ ...now, below }));
      await this.#finish(id, "certificates", removed);
    });
  }

  /** Never rejects. */
  async #erased({ id, part, removed, done, waiting }: Erased): Promise<void> {
    const entry = this.#o.book.find(id);
    if (entry === null) return;
    try {
      if (waiting !== null) this.#failed(entry, part, waiting);
      else this.#reasons.delete(keyOf(entry, part));
      if (done) await this.#finish(id, part, removed ?? {});
      else if (removed !== null)
        await this.#o.book.update(id, (now) => ({ ...now, removed: { ...removed, ...now.removed } }));
    } catch (error) {
      this.#failed(entry, part, reasonOf(error)); // the next start of the platform asks the store again
    }
  }

  async #finish(id: number, part: ForgetPart, removed: Removed): Promise<void> {
    const { book, clock, logger } = this.#o;
    const before = book.find(id);
    const entry = await book.update(id, (now) => {
      const done = now.done.includes(part) ? now.done : [...now.done, part];
      const all = FORGET_PARTS.every((one) => done.includes(one));
      const completedAt = now.completedAt ?? (all ? clock.now() : null);
      return { ...now, done, completedAt, removed: { ...removed, ...now.removed } };
    });
    if (entry === null || before?.completedAt !== null || entry.completedAt === null) return;
    this.#completed.value++;
    const { thing, withRegistration, erasesData, blocksName } = entry;
    logger.info(withRegistration ? "a thing was retired" : "a thing was forgotten", {
      audit: true,
      thing,
      withRegistration,
      erasesData,
      blocksName,
      ...entry.removed,
    });
  }

  #failed(entry: ForgetEntry, part: ForgetPart, reason: string): void {
    const key = keyOf(entry, part);
    this.#failures.value++;
    if (this.#reasons.get(key) !== reason) {
      this.#o.logger.error("A part of a thing cannot be forgotten yet; it is tried again", {
        thing: entry.thing,
        part,
        reason,
      });
    }
    this.#reasons.set(key, reason);
  }

  #report(entry: ForgetEntry, copies: readonly Remains[]): ForgetReport {
    const { id, thing, requestedAt, completedAt, withRegistration, erasesData, removed, done } = entry;
    const missing = FORGET_PARTS.filter((part) => !done.includes(part));
    const reason =
      missing.map((part) => this.#reasons.get(keyOf(entry, part))).find((one) => one !== undefined) ?? null;
    return {
      id,
      thing,
      state: completedAt !== null ? "done" : reason === null ? "running" : "waiting",
      reason,
      requestedAt,
      completedAt,
      withRegistration,
      data: erasesData ? "erased" : "kept",
      name: this.#nameOf(entry),
      missing,
      removed,
      remains: [...this.#remains(entry), ...(erasesData ? copies : [])],
    };
  }

  #nameOf(entry: ForgetEntry): ForgetReport["name"] {
    const { departures, registry } = this.#o;
    const { thing, withRegistration, blocksName, done } = entry;
    if (!withRegistration) return "own";
    if ((blocksName && !done.includes("certificates")) || departures.isBlocked(thing)) return "blocked";
    if (isLeaving(entry)) return "leaving";
    return registry.things.find(thing) === undefined ? "free" : "taken";
  }

  #remains({ below, requestedAt, clearedAt, erasesData, removed }: ForgetEntry): Remains[] {
    const remains: Remains[] = [];
    const stays = (where: string, detail: string, until: EpochMs | null = null): void =>
      void remains.push({ where, detail, until, names: [] });
    if (!erasesData) stays("telemetry, archive and alerts", "what it said, and what was told of it, is kept");
    if (clearedAt === null) {
      const { segmentAgeMax, retentionAge } = this.#o.limits.log;
      const detail = `records below offset ${below}: no reader is given them; they go with their segments, as long as messages come`;
      stays("log", detail, requestedAt + segmentAgeMax + retentionAge + REPORT_PERIOD);
    }
    if ((removed["certificatesRevoked"] ?? 0) > 0)
      stays("registry", "revoked certificates, with their subject, so that they stay refused");
    stays("audit log, platform.log and this report", "that it was there, and left");
    return remains;
  }
}

/** Its name is not given again before all is done that goes by the name. */
function isLeaving({ withRegistration, done }: ForgetEntry): boolean {
  return withRegistration && OWN_PARTS.some((part) => !done.includes(part));
}

function keyOf({ id, thing }: ForgetEntry, part: ForgetPart): string {
  return `${thing} (${part}, ${id})`;
}

function orderOf({ id, thing, log, below, requestedAt, done }: ForgetEntry, identity: string): ForgetOrder {
  // As long as it may still speak, `below` may grow.
  const wanted = done.includes("certificates") ? ERASED_PARTS.filter((part) => !done.includes(part)) : [];
  return { id, thing, below: log === identity ? below : null, requestedAt, wanted };
}
