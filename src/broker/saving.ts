/**
 * Keeps the state store up to date: changes of persistent sessions before their acknowledgement leaves, all of a turn in
 * one transaction; queues and retained messages about once a second. One call to the store at a time, the two kinds in
 * turn where both wait.
 */
import { reasonOf } from "../base/mod.ts";
import type { Millis } from "../base/mod.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import type { Progress, SessionChange } from "./ports.ts";
import type {
  SavedExchanges,
  SavedOutbox,
  SavedRetained,
  SavedSession,
  SavedSubscription,
  Session,
  Subscription,
} from "./session.ts";

/** After a failure of the store. */
const RETRY_AFTER_MS = 1000;

/** What has changed of one client's session since the last call. */
interface Pending {
  session: Session | null;
  reset: boolean;
  readonly subscriptions: Map<string, SavedSubscription | null>;
  /** Connections whose output waits for this. */
  readonly held: Set<Connection>;
  /** Not before this offset is on disk: it is the will that is to leave the store. */
  after: number;
}

/** Retained messages and QoS 2 exchanges as they are after every record below `horizon`, and no other. */
interface Snapshot {
  readonly horizon: number;
  readonly exchanges: ReadonlyMap<Session, SavedExchanges>;
  readonly retained: readonly SavedRetained[];
}

