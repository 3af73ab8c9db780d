/** What has changed of sessions, by client, until the state store has taken it. */
import type { Connection } from "./connection.ts";
import type { SessionChange } from "./ports.ts";
import { savedOf, willOf } from "./saved-forms.ts";
import type { SavedSession, SavedSubscription, Session } from "./session.ts";

/** Of one client, since the last call of the store. */
export interface Pending {
  session: Session | null;
  reset: boolean;
  readonly subscriptions: Map<string, SavedSubscription | null>;
  /** Connections whose output waits for this. */
  readonly held: Set<Connection>;
  /** Not before this offset is on disk: it is the will that is to leave the store. */
  after: number;
  /**
   * Not before what is saved reflects all below this offset: a subscription by which something waits is to be taken away,
   * and a start finds no more by it [MQTT-3.10.4-3].
   */
  reflected: number;
}

export class PendingChanges {
  readonly #pending = new Map<string, Pending>();

  get size(): number {
    return this.#pending.size;
  }

  get(clientId: string): Pending | undefined {
    return this.#pending.get(clientId);
  }

  /** Where a change of the session is to be noted. */
  of(session: Session): Pending {
    let pending = this.#pending.get(session.clientId);
    if (pending === undefined) {
      pending = {
        session: null,
        reset: !session.saved,
        subscriptions: new Map(),
        held: new Set(),
        after: -1,
        reflected: 0,
      };
      this.#pending.set(session.clientId, pending);
    }
    pending.after = Math.max(pending.after, session.willOffset);
    return pending;
  }

  /** The store is to forget the session. */
  forget(session: Session): void {
    const pending = this.of(session);
    session.saved = false;
    pending.session = null;
    pending.reset = true;
    pending.reflected = 0;
    pending.subscriptions.clear();
  }

  /** Takes out those that may be saved now; null where there are none. */
  take(isReady: (pending: Pending) => boolean): ReadonlyMap<string, Pending> | null {
    if (this.#pending.size === 0) return null;
    const ready = new Map<string, Pending>();
    for (const [clientId, pending] of this.#pending) {
      if (!isReady(pending)) continue;
      ready.set(clientId, pending);
      this.#pending.delete(clientId);
    }
    return ready.size === 0 ? null : ready;
  }

  /** What the store did not take is given to it again with the next change. */
  giveBack(failed: ReadonlyMap<string, Pending>): void {
    for (const [clientId, old] of failed) {
      old.held.clear();
      const newer = this.#pending.get(clientId);
      if (newer === undefined) this.#pending.set(clientId, old);
      else if (!newer.reset) {
        newer.reset = old.reset;
        newer.reflected = Math.max(newer.reflected, old.reflected);
        for (const [filter, saved] of old.subscriptions) {
          if (!newer.subscriptions.has(filter)) newer.subscriptions.set(filter, saved);
        }
      }
    }
  }
}

/** The connection's output waits for this. */
export function hold(pending: Pending, connection: Connection | null): void {
  if (connection === null || pending.held.has(connection)) return;
  pending.held.add(connection);
  connection.holdOutput();
}

export function changeOf(clientId: string, { session, reset, subscriptions }: Pending): SessionChange {
  if (session === null || session.ended) return { clientId, reset: true, session: null, subscriptions: [] };
  const { expirySeconds, disconnectedAt, versionNumber, since, leftGroup } = session;
  const thing = session.scope?.thing ?? null;
  const will = willOf(session);
  const saved: SavedSession = { clientId, expirySeconds, disconnectedAt, versionNumber, since, thing, leftGroup, will };
  // Written anew, a session has all its subscriptions, also those made while it was not kept.
  const all = reset ? session.subscriptions.list().map((s) => [s.filter, savedOf(s)] as const) : [...subscriptions];
  return { clientId, reset, session: saved, subscriptions: all };
}
