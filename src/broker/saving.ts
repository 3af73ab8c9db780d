/**
 * Keeps the state store up to date: changes of persistent sessions before their acknowledgement leaves, all of a turn in
 * one transaction; queues and retained messages about once a second, after a start more often. One call at a time, the two kinds
 * in turn.
 */
import { reasonOf, sharedFilterOf } from "../base/mod.ts";
import type { Millis } from "../base/mod.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import { changeOf, hold, PendingChanges } from "./pending-changes.ts";
import type { Pending } from "./pending-changes.ts";
import type { Progress } from "./ports.ts";
import { addChanged, exchangesOf, isSaved, savedOf, willOf } from "./saved-forms.ts";
import type { SavedExchanges, SavedOutbox, SavedRetained, Session, Subscription } from "./session.ts";

/** Retained messages given to the store in one turn: a few milliseconds. */
const RETAINED_AT_ONCE = 64;
/** Queues of sessions given to it in one turn; likewise. */
const OUTBOXES_AT_ONCE = 128;
/** Savings that somebody waits for are so far apart for each connection, all of which they look at: a tenth of the time. */
const APART_MS = 0.001;
/** After a failure of the store. */
const RETRY_AFTER_MS = 1000;

/** Retained messages and QoS 2 exchanges as they are after every record below `horizon`, and no other. */
interface Snapshot {
  readonly number: number;
  readonly horizon: number;
  readonly exchanges: ReadonlyMap<Session, SavedExchanges>;
  readonly retained: readonly SavedRetained[];
  /** How many of them the store has. */
  done: number;
  /** Whose queues are to be looked at; null until the retained messages are done. */
  sessions: Session[] | null;
  /** Those whose queues are saved in one transaction, with `exchanges`. */
  readonly together: Set<Session>;
}

export class Saving {
  readonly #core: Core;
  readonly #pending = new PendingChanges();
  /** What the store is being given now. */
  #underWay: ReadonlyMap<string, Pending> | null = null;
  #busy = false;
  #progressDue = false;
  /** What the next progress saves, once all of it is on disk: an offset beyond that may come to mean another message. */
  #snapshot: Snapshot | null = null;
  /** The last call was for sessions, and succeeded. */
  #sessionsSaved = false;
  #appliedOffset = -1;
  /** Sessions without a connection whose outbox the store may not have as it is. */
  readonly #touched = new Set<Session>();
  /** Sessions whose QoS 2 exchanges changed since they were last given to the store. */
  readonly #exchanged = new Set<Session>();
  /** Sessions that a message was passed from or to, since their queues were last given to it. */
  readonly #passed = new Set<Session>();
  #idle: (() => void)[] = [];
  /** How many snapshots were taken, and the number of the latest that is in the store as a whole. */
  begun = 0;
  finished = 0;
  /** When the latest snapshot was taken, monotonic. */
  #snapshotAt: Millis = -Infinity;
  /** A timer for the next one is set. */
  #prompt = false;
  /** Monotonic time before which a store that failed is left alone. */
  #notBefore: Millis = 0;

  constructor(core: Core) {
    this.#core = core;
  }

  /** The session began, or something about it changed. Where `connection` is given, its output waits for the store. */
  changed(session: Session, connection: Connection | null = null): void {
    if (session.ended) return;
    if (!this.#worthKeeping(session)) {
      if (session.saved) this.#forget(session);
      return;
    }
    const pending = this.#changeOf(session);
    pending.session = session;
    if (!session.saved) pending.reset = true;
    if (session.persistent) hold(pending, connection);
  }

  /** The connection's output waits until what is known of an earlier session of its client is on disk: its end, for one. */
  awaited({ clientId }: Session, connection: Connection): void {
    const pending = this.#pending.get(clientId);
    if (pending !== undefined) hold(pending, connection);
  }

  /** `before`: what it replaces. */
  subscribed(session: Session, subscription: Subscription, connection: Connection | null, before?: Subscription): void {
    if (!session.persistent) return;
    const { filter, qos, noLocal } = subscription;
    const pending = this.#changeOf(session);
    pending.session = session;
    pending.subscriptions.set(filter, savedOf(subscription));
    const lowered = before !== undefined && (qos < before.qos || (noLocal && !before.noLocal));
    if (lowered) this.#reflectFirst(pending, session);
    hold(pending, connection);
  }

