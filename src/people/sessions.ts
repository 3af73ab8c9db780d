/** Open dashboards. The cookie is a random value; only its HMAC is kept, so who reads the disk cannot be anybody. */
import { LIMITS, TidewireError } from "../base/mod.ts";
import type { EpochMs } from "../base/mod.ts";
import type { Alone, PeoplePorts } from "./ports.ts";
import type { SavedSession } from "./records.ts";
import { randomName, randomText } from "./secrets.ts";

export interface SessionFacts {
  readonly id: string;
  readonly user: string | null;
  readonly createdAt: EpochMs;
  readonly lastSeenAt: EpochMs;
  readonly endsAt: EpochMs;
  readonly address: string;
  readonly agent: string;
}

export class SessionBook {
  readonly #ports: Pick<PeoplePorts, "store" | "sealing" | "clock" | "random">;
  /** By id; `LIMITS.people.sessionsMax` at most. */
  readonly #sessions = new Map<string, SavedSession>();
  readonly #alone: Alone;
  readonly #isUser: (name: string) => boolean;
  readonly #byHash = new Map<string, string>();
  /** Only "last seen" moved: saved with the next round. */
  readonly #seen = new Set<string>();

  constructor(ports: PeoplePorts, alone: Alone, saved: readonly SavedSession[], isUser: (name: string) => boolean) {
    this.#ports = ports;
    this.#alone = alone;
    this.#isUser = isUser;
    this.take(saved);
    ports.metrics.observe(
      { name: "tidewire_dashboard_sessions", help: "Dashboards that are logged in" },
      () => this.#sessions.size,
    );
  }

  /** All that there are now; of those that somebody looks at here, the later time counts. */
  take(saved: readonly SavedSession[]): void {
    const seen = [...this.#seen].flatMap((id) => this.#sessions.get(id) ?? []);
    this.#sessions.clear();
    this.#byHash.clear();
    for (const session of saved) this.#keep(session);
    for (const { id, lastSeenAt } of seen) {
      const session = this.#sessions.get(id);
      if (session === undefined) this.#seen.delete(id);
      else if (session.lastSeenAt < lastSeenAt) this.#sessions.set(id, { ...session, lastSeenAt });
    }
  }

  /** Begins one; `value` is the cookie's. Throws LOGIN_REFUSED where the user is gone by now. */
  begin(
    user: string | null,
    address: string,
    agent: string,
  ): { readonly value: string; readonly session: SessionFacts } {
    const now = this.#ports.clock.now();
    const value = randomText(this.#ports.random, 43);
    const session: SavedSession = {
      id: randomName(this.#ports.random, 16).toLowerCase(),
      hash: this.#ports.sealing.hmac(value),
      user,
      createdAt: now,
      lastSeenAt: now,
      endsAt: now + LIMITS.http.sessionLifetime,
      address,
      agent: printable(agent).slice(0, 200),
    };
    const gone = this.#alone(() => {
      if (user !== null && !this.#isUser(user)) throw new TidewireError("LOGIN_REFUSED");
      const crowded = this.#crowdedOut(user);
      this.#ports.store.deleteSessions(crowded);
      this.#ports.store.putSession(session);
      return crowded;
    });
    for (const id of gone) this.#drop(id);
    this.#keep(session);
    return { value, session: factsOf(session) };
  }

  /** Null where the value is forged, or its session over. */
  find(value: string): SessionFacts | null {
    if (value.length > 100) return null;
    const id = this.#byHash.get(this.#ports.sealing.hmac(value));
    return id === undefined ? null : this.get(id);
  }

  get(id: string): SessionFacts | null {
    const session = this.#sessions.get(id);
    return session === undefined || this.#isOver(session) ? null : factsOf(session);
  }

  /** Somebody is looking at it. */
  touch(id: string): void {
    const session = this.#sessions.get(id);
    const now = this.#ports.clock.now();
    if (session === undefined || now - session.lastSeenAt < LIMITS.people.lastSeenSavedEvery) return;
    this.#sessions.set(id, { ...session, lastSeenAt: now });
    this.#seen.add(id);
  }

  /** Without a user everybody's. */
  list(user?: string | null): readonly SessionFacts[] {
    return [...this.#sessions.values()]
      .filter((session) => !this.#isOver(session) && (user === undefined || session.user === user))
      .map(factsOf)
      .sort((a, b) => b.lastSeenAt - a.lastSeenAt);
  }

  /** Those that are there; others change nothing. */
  end(which: (session: SessionFacts) => boolean): number {
    const ids = this.#alone(() => {
      const ended = [...this.#sessions.values()].filter((session) => which(factsOf(session))).map(({ id }) => id);
      this.#ports.store.deleteSessions(ended);
      return ended;
    });
    for (const id of ids) this.#drop(id);
    return ids.length;
  }

  /**
   * Writes what moved, and forgets those that are over. `stale`: others that were over by what is known here are not, or ended
   * elsewhere.
   */
  flush(): { readonly over: number; readonly stale: boolean } {
    const { store, clock } = this.#ports;
    const moved = [...this.#seen].flatMap((id) => this.#sessions.get(id) ?? []);
    if (moved.length > 0) store.touchSessions(moved);
    this.#seen.clear();
    const over = [...this.#sessions.values()].filter((session) => this.#isOver(session)).map(({ id }) => id);
    if (over.length === 0) return { over: 0, stale: false };
    const now = clock.now();
    const ended = new Set(store.deleteSessionsOver(now, now - LIMITS.people.sessionIdle));
    for (const id of ended) this.#drop(id);
    return { over: over.length, stale: over.some((id) => !ended.has(id)) };
  }

  #keep(session: SavedSession): void {
    this.#sessions.set(session.id, session);
    this.#byHash.set(session.hash, session.id);
  }

  #drop(id: string): void {
    const session = this.#sessions.get(id);
    if (session !== undefined) this.#byHash.delete(session.hash);
    this.#sessions.delete(id);
    this.#seen.delete(id);
  }

  #isOver({ endsAt, lastSeenAt }: SavedSession): boolean {
    const now = this.#ports.clock.now();
    return now >= endsAt || now - lastSeenAt > LIMITS.people.sessionIdle;
  }

  /** Those that must make room for one more. */
  #crowdedOut(user: string | null): readonly string[] {
    const mine = [...this.#sessions.values()].filter((session) => session.user === user);
    const full = mine.length >= LIMITS.people.sessionsPerUserMax ? mine : null;
    const crowd = full ?? (this.#sessions.size >= LIMITS.people.sessionsMax ? [...this.#sessions.values()] : null);
    return crowd === null ? [] : [crowd.reduce((a, b) => (a.lastSeenAt <= b.lastSeenAt ? a : b)).id];
  }
}

function factsOf({ id, user, createdAt, lastSeenAt, endsAt, address, agent }: SavedSession): SessionFacts {
  return { id, user, createdAt, lastSeenAt, endsAt, address, agent };
}

/** A stranger's text that ends up on an administrator's screen. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "");
}