export class Saving {
  readonly #core: Core;
  readonly #pending = new Map<string, Pending>();
  #busy = false;
  #progressDue = false;
  /** What the next progress saves, once all of it is on disk: an offset beyond that may come to mean another message. */
  #snapshot: Snapshot | null = null;
  /** The last call was for sessions, and succeeded. */
  #sessionsSaved = false;
  #appliedOffset = -1;
  /** Sessions whose QoS 2 exchanges changed since they were last given to the store. */
  readonly #exchanged = new Set<Session>();
  #idle: (() => void)[] = [];
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
    const pending = this.#pendingOf(session);
    pending.session = session;
    if (!session.saved) pending.reset = true;
    if (session.persistent) hold(pending, connection);
  }

  subscribed(session: Session, subscription: Subscription, connection: Connection | null): void {
    if (!session.persistent) return;
    const { filter, qos, noLocal, retainAsPublished, identifier, since } = subscription;
    const saved = { filter, qos, noLocal, retainAsPublished, identifier, since };
    const pending = this.#pendingOf(session);
    pending.session = session;
    pending.subscriptions.set(filter, saved);
    hold(pending, connection);
  }

  unsubscribed(session: Session, filter: string, connection: Connection): void {
    if (!session.persistent) return;
    const pending = this.#pendingOf(session);
    pending.session = session;
    pending.subscriptions.set(filter, null);
    hold(pending, connection);
  }

  ended(session: Session): void {
    if (session.saved || this.#pending.has(session.clientId)) this.#forget(session);
  }

  /** Something about its QoS 2 exchanges changed. */
  exchanged(session: Session): void {
    if (session.persistent) this.#exchanged.add(session);
  }

  /** Queues and retained messages are to be saved. Called about once a second. */
  progressDue(): void {
    if (this.#snapshot !== null && !this.#busy) this.#releaseIdle(); // the log takes longer to sync than a stop should wait
    this.#progressDue = true;
    this.#core.planTurnEnd();
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
    if (this.#busy || this.#core.restoring || this.#core.now() < this.#notBefore) return;
    const snapshot = this.#progressDue ? this.#readySnapshot() : null;
    const progressNext = snapshot !== null && this.#sessionsSaved && !lacksSession(snapshot);
    const sessions = progressNext ? null : this.#takeReady();
    if (sessions !== null) void this.#saveSessions(sessions);
    else if (snapshot !== null) void this.#saveProgress(snapshot);
    else if (!this.#progressDue && this.#pending.size === 0) this.#releaseIdle();
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
    this.#snapshot ??= snapshotOf(this.#core, this.#exchanged);
    return this.#snapshot.horizon <= this.#core.journal.durable ? this.#snapshot : null;
  }

  #dropSnapshot(): void {
    for (const { topic } of this.#snapshot?.retained ?? []) this.#core.retained.changed.add(topic);
    for (const session of this.#snapshot?.exchanges.keys() ?? []) this.exchanged(session);
    this.#snapshot = null;
  }

  #worthKeeping(session: Session): boolean {
    return session.persistent || willOf(session) !== null;
  }

  #pendingOf(session: Session): Pending {
    this.#core.planTurnEnd();
    let pending = this.#pending.get(session.clientId);
    if (pending === undefined) {
      pending = { session: null, reset: !session.saved, subscriptions: new Map(), held: new Set(), after: -1 };
      this.#pending.set(session.clientId, pending);
    }
    pending.after = Math.max(pending.after, session.willOffset);
    return pending;
  }

  /** The changes that may be saved now; null where there are none. */
  #takeReady(): ReadonlyMap<string, Pending> | null {
    if (this.#pending.size === 0) return null;
    const ready = new Map<string, Pending>();
    for (const [clientId, pending] of this.#pending) {
      if (pending.after >= this.#core.journal.durable) continue;
      ready.set(clientId, pending);
      this.#pending.delete(clientId);
    }
    return ready.size === 0 ? null : ready;
  }

  #forget(session: Session): void {
    const pending = this.#pendingOf(session);
    session.saved = false;
    pending.session = null;
    pending.reset = true;
    pending.subscriptions.clear();
  }

  async #saveSessions(pending: ReadonlyMap<string, Pending>): Promise<void> {
    const { state, logger } = this.#core.options;
    const held: Connection[] = [];
    for (const change of pending.values()) held.push(...change.held);
    this.#busy = true;
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
      this.#restorePending(pending);
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
      this.#core.planTurnEnd();
    }
  }

  #failed(): void {
    this.#notBefore = this.#core.now() + RETRY_AFTER_MS;
    this.#releaseIdle(); // whoever stops the broker has waited long enough
  }

  /** What the store did not take is given to it again with the next change. */
  #restorePending(failed: ReadonlyMap<string, Pending>): void {
    for (const [clientId, old] of failed) {
      old.held.clear();
      const newer = this.#pending.get(clientId);
      if (newer === undefined) this.#pending.set(clientId, old);
      else if (!newer.reset) {
        newer.reset = old.reset;
        for (const [filter, saved] of old.subscriptions) {
          if (!newer.subscriptions.has(filter)) newer.subscriptions.set(filter, saved);
        }
      }
    }
  }

  async #saveProgress(snapshot: Snapshot): Promise<void> {
    this.#progressDue = false;
    this.#sessionsSaved = false;
    const core = this.#core;
    const progress = progressOf(core, snapshot);
    const { appliedOffset, outboxes, exchanges, retained } = progress;
    const changes = outboxes.length + exchanges.length + retained.length;
    if (changes === 0 && appliedOffset === this.#appliedOffset) {
      this.#snapshot = null;
      this.flush(); // somebody may be waiting for just this
      return;
    }
    this.#busy = true;
    try {
      await core.options.state.saveProgress(progress);
      this.#appliedOffset = appliedOffset;
      this.#snapshot = null;
      for (const saved of outboxes) noteSaved(core, saved);
    } catch (error) {
      core.logger.error("queues and retained messages cannot be saved", { error: reasonOf(error) });
      this.#failed();
      this.#dropSnapshot();
    } finally {
      this.#busy = false;
      core.planTurnEnd();
    }
  }
}

function hold(pending: Pending, connection: Connection | null): void {
  if (connection === null || pending.held.has(connection)) return;
  pending.held.add(connection);
  connection.holdOutput();
}

function willOf(session: Session): SavedSession["will"] {
  const standing = session.connection === null ? session.will : session.connection.will;
  return standing === null ? null : { will: standing.will, thing: standing.thing };
}

