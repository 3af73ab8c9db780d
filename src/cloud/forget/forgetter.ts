/**
 * Forgets a device entirely: an entry in the book first, then part after part, each as often as it takes. Whoever reads the log
 * leaves its older records out from the first moment on, until the log's retention has removed them.
 */
import { TidewireError, minutes, reasonOf, seconds } from "../../base/mod.ts";
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
  Scheduler,
} from "../../base/mod.ts";
import type { Broker } from "../../broker/mod.ts";
import type { Log } from "../../log/mod.ts";
import type { Registry } from "../../registry/mod.ts";
import type { HotRules } from "../../rules/mod.ts";
import type { ShadowService } from "../services/mod.ts";
import type { Erased, ForgetOrder, StoreClient } from "../store/mod.ts";
import { FORGET_PARTS, forgottenIn } from "./book.ts";
import type { ForgetBook, ForgetEntry, ForgetPart } from "./book.ts";

export interface ForgetterOptions {
  readonly book: ForgetBook;
  /** What all readers of the log look at; filled here. */
  readonly forgotten: ForgottenThings;
  readonly log: Pick<Log, "next" | "first" | "identity">;
  readonly store: Pick<StoreClient, "holdDurable" | "setForgotten" | "onErased">;
  readonly broker: Pick<Broker, "disconnect" | "forgetThing" | "forgetRetained">;
  readonly rules: Pick<HotRules, "eraseThing">;
  readonly shadows: Pick<ShadowService, "erase" | "position">;
  readonly registry: Registry;
  /** Copies that nobody but a person may remove: backups, files that were put aside. */
  readonly copies: (before: EpochMs) => Promise<readonly Remains[]>;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
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
  /** `done`: in no store, no file and no answer any more. `waiting`: `reason` says for what. */
  readonly state: "running" | "waiting" | "done";
  readonly reason: string | null;
  readonly requestedAt: EpochMs;
  readonly completedAt: EpochMs | null;
  readonly withRegistration: boolean;
  /** Parts that are still to come. */
  readonly missing: readonly ForgetPart[];
  /** How much of what was removed: `points`, `events`, `alerts`, … */
  readonly removed: Readonly<Record<string, number>>;
  readonly remains: readonly Remains[];
}

const RETRY_DELAY: Millis = seconds(10);
const REPORT_PERIOD: Millis = minutes(10);
/** The order matters: first nothing new may come of it. */
const OWN_PARTS: readonly ForgetPart[] = ["registration", "sessions", "rules", "shadows"];
/** Between two looks at whether what was accepted before is through. */
const BEHIND_DELAY: Millis = 50;
const REASON_NOT_AUTHORIZED = 0x87;