  unsubscribed(session: Session, filter: string, connection: Connection): void {
    if (!session.persistent) return;
    const pending = this.#changeOf(session);
    pending.session = session;
    pending.subscriptions.set(filter, null);
    if (sharedFilterOf(filter) !== null && session.outbox.size > 0) session.leftGroup = true;
    this.#reflectFirst(pending, session);
    hold(pending, connection);
  }

  #reflectFirst(pending: Pending, { saved, outbox }: Session): void {
    if (saved && outbox.size > 0) pending.reflected = this.#core.lastOffset + 1;
  }

  /** Something came for a session that has no connection, or it has just lost it. */
  touched(session: Session): void {
    this.#touched.add(session);
  }

  ended(session: Session): void {
    this.#touched.delete(session);
    if (session.saved || this.#pending.get(session.clientId) !== undefined) this.#forget(session);
  }

  /** The same, where its client may have begun another session meanwhile, which takes its place in the store. */
  endedBefore(session: Session, newer: Session | undefined): void {
    if (newer === undefined || !this.#worthKeeping(newer)) this.ended(session);
  }

  /** The store does not hold the session as it is: what was to be told of it before, and was not, must not be told now. */
  isBehind({ clientId }: Session): boolean {
    return this.#pending.get(clientId) !== undefined || this.#underWay?.has(clientId) === true;
  }

  /** The session is in the store, and no other of its client. */
  holds({ saved, clientId }: Session): boolean {
    return saved && this.#underWay?.get(clientId)?.reset !== true;
  }

  /** Something about its QoS 2 exchanges changed. */
  exchanged(session: Session): void {
    if (session.persistent) this.#exchanged.add(session);
  }

  /**
   * A message went from one queue to the other: the store is told of both in one transaction. Not in one that is of an earlier
   * offset: what waits before the message in its new queue may be younger than that, and the message would be left out.
   */
  passed(from: Session, to: Session): void {
    this.#passed.add(from).add(to);
    this.#dropSnapshot();
  }

  /** Queues and retained messages are to be saved. Called about once a second. */
  progressDue(): void {
    if (this.#snapshot !== null && !this.#busy) this.#releaseIdle(); // the log takes longer to sync than a stop should wait
    this.#progressDue = true;
    this.#core.planTurnEnd();
  }

  /** As `progressDue`, because much has gathered. */
  progressSoon(): void {
    this.#progressDue = true;
  }

  /** As `progressDue`, because somebody waits for it. */
  #progressPromptly(): void {
    const core = this.#core;
    if (this.#progressDue || (this.#prompt && !core.closing)) return;
    const wait = this.#snapshotAt + core.connections.size * APART_MS - core.now();
    if (wait < 1 || core.closing) {
      this.#progressDue = true;
      core.planTurnEnd();
      return;
    }
    this.#prompt = true;
    core.options.scheduler.after(Math.ceil(wait), () => {
      this.#prompt = false;
      if (!core.closing) this.progressSoon();
      core.planTurnEnd();
    });
  }

  /** More is on disk. */
  synced(): void {
    if (this.#snapshot !== null || this.#pending.size > 0) this.#core.planTurnEnd();
  }

  /** Where the store stood when it was loaded. */
  startAt(appliedOffset: number): void {
    this.#appliedOffset = appliedOffset;
  }

  /** Called at the end of each turn. */
  flush(): void {
    void this.#next();
  }

  /** All that is known, before the first turn: false where the store did not take it. */
  async saveAll(): Promise<boolean> {
    const { finished } = this;
    this.#progressDue = true;
    for (let call = this.#next(); call !== null; call = this.#next()) await call;
    return this.finished > finished;
  }

  /** Null where nothing can or need be saved now. */
  #next(): Promise<void> | null {
    if (this.#busy || this.#core.restoring || this.#core.now() < this.#notBefore) return null;
    const snapshot = this.#progressDue ? this.#readySnapshot() : null;
    const progressNext = snapshot !== null && this.#sessionsSaved && !lacksSession(snapshot);
    const sessions = progressNext ? null : this.#pending.take((pending) => this.#mayBeSaved(pending));
    if (sessions !== null) return this.#saveSessions(sessions);
    if (snapshot !== null) {
      return snapshot.done < snapshot.retained.length ? this.#saveRetained(snapshot) : this.#saveProgress(snapshot);
    }
    if (!this.#progressDue && this.#pending.size === 0) this.#releaseIdle();
    return null;
  }

  /** Resolves once everything that is known now has been given to the store. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#core.restoring) return resolve(); // nothing was taken in since the load, and half of it is not to be saved
      this.#idle.push(resolve);
      this.#dropSnapshot();
      this.progressDue();
    });
  }

  #releaseIdle(): void {
    for (const done of this.#idle.splice(0)) done();
  }

  #readySnapshot(): Snapshot | null {
    this.#snapshot ??= this.#takeSnapshot();
    if (this.#snapshot.horizon <= this.#core.journal.durable) return this.#snapshot;
    this.#core.journal.hurry(this.#snapshot.horizon - 1);
    return null;
  }

  #takeSnapshot(): Snapshot {
    const exchanges = new Map<Session, SavedExchanges>();
    for (const session of this.#exchanged) if (!session.ended) exchanges.set(session, exchangesOf(session));
    this.#exchanged.clear();
    this.#snapshotAt = this.#core.now();
    const { lastOffset, retained } = this.#core;
    return {
      number: ++this.begun,
      horizon: lastOffset + 1,
      exchanges,
      retained: retained.unsaved(),
      done: 0,
      sessions: null,
      together: new Set(this.#passed),
    };
  }

  /** Nothing more of it is saved; the next one has a later horizon. */
  #dropSnapshot(): void {
    for (const session of this.#snapshot?.exchanges.keys() ?? []) this.exchanged(session);
    this.#snapshot = null;
  }

  #worthKeeping(session: Session): boolean {
    // What is still to be brought back from the store is lost once that forgets the session.
    const owed = session.connection !== null && session.outbox.hasStored;
    return session.persistent || willOf(session) !== null || owed;
  }

  #changeOf(session: Session): Pending {
    this.#core.planTurnEnd();
    return this.#pending.of(session);
  }

  #mayBeSaved({ after, reflected }: Pending): boolean {
    if (after >= this.#core.journal.durable) return false;
    if (reflected <= this.#appliedOffset) return true;
    this.#progressPromptly();
    return false;
  }

  #forget(session: Session): void {
    this.#core.planTurnEnd();
    this.#pending.forget(session);
  }

  async #saveSessions(pending: ReadonlyMap<string, Pending>): Promise<void> {
    const { state, logger } = this.#core.options;
    const held: Connection[] = [];
    for (const change of pending.values()) held.push(...change.held);
    this.#busy = true;
    this.#underWay = pending;
    this.#sessionsSaved = false;
    const changes = [...pending].map(([clientId, change]) => changeOf(clientId, change));
    for (const { session } of pending.values()) if (session !== null && !session.ended) session.saved = true;
    try {
      await state.saveSessions(changes);
      this.#sessionsSaved = true;
      for (const connection of held) connection.releaseOutput();
    } catch (error) {
      // Nothing may leave that says the session was kept; the clients come back and try again.
      logger.error("sessions cannot be saved", { sessions: changes.length, error: reasonOf(error) });
      this.#failed();
      for (const { session, reset } of pending.values()) if (session !== null && reset) session.saved = false;
      this.#pending.giveBack(pending);
      for (const connection of held) {
        this.#core.refusals.refuse(
          "state-failed",
          "a connection ended: its session cannot be saved",
          connection.describe(),
        );
        connection.destroy();
      }
    } finally {
      this.#busy = false;
      this.#underWay = null;
      this.#core.planTurnEnd();
    }
  }

  #failed(): void {
    this.#notBefore = this.#core.now() + RETRY_AFTER_MS;
    this.#releaseIdle(); // whoever stops the broker has waited long enough
  }

  /** Ahead of `appliedOffset`, some in each turn: what a start replays on top of them comes to the same. */
  async #saveRetained(snapshot: Snapshot): Promise<void> {
    this.#sessionsSaved = false;
    const core = this.#core;
    const changes = snapshot.retained.slice(snapshot.done, snapshot.done + RETAINED_AT_ONCE);
    this.#busy = true;
    try {
      const refused = await core.retained.save(changes);
      snapshot.done += changes.length;
      for (const { topic, clientId } of refused) {
        const { retainedMessagesMax, retainedBytesMax } = core.limits;
        core.reached.count(core.retained.size >= retainedMessagesMax ? "retainedMessagesMax" : "retainedBytesMax");
        const fields = { clientId, topic, retainedMessagesMax, retainedBytesMax };
        core.refusals.refuse(
          "retained-full",
          "a message was delivered but not retained: too many retained messages, or too large ones",
          fields,
        );
      }
    } catch (error) {
      core.logger.error("retained messages cannot be saved", { error: reasonOf(error) });
      this.#failed();
      this.#dropSnapshot();
    } finally {
      this.#busy = false;
      core.planTurnEnd();
    }
  }

  /** Whoever is connected may have got and acknowledged something; of all others only those are looked at that were touched. */
  #mayHaveChanged(): Session[] {
    const sessions: Session[] = [];
    for (const connection of this.#core.connections) {
      if (connection.session?.connection === connection) sessions.push(connection.session);
    }
    for (const session of this.#touched) {
      if (session.connection !== null || isSaved(session)) this.#touched.delete(session);
      else sessions.push(session);
    }
    return sessions;
  }

  /**
   * Some of the queues, ahead of `appliedOffset`: each says up to where it is true. In the end those that a message was passed
   * from or to, and those with QoS 2 exchanges, in one transaction with these and with `appliedOffset`, because their notes in
   * the log speak of both.
   */
  #nextProgress(snapshot: Snapshot): Progress & { readonly last: boolean } {
    const { horizon } = snapshot;
    const outboxes: SavedOutbox[] = [];
    snapshot.sessions ??= this.#mayHaveChanged();
    while (snapshot.sessions.length > 0 && outboxes.length < OUTBOXES_AT_ONCE) {
      const session = snapshot.sessions.pop()!;
      const withOthers = snapshot.exchanges.has(session) || session.outbox.exchanges !== null;
      if (withOthers) snapshot.together.add(session);
      else if (!snapshot.together.has(session)) addChanged(outboxes, session, horizon);
    }
    if (snapshot.sessions.length > 0) {
      return { appliedOffset: this.#appliedOffset, outboxes, exchanges: [], last: false };
    }
    for (const session of snapshot.together) addChanged(outboxes, session, horizon);
    const exchanges: SavedExchanges[] = [];
    for (const [session, saved] of snapshot.exchanges) {
      if (session.saved && !session.ended) exchanges.push(saved);
      else this.exchanged(session);
    }
    return { appliedOffset: horizon, outboxes, exchanges, last: true };
  }

  #finish(snapshot: Snapshot): void {
    if (snapshot === this.#snapshot) this.#passed.clear(); // else there may be more of them by now
    this.finished = snapshot.number;
    this.#snapshot = null;
  }

  async #saveProgress(snapshot: Snapshot): Promise<void> {
    this.#sessionsSaved = false;
    const core = this.#core;
    const { last, ...progress } = this.#nextProgress(snapshot);
    const { appliedOffset, outboxes, exchanges } = progress;
    if (last) this.#progressDue = false;
    if (outboxes.length + exchanges.length === 0 && appliedOffset === this.#appliedOffset) {
      if (last) this.#finish(snapshot);
      await this.#next(); // somebody may be waiting for just this
      return;
    }
    this.#busy = true;
    try {
      await core.options.state.saveProgress(progress);
      for (const saved of outboxes) noteSaved(core, saved);
      if (last) {
        this.#appliedOffset = appliedOffset;
        this.#finish(snapshot);
        if (core.retained.crowded) this.#progressDue = true;
      }
    } catch (error) {
      core.logger.error("queues cannot be saved", { error: reasonOf(error) });
      this.#failed();
      this.#dropSnapshot();
    } finally {
      this.#busy = false;
      core.planTurnEnd();
    }
  }
}

/** A session that the store does not have yet, or it could not take its exchanges, and they are saved as of now or never. */
function lacksSession({ exchanges }: Snapshot): boolean {
  for (const session of exchanges.keys()) if (!session.saved && !session.ended && session.persistent) return true;
  return false;
}

function noteSaved(core: Core, saved: SavedOutbox): void {
  const session = core.sessions.get(saved.clientId);
  if (session === undefined || !session.saved) return;
  session.savedHead = saved.head;
  session.savedTail = Math.max(session.savedTail, saved.tail);
  if (session.connection === null) session.outbox.leave(session.savedTail);
}