function changeOf(clientId: string, { session, reset, subscriptions }: Pending): SessionChange {
  if (session === null || session.ended) return { clientId, reset: true, session: null, subscriptions: [] };
  const { expirySeconds, disconnectedAt, versionNumber, since } = session;
  const saved: SavedSession = { clientId, expirySeconds, disconnectedAt, versionNumber, since, will: willOf(session) };
  // Written anew, a session has all its subscriptions, also those made while it was not kept.
  const all = reset
    ? [...session.subscriptions.values()].map((s) => [s.filter, savedOf(s)] as const)
    : [...subscriptions];
  return { clientId, reset, session: saved, subscriptions: all };
}

function savedOf({ filter, qos, noLocal, retainAsPublished, identifier, since }: Subscription): SavedSubscription {
  return { filter, qos, noLocal, retainAsPublished, identifier, since };
}

function snapshotOf(core: Core, exchanged: Set<Session>): Snapshot {
  const horizon = core.lastOffset + 1;
  const retained: SavedRetained[] = [];
  for (const topic of core.retained.changed) {
    const entry = core.retained.get(topic);
    if (entry === undefined) {
      retained.push({ topic, frame: null, offset: horizon, clientId: "", receivedAt: 0, expiresAt: null });
    } else {
      const { frame, offset, clientId, receivedAt, expiresAt } = entry;
      retained.push({ topic, frame: frame.buffer, offset, clientId, receivedAt, expiresAt });
    }
  }
  core.retained.changed.clear();
  const exchanges = new Map<Session, SavedExchanges>();
  for (const session of exchanged) if (!session.ended) exchanges.set(session, exchangesOf(session));
  exchanged.clear();
  return { horizon, exchanges, retained };
}

function exchangesOf({ clientId, received, outbox }: Session): SavedExchanges {
  const { exchanges } = outbox;
  return {
    clientId,
    received: received?.values() ?? [],
    sent: exchanges?.pack() ?? [],
    released: [...(exchanges?.released ?? [])],
    done: outbox.finishedEarly(),
  };
}

/** A session that the store does not have yet, or it could not take its exchanges, and they are saved as of now or never. */
function lacksSession({ exchanges }: Snapshot): boolean {
  for (const session of exchanges.keys()) if (!session.saved && !session.ended && session.persistent) return true;
  return false;
}

/** What changed since the last time, up to the snapshot's horizon. */
function progressOf(core: Core, snapshot: Snapshot): Progress {
  const { horizon, retained } = snapshot;
  const exchanges: SavedExchanges[] = [];
  for (const [session, saved] of snapshot.exchanges) {
    if (session.saved && !session.ended) exchanges.push(saved);
    else core.saving.exchanged(session);
  }
  const outboxes: SavedOutbox[] = [];
  for (const session of core.sessions.values()) {
    const { outbox, savedHead, savedTail } = session;
    if (!session.saved || !session.persistent) continue;
    const from = Math.max(savedTail, outbox.head);
    let to = from;
    while (to < outbox.tail && outbox.offset(to) < horizon) to++;
    if (to === from && savedHead === outbox.head) continue;
    const chunks = to > from ? [outbox.pack(from, to)] : [];
    outboxes.push({ clientId: session.clientId, head: outbox.head, sentBefore: outbox.sentBefore, chunks });
  }
  return { appliedOffset: horizon, outboxes, exchanges, retained };
}

function noteSaved(core: Core, saved: SavedOutbox): void {
  const session = core.sessions.get(saved.clientId);
  if (session === undefined || !session.saved) return;
  session.savedHead = saved.head;
  const chunk = saved.chunks[0];
  session.savedTail = Math.max(
    session.savedTail,
    saved.head,
    chunk === undefined ? 0 : chunk.first + chunk.slots.length / 2,
  );
}