export class Forgetter {
  readonly #o: ForgetterOptions;
  readonly #reasons = new Map<string, string>();
  readonly #cancels = new Set<Cancel>();
  readonly #completed: Counter;
  readonly #failures: Counter;
  #changing: Promise<unknown> = Promise.resolve();
  #working: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: ForgetterOptions) {
    this.#o = options;
    const { metrics, book } = options;
    this.#completed = metrics.counter({ name: "tidewire_forget_completed_total", help: "Things that were forgotten" });
    this.#failures = metrics.counter({
      name: "tidewire_forget_failures_total",
      help: "Times that a part of forgetting a thing failed; it is tried again",
    });
    metrics.observe({ name: "tidewire_forget_pending", help: "Things that are not forgotten everywhere yet" }, () => {
      return book.entries.filter(({ completedAt }) => completedAt === null).length;
    });
    this.#cancels.add(options.store.onErased((erased) => void this.#erased(erased)));
  }

  /** Why something waits, for health; null where nothing does. */
  get problem(): string | null {
    const [first] = this.#reasons;
    return first === undefined ? null : `forgetting ${first[0]}: ${first[1]}`;
  }

  /** Goes on with what was begun before. */
  async start(): Promise<void> {
    const { book, broker, forgotten, log } = this.#o;
    // A power cut may have taken the last second from the broker's state, with what was removed there.
    if (forgotten.end > 0) {
      await broker.forgetRetained((offset, source) => forgotten.skips(offset, source));
    }
    for (const { id, completedAt, log: of } of book.entries) {
      if (completedAt === null) this.#work(id);
      if (of !== log.identity) await this.tidy();
    }
  }

  /** Waits for what is being done; the next start goes on. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const cancel of this.#cancels) cancel();
    await this.#working;
    await this.#changing;
  }

  /**
   * On disk, and in no answer of the log's readers any more, when it resolves; the rest goes on behind it. Everything that was
   * accepted before the call is forgotten, what comes after it returns is kept. Throws LIMIT_REACHED, or where the book fails.
   */
  forget(thing: string, { withRegistration }: { readonly withRegistration: boolean }): Promise<ForgetReport> {
    const done = this.#changing.then(() => this.#forget(thing, withRegistration));
    this.#changing = done.catch(() => {});
    return done;
  }

  /** For who retires a thing: resolves when it is certain to be forgotten, and in no answer any more. */
  async erase(thing: string): Promise<void> {
    await this.forget(thing, { withRegistration: false });
  }

  /** Newest first. */
  async list(): Promise<readonly ForgetReport[]> {
    return this.#o.book.entries.map((entry) => this.#report(entry, [])).reverse();
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

  async #forget(thing: string, withRegistration: boolean): Promise<ForgetReport> {
    const { book, forgotten, log, store, broker, clock, logger } = this.#o;
    if (withRegistration) {
      this.#revoke(thing); // before the offset is read: nothing of it may come behind
      broker.disconnect((connection) => connection.thing === thing, REASON_NOT_AUTHORIZED, "its thing is removed");
    }
    const release = store.holdDurable(); // so that no store reads past the offset before it knows
    try {
      const below = log.next;
      const known = forgottenIn(book.entries, log.identity);
      forgotten.set([...known, { thing, below }]);
      const request = { thing, log: log.identity, below, requestedAt: clock.now(), withRegistration };
      const entry = await book.add(request).catch((error: unknown) => {
        forgotten.set(known);
        throw error;
      });
      this.#tell();
      logger.info("A thing is being forgotten", { thing, id: entry.id, below, withRegistration });
      this.#work(entry.id);
      return this.#report(entry, []);
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
        .filter(({ clearedAt, completedAt }) => clearedAt === null || completedAt === null)
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
      if (entry.done.includes(part)) continue;
      try {
        await this.#finish(id, part, await this.#erase(entry, part));
        this.#reasons.delete(keyOf(entry, part));
      } catch (error) {
        this.#failed(entry, part, reasonOf(error));
        if (this.#closed) return;
        const cancel = this.#o.scheduler.after(RETRY_DELAY, () => {
          this.#cancels.delete(cancel);
          this.#work(id);
        });
        this.#cancels.add(cancel);
        return;
      }
    }
  }

  async #erase({ thing, below }: ForgetEntry, part: ForgetPart): Promise<Readonly<Record<string, number>>> {
    const { broker, forgotten, rules } = this.#o;
    switch (part) {
      case "registration":
        return this.#unregister(thing);
      case "sessions":
        return { ...(await broker.forgetThing(thing, (offset, source) => forgotten.skips(offset, source))) };
      case "rules":
        return { ...rules.eraseThing(thing) };
      case "shadows":
        return this.#eraseShadows(thing, below);
      case "telemetry":
      case "archive":
        return {}; // the store's
    }
  }

  /** Its requests that were taken before are through first. */
  async #eraseShadows(thing: string, below: number): Promise<Readonly<Record<string, number>>> {
    const { shadows, scheduler } = this.#o;
    while (shadows.position < below && !this.#closed) {
      await new Promise<void>((resolve) => scheduler.after(BEHIND_DELAY, resolve));
    }
    shadows.erase(thing);
    return {};
  }

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

  async #finish(id: number, part: ForgetPart, removed: Readonly<Record<string, number>>): Promise<void> {
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
    logger.info("A thing is forgotten; what the log still holds of it nobody is given", {
      thing: entry.thing,
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

  /** A certificate that stands for other things, too, stays as it is. */
  #revoke(thing: string): void {
    const { registry } = this.#o;
    if (registry.things.find(thing) === undefined) return;
    for (const { certificateId } of registry.things.principalsOf(thing)) {
      const alone = registry.things.ofPrincipal(certificateId).length === 1;
      if (alone) registry.certificates.updateStatus(certificateId, "REVOKED");
    }
  }

  #unregister(thing: string): Readonly<Record<string, number>> {
    const { registry } = this.#o;
    if (registry.things.find(thing) === undefined) return { things: 0 };
    const principals = registry.things.principalsOf(thing);
    registry.atomically(() => {
      this.#revoke(thing);
      for (const { certificateId } of principals) registry.things.detach(thing, certificateId);
      registry.things.delete(thing);
    });
    return { things: 1, certificatesDetached: principals.length };
  }

  #report(entry: ForgetEntry, copies: readonly Remains[]): ForgetReport {
    const { id, thing, requestedAt, completedAt, withRegistration, removed, done, clearedAt } = entry;
    const missing = FORGET_PARTS.filter((part) => !done.includes(part));
    const reason =
      missing.map((part) => this.#reasons.get(keyOf(entry, part))).find((one) => one !== undefined) ?? null;
    const state = completedAt !== null ? "done" : reason === null ? "running" : "waiting";
    const remains = clearedAt === null ? [this.#inLog(entry), ...copies] : copies;
    return { id, thing, state, reason, requestedAt, completedAt, withRegistration, missing, removed, remains };
  }

  #inLog({ below, requestedAt }: ForgetEntry): Remains {
    const { log } = this.#o.limits;
    const until = requestedAt + log.segmentAgeMax + log.retentionAge + REPORT_PERIOD;
    const detail = `records below offset ${below}: no reader is given them; they go with their segments, as long as messages come`;
    return { where: "log", detail, until, names: [] };
  }
}

function keyOf({ id, thing }: ForgetEntry, part: ForgetPart): string {
  return `${thing} (${part}, ${id})`;
}

function orderOf({ id, thing, log, below, requestedAt, done }: ForgetEntry, identity: string): ForgetOrder {
  const wanted = (["telemetry", "archive"] as const).filter((part) => !done.includes(part));
  return { id, thing, below: log === identity ? below : null, requestedAt, wanted };
}
